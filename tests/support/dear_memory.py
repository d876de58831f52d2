"""The embedded broker with the weaknesses of others, exact and without a server of their own.

``dear://name``
    as ``memory://name``, but a channel for each room would be too dear, as with AMQP and Kafka.
``silent://name``
    also, it says that a channel is subscribed when it was asked to subscribe it, and misses the next message there.

``broker_options={"table": TABLE}`` brings both to servers and emitters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from roomcast_brokers.backends.memory import Exchange, MemoryBroker, exchange_of
from roomcast_brokers.contracts import Traits
from roomcast_brokers.registry import BackEnd

TABLE: Final[Mapping[str, BackEnd]] = {
    "dear": BackEnd("tests.support.dear_memory:DearMemoryBroker"),
    "silent": BackEnd("tests.support.dear_memory:SilentMemoryBroker"),
}


class DearMemoryBroker(MemoryBroker):
    """See :class:`roomcast_brokers.contracts.AsyncBroker`."""

    @property
    def traits(self) -> Traits:
        return msgspec.structs.replace(super().traits, cheap_subscriptions=False)


class SilentMemoryBroker(DearMemoryBroker):
    """Hears from the second message on that anybody publishes to a channel after it was subscribed."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._missing: set[str] = set()  # what subscribes with the next message

    @property
    def traits(self) -> Traits:
        return msgspec.structs.replace(super().traits, confirms_subscriptions=False)

    def publish(self, channel: str, payload: bytes) -> None:
        super().publish(channel, payload)
        for broker in list(exchange_of(self._name).members):
            if isinstance(broker, SilentMemoryBroker):
                broker._hear_next(channel)

    def _hear_next(self, channel: str) -> None:
        if channel in self._missing and self._exchange is not None:
            self._missing.discard(channel)
            if channel in self._inbox.subscribed.wanted():
                self._exchange.subscribers.setdefault(channel, {})[self] = None

    def _join(self, exchange: Exchange, channel: str, generation: int) -> None:
        if self not in exchange.subscribers.get(channel, ()):
            self._missing.add(channel)
        self._inbox.confirmed(channel, generation)

    def _part(self, exchange: Exchange, channel: str) -> None:
        self._missing.discard(channel)
        super()._part(exchange, channel)
