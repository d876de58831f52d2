"""Deadlines of rare things (an upgrade, an attachment, an acknowledgement): one heap per node, no timer each.

Heartbeats do not live here; they have lists of their own (:mod:`roomcast.engineio.heartbeat`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

# Cancelled entries stay in the heap until their time unless they are more than these and more than half of it.
COMPACT_ABOVE = 64


class Deadline:
    """One appointment: ``action(now)`` is called once at ``due`` (seconds, monotonic) unless cancelled before."""

    __slots__ = ("action", "due")

    def __init__(self, due: float, action: Callable[[float], Any] | None) -> None:
        self.due = due
        self.action = action


class Deadlines:
    """A heap of appointments. ``on_earlier(due)`` is told when a new one comes before all others."""

    __slots__ = ("_cancelled", "_heap", "_order", "on_earlier")

    def __init__(self, on_earlier: Callable[[float], object] | None = None) -> None:
        self._heap: list[tuple[float, int, Deadline]] = []
        self._order = count()
        self._cancelled = 0
        self.on_earlier = on_earlier

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def add(self, due: float, action: Callable[[float], Any]) -> Deadline:
        """Make an appointment; what ``action`` returns comes out of :meth:`run`."""
        deadline = Deadline(due, action)
        earliest = not self._heap or due < self._heap[0][0]
        heapq.heappush(self._heap, (due, next(self._order), deadline))
        if earliest and self.on_earlier is not None:
            self.on_earlier(due)
        return deadline

    def cancel(self, deadline: Deadline | None) -> None:
        """Call an appointment off; None, a past one and a second call are fine. Lets go of the action at once."""
        if deadline is None or deadline.action is None:
            return
        deadline.action = None
        self._cancelled += 1
        if self._cancelled > COMPACT_ABOVE and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def clear(self) -> None:
        """Call all appointments off."""
        for _, _, deadline in self._heap:
            deadline.action = None
        self._heap = []
        self._cancelled = 0

    def due(self) -> float | None:
        """Time of the next appointment, or None. May be that of a cancelled one, which costs one idle turn."""
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> list[Any]:
        """Call every action whose time has come, oldest first, and return what they answered, without the Nones."""
        answers = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            deadline = heapq.heappop(heap)[2]
            action, deadline.action = deadline.action, None
            if action is None:
                self._cancelled -= 1
                continue
            answer = action(now)
            if answer is not None:
                answers.append(answer)
            heap = self._heap  # an action may have compacted it
        return answers
