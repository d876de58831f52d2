"""uvicorn's server with metrics beside it; signals and exit codes are tested with the command."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import HANDLED_SIGNALS

import roomcast
from roomcast.drivers.asyncio.run_server import RunServer
from roomcast.exposition.health import Readiness
from tests.support.api_client import HANDSHAKE, Client, PollingClient, WebSocketClient, get
from tests.support.inprocess import eventually
from tests.support.patience import PATIENCE
from tests.support.raw_http import request


class Quiet(RunServer):
    """Leaves the test's own signals alone, and the garbage collector's frozen objects too few to matter."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: Any, metrics: tuple[str, int] | None = ("127.0.0.1", 0)) -> AsyncIterator[Quiet]:
    config = uvicorn.Config(app, port=0, log_config=None, ws="roomcast.drivers.asyncio.uvicorn:SocketIOProtocol")
    server = Quiet(config, metrics, 0.05)
    task = asyncio.ensure_future(server.serve())
    try:
        await eventually(lambda: server.started or task.done())
        yield server
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 20)
        gc.unfreeze()


def url(server: Quiet, path: str) -> str:
    assert server._listener is not None
    return f"http://127.0.0.1:{server._listener.port}{path}"


def test_before_it_starts_it_is_not_ready() -> None:
    server = RunServer(uvicorn.Config(roomcast.ASGIApp(roomcast.AsyncServer()), log_config=None), None, 0)
    server.config.load()
    assert server.readiness() == Readiness(started=False, draining=False)
    server.should_exit = True
    assert server.readiness().draining


async def test_the_metrics_are_those_of_the_server_it_serves() -> None:
    sio = roomcast.AsyncServer()
    async with serving(roomcast.ASGIApp(sio)) as server:
        await eventually(lambda: server._listener is not None)
        port = server.servers[0].sockets[0].getsockname()[1]
        client = await WebSocketClient.open(f"http://127.0.0.1:{port}")
        await client.connect()
        assert "roomcast_connects_total 1.0" in (await request(url(server, "/metrics"))).text
        assert (await request(url(server, "/readyz"))).status == 200
        await client.aclose()
    with pytest.raises(ConnectionError):
        await request(url(server, "/healthz"))


async def test_without_metrics_none_are_served() -> None:
    async with serving(roomcast.ASGIApp(roomcast.AsyncServer()), None) as server:
        await eventually(lambda: server.started)
        assert server._listener is None


async def test_a_host_that_is_not_ours_stops_it_and_says_so() -> None:
    ended: list[str] = []
    app = roomcast.ASGIApp(roomcast.AsyncServer(), on_shutdown=lambda: ended.append("application"))
    async with serving(app, ("192.0.2.1", 0)) as server:
        await eventually(lambda: server.failure is not None)
        assert server.should_exit
        assert "192.0.2.1" in str(server.failure)
    assert ended == ["application"]


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGTERM, signal.SIGINT)])
def test_a_stop_that_was_asked_for_is_a_success(numbers: tuple[signal.Signals, ...]) -> None:
    sio = roomcast.AsyncServer()
    app = roomcast.ASGIApp(sio)
    server = RunServer(uvicorn.Config(app, log_config=None), None)
    server.config.load()
    with server.capture_signals():
        for number in numbers:
            signal.raise_signal(number)
        hurried = len(numbers) > 1
        # a third one would end the process as it stands, however it hangs
        assert (signal.getsignal(signal.SIGTERM) is signal.SIG_DFL) is hurried
    assert server.should_exit
    assert (server.force_exit, sio.runtime.hurried) == (hurried, hurried)


class Ending:
    """A server that was told to stop, and a client of each kind."""

    def __init__(self, server: Quiet, base: str, task: asyncio.Task[None]) -> None:
        self.server = server
        self.base = base
        self._task = task

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.server.handle_exit(number, None)

    async def refused(self) -> bool:
        """Whether a new session is refused now."""
        answer = await get(self.base, params=HANDSHAKE)
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
        return answer.status_code == 503

    async def ended(self) -> None:
        await asyncio.wait_for(asyncio.shield(self._task), 3 * PATIENCE)


@contextlib.asynccontextmanager
async def ending(sio: roomcast.AsyncServer, **times: float) -> AsyncIterator[Ending]:
    """``times`` are those of a stop; without any, the settings' are taken."""
    config = uvicorn.Config(
        roomcast.ASGIApp(sio), port=0, log_config=None, ws="roomcast.drivers.asyncio.uvicorn:SocketIOProtocol"
    )
    server = Quiet(config, None, times.get("seconds"), drain_delay=times.get("delay"))
    task = asyncio.ensure_future(server.serve())
    handlers = {number: signal.getsignal(number) for number in HANDLED_SIGNALS}
    try:
        await eventually(lambda: server.started)
        yield Ending(server, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", task)
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 3 * PATIENCE)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        gc.unfreeze()


async def test_for_the_drain_delay_it_serves_as_before_but_says_that_it_is_not_ready(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    sio = roomcast.AsyncServer(drain_delay_seconds=PATIENCE, drain_seconds=0.05)
    async with ending(sio) as end:
        first = await WebSocketClient.open(end.base)
        end.signal()
        assert end.server.readiness().draining
        await eventually(lambda: "Draining: not ready any more" in caplog.text)
        second = await PollingClient.open(end.base)
        await second.connect()
        assert not await end.refused()
        assert len(sio.eio.sockets) == 3
        end.signal()  # it need not be waited for
        assert await first.closed() == 1012
        await end.ended()
        await second.aclose()
        await first.aclose()


async def test_after_it_new_sessions_are_refused_while_those_who_are_busy_end_what_they_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    sio = roomcast.AsyncServer(drain_delay_seconds=0.02)
    may_end = asyncio.Event()

    @sio.event
    async def work(sid: str) -> str:
        await may_end.wait()
        return "done"

    async with ending(sio, seconds=PATIENCE) as end:
        idle, busy = [await WebSocketClient.open(end.base) for _ in range(2)]
        await idle.connect()
        poller = await PollingClient.open(end.base)
        working: tuple[Client, ...] = (busy, poller)
        for client in working:
            await client.connect()
            await client.event("work", id=1)
        end.signal()
        assert await idle.closed() == 1012
        assert await end.refused()
        may_end.set()
        for client in working:
            assert await client.receive() == '431["done"]'
        assert await busy.closed() == 1012
        assert await poller.closed() == 400  # asked once more, it is told that its session is over
        await end.ended()
        assert "Drained: 3 clients were told to move" in caplog.text
        for client in (idle, *working):
            await client.aclose()


async def test_what_waits_for_a_polling_client_is_there_for_its_next_request() -> None:
    sio = roomcast.AsyncServer()
    async with ending(sio, delay=0, seconds=0) as end:
        poller = await PollingClient.open(end.base)
        await poller.connect()
        await sio.emit("last", "words")
        end.signal()
        await eventually(lambda: not sio.node.engine.accepting)
        assert await poller.rest() == ['42["last","words"]']
        await end.ended()
        await poller.aclose()


async def test_an_interrupt_has_no_drain_delay() -> None:
    async with ending(roomcast.AsyncServer(), delay=10 * PATIENCE, seconds=0) as end:
        end.signal(signal.SIGINT)
        await end.ended()


async def test_hurried_it_says_goodbye_all_the_same() -> None:
    sio = roomcast.AsyncServer()
    left: list[str] = []
    sio.on("disconnect", lambda sid, reason: left.append(reason))

    @sio.event
    async def stubborn(sid: str) -> None:
        await asyncio.get_running_loop().create_future()

    async with ending(sio, delay=0, seconds=10 * PATIENCE) as end:
        client = await WebSocketClient.open(end.base)
        await client.connect()
        await client.event("stubborn")
        await eventually(lambda: sio.counters.events_in)
        end.signal()
        await eventually(lambda: not sio.node.engine.accepting)
        end.signal()
        assert await client.closed() == 1012
        await end.ended()
        assert left == ["server shutting down"]
        assert sio.runtime.loop is None
        await client.aclose()


async def test_an_application_without_a_server_stops_too() -> None:
    async def bare(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        raise NotImplementedError

    server = Quiet(uvicorn.Config(bare, port=0, log_config=None), None)
    task = asyncio.ensure_future(server.serve())
    await eventually(lambda: server.started)
    with contextlib.ExitStack() as leaving:
        leaving.callback(gc.unfreeze)
        server.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(task, 3 * PATIENCE)


def test_what_another_loop_serves_is_left_alone() -> None:
    async def bare(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    async def stop_at_once() -> None:
        server = Quiet(uvicorn.Config(bare, port=0, log_config=None), None)
        server.handle_exit(signal.SIGINT, None)
        await asyncio.wait_for(server.serve(), 3 * PATIENCE)
        gc.unfreeze()

    sio = roomcast.AsyncServer()
    app = roomcast.ASGIApp(sio)
    with asyncio.Runner() as other:
        other.run(bind(sio))
        asyncio.run(stop_at_once())
        assert app.runtime.loop is other.get_loop()
        assert sio.node.engine.accepting
        other.run(sio.shutdown())


async def bind(sio: roomcast.AsyncServer) -> None:
    """Let a server be of this loop."""
    sio.runtime.bind()
