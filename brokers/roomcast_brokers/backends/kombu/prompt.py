"""Publishing where the transport comes back from it when the broker has the messages: everywhere but on AMQP."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Final

from kombu.messaging import Producer

from roomcast_brokers.backends.kombu.ends import BINARY, Setup
from roomcast_brokers.backends.kombu.link import Link, translated
from roomcast_brokers.batches import Message

# What kombu hands over to the transport in one go, where it can.
MOST_AT_ONCE: Final = 1_000


class PromptOutlet:
    """See :class:`~.ends.Outlet`: what has been published is accepted."""

    descriptor: int | None = None

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._link = Link(setup.connect)
        self._producer: Any = None
        self._exchange: Any = None
        self._accepted = 0

    def connect(self) -> None:
        with translated():
            self._link.open()
            self._exchange = self._setup.exchange(self._link.channel)
            self._exchange.declare()
            self._producer = Producer(self._link.channel, **self._setup.producer_options)

    def publish(self, messages: Sequence[Message]) -> None:
        publish, exchange = self._producer.publish, self._exchange
        # Since 5.7, and where the transport can: one round trip for all of them, and not one for each.
        batch = getattr(self._producer, "batch", None)
        with translated(), nullcontext() if batch is None else batch(MOST_AT_ONCE):
            for channel, payload in messages:
                publish(payload, channel, exchange=exchange, **BINARY)
        self._accepted += len(messages)

    def accepted(self) -> int:
        count, self._accepted = self._accepted, 0
        return count

    def obstacle(self) -> str | None:
        return None

    def wait(self, timeout: float) -> None:
        """There is nothing to wait for."""

    def check(self) -> None:
        with translated():
            self._link.heartbeat()

    def close(self, *, farewell: bool) -> None:
        self._link.close(farewell=farewell)

    def forget(self) -> None:
        self._link.forget()
