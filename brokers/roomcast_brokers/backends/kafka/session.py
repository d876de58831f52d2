"""All that there is between a broker and Kafka from one break to the next: it is made and ended as one.

A producer, a consumer and a client that asks, each with its connections, and five threads beside the broker's: each of
these has one, and the reader and the watcher have one of ours. kafka-python mends connections by itself, and nothing is
lost by that. Whatever it cannot mend ends the session, and its owner makes another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from roomcast_brokers.backends.kafka.following import Change, Following, Topic
from roomcast_brokers.backends.kafka.location import Location
from roomcast_brokers.backends.kafka.network import REQUEST_TIMEOUT
from roomcast_brokers.backends.kafka.partitions import Place, slot_of, topic_of
from roomcast_brokers.backends.kafka.reader import Reader
from roomcast_brokers.backends.kafka.topics import Topics
from roomcast_brokers.backends.kafka.watcher import Watcher
from roomcast_brokers.backends.kafka.writer import Writer, open_producer
from roomcast_brokers.errors import BrokerUnreachableError

# Seconds for which nothing is written after a topic was given more partitions: by then every reader has noticed, and
# none begins to read a partition behind what was published there. What was published before has been read by then, so
# that nothing overtakes it in another partition.
SETTLING: Final = 3.0

# Channels whose places are remembered, at 300 bytes each.
MAX_REMEMBERED: Final = 8_192


class Session:
    """Belongs to the broker's thread, which may be rung and must look at :attr:`trouble` then.

    Raises :class:`BrokerUnreachableError` if Kafka is not reached; then nothing is left. ``wanted`` is subscribed, each
    channel in the given generation, and ``topics`` are used besides; ``following`` is the session's until :meth:`end`.
    """

    def __init__(
        self,
        location: Location,
        following: Following,
        wanted: Mapping[str, int],
        topics: Iterable[str],
        ring: Callable[[], None],
    ) -> None:
        self.trouble: BrokerUnreachableError | None = None
        self.awaited = set(wanted)
        """Channels whose confirmation is still to be told before Kafka is reached; whoever tells it takes them out."""
        self._location = location
        self._ring = ring
        self._following = following
        self._places: dict[str, tuple[Place, bytes]] = {}
        self._topics = Topics(location)
        ends: list[Callable[[], None]] = [self._topics.close]
        try:
            self.writer = Writer(open_producer(location), ring, self._fail)
            ends.append(self.writer.abandon)
            names = {*topics, *(following.topic_of(channel) for channel in wanted)}
            self._known = {name: self._find(name) for name in names}
            following.renew(self._known.values(), wanted, time.monotonic())
            self.settled_at = following.grown_at + SETTLING
            """From this moment on it may be written."""
            self.reader = Reader(location, following, self._topics, self.writer.nudge, ring, self._fail)
            self.reader.begin(wanted)
        except BaseException:
            for end in ends:
                end()
            raise
        self._watcher = Watcher(self._topics, self._known, self._fail)
        self._watcher.start()

    @property
    def topics(self) -> set[str]:
        """Those that are used."""
        return set(self._known)

    def change(self, changes: Iterable[Change]) -> None:
        """Take wishes; the reader's arrivals tell when they are in force. Raises BrokerUnreachableError."""
        found = [(change, self._topic_of(change.channel)) for change in changes]
        self.awaited |= {change.channel for change, _ in found if change.generation is not None}
        self.awaited -= {change.channel for change, _ in found if change.generation is None}
        self.reader.change(found)

    def send(self, channel: str, payload: bytes) -> None:
        """Hand one message over. Raises BrokerUnreachableError."""
        found = self._places.get(channel)
        if found is None:
            topic = self._topic_of(channel)
            if len(self._places) >= MAX_REMEMBERED:
                self._places.clear()
            found = (topic.name, slot_of(channel) % topic.partitions), channel.encode()
            self._places[channel] = found
        self.writer.send(*found, payload)

    def end(self) -> None:
        """End everything, and wait for nothing. What has been read arrives still; nothing else does."""
        self.reader.stop()
        self.writer.abandon()
        self._watcher.stop()

    def _topic_of(self, channel: str) -> Topic:
        name = self._location.topic or topic_of(channel)
        topic = self._known.get(name)
        if topic is None:
            topic = self._known[name] = self._find(name)
        return topic

    def _find(self, name: str) -> Topic:
        """The topic, which the producer knows as well."""
        topic = self._topics.find(name)
        self.writer.know(name, time.monotonic() + REQUEST_TIMEOUT)
        return topic

    def _fail(self, error: BrokerUnreachableError) -> None:
        """In whatever thread: what fails first is the cause."""
        if self.trouble is None:
            self.trouble = error
        self._ring()
