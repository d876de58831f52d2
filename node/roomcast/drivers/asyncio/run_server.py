"""uvicorn's server as ``roomcast run`` runs it: with the metrics listener beside it, started and stopped with it."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Iterator
from socket import socket as Socket  # a class, named as one

import uvicorn

from roomcast.drivers.asyncio.asgi import served
from roomcast.drivers.asyncio.metrics_listener import MORE_PORTS, MetricsListener, serve_metrics
from roomcast.drivers.asyncio.mounts import find_routes
from roomcast.drivers.asyncio.runtime import Runtime
from roomcast.errors import SettingsError
from roomcast.exposition.health import Readiness

logger = logging.getLogger("uvicorn.error")


class RunServer(uvicorn.Server):
    """One process. ``metrics`` is (host, port) of the listener for metrics and health, or None for none.

    ``drain_seconds`` is the time over which clients are told to go at a stop; with ``fixed`` the metrics have that port
    or it does not start. ``failure`` is why it stopped at once.
    """

    def __init__(
        self, config: uvicorn.Config, metrics: tuple[str, int] | None, drain_seconds: float, fixed: bool = False
    ) -> None:
        super().__init__(config)
        self._more_ports = 0 if fixed else MORE_PORTS
        self._drain_seconds = drain_seconds
        self._metrics = metrics
        self._listener: MetricsListener | None = None
        self.failure: SettingsError | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn, but a stop that was asked for is a success: the process does not end by the signal once more."""
        with super().capture_signals():
            yield
            if not self.force_exit:
                self._captured_signals.clear()

    def _runtimes(self) -> list[Runtime]:
        """The servers of the application: those on the fast path, else whatever was made into an ASGI application."""
        found = [route.runtime for route in find_routes(self.config)] if self.config.loaded else []
        return found or [app.runtime for app in served]

    def readiness(self) -> Readiness:
        """What ``/readyz`` tells."""
        runtimes = self._runtimes()
        if not runtimes:
            return Readiness(started=self.started, draining=self.should_exit)
        return runtimes[0].readiness(self.started, self.should_exit)

    async def startup(self, sockets: list[Socket] | None = None) -> None:
        """Start serving, then tell everybody where the metrics are."""
        await super().startup(sockets)
        if self._metrics is not None and self.started:
            await self._serve_metrics(*self._metrics)
        # What exists now lives as long as the process: the garbage collector need not look at it again.
        gc.collect()
        gc.freeze()

    async def _serve_metrics(self, host: str, port: int) -> None:
        """Start the listener; where that cannot be, say so and do not serve without it."""
        runtimes = self._runtimes()
        if not runtimes:
            logger.warning("No Socket.IO server was found in the application: there are no metrics")
            return
        counters = runtimes[0].counters
        try:
            self._listener = await serve_metrics(
                port, host, counters=counters, readiness=self.readiness, more_ports=self._more_ports
            )
        except (OSError, SettingsError) as error:
            self.failure = SettingsError(f"no metrics and health: {error}")
            self.should_exit = True
            return
        logger.info("Metrics and health on http://%s:%d/metrics", host, self._listener.port)

    async def shutdown(self, sockets: list[Socket] | None = None) -> None:
        """End the clients first, so that nobody waits for polls that are held; the metrics go last: the end can be
        watched.
        """
        for runtime in self._runtimes():
            if runtime.loop is not None:
                await runtime.drain(self._drain_seconds)
        await super().shutdown(sockets)
        if self._listener is not None:
            await self._listener.close()
