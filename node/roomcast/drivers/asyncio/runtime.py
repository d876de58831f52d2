"""[hot] What every asyncio transport of a server shares: the loop, its one timer, the flush, and the way to the end.

Bound to the running loop by :meth:`Runtime.bind`, at start-up or with the first connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable

from roomcast.core.counters import Counters
from roomcast.core.draining import Drain
from roomcast.core.gauges import measure
from roomcast.core.node import Node
from roomcast.core.refusals import Refusals
from roomcast.descriptors import most_clients
from roomcast.drivers.asyncio.calls import Calls
from roomcast.drivers.asyncio.tasks import Starter
from roomcast.engineio.engine import Engine
from roomcast.engineio.session import Session
from roomcast.exposition.health import Readiness
from roomcast.shared_socket import Lookout, SharedSocket

# A timer this late means that the loop stood still: pongs lie unread in the sockets and are read before anybody is
# judged.
STALL = 0.25
# So long (seconds) the sockets get then to be read.
STALL_PAUSE = 0.01
LAG_PROBE = 1.0
# At shutdown clients get this long (seconds) to answer a close frame, or to fetch the last that they get; less where
# the operator was in a hurry: who reads at all needs a round trip. Looked at so often.
CLOSING_PATIENCE = 2.5
HURRIED_PATIENCE = 0.5
CLOSING_STEP = 0.02
# Whether the operator waits no longer is looked at so often (seconds) while handlers are waited for.
HANDLER_STEP = 0.1
# Handlers that are cancelled at shutdown get this long (seconds) for their ``finally``.
CLEANING_PATIENCE = 1.0
# A node that drains tells the next few clients to move every so many seconds.
DRAIN_STEP = 0.05
# Disconnect handlers of lost connections that one turn of the loop calls: 64 plain ones take a millisecond.
DEPARTURES = 64
# What clients have lost by a stop is written here, whatever the application does with its own logger.
DRAIN_LOG = logging.getLogger("roomcast.drain")


class Runtime(Calls):
    """Runs one engine on asyncio. ``closing`` are the connections that wait for the client's close frame."""

    def __init__(self, engine: Engine, counters: Counters, logger: logging.Logger, node: Node | None = None) -> None:
        super().__init__(counters, logger, node)
        self.engine = engine
        self.refusals = Refusals(engine, counters, logger)
        self.time: Callable[[], float]
        self.closing: set[object] = set()
        self.hurried = False
        """Set by who stops the process and waits no longer: everybody is told to go now, handlers are cancelled."""
        self.unread = 0
        """Connections that were cut because the client did not answer the close frame: it may not have read all."""
        self.on_awake: Callable[[], object] | None = None
        """What the first request starts; nothing once it was started or stopped."""
        self._parting_since: float | None = None
        self._departures: deque[Callable[[], object]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._probe: asyncio.TimerHandle | None = None
        self._lookout: Lookout | None = None
        self._bound_at = 0.0
        self.shared = SharedSocket(logger, "polling" in engine.settings.transports)
        measure(counters, engine, None if node is None else node.hub)

    # --- the loop -----------------------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Take the running loop; later calls do nothing."""
        if self.loop is not None:
            return
        self.loop = asyncio.get_running_loop()
        self.time = self.loop.time
        self.starter = Starter(self.loop)
        if self.engine.max_sessions is None:
            self.engine.max_sessions = most_clients()
        self.engine.on_wake = self._wake
        self.engine.on_deadline = self._arm
        self._bound_at = self.loop.time()
        self._lookout = Lookout(self.shared)
        self._probe_lag(self._bound_at)

    def awaken(self) -> None:
        """Start with the first request what nobody has started: who serves may know no start-up (daphne, a mount)."""
        self.bind()
        if self.on_awake is not None:
            starting, self.on_awake = self.on_awake, None
            starting()

    @property
    def stepwise(self) -> bool:
        """Whether reading may have to wait for work."""
        return self.in_order or self.engine.settings.max_events_per_second is not None

    def look_at_clock(self) -> None:
        """Tell the engine what time it is, before the application asks something of it."""
        if self.loop is not None:
            self.engine.now = self.time()

    def _wake(self) -> None:
        if self.loop is not None:
            self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write everybody's outbox, once; then end who was found too slow."""
        self.engine.now = self.time()
        self.engine.flusher.flush()
        if self.engine.slow:
            self.run(self.engine.take_slow())

    def _arm(self, due: float) -> None:
        if self.loop is None:
            return
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(due, self._tick, due)
        self._timer_due = due  # uvloop's handle of a time that has passed does not know when()

    def _tick(self, due: float) -> None:
        self._timer = None
        lag = self.time() - due
        self.counters.lagged(lag)
        if lag > STALL and self.loop is not None:
            self.engine.wheel.extend(lag)
            self._timer_due = self.time() + STALL_PAUSE
            self._timer = self.loop.call_at(self._timer_due, self._tick, self._timer_due)
            return
        self.run(self.engine.tick(self.time()))
        due_next = self.engine.due()
        if due_next is not None:
            self._arm(due_next)

    def catch_up(self) -> None:
        """Do what is due before a request is judged: its timer may be a millisecond away."""
        due, now = self.engine.due(), self.time()
        if due is not None and due <= now and now - due <= STALL:
            self.run(self.engine.tick(now))

    def _probe_lag(self, due: float) -> None:
        """Notice a loop that is blocked, also while nothing else is due."""
        if self.loop is None:
            return
        now = self.loop.time()
        self.counters.lagged(now - due)
        if self._lookout is not None:
            self._lookout.look(now - self._bound_at)
        self._probe = self.loop.call_at(now + LAG_PROBE, self._probe_lag, now + LAG_PROBE)

    async def drain(self, seconds: float) -> Drain:
        """Take no more sessions, and end those that are there so that clients come back elsewhere: over ``seconds``, as
        :class:`~roomcast.core.draining.Drain` says, which is returned.

        That is when they have read what was written to them, or have had their time for it; how many have not is
        written to the log.
        """
        self.engine.accepting = False
        plan = Drain(self.engine, seconds, self.time(), self.answering.values)
        while not plan.over():
            self.flush()
            self.run(plan.step(self.time(), self.hurried))
            self.flush()
            await asyncio.sleep(0 if plan.over() else DRAIN_STEP)
        await self._see_through()
        unread = self.unread + len(self.closing) + sum(bool(each.outbox.frames) for each in self._lingering())
        if unread:
            DRAIN_LOG.warning("of %d clients that were told to move %d have not read all", plan.told, unread)
        return plan

    async def _see_through(self) -> None:
        """Wait for clients that still have something to do: to answer a close frame, or to fetch the last they get.

        Their time begins once, however often a stop comes by here.
        """
        if self._parting_since is None:
            self._parting_since = self.time()
        while self._awaited():
            patience = HURRIED_PATIENCE if self.hurried else CLOSING_PATIENCE
            if self.time() - self._parting_since > patience:
                return
            await asyncio.sleep(CLOSING_STEP)

    async def _see_handlers_through(self, patience: float) -> None:
        """Wait for handlers that still run, then cancel them."""
        running = {task for task in self.tasks if task is not asyncio.current_task()}
        until = self.time() + patience
        while running and not self.hurried and self.time() < until:
            _, running = await asyncio.wait(running, timeout=min(HANDLER_STEP, until - self.time()))
        if not running:
            return
        for task in running:
            task.cancel()
        self.logger.warning("%d handlers were still running at shutdown and were cancelled", len(running))
        await asyncio.wait(running, timeout=CLEANING_PATIENCE)

    async def close(self, patience: float) -> None:
        """Wait up to ``patience`` seconds for handlers that still run and connections that still close, then cut them
        off.

        The runtime can be bound again afterwards.
        """
        if self.loop is None:
            return
        self.flush()
        while self._departures:
            self._departures.popleft()()
        await self._see_handlers_through(patience)
        await self._see_through()
        if self.bus is not None:
            await self.bus.close(flushing=not self.hurried)
        self.run(self.engine.deadlines.run(float("inf")))
        for timer in (self._timer, self._probe):
            if timer is not None:
                timer.cancel()
        self._timer = self._probe = None
        self.starter.close()
        self._parting_since = None
        self.loop = None

    def readiness(self, started: bool, draining: bool) -> Readiness:
        """Whether clients should come here: what the caller knows, and what the cluster has against it."""
        if self.bus is None:
            return Readiness(started, draining, (), self.shared.degraded)
        cluster = self.bus.cluster
        return Readiness(started, draining, cluster.unready(), (*cluster.degraded(), *self.shared.degraded))

    def _awaited(self) -> bool:
        return bool(self.closing) or any(session.outbox.frames for session in self._lingering())

    def _lingering(self) -> Iterable[Session]:
        """The polling sessions that have ended and whose clients have not fetched all."""
        return self.engine.sessions.values()

    def depart(self, leave: Callable[[], object]) -> None:
        """Do what a lost connection leaves to do, a few per turn: thousands at once must not stop everybody else."""
        self._departures.append(leave)
        if len(self._departures) == 1 and self.loop is not None:
            self.loop.call_soon(self._see_off)

    def _see_off(self) -> None:
        departures = self._departures
        for _ in range(min(DEPARTURES, len(departures))):
            departures.popleft()()
        if departures and self.loop is not None:
            self.loop.call_soon(self._see_off)
