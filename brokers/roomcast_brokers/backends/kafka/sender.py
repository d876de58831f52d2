"""The sender: blocks until Kafka has it.

kafka-python's producer has a thread, so this is not for gevent and eventlet.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from roomcast_brokers.backends.kafka.broker import TRAITS
from roomcast_brokers.backends.kafka.location import Location, parse
from roomcast_brokers.backends.kafka.network import unreachable
from roomcast_brokers.backends.kafka.partitions import slot_of, topic_of
from roomcast_brokers.backends.kafka.session import SETTLING
from roomcast_brokers.backends.kafka.topics import Topics
from roomcast_brokers.backends.kafka.writer import Producer, Writer, open_producer
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, MessageTooLargeError, SendError

# Seconds for everything that one send() does.
SEND_TIMEOUT: Final = 5.0

# Seconds after which the producer asks what partitions there are. What goes to where a channel was before its topic was
# given more is heard for longer than that (:data:`.following.LINGER`).
METADATA_AGE: Final = 30.0


class KafkaSender:
    """See :class:`roomcast_brokers.contracts.Sender`, and :mod:`.location` for URLs and options.

    One producer is kept until something fails; the next ``send`` makes another.
    """

    def __init__(
        self,
        url: str = "kafka://localhost:9092",
        *,
        kafka_options: Mapping[str, Any] | None = None,
        timeout: float = SEND_TIMEOUT,
        **options: Any,
    ) -> None:
        self._location = parse(url, kafka_options, options)
        self._timeout = timeout
        self._closed = False
        self._connection: _Connection | None = None
        # How many partitions each topic had: a new connection must notice as well that there are more.
        self._partitions: dict[str, int] = {}

    @property
    def traits(self) -> Traits:
        return TRAITS

    def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        for channel, payload in messages:
            if len(payload) > MAX_MESSAGE_BYTES:
                raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
            self._topic_of(channel)
        if self._closed:
            raise BrokerClosedError("nothing is sent after close()")
        deadline = time.monotonic() + self._timeout
        connection: _Connection | None = None
        done = False
        try:
            connection = self._connected({self._topic_of(channel) for channel, _ in messages}, deadline)
            for channel, payload in messages:
                connection.wait_for_room(deadline)
                topic = self._topic_of(channel)
                place = topic, slot_of(channel) % self._partitions[topic]
                connection.writer.send(place, channel.encode(), payload)
            connection.wait_for_all(deadline)
            done = True
        except BrokerUnreachableError as error:
            accepted = connection.accepted if connection is not None else 0
            told = f"Kafka took {accepted:,} of {len(messages):,} messages: {error}"
            raise SendError(told, accepted) from error
        finally:
            if not done:  # also if it was interrupted: the receipts that are still to come are nobody's
                self.forget()

    def close(self) -> None:
        self._closed = True
        self.forget()

    def forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.forget()

    def _topic_of(self, channel: str) -> str:
        return self._location.topic or topic_of(channel)

    def _connected(self, topics: set[str], deadline: float) -> _Connection:
        """A connection that has nothing on its way and knows these topics; ``_partitions`` has what it knows."""
        if not topics:
            Topics(self._location).close()  # whoever asks for nothing wants to know whether somebody is there
        if self._connection is None:
            self._connection = _Connection(self._location)
        connection = self._connection
        connection.accepted = 0
        grown = False
        for topic in topics:
            before = self._partitions.get(topic, 0)
            if topic not in connection.found:
                connection.find(topic)
            now = self._partitions[topic] = connection.writer.know(topic, deadline)
            grown = grown or 0 < before < now
        if grown:
            time.sleep(SETTLING)
        return connection


class _Connection:
    """A producer, from its making to its first failure."""

    def __init__(self, location: Location) -> None:
        self.accepted = 0
        """Of the messages of this ``send``."""
        self.found: set[str] = set()
        """Topics that are known to be there."""
        self._location = location
        self._owner = os.getpid()
        self._bell = threading.Event()
        self._trouble: BrokerUnreachableError | None = None
        self._producer: Producer = open_producer(self._location, metadata_max_age_ms=int(METADATA_AGE * 1_000))
        self.writer = Writer(self._producer, self._bell.set, self._fail)

    def find(self, topic: str) -> None:
        """Make sure that there is such a topic."""
        topics = Topics(self._location)
        try:
            topics.find(topic)
        finally:
            topics.close()
        self.found.add(topic)

    def wait_for_room(self, deadline: float) -> None:
        while not self.writer.has_room:
            self._wait(deadline)

    def wait_for_all(self, deadline: float) -> None:
        while self.writer.outstanding:
            self._wait(deadline)

    def _wait(self, deadline: float) -> None:
        """Wait for receipts, and count them."""
        left = deadline - time.monotonic()
        self._bell.wait(max(0.0, left))
        self._bell.clear()
        count, _ = self.writer.take_accepted()
        self.accepted += count
        if self._trouble is not None:
            raise self._trouble
        if not count and left <= 0:
            raise BrokerUnreachableError("it did not answer in time")

    def forget(self) -> None:
        """End it; in a child of a fork, where the producer's thread is not, close its descriptors and no more."""
        if os.getpid() == self._owner:
            self.writer.abandon()
        else:
            self._producer.forget()
            _FORGOTTEN.append(self)

    def _fail(self, error: BrokerUnreachableError) -> None:
        self._trouble = self._trouble or unreachable(error)
        self._bell.set()


# Kept for ever: collecting it would close descriptors again, which may be somebody else's by then.
_FORGOTTEN: Final[list[_Connection]] = []
