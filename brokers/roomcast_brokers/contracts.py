"""What every broker promises. A broker moves bytes; what they mean is nobody's business here.

:class:`AsyncPublisher` is what an emitter needs, :class:`AsyncBroker` what a node needs. Both are for one event loop.
Each back end is written once, in the colour of its library; twins of these contracts for threads come with the first
server that blocks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import Enum
from typing import Protocol

import msgspec

# Kafka's default limit for a request is 1,048,576 bytes; this leaves room for its head.
MAX_MESSAGE_BYTES = 1_040_000


class Delivery(msgspec.Struct, frozen=True):
    """One message, as it was published: never joined, never split."""

    channel: str
    payload: bytes


class State(Enum):
    """What is known about the way to the broker."""

    CONNECTING = "connecting"  # never reached yet, or being reached again; publishing raises
    UP = "up"  # reached, and every wanted subscription is confirmed
    CLOSED = "closed"  # close() was called; the last state


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What a back end can and cannot do, so that the rules above it need no list of names."""

    durable: bool = False
    """Messages survive a restart of the broker and reach a subscriber that was away."""
    ordered_across_channels: bool = False
    """What one publisher publishes to two channels arrives in that order at a subscriber of both."""
    cheap_subscriptions: bool = True
    """A channel per room is affordable; otherwise rooms share a fixed number of channels."""
    shortest_beat: float = 0.0
    """Seconds; heartbeats more frequent than this would be a burden or arrive in lumps."""


class AsyncPublisher(Protocol):
    """The writing half. All methods are called from one event loop; none of them blocks it."""

    @property
    def traits(self) -> Traits:
        """Constant for the life of the object."""

    async def open(self) -> None:
        """Begin to reach the broker. Returns without waiting for it: an absent broker is a state, not an error.

        Raises :class:`~roomcast_brokers.errors.BrokerURLError` for what will never work. A second call does nothing.
        """

    async def publish(self, channel: str, payload: bytes) -> None:
        """Hand one message over; returns when the broker, as far as it tells, has it.

        Order: first in, first out per channel, also between calls of several tasks in the order they were begun.
        Delivery: at most once, and to nobody who subscribes later (durable back ends: at least once). No retries in
        here. Raises ``MessageTooLargeError``, ``BrokerUnreachableError`` (nothing is known to have been delivered),
        ``BrokerClosedError``.
        """

    async def close(self) -> None:
        """End for good: what was accepted is flushed, iterators end, the state becomes CLOSED. May be called twice."""


class AsyncBroker(AsyncPublisher, Protocol):
    """Both halves. A node's own messages come back to it where it subscribes: so it hears whether it is deaf."""

    async def subscribe(self, channel: str) -> None:
        """Want ``channel`` from now on; returns when that is **confirmed**: what is published afterwards arrives.

        Wanted channels are subscribed again by the back end after every break, before the state is UP again.
        Subscribing twice is the same as once. Raises ``BrokerClosedError``; waits while the broker is away (callers
        bound the wait).
        """

    async def unsubscribe(self, channel: str) -> None:
        """Want ``channel`` no longer; returns when the broker knows. Deliveries already taken in may still come out."""

    def deliveries(self) -> AsyncIterator[Delivery]:
        """What arrives on the subscribed channels, for one consumer; ends after ``close()``.

        First in, first out per publisher and channel. Never raises because of what was received. The queue behind it is
        bounded: what does not fit because the consumer is too slow is dropped and counted, never waited for.
        """

    def states(self) -> AsyncIterator[State]:
        """The present state at once, then every change; ends after CLOSED. Any number of consumers."""
