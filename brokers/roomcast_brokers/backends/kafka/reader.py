"""Reads from Kafka by one consumer without a group, in a thread of its own, until it is stopped or fails.

The consumer is not safe for threads, so this one alone uses it. It does not ask again and again whether something has
come: the consumer's network rings (:class:`.network.Bell`), and so does who wants another channel. An idle consumer
costs a fetch a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from kafka import TopicPartition

from roomcast_brokers.backends.kafka.arrivals import Arrivals
from roomcast_brokers.backends.kafka.following import Change, Following, Topic
from roomcast_brokers.backends.kafka.location import Location
from roomcast_brokers.backends.kafka.network import FETCH_WAIT, open_consumer, unreachable
from roomcast_brokers.backends.kafka.partitions import Place
from roomcast_brokers.backends.kafka.topics import Topics
from roomcast_brokers.errors import BrokerUnreachableError

# Records of one poll: some milliseconds' work. And bytes of one answer: what waits in the consumer.
MAX_RECORDS: Final = 1_000
MAX_FETCH_BYTES: Final = 8 * 1_048_576

# Seconds after which the consumer is asked though nothing has rung. While its connections hold, each rings more often
# than that; one that broke is made again by asking.
LOOK_AGAIN: Final = 2 * FETCH_WAIT


class Reader:
    """``following`` says what is read, and is this reader's until :meth:`stop`. All of these are called in its thread:
    ``ring`` when something has arrived, ``failed`` once if reading cannot go on, ``nudge`` to have something published
    in a partition.
    """

    def __init__(
        self,
        location: Location,
        following: Following,
        topics: Topics,
        nudge: Callable[[Place], None],
        ring: Callable[[], None],
        failed: Callable[[BrokerUnreachableError], None],
    ) -> None:
        self.arrivals = Arrivals()
        self._following = following
        self._topics = topics
        self._nudge = nudge
        self._ring = ring
        self._failed = failed
        self._bell = threading.Event()
        self._lock = threading.Lock()  # whoever has it may use ``following``
        self._changes: list[tuple[Change, Topic]] = []
        self._stopped = threading.Event()
        self._consumer = open_consumer(location, self._bell.set, MAX_RECORDS, MAX_FETCH_BYTES)
        self._thread = threading.Thread(target=self._run, name="roomcast-kafka-reader", daemon=True)

    def begin(self, channels: Iterable[str]) -> None:
        """Begin to read all that is followed from where it goes on; the first to arrive are confirmations of these.

        Raises :class:`BrokerUnreachableError`; then it is over. Called once.
        """
        following = self._following
        try:
            places = following.places()
            following.resume(self._topics.begins(places), self._topics.ends(places))
            self._assign(places)
            self.arrivals.confirm(following.generations(channels))
        except Exception as error:  # kafka-python lets through what its network raises
            self._consumer.close(autocommit=False)
            raise unreachable(error) from error
        self._thread.start()

    def change(self, changes: Iterable[tuple[Change, Topic]]) -> None:
        """Take wishes, each with the topic of its channel. Callable from any thread."""
        with self._lock:
            self._changes.extend(changes)
        self._bell.set()

    def stop(self) -> None:
        """Read no more. When this returns ``following`` is free, and nothing more arrives. Does not wait for Kafka."""
        with self._lock:
            self._stopped.set()
        self.arrivals.end()
        self._bell.set()

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._bell.clear()
                self._change()
                self._read()
                if not self._changes:
                    self._bell.wait(LOOK_AGAIN)
        except Exception as error:  # noqa: BLE001  # as above; it is told, and ends this thread
            if not self._stopped.is_set():
                self._failed(unreachable(error))
        finally:
            self._consumer.close(autocommit=False)

    def _change(self) -> None:
        following = self._following
        with self._lock:
            now = time.monotonic()
            changes, self._changes = self._changes, []
            if self._stopped.is_set():
                return
            for _, topic in changes:
                following.topics.setdefault(topic.name, topic)
            following.change((change for change, _ in changes), now)
            awaited = following.awaited
            over = following.let_go(now)
        ends = self._topics.ends(awaited)
        with self._lock:
            if self._stopped.is_set():
                return
            read = self._consumer.assignment()
            unread = following.begin(ends)
            if unread or over:
                self._assign(following.places(), unread)
            generations = following.generations(change.channel for change, _ in changes)
            self.arrivals.confirm(generations)
        if generations:
            self._ring()
        if unread:
            # A consumer waits for messages in what it was reading, up to FETCH_WAIT, before it asks for anything else.
            for place in read:
                self._nudge(place)

    def _read(self) -> None:
        following, arrivals = self._following, self.arrivals
        more = bool(self._consumer.assignment())
        while more and not self._changes:
            arrivals.wait_for_room()
            polled = self._consumer.poll(timeout_ms=0)
            # Less than it may give at a time is all that it has, and it has asked for more: it will ring. To ask it
            # before it does costs a millisecond, and makes it miss its own answers now and then (see Bell).
            more = sum(map(len, polled.values())) >= MAX_RECORDS
            with self._lock:  # both or neither: what is counted as read arrives
                if self._stopped.is_set():
                    return
                taken = [each for place, records in polled.items() for each in following.take(place, records)]
                arrivals.put(taken)
            if taken:
                self._ring()

    def _assign(self, places: set[Place], new: set[Place] | None = None) -> None:
        """Read these partitions; those that are new (None: all) from their position on."""
        self._consumer.assign([TopicPartition(*place) for place in places])
        for place in places if new is None else new:
            self._consumer.seek(TopicPartition(*place), self._following.positions[place])
