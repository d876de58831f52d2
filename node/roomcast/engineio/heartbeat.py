"""[hot] The heartbeat of every session of a node (wire.md 1.8): two queues for all, no task and no timer for each.

Every session waits equally long for its ping, and equally long for its pong. So whoever begins to wait joins the end of
a queue, the head is always the next to be due, and nothing is ever sorted or searched: joining, leaving and changing
queues cost the same with one session and with a hundred thousand. The queues' links lie in the sessions themselves.

A ping is due ``interval`` after the pong (or the opening), not at a fixed rate; its pong ``timeout`` after the ping was
due to leave, whether or not it could. All times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast

# Values of Beat.awaited
NOT_AWAITED: Final = 0
AWAITED: Final = 1
AWAITED_AGAIN: Final = 2  # some other packet came instead of the pong and has bought time, which it may once per ping


# A driver's timer is a few milliseconds late. So late (seconds) a pong still counts from when its ping was due, or the
# lateness of two timers would add up; after a standstill it counts from when the ping really left.
PUNCTUAL: Final = 0.05


class Beat:
    """A place in a wheel; whatever has a heartbeat derives from it. All slots belong to the wheel.

    ``awaited`` is true from a ping until its pong, so that callers can spare :meth:`Wheel.touched` while it is not.
    """

    __slots__ = ("awaited", "due", "next", "prev")

    def __init__(self) -> None:
        self.prev: Beat | None = None
        self.next: Beat | None = None
        self.due = 0.0
        self.awaited = NOT_AWAITED


B = TypeVar("B", bound=Beat)


class Wheel(Generic[B]):
    """The heartbeats of one node. ``on_earlier(due)`` is told when a deadline arises that comes before all others.

    ``now`` is the latest time that the wheel was told.
    """

    __slots__ = ("_answers", "_grace", "_interval", "_pings", "_timeout", "now", "on_earlier")

    def __init__(self, interval: float, timeout: float, on_earlier: Callable[[float], object] | None = None) -> None:
        self._interval = interval
        self._timeout = timeout
        self._pings = _ring()  # waiting for their ping, by due time
        self._answers = _ring()  # waiting for their pong, by due time
        self._grace = 0.0  # added to every due time in the second queue: see extend()
        self.now = 0.0
        self.on_earlier = on_earlier

    def due(self) -> float | None:
        """When :meth:`ping` or :meth:`expired` has something to say next; None while nobody is in the wheel."""
        ping, answer = self._pings.next, self._answers.next
        if answer is self._answers:
            return None if ping is self._pings else cast("Beat", ping).due
        late = cast("Beat", answer).due + self._grace
        return late if ping is self._pings else min(cast("Beat", ping).due, late)

    @property
    def lonely(self) -> bool:
        """Whether exactly one waits for its ping."""
        return self._pings.next is self._pings.prev is not self._pings

    def add(self, entry: B, now: float) -> None:
        """A session has opened: its first ping is due after the interval. It must not be in a wheel."""
        self._await_ping(entry, now)

    def remove(self, entry: B) -> None:
        """A session has closed. Removing it again, or one that was never added, is fine."""
        if entry.next is not None:
            _unlink(entry)
        entry.awaited = NOT_AWAITED

    def pong(self, entry: B, now: float) -> None:
        """A pong has come. One that nobody asked for is ignored, as one that comes after the end."""
        if entry.awaited:
            _unlink(entry)
            self._await_ping(entry, now)

    def touched(self, entry: B, now: float) -> None:
        """Some other packet has come: while a pong is awaited it restarts the time-out, once per ping (wire.md 1.8)."""
        if entry.awaited == AWAITED:
            _unlink(entry)
            self._await_pong(entry, now, AWAITED_AGAIN)

    def rearm(self, entry: B, now: float) -> None:
        """Give a pong that is awaited its whole time again: an upgrade has replaced the transport under it."""
        if entry.awaited:
            _unlink(entry)
            self._await_pong(entry, now, AWAITED)

    def ping(self, now: float) -> list[B]:
        """Who is to be pinged now, longest overdue first; their pongs are awaited from now on."""
        due = self._take(self._pings, now, 0.0)
        punctual = bool(due) and now - due[0].due <= PUNCTUAL
        for entry in due:
            self._await_pong(entry, entry.due if punctual else now, AWAITED)
        self.now = now
        return due

    def expired(self, now: float) -> list[B]:
        """Whose pong is overdue, longest first; they are out of the wheel. Ask before :meth:`ping`."""
        return self._take(self._answers, now, self._grace)

    def extend(self, seconds: float) -> None:
        """Give everybody whose pong is awaited that much more time: the node itself stood still, and pongs lie unread.

        Those who are pinged after it have the usual time. As long as ``seconds`` is no more than the standstill took,
        the queue stays in order; with more, some may be found out late by the difference.
        """
        if self._answers.next is not self._answers:
            self._grace += seconds

    def _await_ping(self, entry: Beat, now: float) -> None:
        self.now = now
        entry.awaited = NOT_AWAITED
        entry.due = now + self._interval
        _append(self._pings, entry)
        # Only the first of its queue can come before what the driver waits for already.
        if entry.prev is self._pings and self.on_earlier is not None and self.due() == entry.due:
            self.on_earlier(entry.due)

    def _await_pong(self, entry: Beat, now: float, awaited: int) -> None:
        self.now = now
        entry.awaited = awaited
        if self._answers.next is self._answers:
            self._grace = 0.0  # nobody is left to whom it was given
        entry.due = now + self._timeout - self._grace
        _append(self._answers, entry)

    def _take(self, ring: Beat, now: float, grace: float) -> list[B]:
        """Unlink everybody who is due by now."""
        self.now = now
        taken: list[B] = []
        while (head := cast("B", ring.next)) is not ring and head.due + grace <= now:
            _unlink(head)
            head.awaited = NOT_AWAITED
            taken.append(head)
        return taken


def _ring() -> Beat:
    """An empty queue: a beat linked to itself, so that no end is a special case."""
    ring = Beat()
    ring.prev = ring.next = ring
    return ring


def _append(ring: Beat, entry: Beat) -> None:
    last = cast("Beat", ring.prev)
    entry.prev = last
    entry.next = ring
    last.next = ring.prev = entry


def _unlink(entry: Beat) -> None:
    before, after = cast("Beat", entry.prev), cast("Beat", entry.next)
    before.next = after
    after.prev = before
    entry.prev = entry.next = None  # a reference that stayed would keep a closed neighbour alive
