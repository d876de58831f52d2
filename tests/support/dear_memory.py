"""``dear://name``: as ``memory://name``, but a channel for each room would be too dear, as with AMQP and Kafka.

``broker_options={"table": TABLE}`` brings it to servers and emitters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from roomcast_brokers.backends.memory import MemoryBroker
from roomcast_brokers.contracts import Traits
from roomcast_brokers.registry import BackEnd

TABLE: Final[Mapping[str, BackEnd]] = {"dear": BackEnd("tests.support.dear_memory:DearMemoryBroker")}


class DearMemoryBroker(MemoryBroker):
    """See :class:`roomcast_brokers.contracts.AsyncBroker`."""

    @property
    def traits(self) -> Traits:
        return msgspec.structs.replace(super().traits, cheap_subscriptions=False)
