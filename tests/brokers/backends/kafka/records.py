"""What stands in a topic, read from its beginning by kafka-python's own consumer."""

from __future__ import annotations

from typing import Any

from tests.support.kafka_server import KafkaServer
from tests.support.services import wait_for


def records(server: KafkaServer, topic: str, count: int = 0) -> dict[int, list[tuple[str, bytes]]]:
    """(channel, payload) by partition, once there are ``count`` in all; without nudges."""
    from kafka import KafkaConsumer, TopicPartition

    found: dict[int, list[tuple[str, bytes]]] = {}
    consumer: Any = KafkaConsumer(**server.client_options(), enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        consumer.assign(places)
        consumer.seek_to_beginning()

        def read() -> bool:
            for place, polled in consumer.poll(timeout_ms=50).items():
                kept = [(each.key.decode(), each.value) for each in polled if each.key]
                found.setdefault(place.partition, []).extend(kept)
            ends = consumer.end_offsets(places)
            return all(consumer.position(place) >= end for place, end in ends.items()) and size() >= count

        def size() -> int:
            return sum(map(len, found.values()))

        wait_for(read, lambda: f"{size()} of {count} records")
    finally:
        consumer.close()
    return {number: each for number, each in sorted(found.items()) if each}
