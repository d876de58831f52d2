"""The two ends of a kombu broker, one connection each: what is taken in and what is let out.

Each is made for one connection, and used by one thread. Once something has raised, nothing more is asked of it but to
end. All of them raise :class:`~roomcast_brokers.errors.BrokerUnreachableError`, whatever it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from kombu.connection import Connection
from kombu.entity import Exchange

from roomcast_brokers.batches import Message

# Seconds without an answer after which a connection counts as dead: with the second between two questions, five.
STALL: Final = 4.0

# Seconds between two looks at whether the other end is still there.
CHECK: Final = 1.0

# What is taken in one go, about, before the thread looks what else there is to do: a few milliseconds' worth.
MOST_TAKEN: Final = 256


# How a payload is published: as bytes that nobody is to serialise, once.
BINARY: Final[Mapping[str, Any]] = {
    "content_type": "application/octet-stream",
    "content_encoding": "binary",
    "retry": False,
}


class Setup(msgspec.Struct, frozen=True):
    """What an end is made of. ``connect`` makes a connection that is not connected yet; ``exchange`` is bound to no
    channel; the options are those of ``kombu.Queue`` and ``kombu.Producer``. ``compressed``: messages may be, because
    this node compresses its own; otherwise nobody's bytes are blown up here.
    """

    connect: Callable[[], Connection]
    exchange: Exchange
    queue_options: Mapping[str, Any]
    producer_options: Mapping[str, Any]
    compressed: bool = False


class Delivered(msgspec.Struct, frozen=True):
    """A message has come."""

    channel: str
    payload: bytes


class Confirmed(msgspec.Struct, frozen=True):
    """The broker has subscribed the channel, as was asked with this generation."""

    channel: str
    generation: int


Event = Delivered | Confirmed


class Intake(Protocol):
    """What subscribes. ``malformed`` counts messages that were none."""

    malformed: int

    def connect(self) -> None:
        """Reach the broker, and be ready to subscribe."""

    def change(self, subscribe: Sequence[tuple[str, int]], unsubscribe: Sequence[str]) -> None:
        """Subscribe these (channel, generation), and others no longer. ``take`` has what is confirmed."""

    def take(self) -> tuple[list[Event], bool]:
        """What has come, in its order, without waiting; and whether there may be more, because this was a lot."""

    def check(self) -> None:
        """Find out whether the broker is still there. To be called every ``CHECK`` seconds, after ``take``."""

    @property
    def descriptor(self) -> int | None:
        """What becomes readable when there may be something to take; None: look again and again."""

    def close(self, *, farewell: bool) -> None:
        """End the connection; with ``farewell`` in good order, which may take a second. Raises nothing."""


class Outlet(Protocol):
    """What publishes."""

    def connect(self) -> None:
        """Reach the broker, and be ready to publish."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Write them, in order."""

    def accepted(self) -> int:
        """How many more of the oldest ones are with the broker now, since this was last asked. Does not wait."""

    def obstacle(self) -> str | None:
        """Why nothing can be published at present, although the connection is there; None: it can. As it was when
        ``accepted`` was last asked.
        """

    def wait(self, timeout: float) -> None:
        """Until ``accepted`` may have something new. For who has nothing else to wait for."""

    def check(self) -> None:
        """As :meth:`Intake.check`, after ``accepted``."""

    @property
    def descriptor(self) -> int | None:
        """What becomes readable when more may have been accepted; None: it is known when ``publish`` returns."""

    def close(self, *, farewell: bool) -> None:
        """As :meth:`Intake.close`."""

    def forget(self) -> None:
        """Let go of a connection that the parent of a fork goes on using: write nothing."""


def body_of(message: Any) -> bytes | None:
    """The payload of one of kombu's messages, or of a transport's own; None if it is none."""
    body = message.body
    if isinstance(body, str):  # what virtual transports, and py-amqp, make of no bytes at all
        body = body.encode("utf-8", "replace")
    return body if isinstance(body, bytes) and not getattr(message, "errors", None) else None
