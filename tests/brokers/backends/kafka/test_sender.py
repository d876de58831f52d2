"""The blocking sender with real servers; what holds for every sender is in tests/contract."""

from __future__ import annotations

import os
import threading
import time  # time: measures that a time-out was kept, and that publishers wait for readers
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from roomcast_brokers.backends.kafka import KafkaSender
from roomcast_brokers.backends.kafka import sender as module
from roomcast_brokers.backends.kafka import writer as writer_module
from roomcast_brokers.backends.kafka.session import SETTLING
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.errors import AddressError, BrokerClosedError, BrokerURLError, MessageTooLargeError, SendError
from tests.brokers.backends.kafka.records import records
from tests.support.kafka_server import KafkaServer
from tests.support.patience import PATIENCE
from tests.support.services import free_port, wait_for


@contextmanager
def sending(url: str, **options: Any) -> Iterator[KafkaSender]:
    sender = KafkaSender(url, **options)
    try:
        yield sender
    finally:
        sender.close()


def test_what_cannot_work_is_said_before_anything_is_sent() -> None:
    with pytest.raises(BrokerURLError):
        KafkaSender("kafka://h", lingerms=3)
    with sending(f"kafka://127.0.0.1:{free_port()}") as sender:
        assert sender.traits.durable
        with pytest.raises(MessageTooLargeError):
            sender.send([("c:all", b""), ("c:all", bytes(MAX_MESSAGE_BYTES + 1))])
        with pytest.raises(AddressError):
            sender.send([("a b:all", b"")])
        with pytest.raises(SendError, match="ECONNREFUSED") as caught:
            sender.send([("c:all", b"")] * 3)
        assert caught.value.accepted == 0
    with pytest.raises(BrokerClosedError):
        sender.send([])


def test_sent_to_topics_that_are_made(shared: KafkaServer, topic: str) -> None:
    threads = threading.active_count()
    with sending(f"{shared.url}?partitions=2") as sender:
        sender.send([(f"{topic}:all", b"1"), (f"{topic}-2:all", b"2"), (f"{topic}:shard:1", b"3")])
        sender.send([])
        sender.send([(f"{topic}:all", b"4")])
    assert records(shared, topic) == {
        0: [(f"{topic}:all", b"1"), (f"{topic}:all", b"4")],
        1: [(f"{topic}:shard:1", b"3")],
    }
    assert records(shared, f"{topic}-2") == {0: [(f"{topic}-2:all", b"2")]}
    wait_for(lambda: threading.active_count() <= threads, lambda: f"{threading.enumerate()} are left")


def test_more_than_is_handed_over_at_a_time(shared: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_MESSAGES", 7)
    with sending(f"{shared.url}{topic}?partitions=1") as sender:
        sender.send([("c:all", b"%d" % number) for number in range(100)])
    assert records(shared, topic) == {0: [("c:all", b"%d" % number) for number in range(100)]}


def test_a_topic_that_may_not_be_made(shared: KafkaServer, topic: str) -> None:
    with sending(f"{shared.url}?create=false") as sender:
        with pytest.raises(SendError, match="there is no topic"):
            sender.send([(f"{topic}:all", b"")])
        shared.create_topic(topic)
        sender.send([(f"{topic}:all", b"now")])
    assert records(shared, topic) == {0: [(f"{topic}:all", b"now")]}


def test_what_does_not_come_through_in_time_is_not_sent_later(shared: KafkaServer, topic: str) -> None:
    with sending(f"{shared.url}{topic}?partitions=1") as sender:
        sender.send([("c:all", b"before")])
    with sending(f"{shared.url}{topic}?linger_ms=1000", timeout=0.7) as sender:
        with pytest.raises(SendError, match="took 0 of 1 messages") as caught:
            sender.send([("c:all", b"too slow")])
        assert caught.value.accepted == 0
    with sending(f"{shared.url}{topic}") as sender:
        sender.send([("c:all", b"after")])
    assert records(shared, topic) == {0: [("c:all", b"before"), ("c:all", b"after")]}


def test_a_topic_that_is_deleted_is_noticed(shared: KafkaServer, topic: str) -> None:
    with sending(f"{shared.url}{topic}?partitions=1", timeout=2.0) as sender:
        sender.send([("c:all", b"before")])
        shared.delete_topic(topic)
        with pytest.raises(SendError):
            sender.send([("c:all", b"in vain")])
        sender.send([("c:all", b"after")])
    assert records(shared, topic)[0][-1] == ("c:all", b"after")


@pytest.mark.long
def test_where_partitions_are_added_readers_are_given_time(
    shared: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "METADATA_AGE", 0.2)
    shared.create_topic(topic, 1)
    with sending(f"{shared.url}{topic}", timeout=2 * SETTLING) as sender:
        sender.send([("c:shard:1", b"0")])
        shared.add_partitions(topic, 2)
        number, took = 0, 0.0
        while took < SETTLING:  # until it has noticed
            number += 1
            since = time.monotonic()
            sender.send([("c:shard:1", b"%d" % number)])
            took = time.monotonic() - since
    found = records(shared, topic)
    assert [payload for _, payload in found[0]] == [b"%d" % each for each in range(number)]
    assert found[1] == [("c:shard:1", b"%d" % number)]


def test_a_child_lets_go_and_the_parent_goes_on(shared: KafkaServer, topic: str) -> None:
    with sending(f"{shared.url}{topic}?partitions=1") as sender:
        sender.send([("c:all", b"parent")])
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            open_before = len(os.listdir("/proc/self/fd"))
            sender.forget()
            let_go = open_before - len(os.listdir("/proc/self/fd"))
            sender.send([("c:all", b"child")])
            sender.close()
            os.write(writing, b"%d" % let_go)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert int(os.read(reading, 10)) >= 2, "its connection and its selector"
        os.close(reading)
        os.close(writing)
        sender.send([("c:all", b"parent again")])
    assert records(shared, topic) == {0: [("c:all", b"parent"), ("c:all", b"child"), ("c:all", b"parent again")]}


@pytest.mark.long
def test_a_server_that_stands_still(own: KafkaServer, topic: str) -> None:
    with sending(f"{own.url}{topic}", timeout=2.0) as sender:
        sender.send([("c:all", b"before")])
        own.suspend()
        since = time.monotonic()
        for messages in ([("c:all", b"perhaps")], [("c:all", b"no")], []):
            with pytest.raises(SendError):
                sender.send(messages)
        assert time.monotonic() - since < 3 * PATIENCE
        own.resume()
        sender.send([("c:all", b"after")])
    assert [payload for each in records(own, topic).values() for _, payload in each][-1] == b"after"
