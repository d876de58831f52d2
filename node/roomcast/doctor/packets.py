"""The client's side of Engine.IO v4 and Socket.IO v5, as far as the doctor speaks it.

A packet is ``str`` for a text (type digit and data) and ``bytes`` for the data of a binary message, as it is carried by
WebSocket; polling writes the latter as base64.
"""

from __future__ import annotations

from typing import Any, Final, Literal
from urllib.parse import urlencode

import msgspec

from roomcast.engineio.packet import decode_base64, encode_base64
from roomcast.engineio.payload import join, split
from roomcast.errors import PacketError
from roomcast.socketio.grammar import read_head, write_head
from roomcast.socketio.packet import CONNECT, EVENT
from roomcast_brokers.channels import is_sid_form, tag_of

Packet = str | bytes
Serializer = Literal["default", "msgpack"]

OPEN: Final = "0"
CLOSE: Final = "1"
PING: Final = "2"
PONG: Final = "3"
MESSAGE: Final = "4"
UPGRADE: Final = "5"
NOOP: Final = "6"
PROBE_PING: Final = "2probe"
PROBE_PONG: Final = "3probe"

MAX_PACKETS: Final = 1_000
"""In one answer to a poll; what has more is nothing of ours."""
MAX_ATTACHMENTS: Final = 1_000
"""The most that any server may allow: events of the application are read to be skipped."""


class Opened(msgspec.Struct, frozen=True):
    """What a server tells when a session begins. Times in seconds."""

    sid: str
    upgrades: tuple[str, ...]
    ping_interval: float
    ping_timeout: float
    max_payload: int

    @property
    def likely_tag(self) -> str | None:
        """The node's tag, if the server is roomcast: others have sids of this form, too."""
        return tag_of(self.sid) if is_sid_form(self.sid) else None


class _Wire(msgspec.Struct, rename="camel"):
    sid: str
    ping_interval: float
    ping_timeout: float
    upgrades: tuple[str, ...] = ()
    max_payload: int = 0


class Message(msgspec.Struct, frozen=True):
    """A Socket.IO packet from the server. ``data`` of events is a list that begins with the name."""

    type: int
    namespace: str
    data: Any = None


class _Message(msgspec.Struct):
    type: int
    nsp: str
    data: Any = None


def query(transport: str, sid: str | None = None) -> str:
    """What stands behind the question mark."""
    return urlencode({"EIO": "4", "transport": transport, **({"sid": sid} if sid is not None else {})})


def read_open(packet: Packet) -> Opened | None:
    """The open packet, if this is one."""
    if not isinstance(packet, str) or not packet.startswith(OPEN):
        return None
    try:
        wire = msgspec.json.decode(packet[1:], type=_Wire)
    except msgspec.MsgspecError:
        return None
    return Opened(wire.sid, wire.upgrades, wire.ping_interval / 1000, wire.ping_timeout / 1000, wire.max_payload)


def read_payload(body: bytes) -> list[Packet] | None:
    """The packets in the answer to a poll; None if it is none."""
    try:
        return [
            decode_base64(piece) if piece.startswith(b"b") else piece.decode() for piece in split(body, MAX_PACKETS)
        ]
    except (PacketError, UnicodeDecodeError):
        return None


def write_payload(packets: list[Packet]) -> bytes:
    """The body of a POST."""
    return join([packet.encode() if isinstance(packet, str) else encode_base64(packet) for packet in packets])


def connect_packet(namespace: str, auth: dict[str, Any] | None, serializer: Serializer = "default") -> Packet:
    """The CONNECT to a namespace."""
    if serializer == "msgpack":
        return msgspec.msgpack.encode(_Message(CONNECT, namespace, auth or {}))
    head = MESSAGE + write_head(CONNECT, namespace).decode()
    return head if auth is None else head + msgspec.json.encode(auth).decode()


def read_message(packet: Packet) -> Message | None:
    """The Socket.IO packet in an Engine.IO packet; None for anything else, such as the attachment of an event."""
    try:
        if isinstance(packet, bytes):
            found = msgspec.msgpack.decode(packet, type=_Message)
            return Message(found.type, found.nsp, found.data)
        if not packet.startswith(MESSAGE):
            return None
        raw = packet[1:].encode()
        head = read_head(raw, 0, MAX_ATTACHMENTS)
        body = raw[head.end :]
        return Message(head.type, head.namespace, msgspec.json.decode(body) if body else None)
    except (msgspec.MsgspecError, PacketError, UnicodeError, RecursionError):
        return None


def sid_of(message: Message) -> str | None:
    """The sid in the answer to a CONNECT that was accepted."""
    sid = message.data.get("sid") if message.type == CONNECT and isinstance(message.data, dict) else None
    return sid if isinstance(sid, str) else None


def is_event(message: Message | None, name: str, value: str) -> bool:
    """Whether that is this event with this one argument."""
    return message is not None and message.type == EVENT and message.data == [name, value]
