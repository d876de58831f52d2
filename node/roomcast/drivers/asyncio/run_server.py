"""uvicorn's server as ``roomcast run`` runs it: with the metrics listener beside it, started and stopped with it, and
with an end that balancers and clients notice before anything is refused.

The end, in its order (faults.md F17): ``/readyz`` is red at once; for the drain delay all is served as before, so that
balancers see it; then new sessions are refused and those that are there are told to move, over the time for that; then
the listener closes and the application ends, as uvicorn does it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from socket import socket as Socket  # a class, named as one
from types import FrameType

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from roomcast.drivers.asyncio.asgi import served
from roomcast.drivers.asyncio.metrics_listener import MetricsListener, serve_metrics
from roomcast.drivers.asyncio.mounts import find_routes
from roomcast.drivers.asyncio.runtime import Runtime
from roomcast.errors import SettingsError
from roomcast.exposition.health import Readiness
from roomcast.metrics_port import MORE_PORTS

logger = logging.getLogger("uvicorn.error")

# Seconds between two looks, during the drain delay, at whether it is to be cut short: what uvicorn's own loop takes.
TICK = 0.1
TICKS_A_SECOND = 10
# After the last client was told to move the listener stays open for so long (seconds), if there were polling ones: such
# a client learns by its next request that its session is over, and that should be answered here, not by a balancer
# that finds nobody.
PARTING = 0.5


class RunServer(uvicorn.Server):
    """One process. ``metrics`` is (host, port) of the listener for metrics and health, or None for none.

    ``drain_seconds`` is the time over which clients are told to go at a stop, ``drain_delay`` the time for which all is
    served before that; None: what the application's server was set to. With ``fixed`` the metrics have that port or it
    does not start. ``failure`` is why it stopped at once.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        metrics: tuple[str, int] | None,
        drain_seconds: float | None = None,
        fixed: bool = False,
        drain_delay: float | None = None,
    ) -> None:
        super().__init__(config)
        self._more_ports = 0 if fixed else MORE_PORTS
        self._drain_seconds = drain_seconds
        self._drain_delay = drain_delay
        self._metrics = metrics
        self._listener: MetricsListener | None = None
        self._delayed = False
        self._hurried = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.failure: SettingsError | None = None

    # --- signals ------------------------------------------------------------------------------------------------------

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the stop, the second one hurries it, a third one ends the process as it stands.

        A stop that was asked for is a success, whatever the signal; uvicorn would end the process by it once more.
        SIGINT, which comes from somebody who sits there and waits, has no drain delay.
        """
        if not self.should_exit:
            self.should_exit = True
            self._delayed = sig == signal.SIGTERM
            return
        self._hurried = True
        self.force_exit = True  # uvicorn waits for no request any more
        for runtime in self._runtimes():
            runtime.hurried = True
        for number in HANDLED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    # --- serving ------------------------------------------------------------------------------------------------------

    def _runtimes(self) -> list[Runtime]:
        """The servers of the application: those on the fast path, else what was made into an ASGI application and is
        not served by another loop of this process, which is its own master.
        """
        found = [route.runtime for route in find_routes(self.config)] if self.config.loaded else []
        return found or [app.runtime for app in served if app.runtime.loop in (None, self._loop)]

    def readiness(self) -> Readiness:
        """What ``/readyz`` tells."""
        runtimes = self._runtimes()
        if not runtimes:
            return Readiness(started=self.started, draining=self.should_exit)
        return runtimes[0].readiness(self.started, self.should_exit)

    async def startup(self, sockets: list[Socket] | None = None) -> None:
        """Start serving, then tell everybody where the metrics are."""
        self._loop = asyncio.get_running_loop()
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

    async def main_loop(self) -> None:
        """Serve until told to stop, and after that for as long as balancers need to see it."""
        await super().main_loop()
        delay = self._longest("drain_delay_seconds", self._drain_delay)
        if not self._delayed or not delay:
            return
        logger.info("Draining: not ready any more, serving for %g s until balancers have seen it", delay)
        ticks = 0
        loop = asyncio.get_running_loop()
        until = loop.time() + delay
        while not self._hurried and loop.time() < until:
            await asyncio.sleep(min(TICK, max(0.0, until - loop.time())))
            ticks += 1
            await self.on_tick(ticks % TICKS_A_SECOND)

    # --- the end ------------------------------------------------------------------------------------------------------

    async def shutdown(self, sockets: list[Socket] | None = None) -> None:
        """End the clients first, so that nobody waits for polls that are held; the metrics go last: the end can be
        watched.
        """
        seconds = self._longest("drain_seconds", self._drain_seconds)
        self.config.timeout_graceful_shutdown = max(1, round(seconds))
        bound = [runtime for runtime in self._runtimes() if runtime.loop is not None]
        plans = await asyncio.gather(*(runtime.drain(seconds) for runtime in bound))
        logger.info("Drained: %d clients were told to move", sum(plan.told for plan in plans))
        if any(plan.polling for plan in plans) and not self._hurried:
            await asyncio.sleep(PARTING)
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn leaves it out then, but nodes say goodbye, however much of a hurry there is
            await self.lifespan.shutdown()
        if self._listener is not None:
            await self._listener.close()

    def _longest(self, setting: str, given: float | None) -> float:
        """What was given, or else the longest that a server of the application is set to; seconds."""
        if given is not None:
            return given
        return max((getattr(runtime.engine.settings, setting) for runtime in self._runtimes()), default=0.0)
