"""Bare Engine.IO over real connections, and ``sio.eio``."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import roomcast
from roomcast.core.bare import BareSession
from roomcast.drivers.asyncio.engine_server import EngineServer
from roomcast.errors import SettingsError
from tests.support.inprocess import Node, Way, eventually

PATH = "/engine.io/"


class Served(Node):
    """As for Socket.IO servers, under the path of Engine.IO."""

    def __init__(self, eio: EngineServer, way: Way) -> None:
        app = roomcast.ASGIApp(eio, socketio_path="engine.io")
        super().__init__(eio, way, app=app)  # type: ignore[arg-type]  # what is used of it, both servers have


def echoing(**options: Any) -> tuple[EngineServer, list[Any]]:
    """A server that sends back what it gets, and what its handlers were told."""
    eio = EngineServer(**options)
    told: list[Any] = []

    @eio.on("connect")
    async def connect(sid: str, environ: Any) -> None:
        told.append(("connect", sid, environ["QUERY_STRING"].count("EIO=4")))

    @eio.on("message")
    async def message(sid: str, data: str | bytes) -> None:
        told.append(("message", data))
        await eio.send(sid, data)

    @eio.on("disconnect")
    def disconnect(sid: str, reason: str) -> None:
        told.append(("disconnect", sid, reason))

    return eio, told


async def test_messages_of_both_kinds(way: Way) -> None:
    eio, told = echoing()
    async with Served(eio, way) as node:
        client = await node.open(path=PATH)
        await client.send("4grüße", b"\x00\xff")
        assert [await client.receive(), await client.receive()] == ["4grüße", b"\x00\xff"]
        assert list(eio.sockets) == [client.engine_sid]
        assert eio.transport(client.engine_sid) == way.transport
        await client.send("1")
        await eventually(lambda: len(told) == 4)
    sid = client.engine_sid
    assert told == [
        ("connect", sid, 1),
        ("message", "grüße"),
        ("message", b"\x00\xff"),
        ("disconnect", sid, "client disconnect"),
    ]


async def test_a_message_that_is_no_text_ends_the_session(flavour: Way) -> None:
    eio, told = echoing()
    async with Served(eio, flavour) as node:
        client = await node.polling(path=PATH)
        await client.post(b"4\xff\xfe")
        await eventually(lambda: told[-1][0] == "disconnect")
        assert told[-1][2] == "parse error"


async def test_the_server_ends_sessions(way: Way) -> None:
    eio, told = echoing()
    async with Served(eio, way) as node:
        clients = [await node.open(path=PATH) for _ in range(3)]
        await eio.disconnect("nobody")
        await eio.disconnect(clients[0].engine_sid)
        await clients[0].closed()
        assert len(eio.sockets) >= 2
        await eio.disconnect()
        for client in clients[1:]:
            await client.closed()
        await eventually(lambda: not eio.sockets)
    assert [each[2] for each in told if each[0] == "disconnect"] == ["server disconnect"] * 3


@pytest.mark.parametrize("colour", ["plain", "coroutine"])
async def test_a_connect_handler_that_says_no(flavour: Way, colour: str) -> None:
    eio = EngineServer()

    def plain(sid: str, environ: Any) -> bool:
        return False

    async def coroutine(sid: str, environ: Any) -> bool:
        await asyncio.sleep(0)
        return False

    eio.on("connect", plain if colour == "plain" else coroutine)
    async with Served(eio, flavour) as node:
        client = await node.open(path=PATH)
        await client.closed()
        await eventually(lambda: not eio.sockets)


async def test_handlers_that_raise_are_counted_and_written_and_end_nothing(
    flavour: Way, caplog: pytest.LogCaptureFixture
) -> None:
    eio = EngineServer(logger=logging.getLogger("test.engine"))

    @eio.on("message")
    async def message(sid: str, data: str) -> None:
        if data == "fail":
            raise LookupError
        await eio.send(sid, data)

    async with Served(eio, flavour) as node:
        client = await node.open(path=PATH)
        await client.send("4fail", "4fine")
        assert await client.receive() == "4fine"
    assert eio.counters.handler_errors["callback"] == 1
    assert "LookupError" in caplog.text


async def test_without_handlers_everything_is_accepted(flavour: Way) -> None:
    eio = EngineServer()
    async with Served(eio, flavour) as node:
        client = await node.open(path=PATH)
        await client.send("4hello", b"data")
        await eio.send(client.engine_sid, b"bytes")
        assert await client.receive() == b"bytes"
        await eio.send("nobody", "lost")


async def test_sessions_of_the_application(flavour: Way) -> None:
    eio = EngineServer()
    async with Served(eio, flavour) as node:
        sid = (await node.open(path=PATH)).engine_sid
        session = await eio.get_session(sid)
        session["name"] = "Ann"
        assert (await eio.get_session(sid)) is session
        await eio.save_session(sid, {"name": "Bob"})
        assert await eio.get_session(sid) == {"name": "Bob"}
        for use in (eio.get_session("nobody"), eio.save_session("nobody", {})):
            with pytest.raises(KeyError):
                await use
        with pytest.raises(KeyError):
            eio.transport("nobody")


async def test_it_can_be_stopped_before_it_was_started() -> None:
    await EngineServer().shutdown()


def test_registering() -> None:
    eio = EngineServer()

    def handler(sid: str, data: Any) -> None: ...

    assert eio.on("message", handler) is handler
    assert eio.on("message")(handler) is handler
    with pytest.raises(ValueError, match=r"'messages' is no event of Engine\.IO; there are connect, message"):
        eio.on("messages", handler)


def test_sockets_are_a_read_only_mapping() -> None:
    sockets = EngineServer().sockets
    assert (len(sockets), list(sockets), "x" in sockets) == (0, [], False)
    with pytest.raises(KeyError):
        sockets["x"]
    assert not hasattr(sockets, "__setitem__")


# --- sio.eio ----------------------------------------------------------------------------------------------------------


async def test_the_engine_of_a_socket_io_server(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        assert sio.eio.transport(client.engine_sid) == flavour.transport
        assert list(sio.eio.sockets) == [client.engine_sid]
        assert sio.eio.async_mode == sio.async_mode == "asgi"
        await sio.eio.disconnect(client.engine_sid)
        await client.closed()


def test_ids_are_new_each_time() -> None:
    eio = roomcast.AsyncServer().eio
    assert len({eio.generate_id() for _ in range(100)}) == 100


def test_the_primitives_of_the_async_mode() -> None:
    eio = roomcast.AsyncServer().eio
    assert isinstance(eio.create_event(), asyncio.Event)
    queue = eio.create_queue(maxsize=1)
    assert isinstance(queue, asyncio.Queue)
    with pytest.raises(eio.get_queue_empty_exception()):
        queue.get_nowait()


@pytest.mark.parametrize("make", [EngineServer, roomcast.AsyncServer])
def test_an_async_mode_that_does_not_exist(make: Any) -> None:
    assert make(async_mode="asgi")
    with pytest.raises(SettingsError, match="'quart'; there are 'asgi', 'aiohttp', 'tornado', 'sanic'"):
        make(async_mode="quart")


def test_a_session_of_ones_own_is_empty_until_asked_for() -> None:
    assert BareSession.__slots__ == ("environ", "server", "session", "store")
