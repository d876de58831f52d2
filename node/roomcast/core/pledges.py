"""Asks without a deadline, as far as their questions and answers are on their way to the broker (cluster.md 9).

What falls out of this process's own publish queue was never numbered, or is not written again; nobody else will ever
say that it is missing. So whoever waits for it is told from here.
"""

from __future__ import annotations

import msgspec

from roomcast_brokers.messages import Origin
from roomcast_brokers.publishing import PublishQueue, Settled


class Owed(msgspec.Struct, frozen=True):
    """An answer to the ask ``id`` of ``asker``."""

    asker: Origin
    id: int


class Pledges:
    """Tickets of ``queue`` behind which somebody waits. Bounded by the asks that are open, here and elsewhere."""

    __slots__ = ("_asked", "_fallen", "_queue", "_waiting")

    def __init__(self, queue: PublishQueue) -> None:
        self._queue = queue
        self._asked: dict[int, int] = {}  # id of an ask of ours → the ticket of its question
        self._waiting: dict[int, int | Owed] = {}  # ticket, in their order → the ask that was asked, or is answered
        self._fallen: list[int | Owed] = []
        queue.on_fallen = self._fell_out

    def __len__(self) -> int:
        return len(self._asked)

    def asked(self, number: int, ticket: int) -> None:
        """The question of our ask ``number`` was put into the queue."""
        self._asked[number] = ticket
        self._watch(ticket, number)

    def answered(self, owed: Owed, ticket: int) -> None:
        """The answer to somebody else's ask was put into the queue."""
        self._watch(ticket, owed)

    def forget(self, number: int) -> None:
        """Our ask has ended, or has a deadline."""
        self._waiting.pop(self._asked.pop(number, 0), None)

    def was_written(self, number: int) -> bool:
        """Whether the question of our ask, which has no deadline, has been handed to the broker at least once."""
        return self._asked.get(number, self._queue.taken + 1) <= self._queue.taken

    def take_fallen(self) -> list[int | Owed]:
        """What fell out since the last call: ids of our asks, and answers that are owed. To be called now and then."""
        ended = self._queue.oldest
        while self._waiting and (ticket := next(iter(self._waiting))) < ended:
            del self._waiting[ticket]  # with the broker
        fallen, self._fallen = self._fallen, []
        return fallen

    def _watch(self, ticket: int, what: int | Owed) -> None:
        if ticket < self._queue.oldest:
            self._fallen.append(what)  # it did not even fit
        else:
            self._waiting[ticket] = what

    def _fell_out(self, ticket: int, count: int, _: Settled) -> None:
        if self._waiting:
            found = (self._waiting.pop(each, None) for each in range(ticket, ticket + count))
            self._fallen += [each for each in found if each is not None]
