"""What this process has asked other nodes and waits for: every ask ends exactly once (cluster.md 9).

An ask ends by its answer, its deadline, the loss of the node that owes the answer, or by being withdrawn; whichever
comes first takes the waiter out, and nothing that comes later finds it. What an end means for the waiter is the
caller's matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from roomcast.engineio.deadlines import Deadline, Deadlines
from roomcast_brokers.messages import Origin

# Ids are unsigned 64-bit numbers, which is what MessagePack's integers take. They begin anywhere, so that an answer to
# an earlier life of this tag (or a made-up one) does not meet an ask.
ID_BITS: Final = 64


class _Ask:
    __slots__ = ("deadline", "owner", "waiter")

    def __init__(self, waiter: object, owner: Origin | None) -> None:
        self.waiter = waiter
        self.owner = owner
        self.deadline: Deadline | None = None


class Replies:
    """The asks of one process that are open. ``random_bits`` is called once, as ``random_bits(64)``."""

    __slots__ = ("_asks", "_deadlines", "_next", "_owned", "late")

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self.late = 0  # answers that nobody waits for (any more), or from another than who owes them
        self._asks: dict[int, _Ask] = {}
        self._owned: dict[Origin, dict[int, None]] = {}
        self._deadlines = Deadlines()
        self._next = random_bits(ID_BITS) or 1  # 0 is no ask's

    def __len__(self) -> int:
        return len(self._asks)

    def open(self, waiter: object, owner: Origin | None, deadline: float | None) -> int:
        """Begin to wait; returns the id of the ask.

        ``owner`` is the node that owes the answer, in the life that is known now: an answer of anybody else is none.
        None: the first answer counts, whoever gives it (a callback on a room). ``deadline`` is a moment, in seconds;
        without one the ask ends with its owner, or when it is withdrawn.
        """
        number = self._next
        self._next = (number + 1) % (1 << ID_BITS) or 1
        ask = self._asks[number] = _Ask(waiter, owner)
        if owner is not None:
            self._owned.setdefault(owner, {})[number] = None
        if deadline is not None:
            ask.deadline = self._deadlines.add(deadline, lambda _: self._end(number))
        return number

    def answer(self, number: int, sender: Origin) -> object | None:
        """An answer has come; returns the waiter, whose ask has ended by that. None: it was late, and is counted."""
        ask = self._asks.get(number)
        if ask is None or (ask.owner is not None and ask.owner != sender):
            self.late += 1
            return None
        return self._end(number)

    def expire(self, now: float) -> list[object]:
        """End what has reached its deadline; returns the waiters, the earliest first."""
        return self._deadlines.run(now)

    def due(self) -> float | None:
        """When :meth:`expire` has something to do. May be too early, by an ask that has ended already."""
        return self._deadlines.due()

    def lost(self, owner: Origin) -> list[object]:
        """That life of a node is over (lost, left or restarted): end what it owes; returns the waiters in order."""
        return [self._end(number) for number in tuple(self._owned.get(owner, ()))]

    def owed_by(self, owner: Origin) -> list[int]:
        """The ids of the asks that this life of a node owes answers to, in order."""
        return list(self._owned.get(owner, ()))

    def all(self) -> list[object]:
        """Every waiter, oldest first; they go on waiting."""
        return [ask.waiter for ask in self._asks.values()]

    def withdraw(self, number: int) -> object | None:
        """Nobody waits for it any longer; returns the waiter, or None if it has ended already."""
        return self._end(number) if number in self._asks else None

    def _end(self, number: int) -> object:
        ask = self._asks.pop(number)
        if ask.owner is not None:
            owed = self._owned[ask.owner]
            del owed[number]
            if not owed:
                del self._owned[ask.owner]
        self._deadlines.cancel(ask.deadline)
        return ask.waiter
