"""What is asked of clients and waited for: each question ends once, by whatever comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from roomcast.core.work import SettleAck
from roomcast.exceptions import TimeoutError as CallTimeoutError

if TYPE_CHECKING:
    from roomcast.core.sockets import Socket
    from roomcast.engineio.deadlines import Deadline, Deadlines


class Waiter:
    """Somebody in the core who waits for an answer, where otherwise the application does."""

    __slots__ = ()

    def settle(self, args: tuple[Any, ...], error: Exception | None) -> Any:
        """The answer, or why there is none; called once. Returns work."""
        raise NotImplementedError  # each kind of waiter says what it does


def settle(waiter: Any, args: tuple[Any, ...] = (), error: Exception | None = None) -> Any:
    """The work when a wait has ended, whoever waits."""
    return waiter.settle(args, error) if isinstance(waiter, Waiter) else SettleAck(waiter, args, error)


class Question:
    """Stands for ``waiter`` in the tables of all clients that were asked.

    It ends with the first answer, with the last client that goes, at its deadline, or when it is withdrawn; then no
    table knows it any more. ``event`` is named in the error of a time-out. ``elsewhere`` withdraws it from the table of
    what other nodes were asked; while it is set, the clients of this node are not the last who could answer.
    """

    __slots__ = ("_deadline", "_deadlines", "asked", "elsewhere", "event", "waiter")

    def __init__(self, waiter: Any, event: str, deadlines: Deadlines) -> None:
        self.waiter = waiter
        self.event = event
        self.asked: list[tuple[Socket, int]] = []
        self.elsewhere: Callable[[], object] | None = None
        self._deadlines = deadlines
        self._deadline: Deadline | None = None

    def limit(self, timeout: float, now: float) -> None:
        """Let it end ``timeout`` seconds from ``now``."""

        def late(_: float) -> Any:
            return self.fail(CallTimeoutError(f"no acknowledgement of {self.event!r} within {timeout:g} seconds"))

        self._deadline = self._deadlines.add(now + timeout, late)

    def withdraw(self) -> None:
        """Nobody waits for it any longer; more than once is fine."""
        asked, self.asked = self.asked, []
        for socket, ack_id in asked:
            if socket.acks is not None:
                socket.acks.take(ack_id)
        elsewhere, self.elsewhere = self.elsewhere, None
        if elsewhere is not None:
            elsewhere()
        self._deadlines.cancel(self._deadline)

    def overdue(self, now: float) -> bool:
        """Whether its time is up."""
        return self._deadline is not None and self._deadline.due <= now

    def answer(self, args: tuple[Any, ...]) -> Any:
        """It is answered; returns work."""
        self.withdraw()
        return settle(self.waiter, args)

    def fail(self, error: Exception) -> Any:
        """It will not be answered; returns work."""
        self.withdraw()
        return settle(self.waiter, error=error)

    def without(self, socket: Socket) -> bool:
        """That client will not answer any more: whether it was the last one who could."""
        self.asked = [entry for entry in self.asked if entry[0] is not socket]
        return not self.asked and self.elsewhere is None


def answered(waiter: Any, args: tuple[Any, ...]) -> Any:
    """The work when a client has answered: ``waiter`` is what its table held."""
    return waiter.answer(args) if type(waiter) is Question else settle(waiter, args)


def given_up(waiter: Any, socket: Socket, error: Exception) -> Iterator[Any]:
    """The work when a client will not answer any more."""
    if type(waiter) is not Question:
        yield settle(waiter, error=error)
    elif waiter.without(socket):
        yield waiter.fail(error)
