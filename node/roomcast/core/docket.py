"""Marks that wait to be judged, where the back end keeps no order across channels (cluster.md 7).

A mark travels on another channel than the operations that it tells of, and may overtake them. What it shows missing is
confessed a lease later, if it is missing still; the question is later than what.

* **A broker that keeps nothing** delivers at once or never. So it is a lease after the first beat of ours that came
  back after the mark: then this node hears what is published, and is not itself behind.
* **A durable broker** may be delivering for minutes what was published during a break, one channel faster than another:
  that beats come back says nothing of the channel that the mark tells of. There a probe of ours goes out on that very
  channel, and the lease begins when it came back: everything that was with the broker when it was written has been
  delivered by then, since each channel keeps its order (Kafka: a partition). The lease is for what the origin had
  numbered, and its client library was still to hand over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final

from roomcast.core.tracker import Pending, Tracker

# Marks of one tracker that wait. One comes each beat, and until somebody knows when it is due it is one with the next;
# so a lease of six beats needs no more.
MAX_PENDING: Final = 8

_EVERY: Final = ""  # the line of all channels, where beats say when


class _Line:
    """Marks in their order: those whose lease runs, those that wait for what is on its way, and the others."""

    __slots__ = ("covered", "marks", "running")

    def __init__(self) -> None:
        self.marks: deque[tuple[Tracker, str, Pending]] = deque()
        self.running = 0  # the first of them, whose lease runs
        self.covered = 0  # the first of them, for which a lease runs or a probe is on its way

    @property
    def probing(self) -> bool:
        """Whether a probe is on its way for some of them."""
        return self.covered > self.running

    def cover(self) -> None:
        """What comes back next is judged by: all that wait now."""
        for _, _, mark in islice(self.marks, self.covered, None):
            mark.open = False
        self.covered = len(self.marks)

    def uncover(self) -> None:
        """It will not come back."""
        self.covered = self.running

    def begin_lease(self, until: float) -> None:
        """It came back."""
        for _, _, mark in islice(self.marks, self.running, self.covered):
            mark.due = until
        self.running = self.covered

    def take_due(self, now: float) -> Iterator[tuple[Tracker, str, Pending]]:
        while self.running and self.marks[0][2].due <= now:
            self.running -= 1
            self.covered -= 1
            yield self.marks.popleft()


class Docket:
    """``lease`` in seconds. ``durable``: probes say when, otherwise our own beats do. Times are those of the broker."""

    __slots__ = ("_durable", "_lease", "_lines")

    def __init__(self, lease: float, durable: bool) -> None:
        self._lease = lease
        self._durable = durable
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        return sum(len(line.marks) for line in self._lines.values())

    def add(self, tracker: Tracker, channel: str, mark: Pending) -> None:
        """A mark that may show something missing has come."""
        if tracker.pending is None:
            tracker.pending = deque()
        waiting = tracker.pending
        if waiting:
            latest = waiting[-1]
            if (latest.open and latest.gen == mark.gen) or len(waiting) >= MAX_PENDING:
                latest.add(mark)
                return
        waiting.append(mark)
        key = channel if self._durable else _EVERY
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line()
        line.marks.append((tracker, channel, mark))

    def take_due(self, now: float) -> list[tuple[Tracker, str, Pending]]:
        """Those whose lease is over, the earliest of each channel first."""
        due = [entry for line in self._lines.values() for entry in line.take_due(now)]
        for tracker, _, mark in due:
            if tracker.pending:
                tracker.pending.remove(mark)
        self._lines = {key: line for key, line in self._lines.items() if line.marks}
        return due

    def beat(self, now: float) -> None:
        """A beat of ours came back."""
        if not self._durable:
            for line in self._lines.values():
                line.cover()
                line.begin_lease(now + self._lease)

    # --- probes, with a durable broker --------------------------------------------------------------------------------

    def take_channels(self) -> list[str]:
        """Channels on which a probe is to go out now."""
        if not self._durable:
            return []
        found = [
            channel for channel, line in self._lines.items() if not line.probing and line.covered < len(line.marks)
        ]
        for channel in found:
            self._lines[channel].cover()
        return found

    def probed(self, channel: str, now: float) -> None:
        """The probe on that channel has come back."""
        line = self._lines.get(channel)
        if line is not None:
            line.begin_lease(now + self._lease)

    def broken(self) -> None:
        """The broker is away: probes that are on their way do not count."""
        for line in self._lines.values():
            line.uncover()

    def end(self, channel: str) -> None:
        """The channel is not subscribed any more."""
        self._lines.pop(channel, None)
