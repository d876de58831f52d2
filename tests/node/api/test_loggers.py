"""``logger=`` and ``engineio_logger=``: False, True or a logger of one's own, judged by what is written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

import roomcast
from tests.support.api_client import HANDSHAKE, get
from tests.support.inprocess import Node, Way, eventually

differs = pytest.mark.differs
SOCKETIO, ENGINEIO = "socketio.server", "engineio.server"


@pytest.fixture(autouse=True)
def fresh_loggers() -> Iterator[None]:
    """Loggers are global: as new for each test, and put back afterwards."""
    kept = []
    for name in (SOCKETIO, ENGINEIO):
        logger = logging.getLogger(name)
        kept.append((logger, logger.level, list(logger.handlers)))
        logger.setLevel(logging.NOTSET)
        logger.handlers[:] = []
    yield
    for logger, level, handlers in kept:
        logger.setLevel(level)
        logger.handlers[:] = handlers


async def conversation(sio: roomcast.AsyncServer, way: Way) -> str:
    """One of everything that is logged; returns the client's sid."""
    sio.on("hello", lambda sid, *args: "ack")
    async with Node(sio, way) as node:
        client = await node.connect()
        sid = client.sid
        await client.call("hello", 1, id=1)
        await sio.emit("news", {"a": 1}, to=sid)
        await sio.enter_room(sid, "lobby")
        await sio.leave_room(sid, "lobby")
        await sio.close_room("lobby")
        await client.drain()
        await sio.disconnect(sid)
        await client.drain()
        return sid


def written(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == name]


@pytest.mark.parametrize("option", [{}, {"logger": False, "engineio_logger": False}, {"engineio_logger": None}])
async def test_by_default_only_errors_are_written(
    way: Way, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], option: dict[str, Any]
) -> None:
    await conversation(roomcast.AsyncServer(**option), way)
    assert written(caplog, SOCKETIO) == written(caplog, ENGINEIO) == []
    assert capsys.readouterr().err == ""
    assert logging.getLogger(SOCKETIO).level == logging.ERROR
    assert logging.getLogger(ENGINEIO).level == logging.ERROR


async def test_true_writes_what_users_know(
    way: Way, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    sid = await conversation(roomcast.AsyncServer(logger=True), way)
    lines = written(caplog, SOCKETIO)
    for line in (
        f'received event "hello" from {sid} [/]',
        f'emitting event "news" to {sid} [/]',
        f"{sid} is entering room lobby [/]",
        f"{sid} is leaving room lobby [/]",
        "room lobby is closing [/]",
        f"Disconnecting {sid} [/]",
    ):
        assert line in lines, line
    assert {record.levelname for record in caplog.records if record.name == SOCKETIO} == {"INFO"}
    assert f'emitting event "news" to {sid} [/]' in capsys.readouterr().err
    assert logging.getLogger(SOCKETIO).level == logging.INFO
    assert written(caplog, ENGINEIO) == []


async def test_the_engine_has_a_logger_of_its_own(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    sio = roomcast.AsyncServer(engineio_logger=True)
    async with Node(sio, way) as node:
        client = await node.connect()
        await client.event("hello")
        await client.drain()
        lines = written(caplog, ENGINEIO)
        eio = client.engine_sid
    assert any(line.startswith(f"{eio}: Sending packet OPEN data ") for line in lines)
    assert f"{eio}: Received packet MESSAGE data 0" in lines
    assert f'{eio}: Received packet MESSAGE data 2["hello"]' in lines
    assert any(line.startswith(f"{eio}: Sending packet MESSAGE data 0{{") for line in lines)
    assert written(caplog, SOCKETIO) == []


async def test_an_upgrade_is_written(flavour: Way, caplog: pytest.LogCaptureFixture) -> None:
    sio = roomcast.AsyncServer(engineio_logger=True)
    async with Node(sio, flavour) as node:
        polling = await node.polling()
        await polling.connect()
        websocket = await polling.upgrade()
        node.keep(websocket)
        await websocket.drain()
        eio = polling.engine_sid
    lines = written(caplog, ENGINEIO)
    assert f"{eio}: Received request to upgrade to websocket" in lines
    assert f"{eio}: Upgrade to websocket successful" in lines


async def test_a_logger_that_was_set_up_already_is_left_alone(flavour: Way, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger(SOCKETIO).setLevel(logging.WARNING)
    await conversation(roomcast.AsyncServer(logger=True), flavour)
    assert logging.getLogger(SOCKETIO).level == logging.WARNING
    assert logging.getLogger(SOCKETIO).handlers == []
    assert written(caplog, SOCKETIO) == []


def test_a_second_server_adds_no_second_handler() -> None:
    for _ in range(2):
        roomcast.AsyncServer(logger=True, engineio_logger=True)
    assert len(logging.getLogger(SOCKETIO).handlers) == 1
    assert len(logging.getLogger(ENGINEIO).handlers) == 1


async def test_a_logger_of_ones_own_is_used_as_it_is(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    mine = logging.getLogger("tests.own.logger")
    mine.setLevel(logging.INFO)
    sio = roomcast.AsyncServer(logger=mine, engineio_logger=mine)
    assert sio.logger is mine
    sid = await conversation(sio, way)
    lines = written(caplog, mine.name)
    assert f'emitting event "news" to {sid} [/]' in lines
    assert any("Sending packet OPEN" in line for line in lines)
    assert mine.handlers == []
    assert written(caplog, SOCKETIO) == written(caplog, ENGINEIO) == []
    mine.setLevel(logging.NOTSET)


async def test_a_quiet_logger_of_ones_own_stays_quiet(flavour: Way, caplog: pytest.LogCaptureFixture) -> None:
    mine = logging.getLogger("tests.quiet.logger")
    mine.setLevel(logging.ERROR)
    await conversation(roomcast.AsyncServer(logger=mine, engineio_logger=mine), flavour)
    assert written(caplog, mine.name) == []
    mine.setLevel(logging.NOTSET)


class LoggerLike:
    """Not a ``logging.Logger``: whatever has its methods will do."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str, *args: Any, **options: Any) -> None:
        self.lines.append(message % args)

    debug = warning = error = exception = critical = info


async def test_any_object_with_the_methods_of_a_logger(flavour: Way) -> None:
    mine: Any = LoggerLike()
    sid = await conversation(roomcast.AsyncServer(logger=mine, engineio_logger=mine), flavour)
    assert f'emitting event "news" to {sid} [/]' in mine.lines


@differs
@pytest.mark.parametrize("event", ["connect", "disconnect", "hello"])
@pytest.mark.parametrize("colour", ["plain", "coroutine"])
async def test_a_handler_that_raises_is_always_written_with_its_traceback(
    flavour: Way, caplog: pytest.LogCaptureFixture, event: str, colour: str
) -> None:
    sio = roomcast.AsyncServer()

    def plain(*args: Any) -> None:
        raise LookupError("of the application")

    async def coroutine(*args: Any) -> None:
        await asyncio.sleep(0)
        raise LookupError("of the application")

    sio.on(event, plain if colour == "plain" else coroutine)
    async with Node(sio, flavour) as node:
        client = await node.open()
        await client.send("40")
        await client.receive()
        if event != "connect":
            await client.event("hello")
            await client.send("41")
        await eventually(lambda: written(caplog, SOCKETIO))
    errors = [record for record in caplog.records if record.name == SOCKETIO]
    assert [record.levelname for record in errors] == ["ERROR"]
    assert errors[0].exc_info is not None
    assert isinstance(errors[0].exc_info[1], LookupError)


@differs
async def test_a_callback_that_raises_is_written(flavour: Way, caplog: pytest.LogCaptureFixture) -> None:
    sio = roomcast.AsyncServer()

    def callback(*args: Any) -> None:
        raise LookupError("of the application")

    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.emit("ask", to=client.sid, callback=callback)
        packet = str(await client.receive())
        await client.send("43" + packet.removeprefix("42").split("[")[0] + "[]")
        await eventually(lambda: written(caplog, SOCKETIO))
    errors = [record for record in caplog.records if record.name == SOCKETIO]
    assert errors[0].levelname == "ERROR"
    assert errors[0].exc_info is not None


async def test_the_first_refused_origin_is_an_error_the_others_are_information(
    flavour: Way, caplog: pytest.LogCaptureFixture
) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        for _ in range(3):
            await get(node.base, params=HANDSHAKE, headers={"Origin": "http://evil.example"})
    lines = written(caplog, ENGINEIO)
    assert len(lines) == 1
    assert lines[0].startswith("http://evil.example is not an accepted origin.")


@differs
async def test_a_broken_packet_is_not_an_error_of_the_server(flavour: Way, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody can send garbage: at the default level it writes nothing."""
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.send("4abc")
        await client.closed()
    assert caplog.records == []
