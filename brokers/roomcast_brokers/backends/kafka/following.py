"""What is heard of which channels, and where in each partition reading goes on: through every break.

A partition is read from the end that it has when a channel in it is wanted first, and on from there without a gap, as
long as anything in it is wanted and :data:`LINGER` longer. A channel is heard from the end that its partition had when
it was subscribed. No I/O, no clock: offsets and moments come as arguments.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from roomcast_brokers.backends.kafka.partitions import Place, slot_of, topic_of

# Seconds for which a partition is read on in which nothing is wanted any more. Whoever comes back within it needs no
# other assignment; and where a topic was given more partitions, so that channels moved, it is the time in which
# publishers that have not noticed are still heard.
LINGER: Final = 60.0


class Topic(msgspec.Struct, frozen=True):
    """A topic as it is now. ``identity`` differs from that of an earlier topic of the same name (None: not known)."""

    name: str
    identity: str | None
    partitions: int


class Record(Protocol):
    """What is used of kafka-python's ``ConsumerRecord``."""

    key: bytes | None
    value: bytes | None
    offset: int


class Change(msgspec.Struct, frozen=True):
    """A wish: hear ``channel`` (``generation`` None: no longer). ``anew``: it was not wanted in the meantime."""

    channel: str
    generation: int | None
    anew: bool = True


class _Heard:
    """A channel: where it is, and from which offset on there it is heard (None: not known yet)."""

    __slots__ = ("channel", "generation", "place", "start")

    def __init__(self, channel: str, generation: int, place: Place) -> None:
        self.channel = channel
        self.generation = generation
        self.place = place
        self.start: int | None = None


class Following:
    """Belongs to one thread at a time. ``topic`` is the operator's; None: each channel's cluster is its topic."""

    def __init__(self, topic: str | None = None) -> None:
        self.topics: dict[str, Topic] = {}
        self.positions: dict[Place, int] = {}
        """Of each partition that is read the offset of what is read next."""
        self.grown_at = -math.inf
        """When it was noticed last that a topic has more partitions."""
        self._topic = topic
        self._heard: dict[bytes | None, _Heard] = {}  # by the keys of records
        self._wanted: Counter[Place] = Counter()  # channels
        self._unwanted: dict[Place, float] = {}  # since when nothing there is wanted
        # Of a topic that was made anew or has grown the number of the first partition that began empty meanwhile.
        self._fresh: dict[str, int] = {}

    def topic_of(self, channel: str) -> str:
        return self._topic or topic_of(channel)

    def place_of(self, channel: str) -> Place:
        """Where ``channel`` is; its topic has to be known."""
        topic = self.topics[self.topic_of(channel)]
        return topic.name, slot_of(channel) % topic.partitions

    # --- wishes -------------------------------------------------------------------------------------------------------

    def change(self, changes: Iterable[Change], now: float) -> None:
        """Take wishes. Those for which :attr:`awaited` has a partition are in force after :meth:`begin`."""
        for change in changes:
            key = change.channel.encode()
            heard = self._heard.get(key)
            if heard is not None and (change.generation is None or change.anew):
                del self._heard[key]
                self._leave(heard.place, now)
                heard = None
            if change.generation is not None:
                if heard is None:
                    heard = self._heard[key] = _Heard(change.channel, change.generation, self.place_of(change.channel))
                    self._enter(heard.place)
                heard.generation = change.generation

    @property
    def awaited(self) -> set[Place]:
        """Partitions whose ends have to be known before what is wanted in them is heard."""
        return {heard.place for heard in self._heard.values() if heard.start is None}

    def begin(self, ends: Mapping[Place, int]) -> set[Place]:
        """Hear what was awaited in these partitions from these offsets on. Returns what is not being read so far."""
        unread = set()
        for heard in self._heard.values():
            if heard.start is None and heard.place in ends:
                heard.start = ends[heard.place]
                if heard.place not in self.positions:
                    self.positions[heard.place] = heard.start
                    unread.add(heard.place)
        return unread

    def generations(self, channels: Iterable[str]) -> dict[str, int]:
        """Which of these are in force now, and for which wish."""
        found = {}
        for channel in channels:
            heard = self._heard.get(channel.encode())
            if heard is not None and heard.start is not None:
                found[channel] = heard.generation
        return found

    # --- a break ------------------------------------------------------------------------------------------------------

    def renew(self, topics: Iterable[Topic], wanted: Mapping[str, int], now: float) -> None:
        """Hear exactly ``wanted`` in these topics, as they are now; :meth:`resume` has to follow.

        What was heard before goes on where it was; in a topic that was made anew, where that begins.
        """
        for topic in topics:
            before = self.topics.get(topic.name)
            self.topics[topic.name] = topic
            if before is None or before == topic:
                continue
            if before.identity != topic.identity or before.partitions > topic.partitions:
                self._forget(topic.name)
                self._fresh[topic.name] = 0
            elif before.partitions < topic.partitions:
                self._fresh.setdefault(topic.name, before.partitions)
                self.grown_at = now
        gone = [Change(each.channel, None) for each in self._heard.values() if each.channel not in wanted]
        self.change([*gone, *(Change(channel, generation, anew=False) for channel, generation in wanted.items())], now)
        for heard in self._heard.values():
            self._move(heard, now)

    def _forget(self, topic: str) -> None:
        for place in [place for place in self.positions if place[0] == topic]:
            del self.positions[place]
            self._unwanted.pop(place, None)
        for heard in self._heard.values():
            if heard.place[0] == topic:
                heard.start = None

    def _move(self, heard: _Heard, now: float) -> None:
        """Follow a channel whose topic has other partitions now. It is heard all that is read where it has come."""
        place = self.place_of(heard.channel)
        if place != heard.place:
            self._enter(place)
            self._leave(heard.place, now)
            heard.place = place
            if heard.start is not None:
                heard.start = 0

    def places(self) -> set[Place]:
        """The partitions that are to be read."""
        return {*self._wanted, *self.positions}

    def resume(self, begins: Mapping[Place, int], ends: Mapping[Place, int]) -> None:
        """Decide where reading goes on in each of :meth:`places`, of which these are the first and the next offsets.

        Where it was before; if that is not there any more, where the log begins, or ends if it was cut short.
        """
        for place, end in ends.items():
            position = self.positions.get(place)
            if position is None:
                topic, number = place
                position = begins[place] if number >= self._fresh.get(topic, number + 1) else end
            self.positions[place] = min(max(position, begins[place]), end)
        for heard in self._heard.values():
            if heard.start is None:
                topic, number = heard.place
                heard.start = 0 if number >= self._fresh.get(topic, number + 1) else ends[heard.place]
        self._fresh.clear()

    # --- reading ------------------------------------------------------------------------------------------------------

    def take(self, place: Place, records: Iterable[Record]) -> list[tuple[str, bytes]]:
        """What of these records, which come next in that partition, is heard: (channel, payload)."""
        heard = self._heard.get
        taken = []
        record: Any = None
        for record in records:
            channel = heard(record.key)
            if channel is None or record.value is None:
                continue
            # In another partition than its own stands what was published while the topic had fewer.
            start = channel.start if place == channel.place else 0
            if start is not None and record.offset >= start:
                taken.append((channel.channel, record.value))
        if record is not None:
            self.positions[place] = record.offset + 1
        return taken

    def let_go(self, now: float) -> set[Place]:
        """The partitions that need not be read any longer; they are forgotten."""
        over = {place for place, since in self._unwanted.items() if now - since >= LINGER}
        for place in over:
            del self._unwanted[place]
            self.positions.pop(place, None)
        return over

    def _enter(self, place: Place) -> None:
        self._wanted[place] += 1
        self._unwanted.pop(place, None)

    def _leave(self, place: Place, now: float) -> None:
        self._wanted[place] -= 1
        if not self._wanted[place]:
            del self._wanted[place]
            if place in self.positions:
                self._unwanted[place] = now
