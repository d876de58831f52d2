"""Asks Kafka what topics there are and how far they go, and makes the one that is missing, where that is allowed.

On a connection of its own: a server answers the requests of one in their order, and what stands behind a consumer's
wait for messages is answered when that is over.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

from kafka import OffsetSpec, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from roomcast_brokers.backends.kafka.following import Topic
from roomcast_brokers.backends.kafka.location import Creation, Location
from roomcast_brokers.backends.kafka.network import open_admin, unreachable
from roomcast_brokers.backends.kafka.partitions import Place
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.errors import BrokerUnreachableError

# Seconds for an answer. A healthy server needs a millisecond: this is how soon a frozen one is noticed.
ANSWER_TIMEOUT: Final = 3.0

# Seconds in which a topic has to be there with a leader for each partition, from the moment at which it was made: a
# server tells of a new topic a moment after it has said that it made it. And until one is asked again.
READY_WITHIN: Final = 5.0
LOOK_AGAIN: Final = 0.05

# What the largest message is with its head, a channel's name and the head of its batch. It is Kafka's own default.
BATCH_BYTES: Final = 1_048_588
assert MAX_MESSAGE_BYTES + 1_024 < BATCH_BYTES

Offsets = dict[Place, int]

_MAY_DESCRIBE: Final = "DESCRIBE_CONFIGS"


class Topics:
    """Its methods block, for some seconds at most, and raise :class:`BrokerUnreachableError`."""

    def __init__(self, location: Location) -> None:
        self._creation = location.creation
        self._admin = open_admin(location, ANSWER_TIMEOUT)

    def find(self, name: str) -> Topic:
        """The topic, made if it is missing and may be made; each of its partitions has a leader. For one thread."""
        deadline = time.monotonic() + READY_WITHIN
        made = False
        while True:
            described = self._describe([name])[0]
            error = kafka_errors.for_code(described["error_code"])
            if error is kafka_errors.NoError and all(part["leader_id"] >= 0 for part in described["partitions"]):
                self._check_limit(described)
                return _topic(described)
            if error is kafka_errors.UnknownTopicOrPartitionError and not made:
                self._make(name)
                made = True
            elif error is not kafka_errors.NoError and not error.retriable:
                raise BrokerUnreachableError(f"the topic {name} cannot be used: {error.__name__}")
            elif time.monotonic() > deadline:
                what = "a partition has no leader" if error is kafka_errors.NoError else error.__name__
                raise BrokerUnreachableError(f"the topic {name} cannot be used: {what}")
            time.sleep(LOOK_AGAIN)

    def look(self, names: Iterable[str]) -> list[Topic]:
        """Those of the topics that there are, as they are now. Callable from any thread."""
        described = self._describe(list(names))
        return [_topic(each) for each in described if each["error_code"] == 0 and each["partitions"]]

    def begins(self, places: Iterable[Place]) -> Offsets:
        """The oldest offsets that there are in these partitions. Callable from any thread."""
        return self._offsets(places, OffsetSpec.EARLIEST)

    def ends(self, places: Iterable[Place]) -> Offsets:
        """The offsets that these partitions will give next. Callable from any thread."""
        return self._offsets(places, OffsetSpec.LATEST)

    def close(self) -> None:
        self._admin.close()

    def _offsets(self, places: Iterable[Place], which: OffsetSpec) -> Offsets:
        asked = {TopicPartition(*place): which for place in places}
        if not asked:
            return {}
        try:
            answer = self._admin.list_partition_offsets(asked)
        except Exception as error:  # kafka-python lets through what its network raises
            raise unreachable(error) from error
        return {place: found.offset for place, found in answer.items()}

    def _describe(self, names: list[str]) -> list[dict[str, Any]]:
        try:
            described: list[dict[str, Any]] = self._admin.describe_topics(names)
        except Exception as error:  # as above
            raise unreachable(error) from error
        return described

    def _make(self, name: str) -> None:
        creation = self._creation
        if not creation.allowed:
            raise BrokerUnreachableError(f"there is no topic {name}; make it, or let it be made with create=true")
        wanted = {
            "num_partitions": creation.partitions,
            "replication_factor": creation.replication,
            "configs": _configuration(creation),
        }
        try:
            self._admin.create_topics({name: wanted}, timeout_ms=int(ANSWER_TIMEOUT * 1_000))
        except kafka_errors.TopicAlreadyExistsError:
            pass  # another node was faster
        except kafka_errors.BrokerResponseError as error:
            # The text of these is the whole answer.
            told = f"the topic {name} could not be made: {type(error).__name__}"
            raise BrokerUnreachableError(told) from error
        except Exception as error:  # as above
            raise unreachable(error) from error

    def _check_limit(self, described: dict[str, Any]) -> None:
        """A message that the topic refuses would be tried again and again, and hold up all others meanwhile."""
        if _MAY_DESCRIBE not in (described["authorized_operations"] or ()):
            return
        name = described["name"]
        asked = ConfigResource(ConfigResourceType.TOPIC, name, {"max.message.bytes": None})
        try:
            answer = self._admin.describe_configs([asked], config_filter="all")
        except kafka_errors.BrokerResponseError:
            return  # not to be told: what is too large will be
        except Exception as error:  # as above
            raise unreachable(error) from error
        limit = int(answer["topic"][name]["max.message.bytes"]["value"])
        if limit < BATCH_BYTES:
            told = (
                f"the topic {name} takes messages of {limit:,} bytes; its max.message.bytes has to be {BATCH_BYTES:,}"
            )
            raise BrokerUnreachableError(told)


def _configuration(creation: Creation) -> dict[str, str]:
    """Of a topic that is made: whatever the server's defaults are, it keeps messages, and forgets old ones."""
    retention = str(creation.retention_minutes * 60_000)
    return {
        "cleanup.policy": "delete",
        "retention.ms": retention,
        "segment.ms": retention,
        "max.message.bytes": str(BATCH_BYTES),
    }


def _topic(described: dict[str, Any]) -> Topic:
    identity = described.get("topic_id")
    return Topic(described["name"], None if identity is None else str(identity), len(described["partitions"]))
