"""Which server a channel belongs to: the only one, or in Redis Cluster the owner of the channel's slot."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from redis.crc import key_slot

from roomcast_brokers.errors import BrokerUnreachableError

SLOTS: Final = 16_384

# Channels of which something is remembered: finding a slot costs 0.5 µs, looking it up a tenth. Far more than a node
# uses at a time; when it is full, all are forgotten, which costs less than to know which were used last.
MAX_REMEMBERED: Final = 20_000


class Server(msgspec.Struct, frozen=True):
    """The address of one server; ``path`` is that of a Unix socket, and then host and port say nothing."""

    host: str = "localhost"
    port: int = 6379
    path: str = ""


class Layout:
    """Who owns what, as it was when the servers were asked. A new one is made when it has turned out to be wrong.

    ``slots`` gives each of the 16,384 slots the index of its owner in ``servers``; None means no cluster.
    """

    __slots__ = ("_owners", "_slots", "servers", "sharded")

    def __init__(self, servers: Sequence[Server], slots: Sequence[int] | None = None) -> None:
        self.servers = tuple(servers)
        self.sharded = slots is not None
        self._slots = slots or ()
        self._owners: dict[str, Server] = {}

    def owner(self, channel: str) -> Server:
        """The server on which ``channel`` is published and subscribed."""
        if not self.sharded:
            return self.servers[0]
        owners = self._owners
        server = owners.get(channel)
        if server is None:
            if len(owners) >= MAX_REMEMBERED:
                owners.clear()
            server = owners[channel] = self.servers[self._slots[key_slot(channel.encode())]]
        return server


def clustered(owned: Iterable[tuple[int, Server]]) -> Layout:
    """The layout of a cluster from (slot, its master). Every slot has to have one: a channel may be in any of them."""
    indexes: dict[Server, int] = {}
    slots = array("i", [-1]) * SLOTS
    for slot, server in owned:
        slots[slot] = indexes.setdefault(server, len(indexes))
    missing = slots.count(-1)
    if missing:
        raise BrokerUnreachableError(f"{missing:,} of the {SLOTS:,} slots of the Redis Cluster belong to no server")
    return Layout(tuple(indexes), slots)
