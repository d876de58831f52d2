"""``/metrics``, ``/healthz`` and ``/readyz`` on a listener of their own, in the event loop of the server they tell
about.

Never on the public port. uvicorn serves it: a second, small one beside the one that serves the application, without
signal handlers and without lines in the access log.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from roomcast.core.counters import Counters
from roomcast.exposition.health import Readiness
from roomcast.exposition.pages import Pages
from roomcast.exposition.prometheus import registry_of
from roomcast.metrics_port import DEFAULT_PORT, MORE_PORTS, listen

# Scrapers and probes are few; whoever opens more connections than this gets 503.
MAX_CONNECTIONS = 64

# Seconds that closing waits for an answer on its way.
CLOSING = 1

Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]


class MetricsListener:
    """A running listener. ``port`` is the one it got."""

    def __init__(self, server: uvicorn.Server, listening: socket.socket) -> None:
        self.port: int = listening.getsockname()[1]
        self._server = server
        self._socket = listening
        self._ticking: asyncio.Task[None] | None = asyncio.create_task(server.main_loop(), name="metrics listener")

    async def close(self) -> None:
        """Stop listening, let an answer on its way end (a second at most), close all connections. May be called
        twice.
        """
        ticking, self._ticking = self._ticking, None
        if ticking is not None:
            ticking.cancel()
            await asyncio.wait([ticking])
            await self._server.shutdown(sockets=[self._socket])


async def serve_metrics(
    port: int = DEFAULT_PORT,
    host: str = "127.0.0.1",
    *,
    counters: Counters,
    readiness: Callable[[], Readiness],
    registry: CollectorRegistry | None = None,
    more_ports: int = MORE_PORTS,
) -> MetricsListener:
    """Serve until :meth:`MetricsListener.close`, on ``port`` (0: any) or the first free one of ``more_ports`` after it.

    ``readiness`` is asked for every ``/readyz``. ``registry`` replaces the listener's own, which has the server's
    metrics and the process's. Raises :class:`SettingsError` if none of the ports is free, ``OSError`` for a host that
    is not ours.
    """
    listening = listen(host, port, more_ports)
    config = uvicorn.Config(
        Exposition(registry or registry_of(counters), readiness),
        http=_QuietProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=CLOSING,
        server_header=False,
        proxy_headers=False,
    )
    config.load()
    server = _QuietServer(config)
    # What serve() does before and after the loop, without its signal handlers: signals belong to the application's
    # server.
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listening])
    return MetricsListener(server, listening)


class Exposition:
    """The three pages as an ASGI application; also for those who want to mount them somewhere that is not public."""

    def __init__(self, registry: CollectorRegistry, readiness: Callable[[], Readiness]) -> None:
        self._pages = Pages(registry, readiness)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        page = self._pages.answer(scope["method"], path, accept.decode("latin-1"))
        await send({"type": "http.response.start", "status": page.status, "headers": list(page.headers)})
        await send({"type": "http.response.body", "body": page.body})


class _QuietServer(uvicorn.Server):
    def _log_started_message(self, listeners: Sequence[socket.SocketType]) -> None:
        """Two lines "Uvicorn running on" would leave people guessing which port serves their application."""


class _QuietProtocol(HttpToolsProtocol):
    """A scrape every few seconds is no news. (Config's ``access_log=False`` would silence the application's server
    too.)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False
