"""Servers inside aiohttp, Tornado and Sanic: what is the framework's own beside them, and their end with its end.

The official clients are against them as against every other way to run a server (``conftest.py``).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect

from tests.interop.apps.served import PAGE
from tests.interop.conftest import assert_untroubled
from tests.support.patience import PATIENCE
from tests.support.python_client import PythonClient
from tests.support.raw_http import request as http
from tests.support.server import ServerProcess, running_server

FRAMEWORKS = ("aiohttp", "tornado", "sanic")

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
"""The clients do not close all of their sockets."""


@pytest.fixture(scope="module", params=FRAMEWORKS)
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with running_server("tests.interop.apps.interop_servers:servers", request.param) as running:
        yield running
        assert_untroubled(running)


async def test_what_is_the_frameworks_own(server: ServerProcess) -> None:
    assert (await http(f"{server.url}/page")).text == PAGE.format(method="GET", body="")
    async with connect(f"ws{server.url.removeprefix('http')}/shout", proxy=None) as websocket:
        await websocket.send("hello")
        assert await websocket.recv() == "HELLO"


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("end", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_it_is_stopped_with_its_framework(framework: str, end: signal.Signals) -> None:
    """Clients are told to come back, handlers run, and the process ends as if nobody had been there."""
    with running_server("tests.interop.apps.interop_servers:servers", framework) as server:
        with PythonClient("threads") as one, PythonClient("threads") as other:
            one.connect(server.url, transports=["websocket"])
            other.connect(server.url, transports=["polling"])
            assert server.ends(end, 2 * PATIENCE) == 0
        assert server.output().count("left: server shutting down") == 2
        assert_untroubled(server)
