"""The producer of a session: what it accepts and in which order, and that it drops what it holds when it is told to."""

from __future__ import annotations

import os
import threading
import time  # time: deadlines of the writer are moments
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from roomcast_brokers.backends.kafka import network
from roomcast_brokers.backends.kafka import writer as module
from roomcast_brokers.backends.kafka.location import parse
from roomcast_brokers.backends.kafka.writer import Writer, open_producer
from roomcast_brokers.errors import BrokerUnreachableError
from tests.brokers.backends.kafka.records import records
from tests.support.kafka_server import KafkaServer
from tests.support.patience import PATIENCE
from tests.support.services import wait_for

LONG_LINGER = "linger_ms=900"


class Written:
    """A writer, and what it told."""

    def __init__(self, server: KafkaServer, topic: str, query: str = "") -> None:
        self.topic = topic
        self.failures: list[BrokerUnreachableError] = []
        self.rung = threading.Event()
        self.accepted = 0
        self.writer = Writer(open_producer(parse(f"{server.url}?{query}")), self.rung.set, self.failures.append)
        self.writer.know(topic, time.monotonic() + PATIENCE)

    def send(self, partition: int, payload: bytes) -> None:
        self.writer.send((self.topic, partition), b"%d" % partition, payload)

    def settled(self) -> None:
        wait_for(self._is_settled, lambda: f"{self.writer.outstanding} are not accepted")

    def _is_settled(self) -> bool:
        self.accepted += self.writer.take_accepted()[0]
        return not self.writer.outstanding


@contextmanager
def writing(server: KafkaServer, topic: str, query: str = "", partitions: int = 3) -> Iterator[Written]:
    server.create_topic(topic, partitions)
    written = Written(server, topic, query)
    try:
        yield written
    finally:
        written.writer.abandon()


@pytest.mark.parametrize("acks", ["all", "1"])
def test_all_is_written_in_order_and_accepted(shared: KafkaServer, topic: str, acks: str) -> None:
    with writing(shared, topic, f"acks={acks}") as written:
        for number in range(300):
            written.send(number % 3, b"%d" % number)
        assert written.writer.outstanding == 300
        written.settled()
        assert written.accepted == 300
        assert written.rung.is_set()
        assert not written.failures
    found = records(shared, topic, 300)
    assert found == {part: [(str(part), b"%d" % number) for number in range(part, 300, 3)] for part in range(3)}


def test_it_says_how_much_was_accepted(shared: KafkaServer, topic: str) -> None:
    sizes = (0, 1, 5_000, module.BATCH_BYTES, module.BATCH_BYTES + 1, 7)
    with writing(shared, topic) as written:
        for number, size in enumerate(sizes):
            written.send(number % 2, bytes(size))
        taken = []

        def take() -> bool:
            taken.append(written.writer.take_accepted())
            return not written.writer.outstanding

        wait_for(take, "receipts")
        assert sum(count for count, _ in taken) == len(sizes)
        assert sum(size for _, size in taken) == sum(sizes)


def test_it_holds_no_more_than_it_gets_rid_of(shared: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    monkeypatch.setattr(module, "MAX_MESSAGES", 3)
    rooms = []
    with writing(shared, topic, LONG_LINGER) as written:
        for payloads in ([b"0123456789"], [b"", b"", b""]):
            for payload in payloads:
                rooms.append(written.writer.has_room)
                written.send(0, payload)
            rooms.append(written.writer.has_room)
            written.settled()
        rooms.append(written.writer.has_room)
    assert rooms == [True, False, True, True, True, False, True]


def test_what_it_holds_when_it_is_given_up_is_written_never(shared: KafkaServer, topic: str) -> None:
    with writing(shared, topic, LONG_LINGER) as written:
        written.send(0, b"before")
        written.settled()
        for number in range(10):
            written.send(number % 3, b"surprise")
        began = time.monotonic()
        written.writer.abandon()
        assert time.monotonic() - began < PATIENCE / 2
        with pytest.raises(BrokerUnreachableError):
            written.send(0, b"too late")
        wait_for(lambda: len(written.failures) == 10, "ten failures")
        written.writer.abandon()
    assert records(shared, topic) == {0: [("0", b"before")]}


def test_flush_writes_what_lingers(shared: KafkaServer, topic: str) -> None:
    with writing(shared, topic, LONG_LINGER) as written:
        written.send(0, b"now")
        written.writer.flush(PATIENCE)
        assert written.writer.take_accepted() == (1, 3)
        written.send(0, b"or never")
        written.writer.flush(0)  # not in that time; what comes of it is seen by the receipts
        written.settled()


def test_a_nudge_is_nobodys_message(shared: KafkaServer, topic: str) -> None:
    with writing(shared, topic) as written:
        written.writer.nudge((topic, 1))
        written.send(1, b"after")
        written.settled()
        assert written.accepted == 1
    assert records(shared, topic) == {1: [("1", b"after")]}


def test_topics_and_partitions_that_are_not_there(shared: KafkaServer, topic: str) -> None:
    with writing(shared, topic) as written:
        assert written.writer.know(topic, 0.0) == 3
        with pytest.raises(BrokerUnreachableError, match="KafkaTimeoutError"):
            written.writer.know(f"{topic}-another", time.monotonic())
        with pytest.raises(BrokerUnreachableError, match="KafkaTimeoutError"):
            written.writer.send((f"{topic}-another", 0), b"k", b"")
        with pytest.raises(BrokerUnreachableError, match="Unrecognized partition"):
            written.writer.send((topic, 3), b"k", b"")
        assert not written.writer.outstanding
    assert f"{topic}-another" not in shared.topics()


def test_behind_what_has_failed_nothing_is_written(shared: KafkaServer, topic: str) -> None:
    """It is published again after the break, and what came behind it would have overtaken it."""
    with writing(shared, topic) as written:
        with shared.admin() as admin:
            from kafka.admin import ConfigResource, ConfigResourceType

            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "1000"})])
        for number in range(100):
            written.send(0, bytes(5_000 if number == 50 else 1))
        wait_for(lambda: len(written.failures) >= 50, "failures")
        assert "MessageSizeTooLarge" in str(written.failures[0])
    assert sum(len(payload) for each in records(shared, topic).values() for _, payload in each) <= 50


def test_a_copy_in_a_child_writes_nothing(shared: KafkaServer, topic: str) -> None:
    with writing(shared, topic, LONG_LINGER) as written:
        written.send(0, b"the parent's")
        producer = written.writer._producer
        child = os.fork()
        if child == 0:
            producer.close()
            producer.abandon()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        written.settled()
    assert records(shared, topic) == {0: [("0", b"the parent's")]}


@pytest.mark.long
def test_behind_what_took_too_long_nothing_is_written(
    own: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if Kafka comes back in that very moment."""
    monkeypatch.setattr(network, "REQUEST_TIMEOUT", 1.0)
    monkeypatch.setattr(module, "DELIVERY_TIMEOUT", 2.0)
    with writing(own, topic) as written:
        written.send(0, b"before")
        written.settled()
        own.suspend()
        written.send(0, b"too late")
        later = threading.Event()
        threading.Timer(1.5, later.set).start()
        assert later.wait(PATIENCE)
        written.send(0, b"behind it")
        wait_for(lambda: written.failures, "a failure")
        own.resume()
        wait_for(lambda: len(written.failures) == 2, "another failure")
    found = [payload for each in records(own, topic).values() for _, payload in each]
    assert found in ([b"before"], [b"before", b"too late"])
