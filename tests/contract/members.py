"""A broker of any colour with its listener, spoken to in one way: what the tests of the contract are written in."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

from roomcast_brokers.contracts import AsyncBroker, Broker, Sender, State, Traits
from roomcast_brokers.errors import SendError
from tests.contract.services import Service
from tests.support.listeners import PROBE, Heard, RecordingListener, ThreadListener
from tests.support.patience import PATIENCE

PROBE_AGAIN = 0.01
"""Seconds after which another probe is sent where the one before has not come; the next pause is twice as long."""
LONGEST_PAUSE = 0.2

_generations = itertools.count(1)

Messages = Sequence[tuple[str, bytes]]


class Member:
    """One broker and what its listener heard. Methods are those of the broker; what blocks is awaited.

    ``send`` publishes for somebody else.
    """

    def __init__(
        self, broker: AsyncBroker | Broker, threads: bool, send: Callable[[Messages], Awaitable[None]]
    ) -> None:
        self.broker = broker
        self.threads = threads
        self._send = send
        self.listener: RecordingListener | ThreadListener = ThreadListener() if threads else RecordingListener()

    @property
    def heard(self) -> Heard:
        return self.listener

    @property
    def traits(self) -> Traits:
        return self.broker.traits

    def open(self) -> None:
        self.broker.open(self.listener)

    def publish(self, channel: str, payload: bytes) -> None:
        # With threads the listener may well be called meanwhile; in a loop it must not be.
        self.listener.busy_elsewhere = not self.threads
        try:
            self.broker.publish(channel, payload)
        finally:
            self.listener.busy_elsewhere = False

    def subscribe(self, channel: str, generation: int | None = None) -> int:
        """Subscribe, with a generation of its own if none is given. Returns it."""
        number = next(_generations) if generation is None else generation
        self.broker.subscribe(channel, number)
        return number

    def unsubscribe(self, channel: str) -> None:
        self.broker.unsubscribe(channel)

    def reset(self) -> None:
        self.broker.reset()

    async def close(self) -> None:
        if self.threads:
            await asyncio.to_thread(cast("Broker", self.broker).close)
        else:
            await cast("AsyncBroker", self.broker).close()

    async def until(self, condition: Callable[[Heard], object], timeout: float = PATIENCE) -> None:
        if isinstance(self.listener, ThreadListener):
            await asyncio.to_thread(self.listener.until, condition, timeout)
        else:
            await self.listener.until(condition, timeout)

    async def up(self) -> None:
        await self.until(lambda heard: heard.state is State.UP)

    @asynccontextmanager
    async def back_after_a_break(self) -> AsyncIterator[None]:
        """What is done inside breaks the connection; afterwards this member has heard of it and is up again."""
        before = self.heard.breaks
        yield
        await self.until(lambda heard: heard.breaks > before and heard.state is State.UP)

    async def hear_of(self, *channels: str) -> None:
        """Subscribe and wait until what is published from now on arrives for sure: for the confirmations, and where
        they do not come from the broker, for probes.
        """
        wanted = {channel: self.subscribe(channel) for channel in channels}
        await self.until(lambda heard: all(heard.generations.get(each) == wanted[each] for each in wanted))
        await self.certain(*channels)

    async def certain(self, *channels: str) -> None:
        """Wait until what is published from now on to these channels, which are confirmed, arrives for sure.

        Somebody else publishes the probes, so that they are not among what this member has accepted.
        """
        if self.traits.confirms_subscriptions:
            return
        probe = PROBE + secrets.token_bytes(8)

        def missing(heard: Heard) -> list[str]:
            return [channel for channel in channels if (channel, probe) not in heard.probes]

        pause = PROBE_AGAIN
        async with asyncio.timeout(PATIENCE):
            while missing(self.heard):
                await self._send([(channel, probe) for channel in missing(self.heard)])
                with contextlib.suppress(AssertionError):  # some were lost, and are sent again
                    await self.until(lambda heard: not missing(heard), pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def received(self, channel: str, count: int) -> list[bytes]:
        """The payloads of ``channel``, once there are ``count``; more, if more have come."""
        await self.until(lambda heard: len(heard.payloads(channel)) >= count)
        return self.heard.payloads(channel)

    async def settled(self) -> None:
        """Whatever this member was still to hear of what happened before has been heard: a message of its own, on a
        channel that nobody else knows, came back three times. (One round is proof where channels keep their order.)
        """
        channel = f"contract:settled:{secrets.token_hex(8)}"
        await self.hear_of(channel)
        accepted = self.heard.accepted_count
        for number in range(3):
            self.publish(channel, b"%d" % number)
            await self.received(channel, number + 1)
        # A message may come back before its receipt.
        await self.until(lambda heard: heard.accepted_count >= accepted + 3)
        self.unsubscribe(channel)


class Ground:
    """What one test of the contract stands on: a service, a colour, and channels that no other test uses."""

    def __init__(self, service: Service, colour: str) -> None:
        self.service = service
        self.colour = colour
        self._prefix = f"contract:{secrets.token_hex(6)}"
        self._numbers = itertools.count()
        self._probing: Sender | None = None

    def channel(self) -> str:
        return f"{self._prefix}:{next(self._numbers)}"

    def channels(self, count: int) -> list[str]:
        return [self.channel() for _ in range(count)]

    def member(self) -> Member:
        """Not opened, and the test's to close."""
        return Member(self.service.broker(self.colour), self.colour == "threads", self._send)

    def sender(self) -> Sender:
        return self.service.sender()

    async def _send(self, messages: Messages) -> None:
        if self._probing is None:
            self._probing = self.sender()
        with contextlib.suppress(SendError):  # a break: its next connection is a new one
            await asyncio.to_thread(self._probing.send, messages)

    def close(self) -> None:
        """The test is over."""
        if self._probing is not None:
            self._probing.close()

    @asynccontextmanager
    async def members(self, count: int, *, up: bool = True) -> AsyncIterator[list[Member]]:
        """So many, open; UP unless told otherwise. Closed at the end, whatever the test did."""
        async with AsyncExitStack() as stack:
            members = [self.member() for _ in range(count)]
            for member in members:
                stack.push_async_callback(member.close)
                member.open()
            if up:
                for member in members:
                    await member.up()
            yield members
            for member in members:
                assert not member.heard.misplaced, member.heard.misplaced[:3]

    # The service, without holding up the loop.

    async def start(self) -> None:
        await asyncio.to_thread(self.service.start)

    async def stop(self) -> None:
        await asyncio.to_thread(self.service.stop)

    async def restart(self) -> None:
        await asyncio.to_thread(self.service.restart)

    async def cut(self) -> None:
        await asyncio.to_thread(self.service.cut)
