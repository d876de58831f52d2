"""[hot] What every asyncio transport of a server shares: the loop, its one timer, the flush, and the work that comes
back.

Bound to the running loop by :meth:`Runtime.bind`, at start-up or with the first connection.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import copy_context
from functools import partial
from typing import Any

from roomcast.core.counters import Counters
from roomcast.core.gauges import measure
from roomcast.core.node import Node
from roomcast.core.work import (
    CallConnect,
    CallDisconnect,
    CallHandler,
    CloseLink,
    Notify,
    PauseReading,
    SettleAck,
    Several,
)
from roomcast.drivers.asyncio.tasks import Starter, Suspended
from roomcast.engineio.engine import Engine
from roomcast.engineio.request import Request
from roomcast.errors import UnencodableError
from roomcast.exceptions import ConnectionRefusedError as Refused

# A timer this late means that the loop stood still: pongs lie unread in the sockets and are read before anybody is
# judged.
STALL = 0.25
# So long (seconds) the sockets get then to be read.
STALL_PAUSE = 0.01
# Of an origin in the log: strangers choose how long theirs is.
MAX_ORIGIN = 256
LAG_PROBE = 1.0
# At shutdown clients get this long (seconds) to answer a close frame; looked at so often.
CLOSING_PATIENCE = 2.5
CLOSING_STEP = 0.02
# Handlers that are cancelled at shutdown get this long (seconds) for their ``finally``.
CLEANING_PATIENCE = 1.0
# A node that drains ends so many clients at once, every so many seconds: those that come back elsewhere do not all
# come at once.
DRAIN_BATCH = 64
DRAIN_STEP = 0.05
# File descriptors that are kept for everything but clients.
SPARE_FILES = 64
# Disconnect handlers of lost connections that one turn of the loop calls: 64 plain ones take a millisecond.
DEPARTURES = 64
# What application code may raise without ending the process: it is told of it in the log. A cancelled handler counts
# as one
# that returned None.
OUTCOMES = (Exception, asyncio.CancelledError)
# How a connect handler says no; no error of its own.
REFUSALS = (Refused, ConnectionRefusedError)
# What a plain function may return that certainly is not awaitable.
PLAIN = frozenset({type(None), str, int, float, bool, bytes, list, dict, tuple})


class Runtime:
    """Runs one engine on asyncio. ``logger`` is told of what application code raises.

    ``do`` performs one piece of work and returns what is still running for it, or None.
    """

    def __init__(self, engine: Engine, counters: Counters, logger: logging.Logger, node: Node | None = None) -> None:
        self.engine = engine
        self.counters = counters
        self.logger = logger
        self.loop: asyncio.AbstractEventLoop | None = None
        self.in_order = False
        self.engine_logger: Any = logger
        self._refused_origin = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self.starter: Starter
        self.time: Callable[[], float]
        self._node = node
        self._departures: deque[Callable[[], object]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._probe: asyncio.TimerHandle | None = None
        self._do: dict[type[Any], Callable[[Any], Any]] = {
            CallHandler: self.call_handler,
            CallConnect: self._call_connect,
            CallDisconnect: self._call_disconnect,
            CloseLink: _close_link,
            Notify: self._notify,
            PauseReading: self._pause_reading,
            SettleAck: self._settle_ack,
            Several: self._several,
        }
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
            self.engine.max_sessions = open_files()
        self.engine.on_wake = self._wake
        self.engine.on_deadline = self._arm
        self._probe_lag(self.loop.time())

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
        self._probe = self.loop.call_at(now + LAG_PROBE, self._probe_lag, now + LAG_PROBE)

    async def drain(self, seconds: float) -> None:
        """Take no more sessions, and end those that are there so that clients come back elsewhere: in batches over
        ``seconds``.
        """
        engine = self.engine
        engine.accepting = False
        everybody = len(engine.sessions)
        batch = max(DRAIN_BATCH, round(everybody * DRAIN_STEP / seconds) if seconds else everybody)
        while any(session.alive for session in engine.sessions.values()):
            self.run(engine.close_some(batch, "server shutting down", 1012))
            self.flush()
            await asyncio.sleep(DRAIN_STEP if any(session.alive for session in engine.sessions.values()) else 0)

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
        running = {task for task in self.tasks if task is not asyncio.current_task()}
        if running:
            _, late = await asyncio.wait(running, timeout=patience)
            for task in late:
                task.cancel()
            if late:
                self.logger.warning("%d handlers were still running at shutdown and were cancelled", len(late))
                await asyncio.wait(late, timeout=CLEANING_PATIENCE)
        until = self.time() + CLOSING_PATIENCE
        while len(self.engine.deadlines) and self.time() < until:  # noqa: ASYNC110  # it waits for clients, not for a task
            await asyncio.sleep(CLOSING_STEP)
        self.run(self.engine.deadlines.run(float("inf")))
        for timer in (self._timer, self._probe):
            if timer is not None:
                timer.cancel()
        self._timer = self._probe = None
        self.starter.close()
        self.loop = None

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

    def origin_refused(self, request: Request) -> None:
        """Write down a refused origin: the first as an error, for it tells of a setting that is missing."""
        log = self.engine_logger.info if self._refused_origin else self.engine_logger.error
        self._refused_origin = True
        origin = (request.header(b"origin") or b"")[:MAX_ORIGIN].decode("ascii", "backslashreplace")
        log("%s is not an accepted origin. See the option cors_allowed_origins", origin)

    # --- work ---------------------------------------------------------------------------------------------------------

    def run(self, works: Iterable[Any]) -> None:
        """Do all of this, in order."""
        do = self.do
        for work in works:
            if work is not None:
                do(work)

    def do_all(self, work: Any) -> Suspended | None:
        """As :meth:`do`, for what may be None."""
        return None if work is None else self.do(work)

    def do(self, work: Any) -> Suspended | None:
        """Do one piece of work; what is returned still runs."""
        running: Suspended | None = self._do[type(work)](work)
        return running

    def _several(self, work: Several) -> Suspended | None:
        running = None
        for each in work.works:
            running = self.do(each) or running  # the last that still runs
        return running

    def call(self, fn: Callable[..., Any], asynchronous: bool, args: Iterable[Any]) -> Any:
        """Call a function of the application: what it returned, or a :class:`Suspended`; raises what it raised."""
        if asynchronous:
            return self.starter.start(fn(*args))
        result = copy_context().run(fn, *args)
        if type(result) not in PLAIN and inspect.isawaitable(result):
            return self.starter.start(_await(result))
        return result

    def later(self, running: Suspended, done: Callable[[Any, BaseException | None], object]) -> Suspended:
        """Remember what runs until it ends, so that it is neither lost nor forgotten at shutdown."""
        task = running.task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        running.then(done)
        return running

    def failed(self, kind: str, error: BaseException, what: str) -> None:
        """Count and log what application code raised; a cancelled handler is no error."""
        if isinstance(error, asyncio.CancelledError):
            return
        self.counters.handler_errors.count(kind)
        self.logger.error("%s raised %s", what, type(error).__name__, exc_info=error)

    # events

    def call_handler(self, work: CallHandler) -> Suspended | None:
        """:meth:`do` for the most frequent work."""
        call = work.call
        try:  # self.call() without the call: a twentieth of what an event costs
            if call.asynchronous:
                result = self.starter.start(call.fn(*work.args))
            else:
                result = copy_context().run(call.fn, *work.args)
                if type(result) not in PLAIN and inspect.isawaitable(result):
                    result = self.starter.start(_await(result))
        except OUTCOMES as error:
            self._event_done(work, None, error)
            return None
        if type(result) is Suspended:
            return self.later(result, partial(self._event_done, work))
        if work.ack_id is not None and self._node is not None:
            try:
                self._node.event_done(work.socket, work.ack_id, result)
            except UnencodableError as error:
                self._event_done(work, None, error)
        return None

    def _event_done(self, work: CallHandler, result: Any, error: BaseException | None) -> None:
        if isinstance(error, asyncio.CancelledError):
            result = error = None
        if error is None and work.ack_id is not None and self._node is not None:
            try:
                self._node.event_done(work.socket, work.ack_id, result)
            except UnencodableError as fault:
                error = fault
        if error is not None:
            self.failed("event", error, f"the handler of an event in {work.socket.namespace.name!r}")

    # connecting and leaving

    def _call_connect(self, work: CallConnect) -> Suspended | None:
        try:
            result = self.call(work.call.fn, work.call.asynchronous, work.args)
        except OUTCOMES as error:
            self._connect_done(work, None, error)
            return None
        if type(result) is Suspended:
            return self.later(result, partial(self._connect_done, work))
        self._connect_done(work, result, None)
        return None

    def _connect_done(self, work: CallConnect, result: Any, error: BaseException | None) -> None:
        if self._node is None:
            return
        if isinstance(error, asyncio.CancelledError):
            error = None
        if error is not None and not isinstance(error, REFUSALS):
            self.failed("connect", error, f"the connect handler of {work.socket.namespace.name!r}")
        more = self._node.connect_done(work.socket, result, error)
        if more is not None:
            self.do(more)

    def _call_disconnect(self, work: CallDisconnect) -> Suspended | None:
        try:
            result = self.call(work.call.fn, work.call.asynchronous, work.args)
        except OUTCOMES as error:
            self._disconnect_done(work, None, error)
            return None
        if type(result) is Suspended:
            return self.later(result, partial(self._disconnect_done, work))
        self._disconnect_done(work, result, None)
        return None

    def _disconnect_done(self, work: CallDisconnect, result: Any, error: BaseException | None) -> None:
        if error is not None:
            self.failed("disconnect", error, f"the disconnect handler of {work.socket.namespace.name!r}")
        if self._node is not None:
            self._node.disconnect_done(work.socket)

    # the rest

    def _notify(self, work: Notify) -> Suspended | None:
        done = partial(self._notified, work)
        try:
            result = self.call(work.fn, False, work.args)
        except OUTCOMES as error:
            done(None, error)
            return None
        return self.later(result, done) if type(result) is Suspended else None

    def _notified(self, work: Notify, result: Any, error: BaseException | None) -> None:
        if error is not None:
            self.failed("callback", error, "a callback")

    def _settle_ack(self, work: SettleAck) -> Suspended | None:
        """End a ``call`` that waits, or run a callback as a task of its own, outside whatever is going on now."""
        waiter = work.waiter
        if isinstance(waiter, asyncio.Future):
            if not waiter.done():
                if work.error is None:
                    waiter.set_result(work.args)
                else:
                    waiter.set_exception(work.error)
        elif work.error is None and self.loop is not None:
            self.loop.call_soon(self._notify, Notify(waiter, work.args))
        return None

    def _pause_reading(self, work: PauseReading) -> Suspended | None:
        return Suspended(asyncio.ensure_future(asyncio.sleep(work.seconds)))

    def must_wait(self, work: Any, running: Suspended | None) -> Suspended | None:
        """What has to end before more of this client is read: its handlers in order, or a pause."""
        last = work.works[-1] if type(work) is Several else work
        return running if self.in_order or type(last) is PauseReading else None

    @property
    def stepwise(self) -> bool:
        """Whether reading may have to wait for work."""
        return self.in_order or self.engine.settings.max_events_per_second is not None


def open_files() -> int | None:
    """How many clients the process's limit of open files leaves room for; None where there is no such limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else max(1, soft - SPARE_FILES)


def _close_link(work: CloseLink) -> None:
    work.link.owner.end(work.code, work.reason, work.tail)


async def _await(awaitable: Any) -> Any:
    return await awaitable
