"""A broker for an event loop that is open for the length of a ``with`` block, and its listener."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from roomcast_brokers.contracts import AsyncBroker, State
from tests.support.listeners import RecordingListener

Opens = TypeVar("Opens", bound=AsyncBroker)


class Opened(Generic[Opens]):
    """``heard`` is the listener; ``wait`` waits for what it hears."""

    def __init__(self, broker: Opens) -> None:
        self.broker = broker
        self.heard = RecordingListener()
        self.wait = self.heard.until

    async def up(self) -> None:
        await self.wait(lambda heard: heard.state is State.UP)

    async def up_again(self, breaks: int = 1) -> None:
        """UP, after so many breaks in all."""
        await self.wait(lambda heard: heard.breaks >= breaks and heard.state is State.UP)

    async def away(self, why: str) -> None:
        """CONNECTING, and this is a part of what was told as the cause."""
        await self.wait(lambda heard: heard.state is State.CONNECTING and why in str(heard.causes[-1:]))

    async def hear_of(self, *channels: str) -> None:
        for channel in channels:
            self.broker.subscribe(channel, 1)
        await self.wait(lambda heard: set(channels) <= set(heard.generations) and heard.state is State.UP)

    async def echoed(self, channel: str, payload: bytes) -> None:
        self.broker.publish(channel, payload)
        await self.wait(lambda heard: payload in heard.payloads(channel))


@asynccontextmanager
async def opened(broker: Opens) -> AsyncIterator[Opened[Opens]]:
    each = Opened(broker)
    broker.open(each.heard)
    try:
        yield each
    finally:
        await broker.close()
