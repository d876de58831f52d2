"""Which channels this node wants to hear, which are confirmed, and who waits for that (cluster.md 6).

Nothing is subscribed here: :meth:`Subscriptions.take` gives what is to be said to the broker, in order, and the
broker's confirmations come in, or the proof by a probe where it gives none (:mod:`roomcast.core.probes`). The back end
itself subscribes what is wanted again after a break, and confirms it with the same generation; so a break makes no
changes here, it only makes every channel unconfirmed.

The states of a channel are the table ``CHANNEL``; what is missing there cannot happen. A channel that nobody wants is
kept for ``LINGER`` seconds, so that members who come and go do not make the broker work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

# The last member's leaving unsubscribes so many seconds later (cluster.md 6).
LINGER: Final = 1.0

# A channel
ABSENT: Final = "absent"
PENDING: Final = "pending"  # wanted; the broker has not confirmed it, or not since the last break
CONFIRMED: Final = "confirmed"
LEAVING: Final = "leaving"  # confirmed, but its last member has left; unsubscribed when LINGER is over
LEAVING_PENDING: Final = "leaving, pending"

# What happens to it
WANT: Final = "wanted"
DROP: Final = "last member left"
CONFIRM: Final = "confirmed, or a probe heard"
BREAK: Final = "connection broken"
LINGERED: Final = "lingered"

CHANNEL: Final[Mapping[tuple[str, str], str]] = {
    (ABSENT, WANT): PENDING,
    (PENDING, WANT): PENDING,
    (PENDING, CONFIRM): CONFIRMED,
    (PENDING, DROP): LEAVING_PENDING,
    (PENDING, BREAK): PENDING,
    (CONFIRMED, WANT): CONFIRMED,
    (CONFIRMED, CONFIRM): CONFIRMED,
    (CONFIRMED, DROP): LEAVING,
    (CONFIRMED, BREAK): PENDING,
    (LEAVING, WANT): CONFIRMED,
    (LEAVING, DROP): LEAVING,
    (LEAVING, CONFIRM): LEAVING,
    (LEAVING, BREAK): LEAVING_PENDING,
    (LEAVING, LINGERED): ABSENT,
    (LEAVING_PENDING, WANT): PENDING,
    (LEAVING_PENDING, DROP): LEAVING_PENDING,
    (LEAVING_PENDING, CONFIRM): LEAVING,
    (LEAVING_PENDING, BREAK): LEAVING_PENDING,
    (LEAVING_PENDING, LINGERED): ABSENT,
}

IS_CONFIRMED: Final = frozenset({CONFIRMED, LEAVING})
IS_WANTED: Final = frozenset({PENDING, CONFIRMED})


class Change(msgspec.Struct, frozen=True):
    """Something to say to the broker: subscribe ``channel`` with this generation, or (None) unsubscribe it."""

    channel: str
    generation: int | None


class _Channel:
    __slots__ = ("generation", "leaves", "since", "state", "told", "waiters")

    def __init__(self) -> None:
        self.state = ABSENT
        self.generation = 0
        self.since: float | None = None  # when it was confirmed first
        self.leaves = 0.0  # when lingering is over
        self.waiters: list[object] = []
        self.told = False  # the back end has said that it is subscribed, whether that is believed or not


class Subscriptions:
    """The channels of one node. ``on_ready`` is called when there is something to take and there was nothing before."""

    __slots__ = ("_changes", "_channels", "_generation", "_leaving", "confirmed_count", "on_ready", "wanted_count")

    def __init__(self, on_ready: Callable[[], object] | None = None) -> None:
        self.on_ready = on_ready
        self.confirmed_count = 0  # channels that the broker has confirmed, the lingering ones included
        self.wanted_count = 0  # channels that have members
        self._channels: dict[str, _Channel] = {}
        self._changes: list[Change] = []
        self._leaving: deque[tuple[float, str]] = deque()  # in the order of their time, since all linger equally long
        self._generation = 0

    def __contains__(self, channel: str) -> bool:
        """Whether it is subscribed, or about to be, lingering included."""
        return channel in self._channels

    def want(self, channel: str, now: float) -> int:
        """The first member has come. May be called again; calls a lingering drop off. Returns the generation."""
        entry = self._channels.get(channel)
        if entry is None:
            entry = self._channels[channel] = _Channel()
            self._generation += 1
            entry.generation = self._generation
            self._change(Change(channel, entry.generation))
        self._move(entry, WANT)
        return entry.generation

    def drop(self, channel: str, now: float) -> None:
        """The last member has left: unsubscribed ``LINGER`` seconds later. A channel that is not wanted is fine."""
        entry = self._channels.get(channel)
        if entry is None or entry.state not in IS_WANTED:
            return
        self._move(entry, DROP)
        entry.leaves = now + LINGER
        self._leaving.append((entry.leaves, channel))

    def confirmed(self, channel: str, generation: int, now: float) -> list[object]:
        """The broker has confirmed this generation; returns whose wait is over. An old generation means nothing."""
        entry = self._channels.get(channel)
        if entry is None or entry.generation != generation:
            return []
        self._move(entry, CONFIRM)
        if entry.since is None:
            entry.since = now
        return _let_go(entry)

    def told(self, channel: str, generation: int) -> None:
        """The back end has said that this generation is subscribed; whether that is so may be yet to be found out."""
        entry = self._channels.get(channel)
        if entry is not None and entry.generation == generation:
            entry.told = True

    def is_told(self, channel: str) -> bool:
        """Whether what the back end delivers is of the present subscription. What one thread of its own delivers while
        another unsubscribes may come after that, and after the next subscription; what it confirms comes later still.
        """
        entry = self._channels.get(channel)
        return entry is not None and entry.told

    def is_confirmed(self, channel: str) -> bool:
        """Whether what is published to it now arrives here."""
        entry = self._channels.get(channel)
        return entry is not None and entry.state in IS_CONFIRMED

    def channels(self) -> list[str]:
        """All that are subscribed or about to be, lingering ones included."""
        return list(self._channels)

    def since(self, channel: str) -> float | None:
        """When it was confirmed for the first time since it was subscribed, whatever broke meanwhile."""
        entry = self._channels.get(channel)
        return None if entry is None else entry.since

    def wait(self, channel: str, waiter: object) -> bool:
        """Whether there is something to wait for. Then ``waiter`` comes back once, unless it is forgotten before:
        from :meth:`confirmed`, :meth:`broken`, or (everybody has left meanwhile) :meth:`tick`.
        """
        entry = self._channels.get(channel)
        if entry is None or entry.state in IS_CONFIRMED:
            return False
        entry.waiters.append(waiter)
        return True

    def forget_waiter(self, channel: str, waiter: object) -> None:
        """It waits no longer; one that does not wait is fine."""
        entry = self._channels.get(channel)
        if entry is not None and waiter in entry.waiters:
            entry.waiters.remove(waiter)

    def broken(self, now: float) -> list[object]:
        """The broker is away: nothing is confirmed any more, and everybody who waits is let go."""
        released: list[object] = []
        for entry in self._channels.values():
            self._move(entry, BREAK)
            released += _let_go(entry)
        return released

    def take(self, now: float) -> list[Change]:
        """What is to be said to the broker, in this order."""
        changes, self._changes = self._changes, []
        return changes

    def due(self) -> float | None:
        """When :meth:`tick` has something to do. May be too early by a drop that was called off."""
        return self._leaving[0][0] if self._leaving else None

    def tick(self, now: float) -> list[object]:
        """Unsubscribe what has lingered; returns whose wait ends by that."""
        released: list[object] = []
        while self._leaving and self._leaving[0][0] <= now:
            leaves, channel = self._leaving.popleft()
            entry = self._channels.get(channel)
            if entry is None or entry.state in IS_WANTED or entry.leaves != leaves:
                continue  # that drop was called off
            self._move(entry, LINGERED)
            del self._channels[channel]
            released += _let_go(entry)
            self._change(Change(channel, None))
        return released

    def _move(self, entry: _Channel, event: str) -> None:
        before = entry.state
        entry.state = after = CHANNEL[before, event]
        self.confirmed_count += (after in IS_CONFIRMED) - (before in IS_CONFIRMED)
        self.wanted_count += (after in IS_WANTED) - (before in IS_WANTED)

    def _change(self, change: Change) -> None:
        self._changes.append(change)
        if len(self._changes) == 1 and self.on_ready is not None:
            self.on_ready()


def _let_go(entry: _Channel) -> list[object]:
    waiters, entry.waiters = entry.waiters, []
    return waiters
