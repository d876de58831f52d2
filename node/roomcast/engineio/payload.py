"""Polling payloads (wire.md 1.2): packets joined by the byte 0x1E."""

from __future__ import annotations

from collections.abc import Iterable

from roomcast.engineio.packet import encode_base64
from roomcast.errors import PacketError

SEPARATOR = b"\x1e"

_BINARY_FRAME = 2  # the opcode, RFC 6455 5.2


def split(body: bytes, max_packets: int) -> list[bytes]:
    """The packets of a request body, each still in its polling form (:func:`roomcast.engineio.packet.decode`).

    Raises PacketError for more than ``max_packets``, before any of them is looked at.
    """
    if body.count(SEPARATOR) >= max_packets:
        raise PacketError("payload", f"more than {max_packets} packets in one payload")
    return body.split(SEPARATOR)


def join(packets: Iterable[bytes]) -> bytes:
    """The body of a poll's answer from packets in their polling form."""
    return SEPARATOR.join(packets)


def polling_form(opcode: int, payload: bytes) -> bytes:
    """What a WebSocket frame carries, as polling carries it: text as it is, binary (opcode 2) as base64."""
    return encode_base64(payload) if opcode == _BINARY_FRAME else payload
