"""The head of a packet in text: ``type [ count "-" ] [ namespace "," ] [ id ]`` and then JSON.

Socket.IO protocol, revision 5, "Packet encoding".

Read strictly: ASCII digits only, no spaces, a count exactly where the type demands one, ids that a JavaScript number
holds.
"""

from __future__ import annotations

import re

import msgspec

from roomcast.errors import PacketError
from roomcast.socketio.names import character_fault
from roomcast.socketio.packet import BINARY_ACK, BINARY_EVENT

#: The largest integer that a JavaScript number holds exactly; an id beyond it would come back as another one.
MAX_ID = 2**53 - 1
MAX_ID_DIGITS = len(str(MAX_ID))

#: Attachment counts beyond every permitted ``max_attachments`` (1,000) are not even converted to a number.
MAX_COUNT_DIGITS = 4

_BINARY = (BINARY_EVENT, BINARY_ACK)
_HEAD = re.compile(rb"([0-6])(?:([0-9]++)-)?(?:(/[^,]*),?)?([0-9]*)")


class Head(msgspec.Struct, frozen=True):
    """What precedes the JSON, and the offset ``end`` at which that begins."""

    type: int
    attachments: int
    namespace: str
    id: int | None
    end: int


def read_head(data: bytes, start: int, max_attachments: int) -> Head:
    """The head that begins at ``data[start]``. Raises PacketError.

    The namespace is checked for its characters but not for its length, because too long a name is answered differently
    in a CONNECT (CONNECT_ERROR) and in anything else (no such namespace here).
    """
    match = _HEAD.match(data, start)
    if match is None:
        raise PacketError("type", "a packet must begin with one of the digits 0 to 6")
    digit, count, name, digits = match.groups()
    kind = int(digit)
    return Head(
        kind,
        _count(kind, count, max_attachments),
        "/" if name is None else _namespace(name),
        read_id(digits) if digits else None,
        match.end(),
    )


def write_head(type: int, namespace: str, id: int | None = None, attachments: int = 0) -> bytes:
    """The bytes before the JSON; ``attachments`` is written for the two binary types only."""
    count = f"{attachments}-" if type in _BINARY else ""
    name = "" if namespace == "/" else namespace + ","
    number = "" if id is None else id
    return f"{type}{count}{name}{number}".encode("utf-8", "replace")


def read_id(digits: bytes) -> int:
    """The id that ``digits`` (ASCII digits, at least one) write. Raises PacketError above 2^53-1."""
    if len(digits) > MAX_ID_DIGITS or int(digits) > MAX_ID:
        raise PacketError("id", "an acknowledgement id must not be above 2^53-1")
    return int(digits)


def _count(kind: int, digits: bytes | None, limit: int) -> int:
    if kind not in _BINARY:
        if digits is not None:
            raise PacketError("attachments", "only binary packets have attachments")
        return 0
    if digits is None:
        raise PacketError("attachments", "a binary packet must tell how many attachments follow")
    if len(digits) > MAX_COUNT_DIGITS or not 0 < int(digits) <= limit:
        raise PacketError("attachments", f"a binary packet must have 1 to {limit} attachments")
    return int(digits)


def _namespace(raw: bytes) -> str:
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise PacketError("namespace", "a namespace must be UTF-8") from None
    fault = character_fault("a namespace", name)
    if fault is not None:
        raise PacketError("namespace", fault)
    return name
