"""[hot] The half of doing a node's work that has no colour: which method does which kind, and what is said of failures.

Drivers know how to call application code, and nothing else about it (:mod:`roomcast.core.work`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from roomcast.core.counters import Counters
from roomcast.core.work import (
    CallConnect,
    CallDisconnect,
    CallHandler,
    CloseLink,
    DrawTag,
    Notify,
    PauseReading,
    Report,
    ResetBroker,
    SettleAck,
    Several,
)
from roomcast.exceptions import ConnectionRefusedError as Refused

if TYPE_CHECKING:
    from roomcast.core.node import Node
    from roomcast.core.sockets import Socket

# How a connect handler says no; no error of its own.
REFUSALS = (Refused, ConnectionRefusedError)
# What is rare about the cluster is written here.
CLUSTER_LOG = logging.getLogger("roomcast.cluster")


class Doing:
    """Does the work of a ``node`` (None where bare Engine.IO has none). ``in_order`` makes each client's handlers wait
    for one another. ``logger`` is told of what application code raises. ``answering`` are the sockets for which a
    handler that will be acknowledged is running.
    """

    def __init__(self, counters: Counters, logger: logging.Logger, node: Node | None) -> None:
        self.counters = counters
        self.logger = logger
        self.in_order = False
        self.bus: Any = None
        self.answering: dict[int, Socket] = {}
        self._node = node
        self._do: dict[type[Any], Callable[[Any], Any]] = {
            CallHandler: self.call_handler,
            CallConnect: self._call_connect,
            CallDisconnect: self._call_disconnect,
            CloseLink: _close_link,
            DrawTag: lambda _: self.bus.draw_tag() if self.bus is not None else None,
            Notify: self._notify,
            PauseReading: self._pause,
            Report: _report,
            ResetBroker: lambda _: self.bus.reset() if self.bus is not None else None,
            SettleAck: self._settle_ack,
            Several: self._several,
            type(None): _nothing,
        }

    def do(self, work: Any) -> Any:
        """Do one piece of work, or none (None). What is returned says what has to be waited for, in the driver's own
        terms, before anything more of the client is read that caused it.
        """
        return self._do[type(work)](work)

    def run(self, works: Iterable[Any]) -> None:
        """Do all of this, in order."""
        do = self.do
        for work in works:
            do(work)

    def failed(self, kind: str, error: BaseException, what: str) -> None:
        """Count and log what application code raised."""
        self.counters.handler_errors.count(kind)
        self.logger.error("%s raised %s", what, type(error).__name__, exc_info=error)

    def connect_failed(self, work: CallConnect, error: BaseException | None) -> None:
        """The same for what a connect handler raised, unless it is how those say no."""
        if error is not None and not isinstance(error, REFUSALS):
            self.failed("connect", error, f"the connect handler of {work.socket.namespace.name!r}")

    # --- the driver's -------------------------------------------------------------------------------------------------

    def call_handler(self, work: CallHandler) -> Any:
        """Call the handler of an event."""
        raise NotImplementedError  # each driver waits in its own way

    def _call_connect(self, work: CallConnect) -> Any:
        raise NotImplementedError  # each driver waits in its own way

    def _call_disconnect(self, work: CallDisconnect) -> Any:
        raise NotImplementedError  # each driver waits in its own way

    def _notify(self, work: Notify) -> Any:
        raise NotImplementedError  # each driver waits in its own way

    def _pause(self, work: PauseReading) -> Any:
        raise NotImplementedError  # each driver waits in its own way

    def _settle_ack(self, work: SettleAck) -> Any:
        raise NotImplementedError  # each driver waits in its own way

    def _several(self, work: Several) -> Any:
        raise NotImplementedError  # each driver waits in its own way


def _close_link(work: CloseLink) -> None:
    work.link.owner.end(work.code, work.reason, work.tail)


def _report(work: Report) -> None:
    CLUSTER_LOG.log(logging.getLevelNamesMapping()[work.level.upper()], work.text)


def _nothing(_: None) -> None:
    """There was nothing to do."""
