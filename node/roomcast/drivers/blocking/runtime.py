"""What every blocking transport of a server shares: the lock around the core, its turns, the clock, the way to the end.

The core belongs to one task at a time (design §3). Whoever wants something of it takes a *turn*::

    with runtime.turn:
        runtime.do(runtime.engine.close(session, "server disconnect"))

At the end of a turn everything that it made is written, then the lock is let go, then what must not be done under it
is done. Nothing in a turn waits: sockets do not block, and the application's handlers run in tasks of their own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from roomcast.core.counters import Counters
from roomcast.core.draining import Drain
from roomcast.core.gauges import measure
from roomcast.core.node import Node
from roomcast.core.refusals import Refusals
from roomcast.drivers.blocking.calls import Calls
from roomcast.drivers.blocking.concurrency import Concurrency
from roomcast.drivers.blocking.poller import Poller, Watched
from roomcast.engineio.engine import Engine

# A clock this late (seconds) means that the process stood still: pongs lie unread in the sockets and are read before
# anybody is judged; that takes so long.
STALL = 0.25
STALL_PAUSE = 0.05
# A node that drains tells the next few clients to move every so many seconds, and looks as often whether they have
# read what was written to them.
DRAIN_STEP = 0.05
# At shutdown clients get this long (seconds) to answer a close frame, or to fetch the last that they get.
CLOSING_PATIENCE = 2.5
# A polling client whose handlers have not caught up has its POST answered so much later; looked at so often (seconds).
CATCH_UP_PATIENCE = 30.0
CATCH_UP_STEP = 0.01
# Writing what a turn has made may end clients that are too slow, which makes more; each round ends some.
FLUSH_ROUNDS = 4


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
        self._runtime.engine.now = time.monotonic()

    def __exit__(self, *_: object) -> None:
        runtime = self._runtime
        outside: Iterable[Callable[[], object]] = ()
        try:
            if self._depth == 1:
                runtime.flush()
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
        self.turn = Turn(self, concurrency.make_lock())
        self.outside: list[Callable[[], object]] = []
        self.closing: set[object] = set()
        """Connections that wait for the client's close frame."""
        self.started = False
        self.refusals = Refusals(engine, counters, logger)
        self._poller: Poller | None = None
        self._alarm = concurrency.make_event()
        self._due: float | None = None
        self._ended = False
        measure(counters, engine, None if node is None else node.hub)

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the clock, and join the cluster: with the first request, so that a server that forks has forked."""
        if not self.started:
            self._begin()

    def _begin(self) -> None:
        with self.turn:
            if self.started:  # by another task, meanwhile
                return
            self.started = True
            self._ended = False
            self.engine.accepting = True
            self.engine.on_deadline = self._earlier
            self._due = self.engine.due()
            self.concurrency.start(self._keep_time)
        if self.bus is not None:
            self.bus.open()

    def watch(self, connection: Watched, *, read: bool, write: bool) -> None:
        """Have a connection told when its socket is ready. In a turn."""
        if self._poller is None:
            self._poller = Poller(self)
            self.concurrency.start(self._poller.run)
        self._poller.watch(connection, read=read, write=write)

    def drain(self, seconds: float) -> None:
        """Take no more sessions, and end those that are there so that clients come back elsewhere, over ``seconds``.

        Returns when they have read what was written to them, or have had their time for it.
        """
        with self.turn:
            self.engine.accepting = False
            plan = Drain(self.engine, seconds, self.engine.now, self.answering.values)
        while True:
            with self.turn:
                self.run(plan.step(self.engine.now))
                if plan.over():
                    break
            self.concurrency.sleep(DRAIN_STEP)
        until = time.monotonic() + CLOSING_PATIENCE
        while self._lingering() and time.monotonic() < until:
            self.concurrency.sleep(DRAIN_STEP)

    def _lingering(self) -> bool:
        with self.turn:
            return bool(self.closing) or any(each.outbox.frames for each in self.engine.sessions.values())

    def close(self, patience: float) -> None:
        """Wait up to ``patience`` seconds for handlers that still run; then nothing of the driver's runs any more."""
        if not self.pool.drain(patience):
            self.logger.warning("%d handlers were still running at shutdown", self.pool.running)
        if self.bus is not None:
            self.bus.close()
        with self.turn:
            self.run(self.engine.deadlines.run(float("inf")))
            self._ended = True
            self.started = False
            poller, self._poller = self._poller, None
        self._alarm.set()
        if poller is not None:
            poller.close()

    # --- turns --------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write everybody's outbox, once; then end who was found too slow."""
        engine = self.engine
        flusher = engine.flusher
        for _ in range(FLUSH_ROUNDS):
            if not flusher.boxes and not flusher.late and not engine.slow:
                break
            flusher.flush()
            if engine.slow:
                self.run(engine.take_slow())
        if self.bus is not None:
            self.bus.flush()

    def wait_until_caught_up(self, client: Any) -> None:
        """Return when a client's handlers have caught up with what it sends, or have had their time for it."""
        until = time.monotonic() + CATCH_UP_PATIENCE
        while self.is_behind(client) and time.monotonic() < until:
            self.concurrency.sleep(CATCH_UP_STEP)

    # --- the clock ----------------------------------------------------------------------------------------------------

    def _earlier(self, due: float) -> None:
        if self._due is None or due < self._due:
            self._due = due
            self._alarm.set()

    def _keep_time(self) -> None:
        """Call the engine when something is due."""
        while not self._ended:
            due = self._due
            self._alarm.wait(None if due is None else max(0.0, due - time.monotonic()))
            self._alarm.clear()
            due = self._due
            late = 0.0 if due is None else time.monotonic() - due
            if due is None or late < 0:
                continue
            self.counters.lagged(late)
            if late > STALL:
                with self.turn:
                    self.engine.wheel.extend(late)
                self.concurrency.sleep(STALL_PAUSE)
            with self.turn:
                self._due = None
                self.run(self.engine.tick(self.engine.now))
                self._due = self.engine.due()
