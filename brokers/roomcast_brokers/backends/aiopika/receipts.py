"""How much of what was handed over the server surely has.

In the fast mode one request follows what was written; when it is answered, everything before it is with the server. In
the durable mode the server confirms each message by its number, many at a time or one by one, not always in their
order. Either way the listener hears of the oldest ones.
"""

from __future__ import annotations


class Receipts:
    """``sent`` counts the messages of one connection: the number of the latest, as the server counts them."""

    __slots__ = ("_early", "_told", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self._told = 0
        self._early: set[int] = set()  # confirmed, before one that is older

    @property
    def outstanding(self) -> int:
        """Messages that may still become accepted."""
        return self.sent - self._told

    def forget(self) -> None:
        """What was sent so far will not be accepted any more, whatever the server says."""
        self._told = self.sent
        self._early.clear()

    def up_to(self, number: int) -> int:
        """All up to this one are with the server. Returns how many more of the oldest that makes."""
        before = self._told
        if number <= before:
            return 0
        told = min(number, self.sent)
        early = self._early
        if early:
            while told + 1 in early:
                told += 1
            self._early = {each for each in early if each > told}
        self._told = told
        return told - before

    def confirmed(self, number: int, multiple: bool) -> int:
        """The server confirms this one, or (``multiple``) all up to it (0: all). Returns as :meth:`up_to`."""
        if multiple:
            return self.up_to(number or self.sent)
        if number == self._told + 1:
            return self.up_to(number)
        if self._told < number <= self.sent:
            self._early.add(number)
        return 0
