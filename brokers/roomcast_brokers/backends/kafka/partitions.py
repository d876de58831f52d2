"""Which topic and which partition a channel is in (cluster.md 1).

One topic per cluster; its name is the cluster's, which is what stands before the first ``:`` of a channel, unless the
operator names another. The partition follows from what stands behind it, so that every process finds the same one.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

from roomcast_brokers.channels import SHARDS
from roomcast_brokers.errors import AddressError

Place = tuple[str, int]
"""A topic and the number of a partition of it, as kafka-python's ``TopicPartition`` is one."""

# Kafka's own rule for names of topics.
_TOPIC: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,249}\Z")

_SHARD: Final = re.compile(r"shard:([0-9]{1,3})\Z")
_DIGEST_BYTES: Final = 16


def is_topic(name: str) -> bool:
    """Whether Kafka lets a topic have this name."""
    return _TOPIC.match(name) is not None


def topic_of(channel: str) -> str:
    """The topic of ``channel`` where the operator names none. Raises :class:`AddressError` if no topic can be."""
    topic = channel.partition(":")[0]
    if not is_topic(topic):
        raise AddressError("a channel in Kafka begins with a cluster's name and a colon")
    return topic


def slot_of(channel: str) -> int:
    """0 to 255: the number of the shard, 0 for ``all``, for others a digest; modulo the partitions it is the partition.

    Of a node's channel its tag is digested, of a channel that no rule speaks of all that stands behind the cluster.
    """
    rest = channel.partition(":")[2]
    if rest == "all":
        return 0
    shard = _SHARD.match(rest)
    if shard is not None:
        return int(shard[1]) % SHARDS
    return blake2b(rest.removeprefix("node:").encode(), digest_size=_DIGEST_BYTES).digest()[-1]
