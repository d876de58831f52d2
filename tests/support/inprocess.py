"""A real uvicorn with a real server object in the test's own event loop: tests look at both ends of the wire.

The way bytes take is a parameter of nearly every such test: the fast path (uvicorn hands WebSockets to our protocol)
and plain ASGI must not differ in anything an application or a client can see.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

import msgspec
import uvicorn

import roomcast
from roomcast.drivers.asyncio.asgi import served
from tests.support.api_client import TIMEOUT, Client, PollingClient, WebSocketClient, open_session

WEBSOCKET_CLASS = {"fast": "roomcast.drivers.asyncio.uvicorn:SocketIOProtocol", "asgi": "websockets-sansio"}


class Way(msgspec.Struct, frozen=True):
    """How a test's client reaches its server: uvicorn's WebSocket class, the event loop, the client's transport."""

    path: str = "fast"
    loop: str = "uvloop"
    transport: str = "websocket"

    def __str__(self) -> str:
        return f"{self.path}-{self.loop}-{self.transport}"


FLAVOURS = (Way("fast", "uvloop"), Way("asgi", "asyncio"))
WAYS = (*FLAVOURS, Way("fast", "asyncio", "polling"))
EVERY_FLAVOUR = tuple(itertools.starmap(Way, itertools.product(("fast", "asgi"), ("uvloop", "asyncio"))))
EVERY_WAY = tuple(
    itertools.starmap(Way, itertools.product(("fast", "asgi"), ("uvloop", "asyncio"), ("websocket", "polling")))
)


class InProcessServer(uvicorn.Server):
    """uvicorn without its signal handlers and without its pauses of 100 ms."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            await eventually(lambda: not self.server_state.connections and not self.server_state.tasks, within=1.0)
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()


async def eventually(condition: Callable[[], object], within: float = TIMEOUT) -> None:
    """Return as soon as the condition is true; ``TimeoutError`` after ``within`` seconds."""
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"still not so after {within} s")
        await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def serve(app: Any, way: Way, patient: bool = False, **config: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a port of its own; gives its base URL (``http://127.0.0.1:<port>``).

    At the end nobody is left who would come for last words, so a stop in a hurry will do unless a test is about stops
    (``patient``).
    """
    sock = socket.create_server(("127.0.0.1", 0))
    options = {
        "log_config": None,
        "lifespan": "on",
        "ws": WEBSOCKET_CLASS[way.path],
        "ws_max_size": 100_000_000,
        # On a busy machine a test may need longer between two requests than uvicorn's 5 s.
        "timeout_keep_alive": 60,
        **config,
    }
    server = InProcessServer(uvicorn.Config(app, **options))
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    started = asyncio.create_task(server.ready.wait())
    try:
        await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED, timeout=TIMEOUT)
        if serving.done():
            serving.result()
            raise RuntimeError("uvicorn ended before it served")
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        started.cancel()
        for each in served:
            if each.runtime.loop is asyncio.get_running_loop():
                each.runtime.hurried = not patient
        server.stopping.set()
        await asyncio.wait_for(serving, 2 * TIMEOUT)
        sock.close()


class Node:
    """``async with Node(sio, way) as node``: the server object served, and clients of it that are gone at the end."""

    def __init__(self, sio: roomcast.AsyncServer, way: Way, app: Any = None, **config: Any) -> None:
        self.sio = sio
        self.way = way
        self.base = ""
        self._app = app or roomcast.ASGIApp(sio)
        self._config = config
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.base = await self._stack.enter_async_context(serve(self._app, self.way, **self._config))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def keep(self, client: Any) -> None:
        """Give up this client before the server stops."""
        self._stack.push_async_callback(client.aclose)

    async def open(self, transport: str | None = None, **options: Any) -> Client:
        """A client with an Engine.IO session and no namespace."""
        client = await open_session(self.base, transport or self.way.transport, **options)
        self.keep(client)
        return client

    async def websocket(self, **options: Any) -> WebSocketClient:
        client = await WebSocketClient.open(self.base, **options)
        self.keep(client)
        return client

    async def polling(self, **options: Any) -> PollingClient:
        client = await PollingClient.open(self.base, **options)
        self.keep(client)
        return client

    async def connect(
        self, namespace: str = "/", auth: Any = None, transport: str | None = None, **options: Any
    ) -> Client:
        """A client that is connected to one namespace; its ``sid`` is that of the namespace."""
        client = await self.open(transport, **options)
        await client.connect(namespace, auth)
        return client

    def left_over(self) -> dict[str, int]:
        """The tables of the server that are not empty."""
        return {table: size for table, size in self.sio.census().items() if size}

    async def empty(self) -> None:
        """Wait until no table of the server holds anything."""
        with contextlib.suppress(TimeoutError):
            await eventually(lambda: not self.left_over())
        assert self.left_over() == {}, self.left_over()
