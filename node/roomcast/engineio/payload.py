"""Polling payloads (wire.md 1.2): packets joined by the byte 0x1E."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from roomcast.engineio.packet import Packet, decode, encode_base64
from roomcast.errors import PacketError

SEPARATOR = b"\x1e"

_BINARY_FRAME = 2  # the opcode, RFC 6455 5.2


def split(body: bytes, max_packets: int) -> Iterator[Packet]:
    """The packets of a request body, decoded one by one as they are taken, so that a driver can pause between them.

    Raises PacketError at once for more than ``max_packets``, before any is delivered; while iterating for a packet that
    does not decode: those before it were delivered, those after it never are.
    """
    if body.count(SEPARATOR) >= max_packets:
        raise PacketError("payload", f"more than {max_packets} packets in one payload")
    return map(decode, body.split(SEPARATOR))


def join(packets: Iterable[bytes]) -> bytes:
    """The body of a poll's answer from packets in their polling form."""
    return SEPARATOR.join(packets)


def polling_form(opcode: int, payload: bytes) -> bytes:
    """What a WebSocket frame carries, as polling carries it: text as it is, binary (opcode 2) as base64."""
    return encode_base64(payload) if opcode == _BINARY_FRAME else payload
