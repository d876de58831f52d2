"""Topics of a real server: found, made, refused."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import errors

from roomcast_brokers.backends.kafka import topics as module
from roomcast_brokers.backends.kafka.following import Topic
from roomcast_brokers.backends.kafka.location import parse
from roomcast_brokers.backends.kafka.topics import BATCH_BYTES, Topics
from roomcast_brokers.errors import BrokerUnreachableError
from tests.support.kafka_server import KafkaServer

MINUTE = 60_000


@contextmanager
def asking(server: KafkaServer, query: str = "") -> Iterator[Topics]:
    topics = Topics(parse(f"{server.url}?{query}"))
    try:
        yield topics
    finally:
        topics.close()


def configuration(server: KafkaServer, topic: str) -> dict[str, str]:
    from kafka.admin import ConfigResource, ConfigResourceType

    with server.admin() as admin:
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
    return {name: each["value"] for name, each in found["topic"][topic].items()}


def test_one_that_is_there_is_found(shared: KafkaServer, topic: str) -> None:
    shared.create_topic(topic, 3)
    with asking(shared, "partitions=7") as topics:
        found = topics.find(topic)
        assert found == Topic(topic, found.identity, 3)
        assert found.identity
        assert topics.find(topic) == found
        assert topics.look([topic, "another"]) == [found]


def test_one_that_is_missing_is_made(shared: KafkaServer, topic: str) -> None:
    with asking(shared, "partitions=7&replication=1&retention_minutes=3") as topics:
        assert topics.look([topic]) == []
        assert topics.find(topic).partitions == 7
    found = configuration(shared, topic)
    assert found["cleanup.policy"] == "delete"
    assert found["retention.ms"] == found["segment.ms"] == str(3 * MINUTE)
    assert found["max.message.bytes"] == str(BATCH_BYTES)


def test_several_make_it_at_once(shared: KafkaServer, topic: str) -> None:
    def find(_: int) -> Topic:
        with asking(shared) as topics:
            return topics.find(topic)

    with ThreadPoolExecutor(5) as pool:
        assert len(set(pool.map(find, range(5)))) == 1


def test_whoever_makes_it_again_makes_another(shared: KafkaServer, topic: str) -> None:
    with asking(shared) as topics:
        before = topics.find(topic)
        shared.delete_topic(topic)
        after = topics.find(topic)
        assert after.partitions == before.partitions
        assert after.identity != before.identity


def test_one_that_may_not_be_made(shared: KafkaServer, topic: str) -> None:
    with asking(shared, "create=false") as topics, pytest.raises(BrokerUnreachableError, match="there is no topic"):
        topics.find(topic)


def test_one_that_cannot_be_made(shared: KafkaServer, topic: str) -> None:
    refused = pytest.raises(BrokerUnreachableError, match="could not be made: InvalidReplicationFactorError")
    with asking(shared, "replication=3") as topics, refused:
        topics.find(topic)


def test_one_that_takes_too_little_at_a_time(shared: KafkaServer, topic: str) -> None:
    with shared.admin() as admin:
        wanted = {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "100000"}}
        admin.create_topics({topic: wanted}, wait_for_metadata=True)
    with asking(shared) as topics, pytest.raises(BrokerUnreachableError, match=r"takes messages of 100,000 bytes"):
        topics.find(topic)


def test_names_that_no_topic_has(shared: KafkaServer) -> None:
    with asking(shared) as topics, pytest.raises(BrokerUnreachableError, match="cannot be used: InvalidTopicError"):
        topics.find("no name")


class PlayedAdmin:
    """Says of every topic what it was told to say."""

    def __init__(
        self, *, error: int = 0, leader: int = 1, may_look: bool = True, raises: Exception | None = None
    ) -> None:
        self._described = {
            "name": "t",
            "error_code": error,
            "topic_id": None,
            "partitions": [{"leader_id": leader}],
            "authorized_operations": ["DESCRIBE_CONFIGS"] if may_look else None,
        }
        self._raises = raises

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        return [self._described for _ in names]

    def describe_configs(self, *_: object, **__: object) -> dict[str, Any]:
        assert self._raises is not None
        raise self._raises

    def create_topics(self, *_: object, **__: object) -> None:
        assert self._raises is not None
        raise self._raises

    def close(self) -> None:
        """There is nothing to close."""


def played(monkeypatch: pytest.MonkeyPatch, **says: Any) -> Topics:
    monkeypatch.setattr(module, "READY_WITHIN", 0.1)
    monkeypatch.setattr(module, "open_admin", lambda location, timeout: PlayedAdmin(**says))
    return Topics(parse("kafka://h"))


@pytest.mark.parametrize(
    ("says", "matches"),
    [
        ({"leader": -1}, "a partition has no leader"),
        ({"error": errors.LeaderNotAvailableError.errno}, "cannot be used: LeaderNotAvailableError"),
        ({"error": errors.TopicAuthorizationFailedError.errno}, "cannot be used: TopicAuthorizationFailedError"),
        ({"error": 3, "raises": errors.KafkaConnectionError("gone")}, "cannot be reached: KafkaConnectionError: gone"),
        ({"raises": errors.KafkaConnectionError("gone")}, "cannot be reached: KafkaConnectionError: gone"),
    ],
)
def test_topics_that_cannot_be_used(says: dict[str, Any], matches: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerUnreachableError, match=matches):
        played(monkeypatch, **says).find("t")


@pytest.mark.parametrize(
    "says", [{"may_look": False}, {"raises": errors.TopicAuthorizationFailedError()}], ids=["known before", "found out"]
)
def test_whoever_may_not_look_at_the_limit_hopes(says: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert played(monkeypatch, **says).find("t") == Topic("t", None, 1)


def test_offsets(shared: KafkaServer, topic: str) -> None:
    shared.create_topic(topic, 2)
    with asking(shared) as topics:
        places = {(topic, 0), (topic, 1)}
        assert topics.begins(places) == topics.ends(places) == dict.fromkeys(places, 0)
        assert topics.ends(set()) == {}
        with pytest.raises(BrokerUnreachableError):
            topics.ends({(topic, 2)})


@pytest.mark.long
def test_a_server_that_stands_still(own: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 0.5)
    with asking(own) as topics:
        found = topics.find(topic)
        own.suspend()

        def look_until_it_fails() -> None:
            while topics.look([topic]):  # it takes a moment to stand still
                pass

        with pytest.raises(BrokerUnreachableError, match="RequestTimedOutError"):
            look_until_it_fails()
        own.resume()
        assert topics.look([topic]) == [found]
