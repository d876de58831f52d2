"""Writes to Kafka by one producer, from the moment at which Kafka is reached to the next break.

Nothing is reordered: the producer is idempotent, or sends one request at a time (``acks=1``). What it tries again by
itself it does before anybody has been told of a break; when somebody is, :meth:`Writer.abandon` makes it drop the rest.
What was on its way in that moment may still arrive, and so may it again when it is published again: receivers know by
the numbers of messages what they have already. That is all that is repeated.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from roomcast_brokers.backends.kafka.location import Location
from roomcast_brokers.backends.kafka.network import REQUEST_TIMEOUT, common, opened, unreachable
from roomcast_brokers.backends.kafka.partitions import Place
from roomcast_brokers.errors import BrokerUnreachableError
from roomcast_brokers.receipts import Receipts

# Seconds in which the producer has to get rid of a message, tries and all: longer than one request, so that it can be
# tried once more. What takes longer is a break.
DELIVERY_TIMEOUT: Final = 2 * REQUEST_TIMEOUT

# What is with the producer at a time. Its messages age from the moment at which it has them; so it gets no more than it
# is rid of well within that time, and the rest waits outside.
MAX_BYTES: Final = 4 * 1_048_576
MAX_MESSAGES: Final = 10_000

# What one request carries of a partition, while there is one on its way. Half of what a server takes by default.
BATCH_BYTES: Final = 500_000

# The key of a record that is no message: no channel has this name.
NOBODY: Final = b""

# Seconds until the producer is asked again whether it knows a topic.
LOOK_AGAIN: Final = 0.01


class Producer(KafkaProducer):  # type: ignore[misc]  # kafka-python is not annotated
    """A producer that can be given up at once, and whose copy in a child process does nothing.

    The original waits for what it holds before it ends, raises if that takes too long, and then goes on; also in a
    child of a fork, where nobody is there to write anything.
    """

    _abandoned = False
    _owner = 0

    def __init__(self, **configs: Any) -> None:
        self._owner = os.getpid()
        super().__init__(**configs)

    def flush(self, timeout: float | None = None) -> None:
        if not self._abandoned:
            super().flush(timeout)

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
        if self._owner == os.getpid() and not getattr(self, "_closed", True):
            super().close(timeout)  # with null_logger no other producer would log anything any more

    def abandon(self) -> None:
        """End without waiting for anything. Whatever is not answered fails, in the producer's thread."""
        self._abandoned = True
        self.close(0)

    def forget(self) -> None:
        """In a child of a fork: close the descriptors, and do nothing else."""
        self.config["kafka_client"].forget()


def open_producer(location: Location, **options: Any) -> Producer:
    """Raises :class:`BrokerUnreachableError`. ``options`` are more of kafka-python's."""
    careful: dict[str, Any] = {"enable_idempotence": True, "acks": "all"}
    if location.acks != "all":
        careful = {"enable_idempotence": False, "acks": 1, "max_in_flight_requests_per_connection": 1}
    producer: Producer = opened(
        Producer,
        {
            **common(location),
            **careful,
            "linger_ms": location.linger_ms,
            "delivery_timeout_ms": int(DELIVERY_TIMEOUT * 1_000 + location.linger_ms),
            "batch_size": BATCH_BYTES,
            "max_block_ms": 0,  # to send is never to wait
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            **options,
        },
    )
    return producer


class Writer:
    """Belongs to one thread. ``ring`` and ``failed`` are called in the producer's: when there may be receipts, and when
    a message could not be written, which is the end of this writer.
    """

    def __init__(self, producer: Producer, ring: Callable[[], None], failed: Callable[[BrokerUnreachableError], None]):
        self._producer = producer
        self._ring = ring
        self._failed = failed
        self._receipts = Receipts()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._answered: deque[Place] = deque()  # written by the producer's thread
        self._callbacks: dict[Place, Callable[[object], None]] = {}

    @property
    def outstanding(self) -> int:
        """Messages that were handed over and not accepted yet."""
        return len(self._sizes)

    @property
    def has_room(self) -> bool:
        return self._bytes < MAX_BYTES and len(self._sizes) < MAX_MESSAGES

    def know(self, topic: str, deadline: float) -> int:
        """Return how many partitions the topic has, when the producer knows it. Raises BrokerUnreachableError."""
        while True:
            try:
                return len(self._producer.partitions_for(topic))
            except KafkaTimeoutError as error:
                if time.monotonic() > deadline:
                    raise unreachable(error) from error
            except KafkaError as error:
                raise unreachable(error) from error
            time.sleep(LOOK_AGAIN)

    def send(self, place: Place, key: bytes, payload: bytes) -> None:
        """Hand one message over. Raises BrokerUnreachableError if the producer does not take it."""
        topic, partition = place
        callback = self._callbacks.get(place)
        if callback is None:
            callback = self._callbacks[place] = partial(self._has_answered, place)
        try:
            future = self._producer.send(topic, value=payload, key=key, partition=partition)
        except (KafkaError, ValueError) as error:  # it has lost sight of the topic, or of that partition
            raise unreachable(error) from error
        self._receipts.sent(place)
        self._sizes.append(len(payload))
        self._bytes += len(payload)
        future.add_callback(callback)
        future.add_errback(self._has_failed)

    def nudge(self, place: Place) -> None:
        """Publish something that nobody hears, so that those who wait for a message in that partition need not wait any
        longer. Callable from any thread.
        """
        topic, partition = place
        self._producer.send(topic, value=b"", key=NOBODY, partition=partition)

    def take_accepted(self) -> tuple[int, int]:
        """How many of the oldest messages Kafka has now, and how many bytes they have."""
        answered, accepted = self._answered, 0
        while answered:
            accepted += self._receipts.answered(answered.popleft(), 1)
        size = sum(self._sizes.popleft() for _ in range(accepted))
        self._bytes -= size
        return accepted, size

    def flush(self, timeout: float) -> None:
        """Wait until everything is written, or for so long."""
        try:
            self._producer.flush(timeout)
        except KafkaError:
            pass  # what was not written is not accepted

    def abandon(self) -> None:
        """End at once."""
        self._producer.abandon()

    # --- in the producer's thread -------------------------------------------------------------------------------------

    def _has_answered(self, place: Place, _: object) -> None:
        self._answered.append(place)
        self._ring()

    def _has_failed(self, error: BaseException) -> None:
        # In this very moment: what is behind it in its partition would be written now, and what has failed after it.
        self._producer.abandon()
        self._failed(unreachable(error))
