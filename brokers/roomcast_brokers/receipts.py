"""Receipts that come in another order than the messages went out: from several servers, or partitions of a topic."""

from __future__ import annotations

from collections import deque


class Receipts:
    """Puts the answers of several servers into the order in which the messages were handed over.

    Not safe for threads.
    """

    __slots__ = ("_credit", "_order")

    def __init__(self) -> None:
        self._order: deque[object] = deque()
        self._credit: dict[object, int] = {}

    def sent(self, server: object) -> None:
        """One more message was handed over, and ``server`` is to answer it."""
        self._order.append(server)

    def answered(self, server: object, count: int) -> int:
        """``server`` accepted ``count`` more; returns how many of the oldest messages are accepted by that."""
        credit, order = self._credit, self._order
        credit[server] = credit.get(server, 0) + count
        accepted = 0
        while order and credit.get(order[0], 0):
            credit[order.popleft()] -= 1
            accepted += 1
        return accepted
