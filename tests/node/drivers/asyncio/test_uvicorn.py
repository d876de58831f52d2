"""The fast path with a real uvicorn: handshakes, closing, pauses, TLS, and what is left to uvicorn.

What applications and clients see on both paths alike is in ``tests/node/api``; tests that run on both compare them.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Wire
from tests.support.inprocess import Node, eventually, serve
from tests.support.masked import masked_frame
from tests.support.raw_websocket import (
    CLOSE,
    FAST,
    TEXT,
    RawSocket,
    echo_server,
    handshake,
)

# --- the handshake ----------------------------------------------------------------------------------------------------


async def test_the_answer_to_an_upgrade_byte_for_byte() -> None:
    async with serve(roomcast.ASGIApp(echo_server(cors_allowed_origins=[])), FAST) as base, RawSocket.open(base) as raw:
        lines = raw.head.decode().split("\r\n")
        assert lines[0] == "HTTP/1.1 101 Switching Protocols"
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        assert headers["upgrade"] == "websocket"
        assert headers["connection"] == "upgrade"
        assert headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".lower()
        assert "sec-websocket-extensions" not in headers
        assert "sec-websocket-protocol" not in headers
        assert (await raw.text()).startswith('0{"sid":')


REFUSALS: dict[str, tuple[bytes, int, dict[str, str], str]] = {
    "protocol": (
        handshake("EIO=3&transport=websocket"),
        400,
        {},
        '{"code":5,"message":"Unsupported protocol version"}',
    ),
    "transport": (handshake("EIO=4&transport=pigeon"), 400, {}, '{"code":0,"message":"Transport unknown"}'),
    "session": (
        handshake("EIO=4&transport=websocket&sid=nobody"),
        400,
        {},
        '{"code":1,"message":"Session ID unknown"}',
    ),
    "origin": (handshake(Origin="https://evil.example"), 400, {"vary": "Origin"}, ""),
    "version": (
        handshake(Sec_WebSocket_Version="8"),
        426,
        {"sec-websocket-version": "13"},
        "only version 13 is spoken",
    ),
    "key": (handshake(Sec_WebSocket_Key="short"), 400, {}, "Sec-WebSocket-Key is not 16 bytes in base64"),
    "no key": (handshake(Sec_WebSocket_Key=None), 400, {}, "Sec-WebSocket-Key is not 16 bytes in base64"),
}


@pytest.mark.parametrize("http", ["httptools", "h11"])
@pytest.mark.parametrize("why", REFUSALS)
async def test_a_refused_handshake_is_a_whole_http_answer(why: str, http: str) -> None:
    request, status, headers, body = REFUSALS[why]
    sio = echo_server()
    async with Node(sio, FAST, http=http) as node:
        wire = await Wire.open(node.base)
        await wire.send(request)
        head, _, rest = (await wire.rest()).partition(b"\r\n\r\n")
        await wire.aclose()
        first, *lines = head.decode().split("\r\n")
        found = dict(line.lower().split(": ", 1) for line in lines)
        assert first.startswith(f"HTTP/1.1 {status} ")
        assert found["content-length"] == str(len(rest))
        assert found["connection"] == "close"
        assert {name: found.get(name) for name in headers} == {name: value.lower() for name, value in headers.items()}
        assert body in rest.decode()
        await node.empty()
        assert sum(sio.counters.refused.values()) == 1


async def test_what_follows_a_refused_handshake_is_ignored() -> None:
    async with serve(roomcast.ASGIApp(echo_server()), FAST) as base:
        wire = await Wire.open(base)
        await wire.send(handshake("EIO=3&transport=websocket"))
        with contextlib.suppress(ConnectionError):
            await wire.send(masked_frame(TEXT, b"40") * 3)
        assert (await wire.rest()).startswith(b"HTTP/1.1 400 ")
        await wire.aclose()


async def test_a_busy_node_refuses_new_sessions_but_no_upgrade() -> None:
    sio = echo_server(max_sessions=1)
    async with Node(sio, FAST) as node:
        polling = await node.polling()
        wire = await Wire.open(node.base)
        await wire.send(handshake())
        answer = await wire.rest()
        await wire.aclose()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after" in answer.lower()
        node.keep(await polling.upgrade())


async def test_a_second_websocket_for_a_session_is_accepted_and_closed() -> None:
    """As the official server does: the client learns it by a close frame, not by an error that it would report."""
    async with Node(echo_server(), FAST) as node:
        client = await node.connect()
        request = handshake(f"EIO=4&transport=websocket&sid={client.engine_sid}")
        wire = await Wire.open(node.base)
        await wire.send(request)
        head = await wire.until(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 101 "):
            assert await RawSocket(wire).frame() == (0x80 | CLOSE, b"")
        else:
            assert head.startswith(b"HTTP/1.1 400 ")
        await wire.aclose()
        await client.event("echo", 1, id=1)
        assert await client.receive() == "431[1]"


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_a_frame_right_behind_the_request(http: str) -> None:
    """In a segment of its own: the request is answered while the frame is on its way."""
    async with Node(echo_server(), FAST, http=http) as node, RawSocket.open(node.base) as raw:
        await raw.texts("40")
        assert (await raw.text()).startswith("0{")
        assert (await raw.text()).startswith("40{")


# --- stopping ---------------------------------------------------------------------------------------------------------


async def test_a_stopping_server_tells_clients_to_come_back() -> None:
    sio = echo_server()
    reasons: list[str] = []
    sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    async with contextlib.AsyncExitStack() as clients:
        async with Node(sio, FAST) as node:
            raw = await clients.enter_async_context(RawSocket.open(node.base))
            await raw.connected()
            candidate = await clients.enter_async_context(
                RawSocket.open(
                    node.base, handshake(f"EIO=4&transport=websocket&sid={(await node.polling()).engine_sid}")
                )
            )
            stopping = asyncio.ensure_future(answer_close(raw))
            probing = asyncio.ensure_future(answer_close(candidate))
        assert await stopping == 1012
        await probing
    assert reasons == ["server shutting down"]


async def answer_close(raw: RawSocket) -> int:
    """Wait for a close frame, answer it, and give its code (0 where it has none)."""
    while True:
        first, payload = await raw.frame()
        if first == 0x80 | CLOSE:
            await raw.send(masked_frame(CLOSE, payload))
            return int.from_bytes(payload[:2], "big")


async def test_a_candidate_of_a_server_that_stops_is_no_candidate_any_more() -> None:
    """uvicorn closes all WebSockets before the application's lifespan ends; its session does not wait for the probe."""
    sio = roomcast.AsyncServer(namespaces=["/"])
    async with Node(sio, FAST) as node:
        client = await node.polling()
        await client.connect()
        candidate = await client.probe()
        node.keep(candidate)
        (session,) = sio.node.engine.sessions.values()
        link: Any = session.candidate
        link.owner.shutdown()
        assert session.candidate is None
        await eventually(lambda: link.owner not in link.owner._state.connections)
