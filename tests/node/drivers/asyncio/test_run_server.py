"""uvicorn's server with metrics beside it; signals and exit codes are tested with the command."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvicorn

import roomcast
from roomcast.drivers.asyncio.run_server import RunServer
from roomcast.exposition.health import Readiness
from tests.support.api_client import WebSocketClient
from tests.support.inprocess import eventually
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


def test_only_a_stop_that_was_asked_for_once_is_a_success() -> None:
    config = uvicorn.Config(roomcast.ASGIApp(roomcast.AsyncServer()), log_config=None)
    server = RunServer(config, None, 0)
    with server.capture_signals():
        signal.raise_signal(signal.SIGINT)
    assert server.should_exit
    server = RunServer(config, None, 0)
    with pytest.raises(KeyboardInterrupt):
        interrupted_twice(server)
    assert server.force_exit


def interrupted_twice(server: RunServer) -> None:
    with server.capture_signals():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
