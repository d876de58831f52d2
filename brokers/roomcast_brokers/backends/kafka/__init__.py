"""Apache Kafka: one topic per cluster, read without consumer groups, written by an idempotent producer.

Partitions are assigned, not negotiated, and every node keeps its own positions: what was published while a node could
not be reached is heard when it can, as long as Kafka keeps it. kafka-python does the talking, for threads.
"""

from __future__ import annotations

from roomcast_brokers.backends.kafka.broker import KafkaBroker
from roomcast_brokers.backends.kafka.sender import KafkaSender

__all__ = ["KafkaBroker", "KafkaSender"]
