"""How far one origin has been heard on one channel, and what of it was missed (cluster.md 7).

A tracker knows two places. **Heard**: the highest (gen, seq) that came as data. At or below it is a repeat; a jump
above it is loss. **Told**: what marks have shown to be published and missing. It was confessed, but marks make no
repeats: data that comes after all is delivered, and its confession recanted. Since each channel keeps its order, data
closes whatever is below it; so both places are plain numbers, and nothing grows.

**Where counting begins.** A first message with number 1 leaves nothing open. One with a higher number leaves open
whether those below it were published before this node heard the channel; so does a first mark, for what is at or below
its ``before``. Numbers up to ``open`` (or, while only marks have come, ``floor``) are neither heard nor confessed. A
later mark of the same gen answers, if its ``before`` lies in the time since our confirmation: what is open above
``before`` was missed. A later gen than one that is known counts from 1, since that counter was made while we listened.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections import deque

    from roomcast_brokers.messages import Origin

NONE: Final = -1  # no gen


class Pending:
    """A mark that is judged later. ``before`` None: what it was lies in a time that is not ours."""

    __slots__ = ("before", "due", "gen", "last", "open")

    def __init__(self, gen: int, before: int | None, last: int) -> None:
        self.due = inf  # not known yet
        self.open = True  # a later mark may become one with it
        self.gen = gen
        self.before = before
        self.last = last

    def add(self, later: Pending) -> None:
        """A later mark of the same origin says what this one said, and more."""
        if later.gen == self.gen:
            befores = [each for each in (self.before, later.before) if each is not None]
            self.before = min(befores, default=None)
            self.last = max(self.last, later.last)
        else:
            self.gen, self.before, self.last = later.gen, later.before, later.last


class Tracker:
    """One origin on one channel. ``at`` is when it was heard last."""

    __slots__ = ("alive", "at", "floor", "gen", "open", "origin", "pending", "plain", "seq", "told", "told_gen")

    def __init__(self, origin: Origin, now: float) -> None:
        self.origin = origin
        self.at = now
        self.alive = True  # False: forgotten
        self.gen = NONE  # heard
        self.seq = 0
        self.plain = NONE  # gen, while nothing is told beyond seq: then the next number in order needs no thought
        self.open = 0
        self.told_gen = NONE  # told: of this gen those above floor up to told, as far as they were not heard
        self.floor = 0
        self.told = 0
        self.pending: deque[Pending] | None = None

    def heard(self, gen: int, seq: int, count: int) -> tuple[int, int, int]:
        """Data has come: how many of the first of it are repeats, how many before it were missed, how many recanted."""
        repeats = 0
        if self.gen != NONE and gen <= self.gen:
            repeats = count if gen < self.gen else min(max(self.seq - seq + 1, 0), count)
            if repeats == count:
                return count, 0, 0
        below, last = seq + repeats - 1, seq + count - 1
        told = recanted = 0
        if gen == self.told_gen:
            told = self.told
            recanted = max(0, min(last, told) - max(below, self.floor))
        begun = self._begun(gen, below)
        self.gen, self.seq = gen, last
        self.plain = gen if told <= last else NONE
        return repeats, max(0, below - max(begun, told)), recanted

    def _begun(self, gen: int, below: int) -> int:
        """The number above which all up to ``below`` that are not told are missed."""
        if gen == self.gen:
            return self.seq
        if gen == self.told_gen and below >= self.floor:
            self.open = self.floor
        elif self.gen != NONE or NONE != self.told_gen < gen:
            self.open = 0
        else:
            self.open = below
        return self.open

    def is_news(self, gen: int, before: int | None, last: int) -> bool:
        """Whether a mark may say something that is not known: most only say that everything was heard."""
        return gen != self.gen or last > self.seq or (before is not None and before < self.open)

    def marked(self, gen: int, before: int | None, last: int) -> int:
        """A mark is believed: how many more were missed. ``before`` as in :class:`Pending`."""
        missed = 0
        if before is not None:
            if self.gen == self.told_gen == NONE:
                self.told_gen, self.floor, self.told = gen, before, before
            missed = self._answered(gen, before)
        if (gen, last) <= (self.gen, self.seq) or (gen, last) <= (self.told_gen, self.told):
            return missed
        seq = self.seq if gen == self.gen else 0
        if gen != self.told_gen:
            self.told_gen, self.floor, self.told = gen, seq, seq
        missed += last - max(self.told, seq)
        self.told = last
        self.plain = NONE
        return missed

    def _answered(self, gen: int, before: int) -> int:
        missed = 0
        if gen == self.gen:
            missed = max(0, self.open - before)
            self.open -= missed
        elif gen == self.told_gen:
            missed = max(0, self.floor - before)
            self.floor -= missed
        return missed
