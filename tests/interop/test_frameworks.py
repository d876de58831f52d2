"""The same application inside the frameworks that people use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect

from tests.support.raw_client import RawSocketIO
from tests.support.raw_http import request as http
from tests.support.raw_packet import ACK, CONNECT, Packet
from tests.support.server import ServerProcess, running_server

FRAMEWORK_APPS = "tests.interop.framework_apps:"
FRAMEWORKS = {
    "around": "/socket.io/",
    "mounted_at_root": "/socket.io/",
    "mounted_below": "/below/socket.io/",
    "fastapi_app": "/socket.io/",
}
TRANSPORTS = ("polling", "websocket", "upgrade")
BYTES = bytes(range(256))


@pytest.fixture(scope="module", params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> Iterator[tuple[ServerProcess, str]]:
    """The application in each framework over the fast path, and the path at which it answers."""
    with running_server(FRAMEWORK_APPS + request.param, "fast") as server:
        yield server, FRAMEWORKS[request.param]


async def smoke(url: str, transport: str, path: str = "/socket.io/") -> None:
    """Connect, be greeted, echo, acknowledge; with attachments, before and after an upgrade."""
    first = "websocket" if transport == "websocket" else "polling"
    async with await RawSocketIO.open(url, transport=first, path=path) as client:
        assert (await client.connect("/", {"tag": "smoke"})).type == CONNECT
        welcome = await client.receive()
        assert welcome.data[0] == "welcome"
        assert welcome.data[1]["auth"] == {"tag": "smoke"}
        await exchange(client, first)
        if transport == "upgrade":
            await client.upgrade()
            await exchange(client, "websocket")


async def exchange(client: RawSocketIO, transport: str) -> None:
    await client.emit("echo", "é", {"bytes": [BYTES]})
    await client.expect_event("echo", "é", {"bytes": [BYTES]})
    await client.emit("same", 1, BYTES, id=7)
    await client.expect(Packet(ACK, id=7, data=[1, BYTES]))
    await client.emit("transport", id=8)
    await client.expect(Packet(ACK, id=8, data=[transport]))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_frameworks(framework: tuple[ServerProcess, str], transport: str) -> None:
    server, path = framework
    await smoke(server.url, transport, path)


async def test_what_is_the_frameworks_own(framework: tuple[ServerProcess, str]) -> None:
    server, _ = framework
    assert (await http(f"{server.url}/page")).text == "a page of the framework"
    async with connect(f"ws{server.url.removeprefix('http')}/shout", proxy=None) as websocket:
        await websocket.send("hello")
        assert await websocket.recv() == "HELLO"
