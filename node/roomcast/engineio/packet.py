"""Engine.IO v4 packets (wire.md 1.2): one type digit and data, or binary, which is always a message.

The text of a packet stays bytes here: whoever reads it as text checks that it is UTF-8.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

import msgspec

from roomcast.errors import PacketError
from roomcast.settings import Settings

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = range(7)

# The packets without changing data, as they stand in a polling payload or a WebSocket text message.
CLOSE_PACKET = b"1"
PING_PACKET = b"2"
PROBE_PING = b"2probe"
PROBE_PONG = b"3probe"
UPGRADE_PACKET = b"5"
NOOP_PACKET = b"6"

_FIRST_DIGIT = 0x30
_BINARY_MARK = 0x62  # "b"


class Packet(msgspec.Struct, frozen=True):
    """One packet. ``binary`` is only ever true for a message."""

    type: int
    data: bytes = b""
    binary: bool = False


def decode(text: bytes) -> Packet:
    """The packet in one WebSocket text message or one piece of a polling payload; raises PacketError."""
    if not text:
        raise PacketError("packet", "an empty Engine.IO packet")
    kind = text[0] - _FIRST_DIGIT
    if 0 <= kind <= NOOP:
        return Packet(kind, text[1:])
    if text[0] == _BINARY_MARK:
        return Packet(MESSAGE, decode_base64(text), True)
    raise PacketError("packet", "an unknown Engine.IO packet type")


def decode_base64(text: bytes) -> bytes:
    """The bytes of a packet that starts with ``b``: standard padded base64; raises PacketError."""
    try:
        return a2b_base64(memoryview(text)[1:], strict_mode=True)
    except Base64Error as fault:
        raise PacketError("base64", "a binary Engine.IO packet that is not base64") from fault


def encode_base64(data: bytes) -> bytes:
    """Binary data in the form that polling carries."""
    return b"b" + b2a_base64(data, newline=False)


def open_tail(settings: Settings, upgrades: tuple[str, ...]) -> bytes:
    """What follows the sid in the open packet: the same for every session of one transport, so it is made once.

    The client is told the interval with its grace; both times in milliseconds (wire.md 1.3: these keys, this order).
    """
    told = {
        "upgrades": upgrades,
        "pingInterval": round((settings.ping_interval + settings.ping_grace) * 1000),
        "pingTimeout": round(settings.ping_timeout * 1000),
        "maxPayload": settings.max_payload,
    }
    return b'",' + msgspec.json.encode(told)[1:]


def open_packet(sid: str, tail: bytes) -> bytes:
    """The first packet of a session; ``tail`` comes from :func:`open_tail`."""
    return b'0{"sid":"' + sid.encode() + tail
