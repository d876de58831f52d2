"""How many operations this process has written to each channel: numbers for them, and marks that tell.

A receiver that has heard numbers up to 7 and then 10 knows that it missed two. A mark says up to where the numbers have
come, so that the last ones can be missed too.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final

from roomcast_brokers.messages import Mark

MAX_COUNTERS: Final = 100_000  # about 25 MB; a counter that is dropped costs its receivers nothing but certainty
MAX_IDLE: Final = 600.0  # seconds; a counter that is not used for that long is dropped
MIN_IDLE: Final = 10.0  # seconds for which a counter is kept whatever the bound: its marks must get through
MARKED_BEATS: Final = 3  # beats that tell what was published; one of them is heard, or the receiver is lost anyway


class _Counter:
    """One channel. ``gen`` tells it from earlier counters of that channel, which were dropped."""

    __slots__ = ("born", "gen", "last", "used")

    def __init__(self, gen: int, now: float) -> None:
        self.gen = gen
        self.last = 0
        self.born = now
        self.used = now


class Sequences:
    """The counters of one origin, and the source of its mids. Not safe for threads: its owner has the lock."""

    def __init__(self, max_counters: int = MAX_COUNTERS) -> None:
        self.early_evictions = 0
        """Counters dropped for the bound, before they were idle for ten minutes."""
        self._max_counters = max_counters
        self._mid = 0
        self._counters: OrderedDict[str, _Counter] = OrderedDict()  # the one used last is at the end
        # What a counter was before its first use in each beat: the present one and, at most, three before it.
        self._beats: deque[dict[str, int]] = deque([{}], maxlen=MARKED_BEATS + 1)
        self._began: deque[float] = deque([-math.inf], maxlen=MARKED_BEATS + 1)
        self._beat = self._beats[-1]

    def __len__(self) -> int:
        return len(self._counters)

    def next_mid(self) -> int:
        """The number of a new operation, from 1 on; never the same twice."""
        self._mid += 1
        return self._mid

    def number(self, channel: str, count: int, now: float) -> tuple[int, int]:
        """(gen, seq) for a message of ``count`` operations to ``channel``: call it once, when it is first written.

        Numbers of a channel start at 1 and have no holes; the gen of a later counter is higher.
        """
        counter = self._counters.get(channel)
        if counter is None:
            # A mid of its own: no other counter was or will be made at this one.
            counter = self._counters[channel] = _Counter(self.next_mid(), now)
        else:
            self._counters.move_to_end(channel)  # 0.07 µs
        last = counter.last
        if channel not in self._beat:
            self._beat[channel] = last
        counter.last = last + count
        counter.used = now
        return counter.gen, last + 1

    def roll(self, now: float) -> None:
        """A beat: remember where the counters are. Before or after :meth:`marks`, with the same ``now``."""
        self._beat = {}
        self._beats.append(self._beat)
        self._began.append(now)

    def marks(self, now: float) -> list[Mark]:
        """Marks of the channels published to during the last three beats."""
        return [self._mark(channel, before, now) for channel, before in self._recent(now).items()]

    def marks_of(self, channels: Iterable[str] | None, now: float) -> list[Mark]:
        """Marks of all counters of these channels (None: of all channels), for whoever asks.

        First, if the counter is older than three beats, one from its beginning, which is right for who has been
        listening all the time; then the usual one, for who has not; last one of this moment, for who has just begun.
        Their order matters: who can use one of the first must not begin to count at a later one.
        """
        recent = self._recent(now)
        found = []
        for channel in self._counters if channels is None else dict.fromkeys(channels):
            counter = self._counters.get(channel)
            if counter is None:
                continue
            before = recent.get(channel, counter.last)
            if before:
                found.append(self._mark(channel, 0, now))
            found.append(self._mark(channel, before, now))
            found.append(Mark(channel, counter.gen, counter.last, counter.last, 0))
        return found

    def tick(self, now: float) -> None:
        """Drop counters that were idle for ten minutes, and the idlest ones beyond the bound. Due about each beat."""
        while self._counters:
            channel, counter = next(iter(self._counters.items()))
            idle = now - counter.used
            early = idle < MAX_IDLE
            if early and (len(self._counters) <= self._max_counters or idle < MIN_IDLE):
                return
            self.early_evictions += early
            del self._counters[channel]
            for beat in self._beats:
                beat.pop(channel, None)

    # -- three beats ago

    def _window(self, now: float) -> int:
        """Where the last three beats begin in ``_beats``; the present one does not count when it begins right now."""
        beats = MARKED_BEATS + 1 if self._began[-1] == now else MARKED_BEATS
        return max(0, len(self._beats) - beats)

    def _recent(self, now: float) -> dict[str, int]:
        """Channels published to during the last three beats, and what their counters were before."""
        found: dict[str, int] = {}
        for beat in list(self._beats)[self._window(now) :]:
            for channel, before in beat.items():
                found.setdefault(channel, before)
        return found

    def _mark(self, channel: str, before: int, now: float) -> Mark:
        counter = self._counters[channel]
        # It was 0 when it was made, and that is known more exactly than where it was three beats ago.
        since = self._began[self._window(now)] if before else counter.born
        return Mark(channel, counter.gen, before, counter.last, max(0, math.ceil((now - since) * 1000)))
