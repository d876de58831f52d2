"""Joining a namespace, as a client of the application."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from roomcast.doctor.judging.entry import Entry
from roomcast.doctor.packets import Message, Packet, Serializer, connect_packet, sid_of
from roomcast.doctor.probing.links import Link, LinkEndedError, next_message
from roomcast.doctor.timing import REQUEST_SECONDS
from roomcast.socketio.packet import CONNECT, CONNECT_ERROR


class Door(msgspec.Struct, frozen=True):
    """Which namespace, and what is said to be let in."""

    namespace: str = "/"
    auth: dict[str, Any] | None = None
    serializer: Serializer = "default"

    @property
    def knock(self) -> Packet:
        """The packet that asks to be let in."""
        return connect_packet(self.namespace, self.auth, self.serializer)


async def enter(link: Link, door: Door) -> tuple[Entry, str | None]:
    """Join; what came of it, and the sid in that namespace."""
    clock = asyncio.get_running_loop().time
    begin = clock()
    try:
        await link.send(door.knock)
        while (left := begin + REQUEST_SECONDS - clock()) > 0:
            message = await next_message(link, left)
            if message is None:
                break
            if message.namespace == door.namespace and message.type in (CONNECT, CONNECT_ERROR):
                return read_entry(message, clock() - begin), sid_of(message)
    except LinkEndedError:
        return Entry(door.namespace, "closed"), None
    return Entry(door.namespace, "silent", REQUEST_SECONDS), None


def read_entry(message: Message, seconds: float) -> Entry:
    """What the answer to a CONNECT says."""
    if sid_of(message) is not None:
        return Entry(message.namespace, "in", seconds)
    said = message.data.get("message") if isinstance(message.data, dict) else message.data
    return Entry(message.namespace, "refused", seconds, str(said))
