"""Application code as threads and greenlets run it: the work of a node is done here, and the node is told of the end.

Handlers run in the tasks of a :class:`~roomcast.drivers.blocking.pool.Pool`, never under the lock of the core, so they
may wait and may call every method of the server.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from roomcast.core.counters import Counters
from roomcast.core.doing import Doing
from roomcast.core.node import Node
from roomcast.core.work import CallConnect, CallDisconnect, CallHandler, Notify, PauseReading, SettleAck, Several
from roomcast.drivers.blocking.answers import Answer
from roomcast.drivers.blocking.concurrency import Concurrency
from roomcast.drivers.blocking.pool import Pool
from roomcast.errors import UnencodableError

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Turn

# Handlers of one client that wait or run before nothing more is read from it: beyond that it sends faster than it is
# served, and its messages wait in its socket, where they cost us nothing. Reading goes on at half of it.
MAX_WAITING = 64


class Calls(Doing):
    """Calls application code in tasks. :meth:`do` and :meth:`run` are for turns; what :meth:`do` returns is how long
    (seconds) nothing more is to be read from the client that caused it.
    """

    turn: Turn

    def __init__(
        self, counters: Counters, logger: logging.Logger, concurrency: Concurrency, handlers: int, node: Node | None
    ) -> None:
        super().__init__(counters, logger, node)
        self.concurrency = concurrency
        self.pool = Pool(concurrency, handlers)
        self._calls = 0
        self._waiting: dict[Any, int] = {}
        self._behind: dict[Any, list[Callable[[], object]]] = {}  # what goes on when such a client has caught up

    def _several(self, work: Several) -> float | None:
        pauses = [pause for each in work.works if (pause := self.do(each)) is not None]
        return max(pauses) if pauses else None

    def _pause(self, work: PauseReading) -> float:
        return work.seconds

    def do_all_but_departures(self, work: Any) -> list[CallDisconnect]:
        """As :meth:`do`, but the disconnect handlers are for the caller, who runs them when the turn is over: it wants
        to go on when they have ended. Where handlers of a client wait for one another, it cannot.
        """
        if type(work) is Several:
            return [call for each in work.works for call in self.do_all_but_departures(each)]
        if type(work) is CallDisconnect and not self.in_order:
            return [work]
        self.do(work)
        return []

    def is_behind(self, client: Any) -> bool:
        """Whether so many of a client's handlers wait or run that nothing more should be read from it. In a turn."""
        return self._waiting.get(client, 0) >= MAX_WAITING

    def when_caught_up(self, client: Any, go_on: Callable[[], object]) -> None:
        """Call ``go_on`` in a turn, once the handlers of a client that is behind have caught up with it."""
        self._behind.setdefault(client, []).append(go_on)

    # --- events -------------------------------------------------------------------------------------------------------

    def call_handler(self, work: CallHandler) -> None:
        client = work.socket.client
        self._one_more(client)
        number = self._calls = self._calls + 1
        if work.ack_id is not None:
            self.answering[number] = work.socket
        self.pool.put(partial(self._run_handler, work, number), client if self.in_order else None)

    def _run_handler(self, work: CallHandler, number: int) -> None:
        result, error = attempt(work.call.fn, work.args)
        with self.turn:
            self.answering.pop(number, None)
            self._one_less(work.socket.client)
            if error is None and work.ack_id is not None and self._node is not None:
                try:
                    self._node.event_done(work.socket, work.ack_id, result)
                except UnencodableError as unencodable:
                    error = unencodable
        if error is not None:
            self.failed("event", error, f"the handler of an event in {work.socket.namespace.name!r}")

    def _one_more(self, client: Any) -> None:
        self._waiting[client] = self._waiting.get(client, 0) + 1

    def _one_less(self, client: Any) -> None:
        waiting = self._waiting[client] - 1
        if waiting:
            self._waiting[client] = waiting
        else:
            del self._waiting[client]
        if waiting <= MAX_WAITING // 2 and self._behind:
            for go_on in self._behind.pop(client, ()):
                go_on()

    # --- connecting and leaving ---------------------------------------------------------------------------------------

    def _call_connect(self, work: CallConnect) -> None:
        self.pool.put(partial(self._run_connect, work), work.socket.client if self.in_order else None)

    def _run_connect(self, work: CallConnect) -> None:
        result, error = attempt(work.call.fn, work.args)
        self.connect_failed(work, error)
        if self._node is not None:
            with self.turn:
                self.do(self._node.connect_done(work.socket, result, error))

    def _call_disconnect(self, work: CallDisconnect) -> None:
        self.pool.put(partial(self.run_disconnect, work), work.socket.client if self.in_order else None)

    def run_disconnect(self, work: CallDisconnect) -> None:
        """Call a disconnect handler, here; outside of turns."""
        _, error = attempt(work.call.fn, work.args)
        if error is not None:
            self.failed("disconnect", error, f"the disconnect handler of {work.socket.namespace.name!r}")
        if self._node is not None:
            with self.turn:
                self._node.disconnect_done(work.socket)

    # --- callbacks and questions --------------------------------------------------------------------------------------

    def _notify(self, work: Notify) -> None:
        if work.client is not None:
            self._one_more(work.client)
        self.pool.put(partial(self._run_callback, work), work.client)

    def _run_callback(self, work: Notify) -> None:
        _, error = attempt(work.fn, work.args)
        if work.client is not None:
            with self.turn:
                self._one_less(work.client)
        if error is not None:
            self.failed("callback", error, "a callback")

    def _settle_ack(self, work: SettleAck) -> None:
        """End a ``call`` that waits, or run a callback as a task of its own."""
        if isinstance(work.waiter, Answer):
            work.waiter.settle(work.args, work.error)
        elif work.error is None:
            self._notify(Notify(work.waiter, work.args))


def attempt(fn: Callable[..., Any], args: Iterable[Any]) -> tuple[Any, BaseException | None]:
    """Call a function of the application: what it returned, and what it raised. It has a copy of the context, so that
    what it leaves there is not found by the next one in this task.
    """
    try:
        result = copy_context().run(fn, *args)
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError("a coroutine function cannot be a handler of Server: it needs AsyncServer")
    except BaseException as error:  # noqa: BLE001  # it ends itself: SystemExit and time-outs of gevent are none of ours
        return None, error
    return result, None
