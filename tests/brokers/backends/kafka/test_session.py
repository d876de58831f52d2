"""A session is there as a whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import closing

import pytest

from roomcast_brokers.backends.kafka import session as module
from roomcast_brokers.backends.kafka.following import Change, Following
from roomcast_brokers.backends.kafka.location import parse
from roomcast_brokers.backends.kafka.session import Session
from roomcast_brokers.errors import BrokerUnreachableError
from tests.brokers.backends.kafka.records import records
from tests.support.kafka_server import KafkaServer
from tests.support.services import free_port, wait_for


class Ended(Session):
    """For ``with closing(...)``."""

    def close(self) -> None:
        self.end()


def made(url: str, following: Following, wanted: Iterable[str] = (), topics: Iterable[str] = ()) -> Ended:
    return Ended(parse(url), following, dict.fromkeys(wanted, 1), topics, lambda: None)


def test_it_subscribes_publishes_and_ends(shared: KafkaServer, topic: str) -> None:
    threads = threading.active_count()
    channel, another = f"{topic}:all", f"{topic}:shard:7"
    with closing(made(f"{shared.url}?partitions=3", Following(), [channel])) as session:
        assert session.awaited == {channel}
        assert session.topics == {topic}
        session.change([Change(another, 2)])
        assert session.awaited == {channel, another}
        session.change([Change(another, None)])
        assert session.awaited == {channel}
        session.send(channel, b"x")
        session.send(f"{topic}:shard:1", b"y")
        wait_for(lambda: session.writer.take_accepted() == (0, 0) and not session.writer.outstanding, "receipts")
        found: list[tuple[str, bytes | int]] = []

        def has_come() -> bool:
            found.extend(session.reader.arrivals.take(9))
            return (channel, b"x") in found

        wait_for(has_come, "a message")
        assert found[0] == (channel, 1)
        assert session.trouble is None
    assert records(shared, topic, 2) == {0: [(channel, b"x")], 1: [(f"{topic}:shard:1", b"y")]}
    wait_for(lambda: threading.active_count() <= threads, lambda: f"{threading.enumerate()} are left")


def test_topics_are_found_when_they_are_used(shared: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 1)
    with closing(made(f"{shared.url}?partitions=2", Following())) as session:
        assert session.topics == set()
        for number in (0, 1, 0):
            session.send(f"{topic}-{number}:all", b"%d" % number)
        session.change([Change(f"{topic}-2:all", 1)])
        assert session.topics == {f"{topic}-{number}" for number in range(3)}
        session.writer.flush(10)
    assert records(shared, f"{topic}-0") == {0: [(f"{topic}-0:all", b"0")] * 2}
    with closing(made(shared.url, Following(), topics=session.topics)) as session:
        assert len(session.topics) == 3


def test_the_operators_topic_has_all_channels(shared: KafkaServer, topic: str) -> None:
    with closing(made(f"{shared.url}{topic}?partitions=2", Following(topic))) as session:
        session.send("shop:all", b"1")
        session.send("other:shard:1", b"2")
        assert session.topics == {topic}
        session.writer.flush(10)
    assert records(shared, topic) == {0: [("shop:all", b"1")], 1: [("other:shard:1", b"2")]}


@pytest.mark.parametrize("where", ["nobody is there", "the topic may not be made", "it cannot be read"])
def test_of_one_that_fails_nothing_is_left(where: str, shared: KafkaServer, topic: str) -> None:
    following, wanted = Following(), [f"{topic}:all"]
    url = f"{shared.url}?create=false"
    if where == "nobody is there":
        url = f"kafka://127.0.0.1:{free_port()}"
    elif where == "it cannot be read":
        shared.create_topic(topic, 1)
        following.positions[f"{topic}-gone", 0] = 7
    threads = threading.active_count()
    with pytest.raises(BrokerUnreachableError):
        made(url, following, wanted)
    wait_for(lambda: threading.active_count() <= threads, lambda: f"{threading.enumerate()} are left")
