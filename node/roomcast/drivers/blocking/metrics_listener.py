"""``/metrics``, ``/healthz`` and ``/readyz`` on a listener of their own, never on the public port.

It watches its sockets in a task of its own, as a server does those of its clients, and goes on when that has stopped.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from roomcast.drivers.blocking.poller import Poller
from roomcast.drivers.blocking.sockets import SocketConnection
from roomcast.engineio.response import Response, render
from roomcast.exposition.health import Readiness
from roomcast.exposition.pages import Pages
from roomcast.exposition.prometheus import registry_of
from roomcast.metrics_port import DEFAULT_PORT, MORE_PORTS, listen

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime

__all__ = ["DEFAULT_PORT", "MetricsListener", "serve_metrics"]

# Scrapers and probes are few: where more connections than this are open, the one that has been there longest goes.
MAX_CONNECTIONS = 64
# A request of theirs is a few hundred bytes.
MAX_HEAD = 16_384


class MetricsConnection(SocketConnection):
    """One request, and its answer, which ends the connection."""

    def __init__(self, listener: MetricsListener, sock: socket.socket) -> None:
        super().__init__(listener.runtime, sock)
        self._listener = listener
        self._head = bytearray()

    def watch(self) -> None:
        alive = not self._gone
        self._listener.poller.watch(self, read=self.reading and alive, write=bool(self._rest) and alive)

    def received(self, data: bytes) -> None:
        self._head += data
        if len(self._head) > MAX_HEAD:
            self.cut()
        elif b"\r\n\r\n" in self._head:
            self.reading = False
            self.watch()
            self.runtime.outside.append(self._answer)  # making the page takes longer than clients should wait

    def _answer(self) -> None:
        line, *lines = self._head.decode("latin-1").split("\r\n\r\n", 1)[0].split("\r\n")
        method, _, rest = line.partition(" ")
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines)]
        accept = ",".join(value for name, value in headers if name == "accept")
        page = self._listener.pages.answer(method, rest.split(" ")[0].partition("?")[0], accept)
        with self.runtime.turn:
            self.write(render(Response(page.status, page.headers, page.body)))
            self.close()

    def lost(self) -> None:
        self._listener.connections.pop(self, None)


class MetricsListener:
    """A running listener. ``port`` is the one it got."""

    def __init__(self, runtime: Runtime, listening: socket.socket, pages: Pages) -> None:
        listening.setblocking(False)
        self.port: int = listening.getsockname()[1]
        self.sock = listening
        self.runtime = runtime
        self.pages = pages
        self.poller = Poller(runtime)
        self.connections: dict[MetricsConnection, None] = {}
        self._closed = False
        with runtime.turn:
            self.poller.watch(self, read=True, write=False)
        runtime.concurrency.start(self.poller.run)

    def close(self) -> None:
        """Stop listening, and close all connections. May be called twice."""
        with self.runtime.turn:
            if not self._closed:
                self._closed = True
                self.poller.close()

    def readable(self) -> None:
        """Somebody has come (:class:`~roomcast.drivers.blocking.poller.Watched`)."""
        try:
            sock, _ = self.sock.accept()
        except OSError:  # it has gone again, or there is no descriptor for it
            return
        if len(self.connections) >= MAX_CONNECTIONS:
            next(iter(self.connections)).cut()
        connection = MetricsConnection(self, sock)
        self.connections[connection] = None
        connection.watch()

    def writable(self) -> None:
        """It never writes."""

    def cut(self) -> None:
        """Stop listening."""
        self.poller.watch(self, read=False, write=False)
        self.sock.close()


def serve_metrics(
    runtime: Runtime,
    port: int = DEFAULT_PORT,
    host: str = "127.0.0.1",
    *,
    readiness: Callable[[], Readiness],
    more_ports: int = MORE_PORTS,
) -> MetricsListener:
    """Serve until :meth:`MetricsListener.close`, on ``port`` (0: any) or the first free one of ``more_ports`` after it.

    Raises :class:`SettingsError` if none of the ports is free, ``OSError`` for a host that is not ours.
    """
    pages = Pages(registry_of(runtime.counters), readiness)
    return MetricsListener(runtime, listen(host, port, more_ports), pages)
