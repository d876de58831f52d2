"""``/metrics``, ``/healthz`` and ``/readyz`` on a listener of their own, in the event loop of the server they tell
about.

Never on the public port. uvicorn serves it: a second, small one beside the one that serves the application, without
signal handlers and without lines in the access log.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from roomcast.core.counters import Counters
from roomcast.errors import SettingsError
from roomcast.exposition.health import Answer, Readiness, healthz, readyz
from roomcast.exposition.prometheus import page, registry_of

DEFAULT_PORT = 9464
# Several processes of one host take one port each: the first free one of this and as many after it.
MORE_PORTS = 64

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
    listening = _listen(host, port, more_ports)
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


def _listen(host: str, port: int, more_ports: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = min(port + more_ports, 65_535) if port else 0
    for candidate in range(port, last + 1):
        try:
            return socket.create_server((host, candidate), family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise SettingsError(f"no port from {port} to {last} is free on {host} for metrics and health")


class Exposition:
    """The three pages as an ASGI application; also for those who want to mount them somewhere that is not public."""

    def __init__(self, registry: CollectorRegistry, readiness: Callable[[], Readiness]) -> None:
        self._registry = registry
        self._pages: dict[str, Callable[[Scope], tuple[int, str, bytes]]] = {
            "/metrics": self._metrics,
            "/healthz": lambda _: _json(healthz()),
            "/readyz": lambda _: _json(readyz(readiness())),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, content_type, body = self._answer(scope)
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _answer(self, scope: Scope) -> tuple[int, str, bytes]:
        make = self._pages.get(scope["path"].removeprefix(scope.get("root_path", "")))
        if make is None:
            return 404, "text/plain; charset=utf-8", b"/metrics, /healthz and /readyz are here\n"
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, "text/plain; charset=utf-8", b"read only\n"
        return make(scope)

    def _metrics(self, scope: Scope) -> tuple[int, str, bytes]:
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        content_type, body = page(self._registry, accept.decode("latin-1"))
        return 200, content_type, body


def _json(answer: Answer) -> tuple[int, str, bytes]:
    return answer.status, "application/json", answer.body


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
