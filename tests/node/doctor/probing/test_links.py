"""Packets of one session, whatever carries it."""

from __future__ import annotations

from collections import deque

import pytest

from roomcast.doctor.answers import Ending
from roomcast.doctor.packets import PING, PONG, Message, Opened, Packet
from roomcast.doctor.probing.links import LinkEndedError, next_message
from tests.support.patience import PATIENCE


class PlayedLink:
    """Gives the packets it was made with; then it is silent, or has ended."""

    opened = Opened("", (), 1.0, 1.0, 1)
    tag = None

    def __init__(self, *packets: Packet, ending: Ending | None = None) -> None:
        self._packets = deque(packets)
        self._ending = ending
        self.sent: list[Packet] = []

    async def send(self, packet: Packet) -> None:
        self.sent.append(packet)

    async def receive(self, seconds: float) -> Packet:
        if self._packets:
            return self._packets.popleft()
        if self._ending is not None:
            raise LinkEndedError(self._ending)
        raise TimeoutError

    async def close(self) -> None: ...


async def test_pings_are_answered_and_the_rest_is_skipped() -> None:
    link = PlayedLink("6", PING, b"\xc1", '42["a"]')
    assert await next_message(link, PATIENCE) == Message(2, "/", ["a"])
    assert link.sent == [PONG]


async def test_nothing_comes() -> None:
    assert await next_message(PlayedLink("6"), PATIENCE) is None
    assert await next_message(PlayedLink('42["a"]'), 0) is None


async def test_it_has_ended() -> None:
    with pytest.raises(LinkEndedError) as caught:
        await next_message(PlayedLink(ending=Ending("cut")), PATIENCE)
    assert caught.value.ending == Ending("cut")
