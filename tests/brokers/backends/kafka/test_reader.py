"""The consumer of a session: what arrives, in which order, and that nothing is counted as read that does not arrive."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from roomcast_brokers.backends.kafka import following as following_module
from roomcast_brokers.backends.kafka import reader as module
from roomcast_brokers.backends.kafka.following import Change, Following, Topic
from roomcast_brokers.backends.kafka.location import parse
from roomcast_brokers.backends.kafka.partitions import Place
from roomcast_brokers.backends.kafka.reader import Reader
from roomcast_brokers.backends.kafka.topics import Topics
from roomcast_brokers.errors import BrokerUnreachableError
from tests.support.kafka_server import KafkaServer
from tests.support.patience import PATIENCE
from tests.support.services import wait_for

PARTITIONS = 4
ONE, FIVE, TWO, THREE = (f"shop:shard:{number}" for number in (1, 5, 2, 3))  # in 1, 1, 2 and 3


class Read:
    """A reader, and what it told."""

    def __init__(self, server: KafkaServer, topic: str, following: Following, *channels: str) -> None:
        from kafka import KafkaProducer

        location = parse(f"{server.url}?partitions={PARTITIONS}")
        self.topics = Topics(location)
        self.topic = self.topics.find(topic)
        self.following = following
        self.failures: list[BrokerUnreachableError] = []
        self.nudged: list[Place] = []
        self.rung = threading.Event()
        self.arrived: list[tuple[str, bytes | int]] = []
        self.following.renew([self.topic], dict.fromkeys(channels, 1), 0.0)
        self.reader = Reader(location, following, self.topics, self._nudge, self.rung.set, self.failures.append)
        self._producer: Any = KafkaProducer(**server.client_options())
        self._generation = 1

    def publish(self, *messages: tuple[str, bytes]) -> None:
        """Return when Kafka has them."""
        for channel, payload in messages:
            place = self.following.place_of(channel)
            self._producer.send(place[0], key=channel.encode(), value=payload, partition=place[1])
        self._producer.flush(PATIENCE)

    def change(self, *channels: str, wanted: bool = True) -> None:
        self._generation += 1
        changes = [Change(each, self._generation if wanted else None) for each in channels]
        self.reader.change([(each, self.topic) for each in changes])
        if wanted:
            self.until(lambda: all((each, self._generation) in self.arrived for each in channels))

    def until(self, condition: Any) -> None:
        def arrived() -> bool:
            self.arrived += self.reader.arrivals.take(1_000)
            return bool(condition())

        wait_for(arrived, lambda: f"{self.arrived[-5:]} {self.failures}")

    def heard(self, count: int) -> list[tuple[str, bytes | int]]:
        """The messages, once there are so many."""
        self.until(lambda: len(self.messages()) >= count)
        return self.messages()

    def messages(self) -> list[tuple[str, bytes | int]]:
        return [each for each in self.arrived if isinstance(each[1], bytes)]

    def close(self) -> None:
        self._producer.close()
        self.topics.close()

    def _nudge(self, place: Place) -> None:
        self.nudged.append(place)
        self._producer.send(place[0], key=b"", value=b"", partition=place[1])


@contextmanager
def reading(server: KafkaServer, topic: str, *channels: str, following: Following | None = None) -> Iterator[Read]:
    read = Read(server, topic, following or Following(topic), *channels)
    read.reader.begin(channels)
    try:
        yield read
    finally:
        read.reader.stop()
        read.close()


def test_what_is_wanted_arrives_and_nothing_else(shared: KafkaServer, topic: str) -> None:
    with reading(shared, topic, ONE, TWO) as read:
        read.publish((ONE, b"1"), (FIVE, b"not wanted"), (THREE, b"nor this"), (ONE, b"2"), (TWO, b"3"))
        assert sorted(read.heard(3)) == [(ONE, b"1"), (ONE, b"2"), (TWO, b"3")]
        assert read.arrived[:2] == [(ONE, 1), (TWO, 1)], "confirmed before anything is told"
        assert read.rung.is_set()
        assert not read.failures


def test_nothing_is_assigned_until_something_is_wanted(shared: KafkaServer, topic: str) -> None:
    with reading(shared, topic) as read:
        assert read.following.places() == set()
        read.change(ONE)
        read.publish((ONE, b"1"))
        assert read.heard(1) == [(ONE, b"1")]
        assert read.nudged == []


def test_another_partition_is_read_at_once(shared: KafkaServer, topic: str) -> None:
    """What is read already is made to answer, so that it is not waited for."""
    with reading(shared, topic, ONE) as read:
        for number, channel in enumerate((TWO, THREE)):
            read.change(channel)
            read.publish((channel, b"x"))
            assert len(read.heard(number + 1)) == number + 1
        assert set(read.nudged) == {(topic, 1), (topic, 2)}


def test_another_channel_of_the_same_partition_is_heard_from_then_on(shared: KafkaServer, topic: str) -> None:
    with reading(shared, topic, ONE) as read:
        read.publish((FIVE, b"before"))
        read.change(FIVE)
        read.publish((FIVE, b"after"))
        assert read.heard(1) == [(FIVE, b"after")]
        assert read.nudged == []


def test_what_is_wanted_no_longer(shared: KafkaServer, topic: str) -> None:
    with reading(shared, topic, ONE, FIVE) as read:
        read.change(ONE, wanted=False)
        read.change(TWO)  # comes behind it
        read.publish((ONE, b"unheard"), (FIVE, b"heard"))
        assert read.heard(1) == [(FIVE, b"heard")]


def test_partitions_are_let_go(shared: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following_module, "LINGER", 0.0)
    with reading(shared, topic, ONE, TWO) as read:
        read.change(ONE, wanted=False)
        read.change(FIVE, TWO)
        read.change(FIVE, TWO, wanted=False)
        wait_for(lambda: not read.following.places(), "nothing is let go")
        read.change(THREE)
        read.publish((THREE, b"x"))
        assert read.heard(1) == [(THREE, b"x")]


def test_the_next_one_goes_on_where_this_one_stopped(shared: KafkaServer, topic: str) -> None:
    following = Following(topic)
    count, taken = 3_000, []
    with reading(shared, topic, ONE, TWO, following=following) as read:
        read.publish(*((ONE if number % 2 else TWO, b"%d" % number) for number in range(count)))
        read.heard(count // 3)
        read.reader.stop()
        while arrived := read.reader.arrivals.take(1_000):
            read.arrived += arrived
        taken = read.messages()
    with reading(shared, topic, ONE, TWO, following=following) as read:
        taken += read.heard(count - len(taken))
    for channel, remainder in ((ONE, 1), (TWO, 0)):
        assert [payload for each, payload in taken if each == channel] == [
            b"%d" % number for number in range(remainder, count, 2)
        ]


def test_a_reader_waits_for_who_tells(shared: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RECORDS", 10)
    with reading(shared, topic, ONE) as read:
        monkeypatch.setattr("roomcast_brokers.backends.kafka.arrivals.MAX_MESSAGES", 20)
        read.publish(*((ONE, b"%d" % number) for number in range(200)))
        assert read.heard(200) == [(ONE, b"%d" % number) for number in range(200)]


def test_a_position_that_the_log_does_not_have_is_a_failure(shared: KafkaServer, topic: str) -> None:
    """Whoever follows decides where to go on, not kafka-python."""
    with reading(shared, topic, ONE) as read:
        read.publish((ONE, b"1"), (ONE, b"2"))
        read.heard(2)
        shared.delete_topic(topic)
        shared.create_topic(topic, PARTITIONS)
        wait_for(lambda: read.failures, "it goes on reading")
        assert any(each in str(read.failures[0]) for each in ("OffsetOutOfRange", "LogTruncation"))


def test_beginning_where_there_is_nothing(shared: KafkaServer, topic: str) -> None:
    read = Read(shared, topic, Following(topic), ONE)
    read.following.topics[topic] = Topic(topic, None, 1_000)
    read.following.change([Change(f"shop:shard:{number}", 1) for number in (200,)], 0.0)
    before = threading.active_count()
    with pytest.raises(BrokerUnreachableError, match="UnknownTopicOrPartition"):
        read.reader.begin([])
    assert threading.active_count() < before, "the consumer is left"
    read.close()
