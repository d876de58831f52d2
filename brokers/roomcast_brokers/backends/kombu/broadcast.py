"""Transports with fanout of which nothing else is known: one exchange for all, one queue for each node.

Every node hears everything, and drops what it did not subscribe. The transport is looked at again and again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from secrets import token_hex
from typing import Any, Final

from kombu.entity import Queue

from roomcast_brokers.backends.kombu.ends import MOST_TAKEN, Confirmed, Delivered, Event, Setup, body_of
from roomcast_brokers.backends.kombu.link import Link, quietly, translated
from roomcast_brokers.backends.kombu.prompt import PromptOutlet
from roomcast_brokers.batches import Message

# kombu's memory transport has one list of queues for the whole process, and walks through it while another thread may
# take one out: the next would be left out as well, and the one taken out made again. Held for microseconds there.
_bindings: Final = threading.Lock()


class BroadcastIntake:
    """See :class:`~.ends.Intake`."""

    descriptor = None

    def __init__(self, setup: Setup) -> None:
        self.malformed = 0
        self._setup = setup
        self._link = Link(setup.connect)
        self._exchange: Any = None
        self._queue: Any = None
        self._channels: set[str] = set()
        self._events: list[Event] = []

    def connect(self) -> None:
        with translated():
            self._link.open()
            channel = self._link.channel
            self._exchange = self._setup.exchange(channel)
            self._exchange.declare()
            name = f"roomcast.{token_hex(8)}"
            queue = Queue(name, self._exchange, channel=channel, **self._setup.queue_options)
            queue.queue_declare()
            self._queue = queue
            queue.bind_to(self._exchange)
            queue.consume(consumer_tag=name, callback=self._received, no_ack=True)

    def change(self, subscribe: Sequence[tuple[str, int]], unsubscribe: Sequence[str]) -> None:
        self._channels.difference_update(unsubscribe)
        self._channels.update(channel for channel, _ in subscribe)
        self._events.extend(Confirmed(channel, generation) for channel, generation in subscribe)

    def take(self) -> tuple[list[Event], bool]:
        with translated():
            more = all(self._link.drain(0) for _ in range(MOST_TAKEN))
        events, self._events = self._events, []
        return events, more

    def check(self) -> None:
        with translated():
            self._link.heartbeat()

    def close(self, *, farewell: bool) -> None:
        queue = self._queue
        if queue is not None:  # without a farewell too: nothing else would ever take it away
            with _bindings:
                quietly(queue.delete)
                quietly(lambda: queue.unbind_from(self._exchange))  # which not every transport does when it deletes
        self._link.close(farewell=farewell)

    def _received(self, raw: Any) -> None:
        message = self._link.channel.message_to_python(raw)
        channel = (message.delivery_info or {}).get("routing_key")
        if channel in self._channels:
            payload = body_of(message)
            if payload is None:
                self.malformed += 1
            else:
                self._events.append(Delivered(channel, payload))


class BroadcastOutlet(PromptOutlet):
    """See :class:`~.ends.Outlet`. What has been published is where it belongs, as far as anybody can tell."""

    def publish(self, messages: Sequence[Message]) -> None:
        with _bindings:
            super().publish(messages)
