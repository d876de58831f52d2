"""WebSockets on a real server, and on some that are none."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import Any

import pytest

import roomcast
from roomcast.doctor.answers import Answer, Ending, Trouble
from roomcast.doctor.packets import NOOP, PING, PONG, Opened, Packet
from roomcast.doctor.probing import websocket
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.links import LinkEndedError
from roomcast.doctor.probing.polling import PollingLink
from roomcast.doctor.probing.websocket import WebSocketLink
from roomcast.doctor.target import parse_target
from roomcast.websocket.frames import close_frame, ping_frame, text_frame
from tests.support.inprocess import Node, Way
from tests.support.links import until_end
from tests.support.patience import PATIENCE
from tests.support.scripted_http import client_of, scripted

SHORT = 0.05
KEY = bytes(16)
OPEN = b'0{"sid":"wA3xaaaaaaaaaaaaaaaa","upgrades":[],"pingInterval":500,"pingTimeout":200,"maxPayload":9}'


def node(**options: Any) -> Node:
    return Node(roomcast.AsyncServer(tag="wA3x", **options), Way())


async def opened(served: Node) -> WebSocketLink:
    attempt, link = await WebSocketLink.open(HttpClient(parse_target(served.base)))
    assert link is not None, attempt
    return link


def switching(accept: str) -> bytes:
    head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    return f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()


@pytest.fixture
def switched(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The answer to a handshake whose key is known beforehand."""
    monkeypatch.setattr(websocket.os, "urandom", lambda size: KEY[:size])  # type: ignore[attr-defined]
    digest = sha1(b64encode(KEY) + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
    return switching(b64encode(digest).decode())


async def test_a_session_from_beginning_to_end() -> None:
    async with node(ping_interval=0.1) as served:
        link = await opened(served)
        assert (link.tag, link.opened.ping_interval, link.opened.upgrades) == ("wA3x", 0.1, ())
        assert await link.receive(PATIENCE) == PING
        await link.send(PONG)
        await link.close()
        with pytest.raises(LinkEndedError):
            await link.send(NOOP)
        with pytest.raises(LinkEndedError):
            await link.receive(PATIENCE)
        await served.empty()


async def test_binary_messages() -> None:
    async with node(serializer="msgpack", namespaces="*") as served:
        link = await opened(served)
        await link.send(b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data\x80")
        assert isinstance(await link.receive(PATIENCE), bytes)
        await link.close()


async def test_in_place_of_polling() -> None:
    async with node() as served:
        client = HttpClient(parse_target(served.base))
        _, polling = await PollingLink.open(client, cookies=True)
        assert polling is not None
        attempt, link = await WebSocketLink.replace(client, polling)
        assert (attempt.stage, attempt.tag) == ("open", "wA3x")
        assert link is not None
        assert link.opened.sid == polling.opened.sid
        await link.send("40")
        assert str(await link.receive(PATIENCE)).startswith("40{")
        await link.close()
        attempt, gone = await WebSocketLink.replace(client, polling)
        assert (attempt.stage, gone) == ("refused", None)
        await served.empty()


async def test_the_server_ends_it() -> None:
    async with node() as served:
        link = await opened(served)
        await served.sio.eio.disconnect(link.opened.sid)
        with pytest.raises(LinkEndedError) as caught:
            await link.receive(PATIENCE)
        assert caught.value.ending == Ending("closed")


async def test_nothing_to_receive() -> None:
    async with node() as served:
        link = await opened(served)
        with pytest.raises(TimeoutError):
            await link.receive(SHORT)
        await link.close()


async def test_a_refusal_is_an_answer() -> None:
    async with node() as served:
        attempt, link = await WebSocketLink.open(HttpClient(parse_target(served.base)), (("Origin", "http://x"),))
    assert (attempt.stage, link) == ("refused", None)
    assert isinstance(attempt.outcome, Answer)
    assert attempt.outcome.status == 400


async def test_a_wrong_accept() -> None:
    async with scripted(switching("bm8="), keep=True) as (_, port):
        attempt, _ = await WebSocketLink.open(client_of(port))
    assert attempt.outcome == Trouble("garbled", "a wrong Sec-WebSocket-Accept")


@pytest.mark.parametrize("behind", [b"", text_frame(b"<html>")])
async def test_nothing_behind_the_handshake(behind: bytes, switched: bytes) -> None:
    async with scripted(switched + behind) as (_, port):
        attempt, link = await WebSocketLink.open(client_of(port))
        assert (attempt.stage, link) == ("silent", None)
        polling = PollingLink(client_of(port), Opened("x", (), 1, 1, 1), None, ())
        attempt, link = await WebSocketLink.replace(client_of(port), polling)
        assert (attempt.stage, link) == ("silent", None)


@pytest.mark.parametrize(
    ("frames", "packets", "ending"),
    [
        (text_frame(b"4a") + text_frame(b"4b"), ["4a", "4b"], Ending("cut")),
        (b"\x01\x024a" + ping_frame(b"?") + b"\x80\x01b", ["4ab"], Ending("cut")),
        (close_frame(1012, "later"), [], Ending("closed", 1012)),
        (close_frame(), [], Ending("closed")),
        (text_frame(b"1"), [], Ending("closed")),
    ],
)
async def test_what_comes(frames: bytes, packets: list[Packet], ending: Ending, switched: bytes) -> None:
    async with scripted(switched, text_frame(OPEN), frames) as (_, port):
        _, link = await WebSocketLink.open(client_of(port))
        assert link is not None
        assert (link.tag, link.opened.ping_timeout) == ("wA3x", 0.2)
        assert await until_end(link) == (packets, ending)
        link.abort()
