"""Packets as MessagePack: one binary message each, attachments inside, as socket.io-msgpack-parser has them.

That pins notepack 2.2, which writes ``undefined`` as extension 0 of one byte, a Date as extension 0 of eight bytes
(milliseconds, big endian) and an ArrayBuffer as extension 0 of any other length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from roomcast.errors import PacketError, UnencodableError
from roomcast.socketio.codec import CodecLimits
from roomcast.socketio.grammar import MAX_ID
from roomcast.socketio.names import character_fault, check_event_name, check_namespace
from roomcast.socketio.packet import ACK, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT, Packet
from roomcast_brokers import errors as brokers
from roomcast_brokers.plain import BINARY_TYPES, PLAIN_DEPTH, SCALAR, Rebuilder, nested, plain_args, well_formed

_DEFAULT_LIMITS = CodecLimits()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNDEFINED_LENGTH = 1
_DATE_LENGTH = 8
_CONTAINERS = frozenset({dict, list})
_STRINGS = frozenset({str})

_pack = msgspec.msgpack.Encoder().encode

#: What needs no rebuilding here; MessagePack has keys of every type, but clients read only strings.
MsgpackArgs = plain_args("MsgpackArgs", str)


class _Wire(msgspec.Struct):
    """A packet as it stands on the wire; keys that are not named here (clients send ``options``) are skipped."""

    type: int
    nsp: str
    data: Any = None
    id: int | None = None


class MsgpackCodec:
    """See :class:`~roomcast.socketio.codec.Codec`."""

    __slots__ = ("_decode", "_limits")

    binary = True

    def __init__(self, limits: CodecLimits = _DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._decode = _fast_decoder(min(PLAIN_DEPTH, limits.max_json_depth))

    def with_limits(self, limits: CodecLimits) -> MsgpackCodec:
        """The same with other limits."""
        return MsgpackCodec(limits)

    # -- reading

    @property
    def plain_decoder(self) -> Callable[[bytes], list[Any]]:
        """Nothing is plain here: events are whole binary messages."""
        return _never_plain

    def decode_text(self, data: bytes, start: int = 0) -> Packet:
        """Always raises PacketError: this encoding has no texts."""
        raise PacketError("msgpack", "packets are binary messages here, not texts")

    def decode_binary(self, data: bytes) -> Packet:
        """The packet that ``data`` is. Raises PacketError."""
        try:
            wire = self._decode(data)
        except (ValueError, TypeError, RecursionError):
            wire = _decode_strictly(data, self._limits.max_json_depth)
        reader = _READERS.get(wire.type)
        if reader is None:
            raise PacketError("type", "the type of a packet must be 0, 1, 2 or 3")
        if wire.id is not None and not 0 <= wire.id <= MAX_ID:
            raise PacketError("id", "an acknowledgement id must be 0 to 2^53-1")
        return reader(wire, self._limits.max_name_bytes)

    def decode_args(self, data: bytes) -> list[Any]:
        """The MessagePack array that ``data`` is, within the limits. Raises PacketError."""
        args = _unpack(data)
        if type(args) is not list:
            raise PacketError("payload", "the payload must be an array")
        _check_value(args, self._limits.max_json_depth)
        return args

    # -- writing

    def encode_args(self, args: Sequence[Any]) -> tuple[bytes, list[bytes]]:
        """The MessagePack array of ``args``; never any attachments. Raises UnencodableError."""
        return self._encode(args), []

    def wrap_event(self, namespace: str, body: bytes, attachments: int = 0, id: int | None = None) -> bytes:
        """The event with the data ``body``."""
        return _wrap(EVENT, namespace, body, id)

    def wrap_ack(self, namespace: str, id: int, body: bytes, attachments: int = 0) -> bytes:
        """The acknowledgement with the data ``body``."""
        return _wrap(ACK, namespace, body, id)

    def encode_event(self, namespace: str, args: Sequence[Any], id: int | None = None) -> tuple[bytes, list[bytes]]:
        """An event, ``args`` beginning with its name; never any attachments. Raises UnencodableError."""
        return _wrap(EVENT, namespace, self._encode(args), id), []

    def encode_ack(self, namespace: str, id: int, args: Sequence[Any]) -> tuple[bytes, list[bytes]]:
        """The acknowledgement of the client's event ``id``; never any attachments. Raises UnencodableError."""
        return _wrap(ACK, namespace, self._encode(args), id), []

    def encode_connect(self, namespace: str, data: dict[str, Any]) -> bytes:
        """The answer to a CONNECT that was accepted. Raises UnencodableError."""
        return _wrap(CONNECT, namespace, self._encode((data,))[1:])

    def encode_connect_error(self, namespace: str, data: Any) -> bytes:
        """The answer to a CONNECT that was refused. Raises UnencodableError."""
        return _wrap(CONNECT_ERROR, namespace, self._encode((data,))[1:])

    def encode_disconnect(self, namespace: str) -> bytes:
        """The end of a namespace."""
        return _wrap(DISCONNECT, namespace, None)

    def _encode(self, args: Sequence[Any]) -> bytes:
        try:
            msgspec.convert((args,), MsgpackArgs)
            return _pack(args)
        except (ValueError, TypeError, RecursionError, OverflowError, BufferError):  # deep, unusual: not plain
            pass
        try:
            return _pack(_Native().args(args))
        except OverflowError as error:
            raise UnencodableError("MessagePack has no integers beyond 64 bits") from error
        except brokers.UnencodableError as error:
            raise UnencodableError(str(error)) from (error.__cause__ or error)


class _Native(Rebuilder):
    """Plain data for MessagePack, which has binary data, all floats, and (in this dialect) dates."""

    __slots__ = ()

    kept = (*BINARY_TYPES, datetime)

    def binary(self, data: bytes) -> Any:
        return data

    def real(self, number: float) -> float | None:
        return number

    def foreign(self, value: Any, depth: int) -> Any:
        if isinstance(value, msgspec.msgpack.Ext):
            return value
        if not isinstance(value, datetime):
            return super().foreign(value, depth)
        if value.tzinfo is None:  # no moment, so no Date: the text that JSON would have
            return value.isoformat()
        milliseconds = (value - _EPOCH) // timedelta(milliseconds=1)
        return msgspec.msgpack.Ext(0, milliseconds.to_bytes(_DATE_LENGTH, "big", signed=True))


def _wrap(type: int, namespace: str, body: bytes | None, id: int | None = None) -> bytes:
    """The map of a packet; ``body`` is MessagePack already. What is None is left out: there is no ``undefined``."""
    size = 0x82 + (body is not None) + (id is not None)
    data = b"" if body is None else b"\xa4data" + body
    number = b"" if id is None else b"\xa2id" + _pack(id)
    return b"%c\xa4type%c%b\xa3nsp%b%b" % (size, type, data, _pack(well_formed(namespace)), number)


# -- reading, continued


def _fast_decoder(levels: int) -> Callable[[bytes], Any]:
    """msgspec's decoder for packets that need no further check: few levels, keys of str, no extensions.

    No binary data either: msgspec knows no type that may be str or bytes.
    """
    fields: list[tuple[str, Any, Any]] = [("data", nested(SCALAR, str, levels), None), ("id", int | None, None)]
    return msgspec.msgpack.Decoder(msgspec.defstruct("FastWire", [("type", int), ("nsp", str), *fields])).decode


def _decode_strictly(message: bytes, max_depth: int) -> _Wire:
    """The packet of any data, checked here. Raises PacketError."""
    packet = _unpack(message)
    if type(packet) is not dict:
        raise PacketError("msgpack", "a packet must be a map")
    kind, namespace, id = packet.get("type"), packet.get("nsp"), packet.get("id")
    if type(kind) is not int or type(namespace) is not str or not (id is None or type(id) is int):
        raise PacketError("msgpack", "a packet must have a type, a namespace and perhaps an id")
    data = packet.get("data")
    _check_value(data, max_depth)
    return _Wire(kind, namespace, data, id)


def _unpack(message: bytes) -> Any:
    try:
        return msgspec.msgpack.decode(message, ext_hook=_extension)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise PacketError("msgpack", "the message is not MessagePack") from error


def _extension(code: int, data: memoryview) -> Any:
    if code != 0:
        raise PacketError("msgpack", "the message has an unknown extension")
    if len(data) == _UNDEFINED_LENGTH:
        return None
    if len(data) != _DATE_LENGTH:
        return bytes(data)
    try:
        return _EPOCH + timedelta(milliseconds=int.from_bytes(data, "big", signed=True))
    except OverflowError as error:
        raise PacketError("msgpack", "a date must be in the years 1 to 9999") from error


def _check_value(value: Any, max_depth: int) -> None:
    """Raise PacketError for more than ``max_depth`` levels of containers, and for keys that are no ``str``."""
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(max_depth):
        deeper: list[Any] = []
        for container in level:
            items = container
            if type(container) is dict:
                if not _STRINGS.issuperset(map(type, container)):
                    raise PacketError("msgpack", "the keys of a map must be strings")
                items = container.values()
            deeper += [item for item in items if type(item) in _CONTAINERS]
        if not deeper:
            return
        level = deeper
    raise PacketError("depth", f"the data must not be nested more than {max_depth} levels deep")


def _read_connect(wire: _Wire, max_name_bytes: int) -> Packet:
    if wire.data is not None and type(wire.data) is not dict:
        raise PacketError("payload", "the payload of CONNECT must be a map")
    fault = character_fault("a namespace", wire.nsp)
    if fault is not None:
        raise PacketError("namespace", fault)
    return Packet(CONNECT, wire.nsp, wire.data)


def _read_disconnect(wire: _Wire, max_name_bytes: int) -> Packet:
    if wire.data is not None:
        raise PacketError("payload", "DISCONNECT has no payload")
    check_namespace(wire.nsp, max_name_bytes)
    return Packet(DISCONNECT, wire.nsp)


def _read_event(wire: _Wire, max_name_bytes: int) -> Packet:
    packet = _read_array(wire, max_name_bytes)
    check_event_name(packet.data[0] if packet.data else None, max_name_bytes)
    return packet


def _read_ack(wire: _Wire, max_name_bytes: int) -> Packet:
    if wire.id is None:
        raise PacketError("id", "an acknowledgement must have an id")
    return _read_array(wire, max_name_bytes)


def _read_array(wire: _Wire, max_name_bytes: int) -> Packet:
    if type(wire.data) is not list:
        raise PacketError("payload", "the payload of an event or acknowledgement must be an array")
    check_namespace(wire.nsp, max_name_bytes)
    return Packet(wire.type, wire.nsp, wire.data, wire.id)


_READERS: dict[int, Callable[[_Wire, int], Packet]] = {
    CONNECT: _read_connect,
    DISCONNECT: _read_disconnect,
    EVENT: _read_event,
    ACK: _read_ack,
}


def _never_plain(data: bytes) -> list[Any]:
    raise ValueError("MessagePack has no text events")
