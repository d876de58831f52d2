"""What was missed, and what came twice: the numbers of every origin on every channel (cluster.md 7).  [hot: heard]

What the numbers mean is in :mod:`roomcast.core.tracker`; here is who has one, when marks are believed, and the bounds.

**Time.** ``begin`` and ``heard`` take the present time. ``mark`` and ``tick`` take the time of the broker:
:attr:`roomcast.core.membership.Membership.clock`, the moment at which our latest beat that came back was written. A
mark that is read late, after a stall or a break, says what was so at an earlier moment than that of its reading, but
hardly at an earlier one than that. ``tick`` is called after each beat of ours that came back; so what waits in a
stalled node's sockets is read before it is confessed, and there is no ``due``.
"""

from __future__ import annotations

import heapq
from itertools import count as counter
from math import inf
from typing import Final

import msgspec

from roomcast.core.docket import Docket
from roomcast.core.tracker import Pending, Tracker
from roomcast_brokers.messages import Mark, Origin

# A tracker takes about 0.4 KiB. Both numbers are those of cluster.md 7.
MAX_TRACKERS: Final = 100_000
IDLE: Final = 1200.0

# So many entries of the heap more than trackers are not worth looking for the dead ones.
FEW: Final = 8

# Looked at in one tick: 4 µs each, so that 100,000 that became idle together stop nobody.
FORGET_AT_ONCE: Final = 1_000

# A mark tells of our time only if its `before` was so at least this long after our confirmation: that is how long it
# may have been on its way to the broker.
SLACK: Final = 1.0

# Gaps that nobody has taken yet. Beyond it they are counted in `lost` only.
MAX_GAPS: Final = 1_000


class Gap(msgspec.Struct, frozen=True):
    """So many operations of one origin on one channel were missed."""

    origin: str
    channel: str
    count: int


class _Channel:
    __slots__ = ("name", "since", "trackers")

    def __init__(self, name: str, since: float) -> None:
        self.name = name
        self.since = since  # what marks say of earlier times is not ours
        self.trackers: dict[Origin, Tracker] = {}


class Tracking:
    """All trackers of one node.

    ``ordered``: the back end keeps the order of one origin across channels, so that a mark can be believed at once:
    whatever it tells of has come before it, or never will, whether the broker is ``durable`` or not. Otherwise it waits
    in the ``docket``. ``own`` is the channel on which others ask this node and answer it.
    """

    __slots__ = (
        "_channels",
        "_count",
        "_gaps",
        "_idle",
        "_order",
        "_ordered",
        "_own",
        "_unheard",
        "docket",
        "duplicates",
        "early_evictions",
        "lost",
        "recanted",
    )

    def __init__(self, ordered: bool, lease: float, durable: bool = False, own: str = "") -> None:
        self.lost = 0  # operations confessed, those that came after all included
        self.recanted = 0  # operations that were confessed by marks and came after all
        self.duplicates = 0
        self.early_evictions = 0  # trackers that gave way to others before they were idle
        self._ordered = ordered
        self._channels: dict[str, _Channel] = {}
        self._count = 0
        self._idle: list[tuple[float, int, Tracker, _Channel]] = []  # a heap; when it was heard may be later by now
        self._order = counter()
        self.docket = Docket(lease, durable)
        self._gaps: dict[tuple[str, str], int] = {}
        self._own = own
        self._unheard: dict[Origin, None] = {}

    def __len__(self) -> int:
        return self._count

    def begin(self, channel: str, now: float) -> bool:
        """The subscription is confirmed; whether for the first time. Counting goes on through breaks."""
        known = self._channels.get(channel)
        if known is None:
            self._channels[channel] = _Channel(channel, now)
        elif known.since == inf:
            known.since = now
        else:
            return False
        return True

    def end(self, channel: str) -> None:
        """It is unsubscribed: forget it."""
        self.docket.end(channel)
        known = self._channels.pop(channel, None)
        if known is not None:
            for tracker in known.trackers.values():
                tracker.alive = False
            self._count -= len(known.trackers)

    # --- data ---------------------------------------------------------------------------------------------------------

    def heard(self, origin: Origin, channel: str, gen: int, seq: int, count: int, now: float) -> int:
        """``count`` operations from number ``seq`` on have come: how many of the first of them are repeats.

        Also before the channel is confirmed, where repeats are found too. Not for control messages.
        """
        known = self._channels.get(channel)
        if known is None:
            known = self._channels[channel] = _Channel(channel, inf)
        tracker = known.trackers.get(origin)
        if tracker is None:
            tracker = self._track(known, origin, now)
        elif tracker.seq + 1 == seq and tracker.plain == gen:  # nearly always: 0.2 µs instead of 0.6
            tracker.seq = seq + count - 1
            tracker.at = now
            return 0
        tracker.at = now
        repeats, missed, recanted = tracker.heard(gen, seq, count)
        self.duplicates += repeats
        self.recanted += recanted
        self._confess(tracker, channel, missed)
        return repeats

    # --- marks --------------------------------------------------------------------------------------------------------

    def mark(self, origin: Origin, mark: Mark, now: float) -> None:
        """A mark of that origin has come. ``now`` is the time of the broker."""
        known = self._channels.get(mark.channel)
        if known is None:
            return
        before = mark.before if now - mark.since_ms / 1000 - self._slack(mark) >= known.since else None
        tracker = known.trackers.get(origin)
        if tracker is None:
            if before is None:
                return
            tracker = self._track(known, origin, now)
        tracker.at = max(tracker.at, now)
        if not tracker.is_news(mark.gen, before, mark.last):
            return
        if self._ordered:
            self._confess(tracker, mark.channel, tracker.marked(mark.gen, before, mark.last))
        else:
            self.docket.add(tracker, mark.channel, Pending(mark.gen, before, mark.last))

    def _slack(self, mark: Mark) -> float:
        """Nobody writes on our own channel before we were heard: a counter that is not older than we are is ours."""
        return -SLACK if mark.channel == self._own and not mark.before else SLACK

    def tick(self, now: float) -> None:
        """Judge the marks that have waited long enough, and forget what is idle. ``now`` is the time of the broker."""
        for tracker, channel, mark in self.docket.take_due(now):
            if tracker.alive:
                self._confess(tracker, channel, tracker.marked(mark.gen, mark.before, mark.last))
        self.docket.beat(now)
        self._forget_idle(now)

    def take_gaps(self) -> list[Gap]:
        """What was confessed since the last call, by origin and channel."""
        gaps, self._gaps = self._gaps, {}
        return [Gap(origin, channel, count) for (origin, channel), count in gaps.items()]

    def take_unheard(self) -> list[Origin]:
        """Of whom something was missed on our own channel since the last call."""
        unheard, self._unheard = self._unheard, {}
        return list(unheard)

    def _confess(self, tracker: Tracker, channel: str, count: int) -> None:
        if not count:
            return
        self.lost += count
        if channel == self._own:
            self._unheard[tracker.origin] = None
        key = (tracker.origin.name, channel)
        if key in self._gaps or len(self._gaps) < MAX_GAPS:
            self._gaps[key] = self._gaps.get(key, 0) + count

    # --- bounds -------------------------------------------------------------------------------------------------------

    def _track(self, channel: _Channel, origin: Origin, now: float) -> Tracker:
        tracker = channel.trackers[origin] = Tracker(origin, now)
        self._count += 1
        if len(self._idle) > 2 * self._count + FEW:  # most of it was ended: subscriptions that came and went
            self._idle = [entry for entry in self._idle if entry[2].alive]
            heapq.heapify(self._idle)
        heapq.heappush(self._idle, (now, next(self._order), tracker, channel))
        while self._count > MAX_TRACKERS:
            self.early_evictions += self._forget_oldest(inf)
        return tracker

    def _forget_idle(self, now: float) -> None:
        for _ in range(FORGET_AT_ONCE):
            if not self._idle or self._idle[0][0] > now - IDLE:
                break
            self._forget_oldest(now - IDLE)

    def _forget_oldest(self, until: float) -> bool:
        """Take the top of the heap: put it where it belongs by now, or forget it, not heard after ``until``."""
        at, _, tracker, channel = self._idle[0]
        if tracker.alive and (tracker.at > at or at > until):
            heapq.heapreplace(self._idle, (tracker.at, next(self._order), tracker, channel))
            return False
        heapq.heappop(self._idle)
        if not tracker.alive:
            return False
        del channel.trackers[tracker.origin]
        tracker.alive = False
        self._count -= 1
        if channel.since != inf:  # what is heard of it again: earlier numbers may have been heard
            channel.since = max(channel.since, tracker.at)
        elif not channel.trackers:  # never confirmed, so nobody will end it
            del self._channels[channel.name]
        return True
