"""What became of what was emitted: the promise of an emitter to its caller (cluster.md 7)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

import msgspec

from roomcast_brokers.publishing import Settled


class Outcome(StrEnum):
    """Where it is. A ``str``, so that a task may return it as it is."""

    DELIVERED = "delivered"
    """With the broker. Nodes that miss it there count it as lost."""
    QUEUED = "queued"
    """Here, until the broker is back, or it falls out."""
    DROPPED = "dropped"
    """Given up, never written: nobody gets it."""
    UNCONFIRMED = "unconfirmed"
    """Given up after it was written: it may have arrived; nodes that find it missing count it as lost."""


_OUTCOMES = {
    Settled.DELIVERED: Outcome.DELIVERED,
    Settled.DROPPED: Outcome.DROPPED,
    Settled.ABANDONED: Outcome.UNCONFIRMED,
}

# Of what goes out in two copies, the worse end counts.
_WORSE = (Outcome.DELIVERED, Outcome.UNCONFIRMED, Outcome.DROPPED)


class Parcel:
    """What one call posted: one operation, or the two copies that may be one client's or one room's.

    What concerned nobody is with the broker from the start.
    """

    __slots__ = ("_end", "_missing", "_waiters")

    def __init__(self, operations: int) -> None:
        self._missing = operations
        self._end = Outcome.DELIVERED
        self._waiters: list[Callable[[], None]] | None = None

    def ended(self) -> bool:
        """Whether nothing more can become of it."""
        return not self._missing

    @property
    def outcome(self) -> Outcome:
        """What became of it so far."""
        return Outcome.QUEUED if self._missing else self._end

    def end(self, how: Settled) -> None:
        """One of its operations has ended."""
        self._end = max(self._end, _OUTCOMES[how], key=_WORSE.index)
        self._missing -= 1
        if not self._missing and self._waiters is not None:
            for waiter in self._waiters:
                waiter()

    def when_ended(self, waiter: Callable[[], None]) -> None:
        """Have ``waiter`` called when it ends, which it has not yet."""
        self._waiters = [*(self._waiters or ()), waiter]

    def forget(self, waiter: Callable[[], None]) -> None:
        """Do not call ``waiter`` any more."""
        self._waiters = [each for each in self._waiters or () if each != waiter]


class Receipt(msgspec.Struct, frozen=True):
    """What an emitter answers: what had become of it when the call returned."""

    outcome: Outcome
    _settle: Callable[[float | None], Outcome] | None = None

    @property
    def delivered(self) -> bool:
        """Whether the broker had it."""
        return self.outcome is Outcome.DELIVERED

    def wait(self, timeout: float | None = None) -> Outcome:
        """Block until what was queued has ended, at most ``timeout`` seconds; where it is then."""
        return self.outcome if self._settle is None else self._settle(timeout)


class AsyncReceipt(msgspec.Struct, frozen=True):
    """As :class:`Receipt`, for an event loop."""

    outcome: Outcome
    _settle: Callable[[float | None], Coroutine[Any, Any, Outcome]] | None = None

    @property
    def delivered(self) -> bool:
        """Whether the broker had it."""
        return self.outcome is Outcome.DELIVERED

    async def wait(self, timeout: float | None = None) -> Outcome:
        """Wait until what was queued has ended, at most ``timeout`` seconds; where it is then."""
        return self.outcome if self._settle is None else await self._settle(timeout)
