"""What every back end promises. A broker moves bytes; what they mean is nobody's business here.

Nothing waits for a message: messages are *handed over*, and a :class:`Listener` is *told* what became of them. So one
wait serves a thousand messages, and both colours have the same methods:

* :class:`AsyncBroker` for one event loop. All methods are called in it, and so is the listener.
* :class:`Broker` for threads. Methods may be called from any thread; the listener is called in one thread of the back
  end's own, one call at a time.
* :class:`Sender` for who only writes and wants to know at once: it blocks.

Each back end is written once, in the colour of its library; :mod:`roomcast_brokers.bridge` makes the others.

What holds everywhere:

* **Order.** What one broker object was handed for one channel arrives in that order. Across channels only where
  :attr:`Traits.ordered_across_channels` says so.
* **Delivery.** At most once per hand-over, to who is subscribed and confirmed at that time (durable back ends: at least
  once). Nothing is retried in here: whoever handed it over decides that, and knows what may have been lost.
* **Echo.** What a broker publishes comes back to it on the channels that it subscribes: so a node hears whether it is
  deaf.
* **Supervision.** After ``open`` the back end reaches the broker by itself, again and again
  (:mod:`roomcast_brokers.backoff`), and subscribes what is wanted as one step after every break, before it is UP.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, Protocol, runtime_checkable

import msgspec

# Kafka's default limit for a request is 1,048,576 bytes; this leaves room for its head.
MAX_MESSAGE_BYTES: Final = 1_040_000


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
    """What one publisher hands over for two channels arrives in that order at a subscriber of both."""
    cheap_subscriptions: bool = True
    """A channel per room is affordable; otherwise rooms share a fixed number of channels."""
    confirms_subscriptions: bool = True
    """``confirmed`` comes from the broker. Otherwise it only says that the request was written, and whoever needs
    certainty hears a probe of its own on that channel.
    """
    shortest_beat: float = 0.0
    """Seconds; heartbeats more frequent than this would be a burden or arrive in lumps."""


class Listener(Protocol):
    """Who is told. None of these may raise or block; each is called where the contract of the broker says."""

    def delivered(self, channel: str, payload: bytes) -> None:
        """One message, as it was published: never joined, never split. The bytes are nobody's to trust."""

    def confirmed(self, channel: str, generation: int) -> None:
        """What is published to ``channel`` from now on arrives here. ``generation`` is the latest ``subscribe``'s.

        Comes once after each ``subscribe`` that no ``unsubscribe`` overtook, and again after every break, before UP.
        """

    def accepted(self, count: int) -> None:
        """The ``count`` oldest messages that were handed over and not accepted yet are with the broker now."""

    def changed(self, state: State, cause: Exception | None) -> None:
        """The state has changed; ``cause`` is why it is not UP, where that is known.

        CONNECTING after UP: whatever was handed over and not accepted may or may not have arrived, and will not be
        accepted any more; no subscription is confirmed any more. A failed attempt to reach the broker is told as
        CONNECTING once more, with its cause.
        """


class AsyncPublisher(Protocol):
    """The writing half for one event loop. None of its methods blocks it."""

    @property
    def traits(self) -> Traits:
        """Constant for the life of the object."""

    def open(self, listener: Listener) -> None:
        """Begin to reach the broker, in the running loop. An absent broker is a state, not an error. Once only."""

    def publish(self, channel: str, payload: bytes) -> None:
        """Hand one message over; it is written at the latest at the end of this turn of the loop.

        Raises :class:`~roomcast_brokers.errors.MessageTooLargeError`, and
        :class:`~roomcast_brokers.errors.BrokerUnreachableError` unless the state is UP. What waits to be written is
        bounded by the caller, who counts what is not accepted yet.
        """

    async def close(self) -> None:
        """End for good: what was handed over is written (2 s at most), connections end, the state becomes CLOSED.

        The listener hears nothing after that. May be called twice, and without ``open``.
        """


@runtime_checkable
class PublishesBatches(Protocol):
    """An ability that some back ends for an event loop have: for who hands over at once what a whole turn has made."""

    def publish_batch(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """As :meth:`AsyncPublisher.publish` for each (channel, payload), in order; but written now, in one go.

        It spares the loop one turn. What raises, raises before anything of it is handed over.
        """


class AsyncBroker(AsyncPublisher, Protocol):
    """Both halves, for one event loop."""

    def subscribe(self, channel: str, generation: int) -> None:
        """Want ``channel`` from now on, through every break. May be called in any state but CLOSED.

        ``generation`` comes back with ``confirmed``. A channel that is wanted already is confirmed anew.
        """

    def unsubscribe(self, channel: str) -> None:
        """Want ``channel`` no longer. The listener hears nothing of it any more, not even what is on its way."""

    def reset(self) -> None:
        """Give up the connections and make new ones: whoever calls this has found out that they are dead."""


class Publisher(Protocol):
    """The writing half for threads; as :class:`AsyncPublisher`, callable from any thread."""

    @property
    def traits(self) -> Traits:
        """Constant for the life of the object."""

    def open(self, listener: Listener) -> None:
        """Begin to reach the broker. Returns at once."""

    def publish(self, channel: str, payload: bytes) -> None:
        """Hand one message over. Raises as :meth:`AsyncPublisher.publish`; does not wait for the network."""

    def close(self, timeout: float = 2.0) -> None:
        """End for good, within ``timeout`` seconds; what could not be written by then is lost."""


class Broker(Publisher, Protocol):
    """Both halves, for threads; as :class:`AsyncBroker`, callable from any thread."""

    def subscribe(self, channel: str, generation: int) -> None:
        """As :meth:`AsyncBroker.subscribe`."""

    def unsubscribe(self, channel: str) -> None:
        """As :meth:`AsyncBroker.unsubscribe`; a delivery that is being made in the other thread may still end."""

    def reset(self) -> None:
        """As :meth:`AsyncBroker.reset`."""


class Sender(Protocol):
    """Writes and knows: blocks the calling thread until the broker has it. One thread at a time; no fork in between.

    Works where sockets are made cooperative (gevent, eventlet): it uses blocking sockets and no thread of its own,
    unless it is bridged.
    """

    @property
    def traits(self) -> Traits:
        """Those of the back end: where a sender writes, its brokers read. Constant for the life of the object."""

    def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Publish these (channel, payload), in order, in one go where the back end can. None: reach the broker.

        Raises :class:`~roomcast_brokers.errors.SendError` (a ``BrokerUnreachableError``), whose ``accepted`` says how
        many of the first are surely with the broker; whether the next ones are is not known. ``MessageTooLargeError``
        before anything is sent. Connects when it has to, within its time-out (5 s); tries once, not again.
        """

    def close(self) -> None:
        """End the connection; may be called twice. A child of a fork calls :meth:`forget` instead."""

    def forget(self) -> None:
        """Let go of a connection that the parent process goes on using: close the descriptors, write nothing."""
