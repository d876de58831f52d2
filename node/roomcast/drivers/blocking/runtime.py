"""What every blocking transport of a server shares: the lock around the core, its turns, the clock, the way to the end.

The core belongs to one task at a time (design §3). Whoever wants something of it takes a *turn*::

    with runtime.turn:
        runtime.do(runtime.engine.close(session, "server disconnect"))

At the end of a turn everything that it made is written, then the lock is let go, then what must not be done under it
is done. On greenlets it is written a moment later, by a task that writes what several turns made. Nothing in a turn
waits: sockets do not block, and the application's handlers run in tasks of their own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from math import inf
from typing import Any
from weakref import WeakSet

from roomcast.core.counters import Counters
from roomcast.core.draining import Drain
from roomcast.core.gauges import measure
from roomcast.core.node import Node
from roomcast.core.refusals import Refusals
from roomcast.descriptors import most_clients
from roomcast.drivers.blocking.calls import Calls
from roomcast.drivers.blocking.clock import Clock
from roomcast.drivers.blocking.concurrency import Concurrency, Event
from roomcast.drivers.blocking.poller import Poller, Watched
from roomcast.drivers.blocking.pool import Pool
from roomcast.engineio.engine import Engine
from roomcast.errors import SettingsError
from roomcast.exposition.health import Readiness
from roomcast.shared_socket import SharedSocket

# A node that drains tells the next few clients to move every so many seconds, and looks as often whether they have
# read what was written to them.
DRAIN_STEP = 0.05
# At shutdown clients get this long (seconds) to answer a close frame, or to fetch the last that they get.
CLOSING_PATIENCE = 2.5
# Where a task writes what several turns made, it has this long (seconds): then somebody computes and lets no other task
# go on, and whoever emits next writes.
GATHERING = 0.05
# What clients have lost by a stop is written here, whatever the application does with its own logger.
DRAIN_LOG = logging.getLogger("roomcast.drain")


def handler_tasks(options: dict[str, Any], concurrency: Concurrency) -> int:
    """Take ``handler_threads`` out of a server's options; SettingsError for what is no number of tasks."""
    handlers = options.pop("handler_threads", None)
    if handlers is None:
        return concurrency.handlers
    if not isinstance(handlers, int) or handlers < 1:
        raise SettingsError(f"handler_threads must be 1 or more, not {handlers!r}")
    return handlers


class Turn:
    """``with turn:`` the core is yours. The same task may take one inside another; all of it ends with the outer."""

    __slots__ = ("_depth", "_lock", "_runtime")

    def __init__(self, runtime: Runtime, lock: Any) -> None:
        self._runtime = runtime
        self._lock = lock
        self._depth = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1
        self._runtime.engine.now = self._runtime.time()

    def __exit__(self, *_: object) -> None:
        runtime = self._runtime
        outside: Iterable[Callable[[], object]] = ()
        try:
            if self._depth == 1:
                runtime.turn_ends()
                outside, runtime.outside = runtime.outside, []
        finally:
            self._depth -= 1
            self._lock.release()
        for call in outside:
            call()


class Runtime(Calls):
    """Runs one engine on threads or greenlets. ``outside`` is what is done when the turn is over and the lock free."""

    def __init__(
        self,
        engine: Engine,
        counters: Counters,
        logger: logging.Logger,
        concurrency: Concurrency,
        handlers: int,
        node: Node | None = None,
    ) -> None:
        super().__init__(counters, logger, concurrency, handlers, node)
        self.engine = engine
        self.time = concurrency.clock
        self.turn = Turn(self, concurrency.make_lock())
        self.outside: list[Callable[[], object]] = []
        self.closing: set[object] = set()
        """Connections that wait for the client's close frame."""
        self.unread = 0
        """Connections that were cut because the client did not answer the close frame: it may not have read all."""
        self.polls_in_tasks = 0
        """GETs that wait in tasks of the WSGI server, since it gives no socket away."""
        self.started = False
        self.stopped = False
        self.on_start: Callable[[], object] = _nothing
        self.shared = SharedSocket(logger, "polling" in engine.settings.transports)
        self.random_tag = False
        """Whether nobody has chosen the node's tag, so that a process that forks gets another."""
        self.refusals = Refusals(engine, counters, logger)
        self._handlers = handlers
        self._clock: Clock | None = None
        self._poller: Poller | None = None
        self._stopping: Event | None = None
        self._gathering_since = inf
        if concurrency.gathers:
            engine.on_wake = self._gather
        measure(counters, engine, None if node is None else node.hub)
        _runtimes.add(self)

    # --- life ---------------------------------------------------------------------------------------------------------

    def awaken(self) -> None:
        """Start with the first request: whoever forks has forked by then. After a stop only :meth:`start` does."""
        if not self.started and not self.stopped:
            self.start()

    def start(self) -> None:
        """Start the clock, and join the cluster. Later calls do nothing."""
        with self.turn:
            if self.started:
                return
            self.started, self.stopped = True, False
            self.engine.accepting = True
            if self.engine.max_sessions is None:
                self.engine.max_sessions = most_clients()
            self._clock = Clock(self)
            self._clock.begin()
        if self.bus is not None:
            self.bus.open()
        self.on_start()

    def watch(self, connection: Watched, *, read: bool, write: bool) -> None:
        """Have a connection told when its socket is ready. In a turn."""
        if self._poller is None:
            if not read and not write:
                return  # the last of one that was cut when the poller ended
            self._poller = Poller(self)
            self.concurrency.start(self._poller.run)
        self._poller.watch(connection, read=read, write=write)

    def stop(self, seconds: float, patience: float) -> None:
        """Drain over ``seconds``, wait up to ``patience`` seconds for handlers, then let nothing of the driver's run.

        Who calls this while another task does waits for that one.
        """
        with self.turn:
            self.stopped = True
            self.engine.accepting = False
            stopping, mine = self._stopping, self.started and self._stopping is None
            if mine:
                stopping = self._stopping = self.concurrency.make_event()
        if not mine:
            if stopping is not None:
                stopping.wait(seconds + CLOSING_PATIENCE + patience)
            return
        try:
            self._drain(seconds)
            self._close(patience)
        finally:
            self._stopping = None
            if stopping is not None:
                stopping.set()

    def _drain(self, seconds: float) -> None:
        """End the sessions that are there so that clients come back elsewhere (:class:`Drain`); returns when they have
        read what was written to them, or have had their time for it.
        """
        with self.turn:
            plan = Drain(self.engine, seconds, self.engine.now, self.answering.values)
        while True:
            with self.turn:
                self.run(plan.step(self.engine.now))
                over = plan.over()
            if over:
                break
            self.concurrency.sleep(DRAIN_STEP)
        until = self.time() + CLOSING_PATIENCE
        while (unread := self._unread()) and self.time() < until:
            self.concurrency.sleep(DRAIN_STEP)
        if unread := unread + self.unread:
            DRAIN_LOG.warning("of %d clients that were told to move %d have not read all", plan.told, unread)

    def _unread(self) -> int:
        """How many still have something to do: to answer a close frame, or to fetch the last that they get."""
        with self.turn:
            return len(self.closing) + sum(bool(each.outbox.frames) for each in self.engine.sessions.values())

    def _close(self, patience: float) -> None:
        if not self.pool.drain(patience):
            self.logger.warning("%d handlers were still running at shutdown", self.pool.running)
        if self.bus is not None:
            self.bus.close()
        with self.turn:
            self.flush()
            self.run(self.engine.deadlines.run(float("inf")))
            if self._poller is not None:
                self._poller.close()
                self._poller = None
            if self._clock is not None:
                self._clock.end()
                self._clock = None
            self.started = False
        self.pool.close()

    def forked(self) -> None:
        """This process is a child of the one in which the server was made.

        Nothing that ran is here, the clients are the parent's, and no id may be one of its.
        """
        self.turn = Turn(self, self.concurrency.make_lock())
        self.pool = Pool(self.concurrency, self._handlers)
        self.outside, self.closing, self._gathering_since = [], set(), inf
        self.started, self._stopping, self._clock = False, None, None
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.abandon()
        (self._node or self.engine).abandon()
        self._waiting.clear()
        self._behind.clear()
        self.answering.clear()
        self.engine.sids.forget()
        if self.random_tag:
            self.engine.sids.draw()
        if self.bus is not None:
            self.bus.forked()

    def readiness(self) -> Readiness:
        """Whether clients should come here."""
        with self.turn:
            cluster = None if self.bus is None else self.bus.cluster
            unready, degraded = ((), ()) if cluster is None else (cluster.unready(), cluster.degraded())
            return Readiness(self.started, not self.engine.accepting, unready, degraded + self.shared.degraded)

    def census(self) -> dict[str, int]:
        """How many entries the driver's own tables have; without clients all are 0."""
        with self.turn:
            return {
                "handlers": self.pool.running,
                "waiting": len(self._waiting),
                "behind": len(self._behind),
                "answering": len(self.answering),
                "closing": len(self.closing),
                "connections": 0 if self._poller is None else len(self._poller.watched),
                "polls_in_tasks": self.polls_in_tasks,
            }

    # --- turns --------------------------------------------------------------------------------------------------------

    def turn_ends(self) -> None:
        """Write what it made, unless a task was started to do that."""
        engine = self.engine
        if not self.concurrency.gathers or engine.slow or engine.now - self._gathering_since > GATHERING:
            self.flush()
        if self.bus is not None:
            self.bus.flush()

    def _gather(self) -> None:
        """The first outbox since the last flush has something to write."""
        self._gathering_since = self.engine.now
        self.concurrency.start(self._flush_in_turn)

    def _flush_in_turn(self) -> None:
        with self.turn:
            self.flush()

    def flush(self) -> None:
        """Write everybody's outbox, once, and end who was found too slow; that may leave more to write to others."""
        engine = self.engine
        flusher = engine.flusher
        self._gathering_since = inf
        while flusher.boxes or flusher.late or engine.slow:  # each round ends somebody or writes what there is
            flusher.flush()
            if engine.slow:
                self.run(engine.take_slow())


def _nothing() -> None:
    """Until a server wants to know of the start."""


_runtimes: WeakSet[Runtime] = WeakSet()


def _forked() -> None:
    for runtime in list(_runtimes):
        runtime.forked()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forked)
