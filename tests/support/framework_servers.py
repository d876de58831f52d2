"""aiohttp, Tornado and Sanic in the test's own event loop, with server objects of ours attached.

async with serve_inside("aiohttp", sio) as base:
    ...  # base is "http://127.0.0.1:<port>"; over TLS https
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Self

from aiohttp import web
from sanic import Sanic
from tornado.httpserver import HTTPServer
from tornado.web import Application

import roomcast
from tests.support.inprocess import Node, Way

Serve = Callable[..., AbstractAsyncContextManager[Any]]

_names = itertools.count()


@contextlib.asynccontextmanager
async def serve_inside(
    framework: str, server: Any, path: str = "socket.io", tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[str]:
    """A server in its framework, started and stopped as the framework does that; gives its base URL."""
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    async with SERVE[framework](server, path, sock, tls, **options):
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
    sock.close()


@contextlib.asynccontextmanager
async def serve_aiohttp(
    server: Any, path: str, sock: socket.socket, tls: ssl.SSLContext | None, **options: Any
) -> AsyncIterator[web.Application]:
    app = web.Application()
    server.attach(app, path)
    runner = web.AppRunner(app, access_log=None, **options)
    await runner.setup()
    try:
        await web.SockSite(runner, sock, ssl_context=tls).start()
        yield app
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def serve_tornado(
    server: Any, path: str, sock: socket.socket, tls: ssl.SSLContext | None, *, started: bool = True, **settings: Any
) -> AsyncIterator[Application]:
    settings = {"log_function": lambda _: None, **settings}
    app = Application([(f"/{path}(?:/.*)?", roomcast.get_tornado_handler(server))], **settings)
    listening = HTTPServer(app, ssl_options=tls)
    if started:
        await server.start()
    sock.setblocking(False)
    listening.add_sockets([sock])
    try:
        yield app
    finally:
        await server.shutdown()
        listening.stop()
        await listening.close_all_connections()


@contextlib.asynccontextmanager
async def serve_sanic(
    server: Any, path: str, sock: socket.socket, tls: ssl.SSLContext | None, *, manager: Any = None, **config: Any
) -> AsyncIterator[Any]:
    app: Any = Sanic(f"served-{next(_names)}", configure_logging=False)
    app.config.update({"GRACEFUL_SHUTDOWN_TIMEOUT": 0.0, "TOUCHUP": False, **config})
    app.multiplexer = manager
    server.attach(app, path)
    serving = await app.create_server(sock=sock, ssl=tls, access_log=False, return_asyncio_server=True)
    await serving.startup()
    await serving.before_start()
    try:
        yield app
    finally:
        await serving.before_stop()
        await serving.close()
        for connection in list(serving.connections):
            connection.abort()
        await serving.after_stop()
        Sanic.unregister_app(app)


SERVE: dict[str, Serve] = {"aiohttp": serve_aiohttp, "tornado": serve_tornado, "sanic": serve_sanic}


class InsideNode(Node):
    """A :class:`~tests.support.inprocess.Node` inside a framework."""

    def __init__(self, sio: roomcast.AsyncServer, framework: str, transport: str = "websocket", **options: Any) -> None:
        super().__init__(sio, Way(framework, transport=transport), app=framework)
        self._options = options

    async def __aenter__(self) -> Self:
        self.base = await self._stack.enter_async_context(serve_inside(self.way.path, self.sio, **self._options))
        return self
