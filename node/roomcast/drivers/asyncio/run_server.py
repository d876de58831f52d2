"""uvicorn's server as ``roomcast run`` runs it: with the metrics listener beside it, started and stopped with it."""

from __future__ import annotations

import gc
import logging
from socket import socket as Socket  # noqa: N812  # a class, named as one

import uvicorn

from roomcast.drivers.asyncio.metrics_listener import MetricsListener, serve_metrics
from roomcast.drivers.asyncio.mounts import find_routes
from roomcast.exposition.health import Readiness

logger = logging.getLogger("uvicorn.error")


class RunServer(uvicorn.Server):
    """One process. ``metrics`` is (host, port) of the listener for metrics and health, or None for none."""

    def __init__(self, config: uvicorn.Config, metrics: tuple[str, int] | None) -> None:
        super().__init__(config)
        self._metrics = metrics
        self._listener: MetricsListener | None = None

    def readiness(self) -> Readiness:
        """What ``/readyz`` tells."""
        return Readiness(started=self.started, draining=self.should_exit)

    async def startup(self, sockets: list[Socket] | None = None) -> None:
        """Start serving, then tell everybody where the metrics are."""
        await super().startup(sockets)
        routes = find_routes(self.config) if self.started else []
        if self._metrics is not None and routes:
            host, port = self._metrics
            counters = routes[0].runtime.counters
            self._listener = await serve_metrics(port, host, counters=counters, readiness=self.readiness)
            logger.info("Metrics and health on http://%s:%d/metrics", host, self._listener.port)
        # What exists now lives as long as the process: the garbage collector need not look at it again.
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[Socket] | None = None) -> None:
        """Stop serving; the metrics go last, so that the end can be watched."""
        await super().shutdown(sockets)
        if self._listener is not None:
            await self._listener.close()
