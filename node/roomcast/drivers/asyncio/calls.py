"""[hot] Application code as asyncio runs it: the work of a node is done here, and what comes of it is told to the node.

Plain functions are called, coroutine functions are started in place (:mod:`roomcast.drivers.asyncio.tasks`). What they
raise is counted and logged, and ends nothing else.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from contextvars import copy_context
from functools import partial
from typing import Any

from roomcast.core.counters import Counters
from roomcast.core.doing import Doing
from roomcast.core.node import Node
from roomcast.core.work import CallConnect, CallDisconnect, CallHandler, Notify, PauseReading, SettleAck, Several
from roomcast.drivers.asyncio.tasks import Done, Starter, Suspended
from roomcast.errors import UnencodableError

# What application code may raise without ending the process: it is told of it in the log. A cancelled handler counts
# as one that returned None.
OUTCOMES = (Exception, asyncio.CancelledError)
# What a plain function may return that certainly is not awaitable.
PLAIN = frozenset({type(None), str, int, float, bool, bytes, list, dict, tuple})


class Calls(Doing):
    """Calls application code in the event loop, once :attr:`loop` and :attr:`starter` are set. What :meth:`do` returns
    still runs.
    """

    starter: Starter

    def __init__(self, counters: Counters, logger: logging.Logger, node: Node | None) -> None:
        super().__init__(counters, logger, node)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.tasks: set[asyncio.Task[Any]] = set()

    def _several(self, work: Several) -> Suspended | None:
        running = None
        for each in work.works:
            running = self.do(each) or running  # the last that still runs
        return running

    def _pause(self, work: PauseReading) -> Suspended:
        return Suspended(asyncio.ensure_future(asyncio.sleep(work.seconds)))

    def must_wait(self, work: Any, running: Suspended | None) -> Suspended | None:
        """What has to end before more of this client is read: its handlers in order, or a pause."""
        last = work.works[-1] if type(work) is Several else work
        return running if self.in_order or type(last) is PauseReading else None

    # --- calling ------------------------------------------------------------------------------------------------------

    def _call(self, fn: Callable[..., Any], asynchronous: bool, args: Iterable[Any], done: Done) -> Suspended | None:
        """Call a function of the application; ``done`` gets its outcome, now or when it has ended."""
        try:
            if asynchronous:
                result = self.starter.start(fn(*args))
            else:
                result = copy_context().run(fn, *args)
                if type(result) not in PLAIN and inspect.isawaitable(result):
                    result = self.starter.start(_await(result))
        except OUTCOMES as error:
            done(None, error)
            return None
        if type(result) is Suspended:
            return self.later(result, done)
        done(result, None)
        return None

    def later(self, running: Suspended, done: Done) -> Suspended:
        """Remember what runs until it ends, so that it is neither lost nor forgotten at shutdown."""
        task = running.task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        running.then(done)
        return running

    def failed(self, kind: str, error: BaseException, what: str) -> None:
        """Count and log what application code raised; a cancelled handler is no error."""
        if not isinstance(error, asyncio.CancelledError):
            super().failed(kind, error, what)

    # --- events -------------------------------------------------------------------------------------------------------

    def call_handler(self, work: CallHandler) -> Suspended | None:
        """:meth:`do` for the most frequent work.

        It is :meth:`_call` without that call and the partial, which cost an event a twentieth of its time.
        """
        call = work.call
        try:
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
            self.answering[id(work)] = work.socket
            return self.later(result, partial(self._event_done_later, work))
        if work.ack_id is not None:
            self._event_done(work, result, None)
        return None

    def _event_done_later(self, work: CallHandler, result: Any, error: BaseException | None) -> None:
        del self.answering[id(work)]
        self._event_done(work, result, error)

    def _event_done(self, work: CallHandler, result: Any, error: BaseException | None) -> None:
        if error is None or isinstance(error, asyncio.CancelledError):
            error = self._acknowledge(work, result)
        if error is not None:
            self.failed("event", error, f"the handler of an event in {work.socket.namespace.name!r}")

    def _acknowledge(self, work: CallHandler, result: Any) -> UnencodableError | None:
        if work.ack_id is not None and self._node is not None:
            try:
                self._node.event_done(work.socket, work.ack_id, result)
            except UnencodableError as error:
                return error
        return None

    # --- connecting and leaving ---------------------------------------------------------------------------------------

    def _call_connect(self, work: CallConnect) -> Suspended | None:
        return self._call(work.call.fn, work.call.asynchronous, work.args, partial(self._connect_done, work))

    def _connect_done(self, work: CallConnect, result: Any, error: BaseException | None) -> None:
        if self._node is None:
            return
        if isinstance(error, asyncio.CancelledError):
            error = None
        self.connect_failed(work, error)
        self.do(self._node.connect_done(work.socket, result, error))

    def _call_disconnect(self, work: CallDisconnect) -> Suspended | None:
        return self._call(work.call.fn, work.call.asynchronous, work.args, partial(self._disconnect_done, work))

    def _disconnect_done(self, work: CallDisconnect, result: Any, error: BaseException | None) -> None:
        if error is not None:
            self.failed("disconnect", error, f"the disconnect handler of {work.socket.namespace.name!r}")
        if self._node is not None:
            self._node.disconnect_done(work.socket)

    # --- callbacks and questions --------------------------------------------------------------------------------------

    def _notify(self, work: Notify) -> Suspended | None:
        return self._call(work.fn, False, work.args, self._notified)

    def _notified(self, result: Any, error: BaseException | None) -> None:
        if error is not None:
            self.failed("callback", error, "a callback")

    def _settle_ack(self, work: SettleAck) -> None:
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


async def _await(awaitable: Any) -> Any:
    return await awaitable
