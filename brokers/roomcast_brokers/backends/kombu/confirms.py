"""How many of the messages of one connection the broker has confirmed: by number, many at a time or one by one, and not
always in their order.
"""

from __future__ import annotations


class Confirms:
    """Messages are numbered from 1, in the order in which they are sent; ``sent`` is the number of the latest."""

    __slots__ = ("_confirmed", "_early", "_taken", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self._confirmed = 0  # all up to this one
        self._early: set[int] = set()  # some of those beyond it
        self._taken = 0

    @property
    def missing(self) -> bool:
        """Whether something was sent that is not confirmed."""
        return self._confirmed < self.sent

    def confirm(self, number: int, multiple: bool) -> None:
        """This one is confirmed, or (``multiple``) all up to it."""
        if multiple:
            self._confirmed = max(self._confirmed, number)
            self._early = {each for each in self._early if each > self._confirmed}
        elif number > self._confirmed:
            self._early.add(number)
        while self._confirmed + 1 in self._early:
            self._confirmed += 1
            self._early.discard(self._confirmed)

    def take(self) -> int:
        """How many more of the oldest are confirmed since this was last asked."""
        count, self._taken = self._confirmed - self._taken, self._confirmed
        return count
