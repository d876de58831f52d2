"""Socket.IO packets (v5) for the raw clients, written from the grammar and not from roomcast's codec."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)

_GRAMMAR = re.compile(
    r"(?P<type>[0-6])(?:(?P<count>[0-9]+)-)?(?:(?P<nsp>/[^,]*)(?:,|$))?(?P<id>[0-9]+)?(?P<json>.*)", re.DOTALL
)


class Packet(msgspec.Struct, frozen=True):
    """A whole packet: attachments stand in ``data``, and its type is EVENT or ACK whether it has some or not."""

    type: int
    namespace: str = "/"
    data: Any = None
    id: int | None = None


def write_packet(packet: Packet) -> list[str | bytes]:
    """The Engine.IO messages of a packet: its text, with the ``4``, and then its attachments."""
    attachments: list[bytes] = []
    data = _take_out(packet.data, attachments)
    kind = f"{packet.type + 3}{len(attachments)}-" if attachments else str(packet.type)
    namespace = "" if packet.namespace == "/" else packet.namespace + ","
    number = "" if packet.id is None else str(packet.id)
    text = "" if data is None else json.dumps(data, separators=(",", ":"))
    return [f"4{kind}{namespace}{number}{text}", *attachments]


class PacketReader:
    """Puts Engine.IO messages together to packets. What breaks the grammar or the order is an ``AssertionError``."""

    def __init__(self) -> None:
        self._head: Packet | None = None
        self._missing = 0
        self._attachments: list[bytes] = []

    def feed(self, message: str | bytes) -> Packet | None:
        """The packet that this message completes, or ``None``."""
        if isinstance(message, bytes):
            assert self._head is not None, f"an attachment that no packet announced: {message[:40]!r}"
            self._attachments.append(message)
        else:
            assert self._head is None, f"{message[:80]!r} came between a packet and its attachments"
            self._begin(message)
        return self._finish() if len(self._attachments) == self._missing else None

    def _begin(self, message: str) -> None:
        match = _GRAMMAR.fullmatch(message[1:])
        assert message.startswith("4"), f"not an Engine.IO message: {message[:80]!r}"
        assert match is not None, f"not a Socket.IO packet: {message[:80]!r}"
        kind, count = int(match["type"]), match["count"]
        assert (kind in (BINARY_EVENT, BINARY_ACK)) == (count is not None), f"attachment count: {message[:80]!r}"
        data = json.loads(match["json"]) if match["json"] else None
        number = None if match["id"] is None else int(match["id"])
        self._missing = int(count or 0)
        self._head = Packet(kind - 3 if count else kind, match["nsp"] or "/", data, number)

    def _finish(self) -> Packet:
        assert self._head is not None
        head, attachments = self._head, self._attachments
        self._head, self._attachments, self._missing = None, [], 0
        return msgspec.structs.replace(head, data=_put_back(head.data, attachments)) if attachments else head


def _take_out(value: Any, attachments: list[bytes]) -> Any:
    match value:
        case bytes():
            attachments.append(value)
            return {"_placeholder": True, "num": len(attachments) - 1}
        case list() | tuple():
            return [_take_out(item, attachments) for item in value]
        case dict():
            return {key: _take_out(item, attachments) for key, item in value.items()}
    return value


def _put_back(value: Any, attachments: list[bytes]) -> Any:
    match value:
        case {"_placeholder": True, "num": int(number)}:
            return attachments[number]
        case list():
            return [_put_back(item, attachments) for item in value]
        case dict():
            return {key: _put_back(item, attachments) for key, item in value.items()}
    return value
