"""A broker for threads that is open for the length of a ``with`` block, and its listener."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from roomcast_brokers.contracts import Broker, State
from tests.support.listeners import ThreadListener

Opens = TypeVar("Opens", bound=Broker)


class OpenedThreads(Generic[Opens]):
    """``heard`` is the listener; ``wait`` waits for what it hears."""

    def __init__(self, broker: Opens) -> None:
        self.broker = broker
        self.heard = ThreadListener()
        self.wait = self.heard.until

    def up(self) -> None:
        self.wait(lambda heard: heard.state is State.UP)

    def up_again(self, breaks: int = 1) -> None:
        """UP, after so many breaks in all."""
        self.wait(lambda heard: heard.breaks >= breaks and heard.state is State.UP)

    def away(self, why: str) -> None:
        """CONNECTING, and this is a part of what was told as the cause."""
        self.wait(lambda heard: heard.state is State.CONNECTING and why in str(heard.causes[-1:]))

    def hear_of(self, *channels: str) -> None:
        for channel in channels:
            self.broker.subscribe(channel, 1)
        self.wait(lambda heard: set(channels) <= set(heard.generations) and heard.state is State.UP)

    def echoed(self, channel: str, payload: bytes) -> None:
        self.broker.publish(channel, payload)
        self.wait(lambda heard: payload in heard.payloads(channel))


@contextmanager
def opened_threads(broker: Opens) -> Iterator[OpenedThreads[Opens]]:
    each = OpenedThreads(broker)
    broker.open(each.heard)
    try:
        yield each
    finally:
        broker.close()
    assert not each.heard.misplaced
    assert len(each.heard.threads) == 1
