"""The fast path with a real uvicorn: handshakes, closing, pauses, TLS, and what is left to uvicorn.

What applications and clients see on both paths alike is in ``tests/node/api``; tests that run on both compare them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Self

import pytest
import uvloop
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

import roomcast
from roomcast.drivers.asyncio import uvicorn as fast_path
from tests.support.api_client import TIMEOUT, Wire
from tests.support.inprocess import Node, Way, eventually, serve
from tests.support.masked import masked_frame
from tests.support.programs import program

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FAST = Way("fast", "uvloop")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def on_every_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[str], None]:
    """Where transports of asyncio and uvloop behave differently: closing, pausing, TLS."""

    @pytest.mark.parametrize("loop", LOOPS)
    def run(loop: str) -> None:
        uncaught: list[dict[str, Any]] = []

        async def watched() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: uncaught.append(context))
            async with asyncio.timeout(4 * TIMEOUT):
                await test()

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(watched())
        assert uncaught == []

    run.__doc__ = test.__doc__
    return run


def handshake(query: str = "EIO=4&transport=websocket", path: str = "/socket.io/", **headers: str | None) -> bytes:
    """An upgrade request; ``Header_Name="value"`` replaces a header, None leaves it out."""
    lines: dict[str, str | None] = {
        "Host": "example.org",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }
    lines.update({name.replace("_", "-"): value for name, value in headers.items()})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"GET {path}?{query} HTTP/1.1\r\n{head}\r\n".encode()


class RawSocket:
    """A WebSocket client whose every byte is the test's."""

    def __init__(self, wire: Wire, head: bytes = b"") -> None:
        self.wire = wire
        self.head = head

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, base: str, request: bytes | None = None) -> AsyncIterator[Self]:
        wire = await Wire.open(base)
        try:
            await wire.send(request or handshake())
            raw = cls(wire, await wire.until(b"\r\n\r\n"))
            assert raw.head.startswith(b"HTTP/1.1 101 "), raw.head
            yield raw
        finally:
            await wire.aclose()

    async def send(self, *frames: bytes) -> None:
        await self.wire.send(b"".join(frames))

    async def texts(self, *texts: str) -> None:
        await self.send(*(masked_frame(TEXT, text.encode()) for text in texts))

    async def frame(self) -> tuple[int, bytes]:
        """The first byte and the payload of the next frame."""
        read = self.wire.reader.readexactly
        async with asyncio.timeout(TIMEOUT):
            first, size = await read(2)
            assert size < 128, "servers do not mask"
            if size >= 126:
                size = int.from_bytes(await read(2 if size == 126 else 8), "big")
            return first, await read(size)

    async def text(self) -> str:
        first, payload = await self.frame()
        assert first == 0x80 | TEXT, (first, payload)
        return payload.decode()

    async def connected(self) -> Self:
        assert (await self.text()).startswith("0{")
        await self.texts("40")
        assert (await self.text()).startswith("40{")
        return self


def echo_server(**options: Any) -> roomcast.AsyncServer:
    sio = roomcast.AsyncServer(**options)

    @sio.on("echo")
    async def echo(sid: str, *args: Any) -> Any:
        return args

    return sio


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


# --- frames -----------------------------------------------------------------------------------------------------------


@on_every_loop
async def test_a_conversation_byte_by_byte() -> None:
    async with Node(echo_server(), FAST) as node, RawSocket.open(node.base) as raw:
        whole = masked_frame(TEXT, b"40") + masked_frame(PING, b"alive?")
        whole += masked_frame(TEXT, b'421["ec', fin=False) + masked_frame(0, 'ho","grüße"]'.encode())
        for at in range(len(whole)):
            await raw.send(whole[at : at + 1])
            await asyncio.sleep(0)
        assert (await raw.text()).startswith("0{")
        assert (await raw.text()).startswith("40{")
        assert await raw.frame() == (0x80 | PONG, b"alive?")
        assert await raw.text() == '431["grüße"]'


async def test_a_conversation_in_two_pieces_cut_everywhere() -> None:
    whole = masked_frame(TEXT, b"40") + masked_frame(TEXT, b'421["echo",1]') + masked_frame(PING, b"?")
    async with Node(echo_server(), FAST) as node:
        for cut in range(1, len(whole)):
            async with RawSocket.open(node.base) as raw:
                await raw.send(whole[:cut])
                await asyncio.sleep(0)
                await raw.send(whole[cut:])
                frames = [await raw.frame() for _ in range(4)]
                assert frames[2:] == [(0x80 | TEXT, b"431[1]"), (0x80 | PONG, b"?")], cut
        await node.empty()


async def test_a_broken_frame_is_answered_with_its_code() -> None:
    async with Node(echo_server(), FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        await raw.send(masked_frame(TEXT, b"42[]", key=None))
        first, payload = await raw.frame()
        assert (first, int.from_bytes(payload[:2], "big")) == (0x80 | CLOSE, 1002)
        assert await raw.wire.rest() == b""
        await node.empty()


# --- permessage-deflate -----------------------------------------------------------------------------------------------

LONG = "many words again and again " * 400


async def test_compression_with_a_client_that_offers_it() -> None:
    sio = echo_server(websocket_compression=True)
    async with Node(sio, FAST) as node:
        squeezed = await node.connect(transport="websocket", compression="deflate")
        plain = await node.connect(transport="websocket")
        for client in (squeezed, plain):
            await client.event("echo", LONG, id=1)
            assert await client.receive() == f"431{json.dumps([LONG], separators=(',', ':'))}"
        await sio.emit("news", {"text": LONG, "data": bytes(5_000)})
        await sio.emit("short", 1)
        for client in (squeezed, plain):
            assert str(await client.receive()).startswith('451-["news"')
            assert await client.receive() == bytes(5_000)
            assert await client.receive() == '42["short",1]'


async def test_only_long_messages_are_compressed_and_that_shows_on_the_wire() -> None:
    sio = echo_server(websocket_compression=True)
    offer = handshake(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
    async with Node(sio, FAST) as node, RawSocket.open(node.base, offer) as raw:
        assert b"permessage-deflate" in raw.head
        assert b"server_no_context_takeover" in raw.head
        await raw.connected()
        await sio.emit("short", 1)
        first, _ = await raw.frame()
        assert first == 0x80 | TEXT
        await sio.emit("long", LONG)
        first, payload = await raw.frame()
        assert first == 0x80 | 0x40 | TEXT
        assert len(payload) < len(LONG) // 10


async def test_a_message_that_inflates_to_rubbish_ends_the_connection() -> None:
    offer = handshake(Sec_WebSocket_Extensions="permessage-deflate")
    async with Node(echo_server(websocket_compression=True), FAST) as node, RawSocket.open(node.base, offer) as raw:
        await raw.connected()
        await raw.send(masked_frame(TEXT, b"\xff\xff\xff", reserved=0x40))
        first, _ = await raw.frame()
        assert first == 0x80 | CLOSE
        await node.empty()


# --- the closing handshake --------------------------------------------------------------------------------------------


def leavers(sio: roomcast.AsyncServer) -> list[str]:
    """Reasons, as disconnect handlers are told them."""
    reasons: list[str] = []

    @sio.event
    def disconnect(sid: str, reason: str) -> None:
        reasons.append(reason)

    return reasons


@on_every_loop
async def test_a_client_that_closes_is_answered_and_let_go() -> None:
    sio = echo_server()
    reasons = leavers(sio)
    async with Node(sio, FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        await raw.send(masked_frame(CLOSE, b"\x03\xe8bye"))
        first, _ = await raw.frame()
        assert first == 0x80 | CLOSE
        assert await raw.wire.rest() == b""
        await eventually(lambda: reasons == ["transport close"])
        await node.empty()


@on_every_loop
async def test_a_client_that_is_closed_answers_and_is_let_go() -> None:
    sio = echo_server()
    reasons = leavers(sio)
    async with Node(sio, FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        await sio.eio.disconnect()
        assert await raw.frame() == (0x80 | CLOSE, b"")
        await raw.texts('42["echo"]')  # on its way when the close came
        await raw.send(masked_frame(CLOSE))
        assert await raw.wire.reader.read() == b""  # the end of the stream, and no reset
        await eventually(lambda: reasons == ["server disconnect"])
        await node.empty()


@on_every_loop
async def test_a_client_that_never_answers_a_close_is_cut() -> None:
    sio = echo_server()
    async with Node(sio, FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        began = asyncio.get_running_loop().time()
        await sio.eio.disconnect()
        assert await raw.frame() == (0x80 | CLOSE, b"")
        await raw.texts("ignored", "ignored")
        assert await raw.wire.rest() == b""
        waited = asyncio.get_running_loop().time() - began
        assert 0.8 * fast_path.CLOSE_PATIENCE < waited < 3 * fast_path.CLOSE_PATIENCE
        await node.empty()


@on_every_loop
async def test_a_client_that_hangs_up_in_the_middle_of_a_frame() -> None:
    sio = echo_server()
    reasons = leavers(sio)
    async with Node(sio, FAST) as node:
        async with RawSocket.open(node.base) as raw:
            await raw.connected()
            await raw.send(masked_frame(TEXT, b'42["echo","half a frame"]')[:12])
        await eventually(lambda: len(reasons) == 1)
        await node.empty()


async def test_a_stopping_server_tells_clients_to_come_back() -> None:
    sio = echo_server()
    reasons = leavers(sio)
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


# --- reading in order -------------------------------------------------------------------------------------------------


@on_every_loop
async def test_nothing_is_read_while_a_handler_is_waited_for() -> None:
    sio = roomcast.AsyncServer(async_handlers=False)
    gate = asyncio.Event()
    order: list[Any] = []

    @sio.event
    async def slow(sid: str, number: int) -> int:
        order.append(number)
        await gate.wait()
        order.append(-number)
        return number

    async with Node(sio, FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        for number in range(1, 4):
            await raw.texts(f'42{number}["slow",{number}]')
        await raw.texts('424["slow",4]', '425["slow",5]')
        await eventually(lambda: order == [1])
        gate.set()
        assert [await raw.text() for _ in range(5)] == [f"43{number}[{number}]" for number in range(1, 6)]
        assert order == [1, -1, 2, -2, 3, -3, 4, -4, 5, -5]


@on_every_loop
async def test_in_order_also_where_no_handler_waits() -> None:
    async with Node(echo_server(async_handlers=False), FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        await raw.texts(*(f'42{number}["echo",{number}]' for number in range(50)))
        assert [await raw.text() for _ in range(50)] == [f"43{number}[{number}]" for number in range(50)]


@on_every_loop
async def test_a_client_that_goes_while_its_handler_is_waited_for() -> None:
    sio = roomcast.AsyncServer(async_handlers=False)
    gate = asyncio.Event()
    seen: list[int] = []

    @sio.event
    async def slow(sid: str, number: int) -> None:
        seen.append(number)
        await gate.wait()

    async with Node(sio, FAST) as node:
        async with RawSocket.open(node.base) as raw:
            await raw.connected()
            await raw.texts('42["slow",1]', '42["slow",2]')
            await eventually(lambda: seen == [1])
            await sio.eio.disconnect()
            first, _ = await raw.frame()
            assert first == 0x80 | CLOSE
        gate.set()
        await node.empty()
        assert seen == [1]


@on_every_loop
async def test_a_client_that_its_own_handler_disconnects_can_answer_the_close() -> None:
    """Reading was paused for the handler; after the close it must go on, or the answer would never be seen."""
    sio = roomcast.AsyncServer(async_handlers=False)

    @sio.event
    async def leave(sid: str) -> None:
        await asyncio.sleep(0)
        await sio.eio.disconnect()

    async with Node(sio, FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        began = asyncio.get_running_loop().time()
        await raw.texts('42["leave"]')
        assert await raw.frame() == (0x80 | CLOSE, b"")
        await raw.send(masked_frame(CLOSE))
        assert await raw.wire.reader.read() == b""
        assert asyncio.get_running_loop().time() - began < fast_path.CLOSE_PATIENCE / 2
        await node.empty()


# --- what is left to uvicorn ------------------------------------------------------------------------------------------


class OtherSockets:
    """An application with WebSockets of its own, that keeps the scopes it was given."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.ended: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket", scope["type"]
        self.scopes.append(scope)
        await receive()
        if scope["path"] == "/refused":
            await send({"type": "websocket.http.response.start", "status": 418, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"teapot"})
            return
        await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[-1]})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "close":
                await send({"type": "websocket.close", "code": 4001, "reason": "as asked"})
            else:
                await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
        self.ended.append(message)


@pytest.fixture
def other() -> OtherSockets:
    return OtherSockets()


@pytest.mark.parametrize("loop", LOOPS)
def test_other_websockets_are_uvicorns_own(loop: str, other: OtherSockets) -> None:
    async def scenario() -> None:
        app = roomcast.ASGIApp(echo_server(), other)
        async with (
            serve(app, FAST) as base,
            connect_websocket(
                base.replace("http", "ws") + "/chat?room=1",
                subprotocols=[Subprotocol("v1"), Subprotocol("v2")],
                proxy=None,
            ) as connection,
        ):
            assert connection.subprotocol == "v2"
            assert [extension.name for extension in connection.protocol.extensions] == ["permessage-deflate"]
            for message in ("text", b"bytes", "x" * 300_000):
                await connection.send(message)
                assert await connection.recv() == message
            await asyncio.wait_for(await connection.ping(), TIMEOUT)
            await connection.close(4000, "enough")
            await eventually(lambda: other.ended)
            assert other.ended[0]["code"] == 4000
            assert (other.scopes[0]["path"], other.scopes[0]["query_string"]) == ("/chat", b"room=1")

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(scenario())


async def test_an_application_closes_its_own_websocket(other: OtherSockets) -> None:
    async with (
        serve(roomcast.ASGIApp(echo_server(), other), FAST) as base,
        connect_websocket(base.replace("http", "ws") + "/", proxy=None) as connection,
    ):
        await connection.send("close")
        await connection.wait_closed()
        assert (connection.close_code, connection.close_reason) == (4001, "as asked")


async def test_an_application_refuses_its_own_websocket(other: OtherSockets) -> None:
    async with serve(roomcast.ASGIApp(echo_server(), other), FAST) as base:
        with pytest.raises(InvalidStatus) as refused:
            await connect_websocket(base.replace("http", "ws") + "/refused", proxy=None)
        assert (refused.value.response.status_code, refused.value.response.body) == (418, b"teapot")


async def test_other_websockets_side_by_side_with_ours_and_at_shutdown(other: OtherSockets) -> None:
    async with contextlib.AsyncExitStack() as clients:
        async with Node(echo_server(), FAST, app=roomcast.ASGIApp(sio := echo_server(), other)) as node:
            theirs = [
                await clients.enter_async_context(connect_websocket(node.base.replace("http", "ws") + "/", proxy=None))
                for _ in range(3)
            ]
            ours = await node.connect()
            await asyncio.gather(*(connection.send("hello") for connection in theirs))
            assert [await connection.recv() for connection in theirs] == ["hello"] * 3
            await sio.emit("e", 1)
            assert await ours.drain() == ['42["e",1]']
        assert {connection.close_code for connection in theirs} == {1012}


async def test_without_a_websocket_library_others_are_told(
    monkeypatch: pytest.MonkeyPatch, other: OtherSockets
) -> None:
    from uvicorn.protocols.websockets import auto

    monkeypatch.setattr(auto, "AutoWebSocketsProtocol", None)
    async with serve(roomcast.ASGIApp(echo_server(), other), FAST) as base:
        wire = await Wire.open(base)
        await wire.send(handshake(path="/other"))
        assert (await wire.rest()).startswith(b"HTTP/1.1 501 ")
        await wire.aclose()
        async with RawSocket.open(base) as raw:
            await raw.connected()


# --- where the server is ----------------------------------------------------------------------------------------------


async def seen_environ(
    sio: roomcast.AsyncServer, way: Way, path: str, app: Any = None, **config: Any
) -> dict[str, Any]:
    """What a connect handler sees of a WebSocket, without what cannot be compared."""
    seen: list[dict[str, Any]] = []
    sio.on("connect", lambda sid, environ: seen.append(dict(environ)))
    headers = config.pop("headers", None)
    async with Node(sio, way, app=app, **config) as node:
        await node.connect(transport="websocket", path=path, headers=headers)
    (environ,) = seen
    return {
        name: value
        for name, value in environ.items()
        if isinstance(value, str) and name not in {"REMOTE_PORT", "SERVER_PORT", "HTTP_HOST", "HTTP_SEC_WEBSOCKET_KEY"}
    }


FORWARDED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
PLACES: dict[str, tuple[Callable[[Any], Any], str, dict[str, Any]]] = {
    "plain": (roomcast.ASGIApp, "/socket.io/", {}),
    "without slash": (roomcast.ASGIApp, "/socket.io", {}),
    "mounted": (lambda sio: Starlette(routes=[Mount("/ws", roomcast.ASGIApp(sio))]), "/ws/socket.io/", {}),
    "root path": (roomcast.ASGIApp, "/socket.io/", {"root_path": "/api"}),
    "mounted under a root path": (
        lambda sio: Starlette(routes=[Mount("/ws", roomcast.ASGIApp(sio))]),
        "/ws/socket.io/",
        {"root_path": "/api"},
    ),
    "a trusted proxy": (roomcast.ASGIApp, "/socket.io/", {"headers": FORWARDED}),
    "a proxy that is not trusted": (
        roomcast.ASGIApp,
        "/socket.io/",
        {"headers": FORWARDED, "forwarded_allow_ips": "192.0.2.1"},
    ),
    "proxies switched off": (roomcast.ASGIApp, "/socket.io/", {"headers": FORWARDED, "proxy_headers": False}),
}


@pytest.mark.parametrize("place", PLACES)
async def test_both_paths_show_the_same_environ(place: str) -> None:
    make, path, config = PLACES[place]
    fast, plain = [
        await seen_environ(sio := roomcast.AsyncServer(), way, path, make(sio), **dict(config))
        for way in (FAST, Way("asgi", "uvloop"))
    ]
    assert fast == plain
    assert fast["REMOTE_ADDR"] == ("203.0.113.7" if place == "a trusted proxy" else "127.0.0.1")


def serving(sio: roomcast.AsyncServer) -> list[str]:
    """What carries the WebSockets of a server."""
    links: list[Any] = [session.link for session in sio.eio.sockets.values()]
    return [type(link.owner).__name__ for link in links]


async def test_servers_side_by_side_have_their_own_clients() -> None:
    first, second, third = echo_server(), echo_server(), echo_server()
    app = roomcast.ASGIApp(
        first,
        Starlette(routes=[Mount("/deep", roomcast.ASGIApp(third))]),
        socketio_path="one",
    )
    app = roomcast.ASGIApp(second, app, socketio_path="two")
    async with Node(first, FAST, app=app) as node:
        clients = [await node.connect(path=path) for path in ("/one/", "/two/", "/deep/socket.io/")]
        for number, sio in enumerate((first, second, third)):
            assert serving(sio) == ["SocketIOProtocol"]
            await sio.emit("you are", number)
        for number, client in enumerate(clients):
            assert await client.receive() == f'42["you are",{number}]'


async def test_what_stands_in_front_of_the_server_sees_its_websockets() -> None:
    sio = echo_server()
    server = roomcast.ASGIApp(sio)
    paths: list[str] = []

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            paths.append(scope["path"])
            if b"authorization" not in dict(scope["headers"]):
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
        await server(scope, receive, send)

    async with Node(sio, FAST, app=guard) as node:
        with pytest.raises(InvalidStatus):
            await node.websocket()
        client = await node.connect(headers={"Authorization": "yes"})
        assert await client.call("echo", 1) == "431[1]"
        assert paths == ["/socket.io/"] * 2
        assert serving(sio) == ["AsgiSocket"]


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    openssl = program("openssl", install="apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "cert.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(made)], check=True, capture_output=True)
    return made, key


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("path", ["fast", "asgi"])
def test_over_tls(loop: str, path: str, certificate: tuple[Path, Path]) -> None:
    made, key = certificate

    async def scenario() -> None:
        sio = echo_server()
        seen: list[str] = []
        sio.on("connect", lambda sid, environ: seen.append(environ["wsgi.url_scheme"]))
        context = ssl.create_default_context(cafile=made)
        app = roomcast.ASGIApp(sio)
        async with serve(app, Way(path, loop), ssl_certfile=str(made), ssl_keyfile=str(key)) as base:
            url = base.replace("http", "wss") + "/socket.io/?EIO=4&transport=websocket"
            async with connect_websocket(url, ssl=context, proxy=None) as connection:
                assert str(await connection.recv()).startswith("0{")
                await connection.send("40")
                assert str(await connection.recv()).startswith("40{")
                long = json.dumps(["x" * 400_000], separators=(",", ":"))
                await connection.send(f'421["echo",{long[1:]}')
                assert await connection.recv() == f"431{long}"
                assert seen == ["https"]
                await sio.eio.disconnect()
                await connection.wait_closed()
                assert connection.close_code in {1000, 1005}
            with pytest.raises(InvalidStatus):
                await connect_websocket(url.replace("EIO=4", "EIO=3"), ssl=context, proxy=None)

    complaints: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
        runner.run(scenario())
    assert complaints == []
