"""AMQP, by py-amqp: one direct exchange for all, a queue for each node, a binding for each channel of that node.

The queue is of one connection alone and gone with it, so nothing is left behind, and nobody finds it in use by the
ghost of an earlier connection. The exchange stays: one that went with its last queue would take the connections of
whoever publishes just then along. Messages are not acknowledged, which would cost one more message each; what is lost
with a connection is confessed by sequence.

Bindings are answered, and what is published is confirmed, which is an extension of RabbitMQ's. py-amqp's own way of it
waits for each message; here the confirmations are counted as they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex
from time import monotonic
from typing import Any, Final

from kombu.entity import Queue
from kombu.messaging import Producer

from roomcast_brokers.backends.kombu.amqp_link import AmqpLink, routing_key
from roomcast_brokers.backends.kombu.confirms import Confirms
from roomcast_brokers.backends.kombu.ends import (
    BINARY,
    MOST_TAKEN,
    STALL,
    Confirmed,
    Delivered,
    Event,
    Setup,
    body_of,
)
from roomcast_brokers.backends.kombu.link import translated
from roomcast_brokers.batches import Message
from roomcast_brokers.errors import BrokerUnreachableError

# The first message of each connection goes to nobody. A server that is short of memory lets everybody connect; that it
# takes nothing it says when somebody publishes.
PROBE: Final[Message] = ("", b"")


class RoutedIntake:
    """See :class:`~.ends.Intake`."""

    def __init__(self, setup: Setup) -> None:
        self.malformed = 0
        self._setup = setup
        self._link = AmqpLink(setup)
        self._queue: Any = None
        self._names: dict[str, str] = {}  # routing key → channel
        self._events: list[Event] = []

    @property
    def descriptor(self) -> int:
        return self._link.descriptor

    def connect(self) -> None:
        with translated():
            self._link.open()
            name = f"roomcast.{token_hex(8)}"
            options = self._setup.queue_options
            self._queue = Queue(name, self._link.exchange, channel=self._link.channel, **options)
            self._queue.queue_declare()
            self._queue.consume(callback=self._received, no_ack=True)

    def change(self, subscribe: Sequence[tuple[str, int]], unsubscribe: Sequence[str]) -> None:
        exchange = self._link.exchange
        with translated():
            for channel in unsubscribe:
                key = routing_key(channel)
                if self._names.pop(key, None) is not None:
                    self._queue.unbind_from(exchange, key)
            for number, (channel, _) in enumerate(subscribe, 1):
                key = routing_key(channel)
                self._names[key] = channel
                # Only the last one waits: the broker takes them in their order, and a refusal ends the channel.
                self._queue.bind_to(exchange, key, nowait=number < len(subscribe))
        self._events.extend(Confirmed(channel, generation) for channel, generation in subscribe)

    def take(self) -> tuple[list[Event], bool]:
        with translated():
            complete = self._link.read(MOST_TAKEN)
        events, self._events = self._events, []
        return events, not complete

    def check(self) -> None:
        """By asking for the queue, which also finds out that somebody has deleted it."""
        with translated():
            self._link.heartbeat()
            self._queue.queue_declare(passive=True)

    def close(self, *, farewell: bool) -> None:
        self._link.close(farewell=farewell)

    def _received(self, message: Any) -> None:
        channel = self._names.get(message.delivery_info["routing_key"])
        if channel is None:
            return
        if self._setup.compressed:
            message = self._link.channel.message_to_python(message)
        payload = body_of(message)
        if payload is None:
            self.malformed += 1
        else:
            self._events.append(Delivered(channel, payload))


class RoutedOutlet:
    """See :class:`~.ends.Outlet`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._link = AmqpLink(setup)
        self._producer: Any = None
        self._confirms = Confirms()
        self._heard = 0.0  # when the broker has last confirmed something, or had nothing to confirm
        self._taken = False  # the broker has confirmed the probe
        self._blocked = False  # the broker says that it reads nothing more from this connection
        self._refused = False

    @property
    def descriptor(self) -> int:
        return self._link.descriptor

    def connect(self) -> None:
        with translated():
            self._link.open()
            raw, channel = self._link.raw, self._link.channel
            raw.on_blocked, raw.on_unblocked = self._block, self._unblock
            channel.events["basic_ack"].add(self._confirmed)
            channel.events["basic_nack"].add(self._refuse)
            channel.confirm_select()
            self._producer = Producer(channel, **self._setup.producer_options)
        self.publish([PROBE])

    def publish(self, messages: Sequence[Message]) -> None:
        confirms, publish, exchange = self._confirms, self._producer.publish, self._link.exchange
        if not confirms.missing:
            self._heard = monotonic()
        with translated():
            for channel, payload in messages:
                confirms.sent += 1
                publish(payload, routing_key(channel), exchange=exchange, **BINARY)

    def accepted(self) -> int:
        with translated():
            while not self._link.read(MOST_TAKEN):
                pass  # there are not more than messages
        if self._refused:
            raise BrokerUnreachableError("the broker refused a message")
        count = self._confirms.take()
        if count and not self._taken:
            self._taken = True
            return count - 1  # the probe is nobody's
        return count

    def obstacle(self) -> str | None:
        if self._blocked:
            return "the broker takes no messages: it is short of memory, or of room on its disk"
        return None if self._taken else "the broker has not taken a message yet"

    def wait(self, timeout: float) -> None:
        with translated():
            self._link.drain(timeout)

    def check(self) -> None:
        with translated():
            self._link.heartbeat()
            if self._blocked:
                return  # and answers nothing: whether it is there, the intake finds out
            if not self._confirms.missing:
                self._link.exchange.declare(passive=True)
            elif monotonic() - self._heard > STALL:
                raise BrokerUnreachableError(f"the broker has confirmed nothing for {STALL:g} s")

    def close(self, *, farewell: bool) -> None:
        self._link.close(farewell=farewell)

    def forget(self) -> None:
        self._link.forget()

    # --- called by py-amqp, while it reads --------------------------------------------------------------------------

    def _confirmed(self, number: int, multiple: bool) -> None:
        self._confirms.confirm(number, multiple)
        self._heard = monotonic()

    def _refuse(self, number: int, multiple: bool) -> None:
        self._refused = True

    def _block(self, reason: str) -> None:
        self._blocked = True

    def _unblock(self) -> None:
        self._blocked = False
        self._heard = monotonic()
