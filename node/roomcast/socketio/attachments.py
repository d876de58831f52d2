"""Packets with attachments: the header comes first, its binary messages follow at once and in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roomcast.errors import PacketError
from roomcast.socketio.packet import ACK, BINARY_EVENT, EVENT, Packet

#: A reassembled packet may be this many times ``max_payload``: a full message for each of the ten attachments.
PAYLOADS_PER_PACKET = 10


class Assembly:
    """Collects the attachments of one header packet, whose ``data`` it takes over and completes in place.

    The constructor checks every placeholder, so that a broken packet ends before anything is buffered; one ``feed`` for
    each binary message follows, and the last one returns the whole packet. Whoever holds an Assembly sees to its
    deadline, and treats a text packet that arrives meanwhile as an error.
    """

    __slots__ = ("_packet", "_places", "_received", "_room")

    def __init__(self, packet: Packet, max_bytes: int) -> None:
        """``packet`` is a BINARY_EVENT or BINARY_ACK; ``max_bytes`` bounds all its attachments. Raises PacketError."""
        self._packet = packet
        self._places = placeholders(packet.data, packet.attachments)
        self._received: list[bytes] = []
        self._room = max_bytes

    @property
    def missing(self) -> int:
        """How many attachments are still to come."""
        return self._packet.attachments - len(self._received)

    def feed(self, data: bytes) -> Packet | None:
        """Take the next binary message; the last one returns the packet as EVENT or ACK with ``attachments`` 0.

        Raises PacketError when the attachments together exceed ``max_bytes``.
        """
        self._room -= len(data)
        if self._room < 0:
            raise PacketError("attachments", "the attachments of a packet are too long")
        received = self._received
        received.append(data)
        packet = self._packet
        if len(received) < packet.attachments:
            return None
        for container, key, num in self._places:
            container[key] = received[num]
        return Packet(EVENT if packet.type == BINARY_EVENT else ACK, packet.namespace, packet.data, packet.id)


def fill(data: list[Any], attachments: Sequence[bytes]) -> None:
    """Put attachments that are all there into the places of ``data``. Raises PacketError."""
    for container, key, num in placeholders(data, len(attachments)):
        container[key] = attachments[num]


def placeholders(data: list[Any], count: int) -> list[tuple[Any, Any, int]]:
    """Where ``data`` has placeholders: (list or dict, index or key, number of the attachment).

    One attachment may stand in several places, or in none. Raises PacketError for a number that is not an integer from
    0 to ``count`` - 1. Walks with a stack of its own: nothing here recurses, whatever the depth.
    """
    places: list[tuple[Any, Any, int]] = []
    containers: list[Any] = [data]
    while containers:
        container = containers.pop()
        for key, value in container.items() if type(container) is dict else enumerate(container):
            if type(value) is dict and value.get("_placeholder") is True:
                places.append((container, key, _number(value, count)))
            elif type(value) is dict or type(value) is list:
                containers.append(value)
    return places


def _number(placeholder: dict[str, Any], count: int) -> int:
    num = placeholder.get("num")
    if type(num) is not int or not 0 <= num < count:
        raise PacketError("attachments", "a placeholder must have the number of an attachment")
    return num
