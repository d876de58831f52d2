"""A node's own beats, written to the broker and heard again: its clock, its rounds, and whether it is deaf (cluster.md
8).

**Rounds.** Time passes for peers only as fast as beats of ours come back through the broker. A *round* is over when
one came back that was written after the round before it was over. So an outage of the broker ends no round; and a
stall of our own ends one at most: the beats that are read in one go after it were all written before the first of them
was read, and what peers wrote meanwhile is read before the next round. The first beat after a break begins a round and
ends none.

**Clock.** ``clock`` is the moment at which the latest of our beats that came back was written. Whatever is read after
that beat went through the broker after that moment, however late it is read. A beat is due at once after
:meth:`OwnBeats.up`: what is written behind it is answered after it came back.

**Deaf** is who has written three beats since the last break and has had none back within a lease. After a stall of
ours, what came back may wait in our sockets; so it is read before we judge. With a durable broker our beats wait behind
all that was published during a break: as long as that comes in, a node is busy, not deaf (:meth:`OwnBeats.busy`).
"""

from __future__ import annotations

from collections import deque
from typing import Final

# Seconds for which a node that has not heard itself is believed to be catching up: as long as publishers keep for a
# durable broker what it cannot take, so that there is no longer backlog than that of this many seconds.
MAX_BUSY: Final = 120.0


class OwnBeats:
    """When beats are due and what their coming back means. ``beat`` in seconds, ``lease`` in beats."""

    __slots__ = (
        "_barrier",
        "_beat",
        "_deaf_at",
        "_heard_at",
        "_is_up",
        "_lease",
        "_looked",
        "_next",
        "_number",
        "_written",
        "clock",
        "is_deaf",
        "lag",
        "rounds",
        "silent",
    )

    def __init__(self, beat: float, lease: int, started: float) -> None:
        self.clock = started
        self.lag = 0.0  # seconds that the latest beat that came back was on its way
        self.rounds = 0
        self.is_deaf = False  # whatever became of the connection, until one comes back
        self.silent = False  # writes none: a twin has our tag
        self._beat = beat
        self._lease = lease
        self._is_up = False
        self._next: float | None = None
        self._number = 0  # of the latest beat written
        self._written: deque[tuple[int, float]] = deque()  # since the last break; not come back
        self._barrier: int | None = None  # a beat with a higher number ends the round; None: the next begins one
        self._looked = self._heard_at = started
        self._deaf_at: float | None = None

    @property
    def is_up(self) -> bool:
        """Whether the broker is there, as far as was told."""
        return self._is_up

    def up(self, now: float) -> None:
        """The broker is there and we are subscribed. A beat is due at once."""
        self._is_up = True
        self._looked = self._heard_at = now
        self._written.clear()
        self._barrier = None
        self._next = None if self.silent else now
        self._deaf_at = None

    def down(self) -> None:
        """The broker is away; what was written counts no more."""
        self._is_up = False
        self._written.clear()
        self._next = self._deaf_at = None

    def silence(self, silent: bool) -> None:
        """Write none from now on, or begin again."""
        self.silent = silent
        self._next = self._looked if self._is_up and not silent else None
        self._deaf_at = None

    def due(self) -> float | None:
        """When :meth:`write` or :meth:`fell_deaf` has something to do."""
        if self._next is None or self._deaf_at is None:
            return self._next
        return min(self._next, self._deaf_at)

    def write(self, now: float) -> int | None:
        """The number of the beat to be written now; None if none is due. Those of a stall are not made up for."""
        self._look(now)
        due = self._next
        if due is None or now < due:
            return None
        self._next = due + self._beat if due + self._beat > now else now + self._beat
        self._number += 1
        self._written.append((self._number, now))
        if self._deaf_at is None and len(self._written) >= self._lease:
            self._deaf_at = max(self._written[0][1] + self._lease * self._beat, now + self._beat)
        return self._number

    def fell_deaf(self, now: float) -> bool:
        """Whether it has turned out now that what we write does not come back; true once per lease of silence."""
        self._look(now)
        if self._deaf_at is None or now < self._deaf_at:
            return False
        self._written.clear()
        self._deaf_at = None
        self.is_deaf = True
        return True

    def busy(self, now: float) -> None:
        """Something else came in, and ours may be behind it."""
        if self._deaf_at is not None:
            later = min(now + self._lease * self._beat, self._heard_at + MAX_BUSY)
            self._deaf_at = max(self._deaf_at, later)

    def came_back(self, number: int, now: float) -> bool | None:
        """One came back: whether that ends a round. None: it is of before the last break, repeated, or made up.

        Those before it, if they are missing, will not come any more, since order is kept.
        """
        written = self._written
        if not written or not written[0][0] <= number <= self._number:
            return None
        while written[0][0] < number:
            written.popleft()
        self.clock = written.popleft()[1]
        self.lag = now - self.clock
        self._heard_at = now
        self._deaf_at = None
        self.is_deaf = False
        barrier = self._barrier
        if barrier is None or number > barrier:
            self._barrier = self._number
        if barrier is None or number <= barrier:
            return False
        self.rounds += 1
        return True

    def _look(self, now: float) -> None:
        if self._deaf_at is not None and now - self._looked > 2 * self._beat:
            self._deaf_at = max(self._deaf_at, now + self._beat)
        self._looked = now
