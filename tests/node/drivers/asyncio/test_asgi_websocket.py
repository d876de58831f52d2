"""WebSockets of ASGI servers, message by message: what no well-behaved server shows in the tests of the API."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import roomcast
from tests.support.inprocess import eventually

A_MOMENT = 0.01
"""Seconds that a handler takes."""

QUERY = b"EIO=4&transport=websocket"


class Connection:
    """One WebSocket as an ASGI server would run it; ``gate`` makes its ``send`` wait, ``broken`` makes it raise."""

    def __init__(self, app: Any, query: bytes = QUERY, **scope: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken: Exception | None = None
        self._coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._coming.put_nowait({"type": "websocket.connect"})
        self._scope = {
            "type": "websocket",
            "path": "/socket.io/",
            "query_string": query,
            "headers": [(b"host", b"example.org")],
            **scope,
        }
        self.serving = asyncio.ensure_future(app(self._scope, self._coming.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        if self.broken is not None:
            raise self.broken
        await self.gate.wait()
        self.sent.append(message)

    def send(self, **message: Any) -> None:
        self._coming.put_nowait({"type": "websocket.receive", **message})

    def leave(self) -> None:
        self._coming.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def types(self) -> list[str]:
        return [message["type"].rpartition(".")[2] for message in self.sent]

    def texts(self) -> list[str]:
        return [message["text"] for message in self.sent if "text" in message]


@contextlib.asynccontextmanager
async def connected(sio: roomcast.AsyncServer) -> AsyncIterator[Connection]:
    """A client in the main namespace; what it was sent so far is forgotten."""
    connection = Connection(roomcast.ASGIApp(sio))
    connection.send(text="40")
    await eventually(lambda: len(connection.sent) == 3)
    assert connection.types() == ["accept", "send", "send"]
    connection.sent.clear()
    try:
        yield connection
    finally:
        connection.gate.set()
        connection.leave()
        await asyncio.wait_for(connection.serving, 5)
        assert not any(sio.census().values())
        await sio.shutdown()


async def test_text_and_binary_each_as_what_they_are() -> None:
    sio = roomcast.AsyncServer()
    sio.on("echo", lambda sid, value: value)
    async with connected(sio) as connection:
        connection.send(text='451-1["echo",{"_placeholder":true,"num":0}]')
        connection.send(bytes=b"\x00\xff", text=None)
        await eventually(lambda: len(connection.sent) == 2)
        assert connection.sent == [
            {"type": "websocket.send", "text": '461-1[{"_placeholder":true,"num":0}]'},
            {"type": "websocket.send", "bytes": b"\x00\xff"},
        ]


async def test_a_message_above_the_limit_closes_with_1009() -> None:
    sio = roomcast.AsyncServer(max_http_buffer_size=100)
    async with connected(sio) as connection:
        connection.send(text="x" * 101)
        await eventually(lambda: connection.types() == ["close"])
        assert connection.sent[0]["code"] == 1009


async def test_lone_surrogates_from_a_server_that_lets_them_pass_are_refused() -> None:
    sio = roomcast.AsyncServer()
    async with connected(sio) as connection:
        connection.send(text='42["e","\ud800"]')
        await eventually(lambda: "close" in connection.types())
        assert sum(sio.counters.parse_errors.values()) == 1


async def test_while_send_waits_the_outbox_waits_and_nothing_is_lost() -> None:
    sio = roomcast.AsyncServer()
    async with connected(sio) as connection:
        connection.gate.clear()
        for number in range(50):
            await sio.emit("e", number)
            await asyncio.sleep(0)
        assert connection.sent == []
        (session,) = sio.eio.sockets.values()
        assert session.outbox.paused
        assert session.outbox.backlog()[0] > 0
        connection.gate.set()
        await eventually(lambda: len(connection.sent) == 50)
        assert connection.texts() == [f'42["e",{number}]' for number in range(50)]
        await eventually(lambda: not session.outbox.paused)
        assert session.outbox.backlog() == (0, 0)


async def test_what_was_queued_before_a_close_is_sent_before_it() -> None:
    sio = roomcast.AsyncServer()
    async with connected(sio) as connection:
        await sio.emit("last")
        await sio.eio.disconnect()
        await eventually(lambda: connection.types() == ["send", "close"])
        assert connection.sent[1]["code"] == 1000
        await sio.emit("too late")
        await asyncio.sleep(0)
        assert len(connection.sent) == 2


async def test_a_server_whose_send_raises_is_not_sent_to_again() -> None:
    for error in (OSError("gone"), RuntimeError("closed")):
        sio = roomcast.AsyncServer()
        async with connected(sio) as connection:
            connection.broken = error
            await sio.emit("e", 1)
            await sio.emit("e", 2)
            await asyncio.sleep(0)
            connection.broken = None
            await sio.emit("e", 3)
            await asyncio.sleep(0)
            assert connection.sent == []


async def test_a_send_that_raises_something_else_is_the_servers_fault_and_ends_the_queue() -> None:
    sio = roomcast.AsyncServer()
    async with connected(sio) as connection:
        connection.gate.clear()
        await sio.emit("e", 1)
        await asyncio.sleep(0)
        connection.leave()
        await asyncio.wait_for(connection.serving, 5)
        assert sio.census()["sessions"] == 0


async def test_a_refusal_with_and_without_the_extension_for_it() -> None:
    sio = roomcast.AsyncServer()
    app = roomcast.ASGIApp(sio)
    plain = Connection(app, b"EIO=3&transport=websocket")
    worded = Connection(app, b"EIO=3&transport=websocket", extensions={"websocket.http.response": {}})
    await asyncio.gather(plain.serving, worded.serving)
    assert plain.types() == ["close"]
    start, body = worded.sent
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 400)
    assert body["body"] == b'{"code":5,"message":"Unsupported protocol version"}'
    await sio.shutdown()


async def test_a_busy_node_refuses() -> None:
    sio = roomcast.AsyncServer(max_sessions=1)
    async with connected(sio):
        extension: dict[str, Any] = {"websocket.http.response": {}}
        connection = Connection(roomcast.ASGIApp(sio), extensions=extension)
        await connection.serving
        assert connection.sent[0]["status"] == 503


async def test_a_candidate_that_leaves_ends_its_probe_only() -> None:
    sio = roomcast.AsyncServer()
    app = roomcast.ASGIApp(sio)
    await sio.start()
    session = open_polling(sio)
    candidate = Connection(app, QUERY + b"&sid=" + session.sid.encode())
    candidate.send(text="2probe")
    await eventually(lambda: candidate.texts() == ["3probe"])
    second = Connection(app, QUERY + b"&sid=" + session.sid.encode())
    await eventually(lambda: bool(second.sent))
    assert second.types()[-1] == "close"
    second.leave()
    candidate.leave()
    await asyncio.gather(candidate.serving, second.serving)
    assert session.alive
    assert session.candidate is None
    await sio.shutdown()


async def test_in_order_the_next_message_is_read_when_the_handler_has_ended() -> None:
    sio = roomcast.AsyncServer(async_handlers=False)
    order: list[int] = []

    @sio.event
    async def slow(sid: str, number: int) -> None:
        order.append(number)
        await asyncio.sleep(A_MOMENT)
        order.append(-number)

    async with connected(sio) as connection:
        for number in (1, 2, 3):
            connection.send(text=f'42["slow",{number}]')
        await eventually(lambda: len(order) == 6)
        assert order == [1, -1, 2, -2, 3, -3]


def open_polling(sio: roomcast.AsyncServer) -> Any:
    """A session that began with polling, without its request."""
    from roomcast.engineio.request import Request

    request = Request.from_pairs("GET", "/socket.io/", b"EIO=4&transport=polling", [])
    return sio.node.engine.open(request, "polling", None, None, sio.runtime.time())
