"""One Engine.IO session of ours, whatever carries it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from roomcast.doctor.answers import Ending
from roomcast.doctor.packets import PING, PONG, Message, Opened, Packet, read_message


class LinkEndedError(Exception):
    """The session has ended, and not by us."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.how)
        self.ending = ending


class Link(Protocol):
    """Packets in both directions. ``tag`` is the node's, where it is known."""

    @property
    def opened(self) -> Opened:
        """What the server told at the beginning."""

    @property
    def tag(self) -> str | None:
        """The node's."""

    async def send(self, packet: Packet) -> None:
        """Send one packet. Raises LinkEndedError."""

    async def receive(self, seconds: float) -> Packet:
        """The next packet. Raises LinkEndedError, and TimeoutError if there is none within ``seconds``; after that
        only :meth:`close` may be called.
        """

    async def close(self) -> None:
        """End it, as clients do."""


Opener = Callable[[], Awaitable[Link | None]]


async def next_message(link: Link, seconds: float) -> Message | None:
    """The next Socket.IO packet, pings answered; None if there is none within ``seconds``. Raises LinkEndedError."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while (left := deadline - clock()) > 0:
        try:
            packet = await link.receive(left)
        except TimeoutError:
            return None
        if packet == PING:
            await link.send(PONG)
        elif (message := read_message(packet)) is not None:
            return message
    return None
