"""What was missed, and what came twice: the numbers of every origin on every channel (cluster.md 7).  [hot: heard]

Per origin and channel a tracker knows two places. **Heard**: the highest (gen, seq) that came as data. At or below it
is a repeat; a jump above it is loss. **Told**: what marks have shown to be published and missing. It was confessed,
but marks make no repeats: data that comes after all is delivered, and counted in ``recanted``. Since each channel
keeps its order, data closes whatever is below it, so both places are plain numbers and nothing grows.

**Where counting begins.** A first message with number 1 leaves nothing open. One with a higher number leaves open
whether those below it were published before this node heard the channel; so does a first mark, for what is at or below
its ``before``. The tracker remembers that in ``open``: the numbers up to it are neither heard nor confessed. A later
mark of the same gen answers, if its ``before`` lies in the time since our confirmation: what is open above ``before``
was missed. Data of a later gen than one that is known counts from 1, since that counter was made while we listened.

**Time.** ``begin`` and ``heard`` take the present time. ``mark`` and ``tick`` take the time of the broker:
:attr:`roomcast.core.membership.Membership.clock`, the moment at which our latest beat that came back was written. A
mark that is read late, after a stall or a break, says what was so at an earlier moment than that of its reading, but
hardly at an earlier one than that. ``tick`` is called after each beat of ours that came back; so what waits in a
stalled node's sockets is read before it is confessed, and there is no ``due``.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count as counter
from math import inf
from typing import Final

import msgspec

from roomcast_brokers.messages import Mark, Origin

# A tracker takes about 0.4 KiB. Both numbers are those of cluster.md 7.
MAX_TRACKERS: Final = 100_000
IDLE: Final = 1200.0

# A mark tells of our time only if its `before` was so at least this long after our confirmation: that is how long it
# may have been on its way to the broker.
SLACK: Final = 1.0

# Marks of one counter that wait for a lease, where order across channels is not kept: one a beat comes.
MAX_WAITING: Final = 8

# Gaps that nobody has taken yet. Beyond it they are counted in `lost` only.
MAX_GAPS: Final = 1_000

NONE: Final = -1  # no gen


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
        self.trackers: dict[Origin, _Tracker] = {}


class _Tracker:
    __slots__ = ("at", "channel", "floor", "gen", "next", "open", "origin", "seq", "told", "told_gen", "waiting")

    def __init__(self, channel: _Channel, origin: Origin, now: float) -> None:
        self.channel: _Channel | None = channel  # None: forgotten
        self.origin = origin
        self.at = now
        self.gen = NONE  # heard
        self.seq = 0
        self.next = 0  # seq + 1 where nothing is told beyond seq: the only number that the short way takes
        self.open = 0  # numbers of gen up to this one, below the first one heard: not known whether missed
        self.told_gen = NONE  # told: of this gen, those above floor, as far as not heard, up to told
        self.floor = 0
        self.told = 0
        self.waiting: deque[tuple[float, int, int]] | None = None  # due, gen, last


class Tracking:
    """All trackers of one node.

    ``ordered``: the back end keeps the order of one origin across channels, so that a mark can be believed at once;
    otherwise it is judged ``lease`` seconds later, by the time of the broker.
    """

    __slots__ = (
        "_channels",
        "_count",
        "_gaps",
        "_idle",
        "_lease",
        "_order",
        "_ordered",
        "_waiting",
        "duplicates",
        "early_evictions",
        "lost",
        "recanted",
    )

    def __init__(self, ordered: bool, lease: float) -> None:
        self.lost = 0  # operations confessed, those that came after all included
        self.recanted = 0  # operations that were confessed by marks and came after all
        self.duplicates = 0
        self.early_evictions = 0  # trackers that gave way to others before they were idle
        self._ordered = ordered
        self._lease = lease
        self._channels: dict[str, _Channel] = {}
        self._count = 0
        self._idle: list[tuple[float, int, _Tracker]] = []  # a heap; when it was heard may be later by now
        self._order = counter()
        self._waiting: deque[_Tracker] = deque()  # one entry for each that a tracker has waiting, oldest first
        self._gaps: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return self._count

    def begin(self, channel: str, now: float) -> None:
        """The subscription is confirmed. Means nothing when it was before: counting goes on through breaks."""
        known = self._channels.get(channel)
        if known is None:
            self._channels[channel] = _Channel(channel, now)
        elif known.since == inf:
            known.since = now

    def end(self, channel: str) -> None:
        """It is unsubscribed: forget it."""
        known = self._channels.pop(channel, None)
        if known is not None:
            for tracker in known.trackers.values():
                tracker.channel = None
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
        elif tracker.next == seq and tracker.gen == gen:  # 9 of 10 million come another way
            tracker.seq = seq + count - 1
            tracker.next = seq + count
            tracker.at = now
            return 0
        tracker.at = now
        return self._judge(tracker, gen, seq, count)

    def _judge(self, tracker: _Tracker, gen: int, seq: int, count: int) -> int:
        repeats = 0
        if tracker.gen != NONE and gen <= tracker.gen:
            repeats = count if gen < tracker.gen else min(max(tracker.seq - seq + 1, 0), count)
            self.duplicates += repeats
            if repeats == count:
                return count
        first, last = seq + repeats, seq + count - 1
        told = floor = 0
        if gen == tracker.told_gen:
            told, floor = tracker.told, tracker.floor
            self.recanted += max(0, min(last, told) - max(first - 1, floor))
        if gen == tracker.gen:
            begun = tracker.seq
        elif gen == tracker.told_gen and first > floor:
            begun = tracker.open = floor
        elif max(tracker.gen, tracker.told_gen) in range(gen):  # an earlier gen is known: this one is counted from 1
            begun = tracker.open = 0
        else:
            begun = tracker.open = first - 1
        self._confess(tracker, first - 1 - max(begun, told))
        tracker.gen = gen
        tracker.seq = last
        tracker.next = last + 1 if told <= last and tracker.told_gen <= gen else 0
        return repeats

    # --- marks --------------------------------------------------------------------------------------------------------

    def mark(self, origin: Origin, mark: Mark, now: float) -> None:
        """A mark of that origin has come. ``now`` is the time of the broker."""
        known = self._channels.get(mark.channel)
        if known is None:
            return
        can_tell = now - mark.since_ms / 1000 - SLACK >= known.since
        tracker = known.trackers.get(origin)
        if tracker is None:
            if not can_tell:
                return
            tracker = self._track(known, origin, now)
            tracker.told_gen, tracker.floor, tracker.told = mark.gen, mark.before, mark.before
        tracker.at = max(tracker.at, now)
        if can_tell:
            self._answer(tracker, mark)
        if self._is_missing(tracker, mark.gen, mark.last):
            if self._ordered:
                self._tell(tracker, mark.gen, mark.last)
            else:
                self._wait(tracker, mark.gen, mark.last, now + self._lease)

    def tick(self, now: float) -> None:
        """Judge the marks that have waited long enough, and forget what is idle. ``now`` is the time of the broker."""
        waiting = self._waiting
        while waiting:
            tracker = waiting[0]
            if tracker.channel is None or not tracker.waiting:
                waiting.popleft()
                continue
            due, gen, last = tracker.waiting[0]
            if due > now:
                break
            waiting.popleft()
            tracker.waiting.popleft()
            if self._is_missing(tracker, gen, last):
                self._tell(tracker, gen, last)
        self._forget_idle(now)

    def take_gaps(self) -> list[Gap]:
        """What was confessed since the last call, by origin and channel."""
        gaps, self._gaps = self._gaps, {}
        return [Gap(origin, channel, count) for (origin, channel), count in gaps.items()]

    def _answer(self, tracker: _Tracker, mark: Mark) -> None:
        """What was published after the mark's ``before`` is ours: what is open above it was missed."""
        before = mark.before
        if mark.gen == tracker.gen and before < tracker.open:
            self._confess(tracker, tracker.open - before)
            tracker.open = before
        if mark.gen == tracker.told_gen and before < tracker.floor and tracker.gen != mark.gen:
            self._confess(tracker, tracker.floor - before)
            tracker.floor = before

    def _is_missing(self, tracker: _Tracker, gen: int, last: int) -> bool:
        if gen < tracker.gen or gen < tracker.told_gen:
            return False
        return not (gen == tracker.gen and last <= tracker.seq) and not (
            gen == tracker.told_gen and last <= tracker.told
        )

    def _tell(self, tracker: _Tracker, gen: int, last: int) -> None:
        """What was published up to ``last`` and has not come is missed."""
        if gen != tracker.told_gen:
            tracker.told_gen, tracker.told = gen, 0
            tracker.floor = tracker.seq if gen == tracker.gen else 0
        known = max(tracker.told, tracker.seq if gen == tracker.gen else 0)
        self._confess(tracker, last - max(known, tracker.floor))
        tracker.told = last
        tracker.next = 0

    def _wait(self, tracker: _Tracker, gen: int, last: int, due: float) -> None:
        if tracker.waiting is None:
            tracker.waiting = deque()
        if len(tracker.waiting) >= MAX_WAITING:  # the newest waits longer; it says all that the one before it says
            tracker.waiting[-1] = (due, gen, last)
            return
        tracker.waiting.append((due, gen, last))
        self._waiting.append(tracker)

    def _confess(self, tracker: _Tracker, count: int) -> None:
        if count <= 0 or tracker.channel is None:
            return
        self.lost += count
        key = (tracker.origin.name, tracker.channel.name)
        if key in self._gaps or len(self._gaps) < MAX_GAPS:
            self._gaps[key] = self._gaps.get(key, 0) + count

    # --- bounds -------------------------------------------------------------------------------------------------------

    def _track(self, channel: _Channel, origin: Origin, now: float) -> _Tracker:
        while self._count >= MAX_TRACKERS:
            if self._forget_oldest(inf):
                self.early_evictions += 1
        tracker = channel.trackers[origin] = _Tracker(channel, origin, now)
        self._count += 1
        if len(self._idle) > 2 * self._count + MAX_WAITING:  # most of it was ended: subscriptions that came and went
            self._idle = [entry for entry in self._idle if entry[2].channel is not None]
            heapq.heapify(self._idle)
        heapq.heappush(self._idle, (now, next(self._order), tracker))
        return tracker

    def _forget_idle(self, now: float) -> None:
        while self._idle and self._idle[0][0] <= now - IDLE:
            self._forget_oldest(now - IDLE)

    def _forget_oldest(self, until: float) -> bool:
        """Take the top of the heap: put it where it belongs by now, or forget it, not heard after ``until``."""
        at, _, tracker = self._idle[0]
        channel = tracker.channel
        if channel is not None and (tracker.at > at or at > until):
            heapq.heapreplace(self._idle, (tracker.at, next(self._order), tracker))
            return False
        heapq.heappop(self._idle)
        if channel is None:
            return False
        del channel.trackers[tracker.origin]
        tracker.channel = None
        self._count -= 1
        if channel.since == inf and not channel.trackers:  # was never confirmed: nobody will end it
            self._channels.pop(channel.name, None)
        elif channel.since != inf:  # who comes again was heard until then: earlier numbers are no loss
            channel.since = max(channel.since, tracker.at)
        return True
