"""The official clients against servers inside aiohttp, Tornado and Sanic, and what those are when they are stopped."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect

from tests.interop.apps.served import PAGE
from tests.interop.conftest import assert_untroubled
from tests.support.js_client import CLIENTS, TRANSPORTS, node_program, play
from tests.support.patience import PATIENCE
from tests.support.python_client import KINDS, PythonClient
from tests.support.raw_http import request as http
from tests.support.server import ServerProcess, running_server

FRAMEWORKS = ("aiohttp", "tornado", "sanic")
WISHES: dict[str, list[str] | None] = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}
"""What python-socketio's client calls them."""
BYTES = bytes(range(256))

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
"""The clients do not close all of their sockets."""

every_transport = pytest.mark.parametrize("transport", TRANSPORTS)
older = [pytest.param(client, marks=() if client == "newest" else pytest.mark.long) for client in CLIENTS]
kinds = [pytest.param(kind, marks=() if kind == "threads" else pytest.mark.long) for kind in KINDS]


@pytest.fixture(scope="module", params=FRAMEWORKS)
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with running_server("tests.interop.apps.interop_servers:servers", request.param) as running:
        yield running
        assert_untroubled(running)


@pytest.fixture(scope="session")
def node() -> str:
    return node_program()


@every_transport
@pytest.mark.parametrize("client", older)
def test_the_javascript_client(node: str, server: ServerProcess, client: str, transport: str) -> None:
    saw = play(node, server.url, "events", client, transport)
    final = "polling" if transport == "polling" else "websocket"
    assert saw["client transport"] == saw["server transport"] == [final]
    assert saw["message"] == [["hello"]]


@pytest.mark.long
@every_transport
@pytest.mark.parametrize("scenario", ["binary", "acks", "namespaces"])
def test_more_of_the_javascript_client(node: str, server: ServerProcess, scenario: str, transport: str) -> None:
    assert play(node, server.url, scenario, "newest", transport)


@every_transport
@pytest.mark.parametrize("kind", kinds)
def test_the_python_client(server: ServerProcess, kind: str, transport: str) -> None:
    with PythonClient(kind) as client:
        client.answers["question"] = lambda question: (question, BYTES)
        client.connect(server.url, transports=WISHES[transport])
        assert client.do("call", "same", ("é", BYTES)) == ("é", BYTES)
        client.do("emit", "ask", "why")
        assert client.hear("answered") == ({"call": ["why", BYTES]},)
        assert client.do("call", "transport") == ("polling" if transport == "polling" else "websocket")


async def test_what_is_the_frameworks_own(server: ServerProcess) -> None:
    assert (await http(f"{server.url}/page")).text == PAGE
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
