"""What the application asked of clients and waits for: each question ends once, by whatever comes first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roomcast.core.work import SettleAck
from roomcast.exceptions import TimeoutError as CallTimeoutError

if TYPE_CHECKING:
    from roomcast.core.sockets import Socket
    from roomcast.engineio.deadlines import Deadline, Deadlines


class Question:
    """Stands for ``waiter`` in the tables of all clients that were asked.

    It ends with the first answer, with the last client that goes, at its deadline, or when it is withdrawn; then no
    table knows it any more. ``event`` is named in the error of a time-out.
    """

    __slots__ = ("_deadline", "_deadlines", "asked", "event", "waiter")

    def __init__(self, waiter: Any, event: str, deadlines: Deadlines) -> None:
        self.waiter = waiter
        self.event = event
        self.asked: list[tuple[Socket, int]] = []
        self._deadlines = deadlines
        self._deadline: Deadline | None = None

    def limit(self, timeout: float, now: float) -> None:
        """Let it end ``timeout`` seconds from ``now``."""

        def late(_: float) -> SettleAck:
            self.withdraw()
            error = CallTimeoutError(f"no acknowledgement of {self.event!r} within {timeout} seconds")
            return SettleAck(self.waiter, error=error)

        self._deadline = self._deadlines.add(now + timeout, late)

    def withdraw(self) -> None:
        """Nobody waits for it any longer; more than once is fine."""
        asked, self.asked = self.asked, []
        for socket, ack_id in asked:
            if socket.acks is not None:
                socket.acks.take(ack_id)
        self._deadlines.cancel(self._deadline)

    def without(self, socket: Socket) -> bool:
        """That client will not answer any more: whether it was the last one who could."""
        self.asked = [entry for entry in self.asked if entry[0] is not socket]
        if not self.asked:
            self.withdraw()
        return not self.asked


def answered(waiter: Any, args: tuple[Any, ...]) -> SettleAck:
    """The work when a client has answered: ``waiter`` is what its table held."""
    if type(waiter) is Question:
        waiter.withdraw()
        waiter = waiter.waiter
    return SettleAck(waiter, args)


def given_up(waiter: Any, socket: Socket, error: Exception) -> Iterator[SettleAck]:
    """The work when a client will not answer any more."""
    if type(waiter) is Question:
        if waiter.without(socket):
            yield SettleAck(waiter.waiter, error=error)
    else:
        yield SettleAck(waiter, error=error)
