"""What one connection has subscribed: which commands to send, and what the server's answers to them mean.

Redis answers each channel of each SUBSCRIBE and UNSUBSCRIBE on its own, in the order in which they were sent. So it is
enough to count the unsubscriptions under way: a confirmation that comes while one is, belongs to an earlier wish.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Channels of one command. Redis handles a command in one go, during which it serves nobody else: 1,000 channels take it
# less than a millisecond.
MAX_CHANNELS: Final = 1_000


class Subscriptions:
    """Wishes of this turn of the loop are collected, and per channel only the last one is sent.

    ``names`` has what is wanted, by the bytes that stand in a message; it is the same dict for ever, for the loop that
    delivers.
    """

    __slots__ = ("_changed", "_generations", "_sent", "_unsubscribing", "awaited", "names")

    def __init__(self) -> None:
        self.names: dict[bytes, str] = {}
        self.awaited: set[bytes] = set()
        """What :meth:`renew` asked for and the server has not confirmed yet."""
        self._generations: dict[bytes, int] = {}
        self._changed: dict[bytes, None] = {}
        self._sent: set[bytes] = set()
        self._unsubscribing: dict[bytes, int] = {}

    def want(self, name: str, generation: int) -> None:
        channel = name.encode()
        self.names[channel] = name
        self._generations[channel] = generation
        self._changed[channel] = None

    def drop(self, name: str) -> None:
        channel = name.encode()
        if self.names.pop(channel, None) is not None:
            del self._generations[channel]
            self.awaited.discard(channel)
            self._changed[channel] = None

    def renew(self, wanted: Mapping[str, int]) -> None:
        """Want exactly these, each of them confirmed anew; ``awaited`` tells what is missing."""
        for name in [name for name in self.names.values() if name not in wanted]:
            self.drop(name)
        for name, generation in wanted.items():
            self.want(name, generation)
        self.awaited = set(self.names)

    def take(self) -> tuple[list[bytes], list[bytes]]:
        """The channels to subscribe and those to unsubscribe now; no channel is in both."""
        subscribe, unsubscribe = [], []
        for channel in self._changed:
            if channel in self.names:
                self._sent.add(channel)
                subscribe.append(channel)
            elif channel in self._sent:
                self._sent.discard(channel)
                self._unsubscribing[channel] = self._unsubscribing.get(channel, 0) + 1
                unsubscribe.append(channel)
        self._changed.clear()
        return subscribe, unsubscribe

    def subscribed(self, channel: bytes) -> tuple[str, int] | None:
        """The server has subscribed ``channel``: what to confirm, if that is still meant."""
        name = self.names.get(channel)
        if name is None or channel in self._unsubscribing:
            return None
        self.awaited.discard(channel)
        return name, self._generations[channel]

    def unsubscribed(self, channel: bytes) -> bool:
        """The server has unsubscribed ``channel``. False if nobody asked for it, which is how a node of a cluster says
        that the channel belongs to another node now.
        """
        under_way = self._unsubscribing.pop(channel, 0)
        if under_way > 1:
            self._unsubscribing[channel] = under_way - 1
        return under_way > 0 or channel not in self._sent


def chunks(channels: list[bytes], size: int = MAX_CHANNELS) -> list[list[bytes]]:
    """The channels, as many in each command as go in."""
    return [channels[start : start + size] for start in range(0, len(channels), size)]
