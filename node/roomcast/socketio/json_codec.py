"""Packets as JSON texts with binary attachments: Socket.IO's own encoding ("Packet encoding", protocol revision 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Protocol

import msgspec

from roomcast.errors import PacketError, UnencodableError
from roomcast.socketio.codec import CodecLimits
from roomcast.socketio.grammar import MAX_ID_DIGITS, Head, read_head, write_head
from roomcast.socketio.json_reader import StrictReader
from roomcast.socketio.names import character_fault, check_event_name, check_namespace
from roomcast.socketio.packet import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    Packet,
)
from roomcast_brokers.arguments import JsonDumps, JsonWriter
from roomcast_brokers.plain import PLAIN_DEPTH, array_of, nested

_EVENT_BYTE = ord("2")
_ACK_BYTE = ord("3")
_DEFAULT_LIMITS = CodecLimits()


class JsonModule(JsonDumps, Protocol):
    """What ``json=`` accepts: the two functions of the standard library's module that are used."""

    def loads(self, text: str, /) -> Any:
        """The value of ``text``; raises anything for broken JSON."""


class JsonCodec(JsonWriter):
    """See :class:`~roomcast.socketio.codec.Codec`. ``json`` replaces msgspec for this codec alone."""

    __slots__ = ("_decode_list", "_json", "_limits", "_max_name_bytes", "_reader")

    binary = False
    unencodable = UnencodableError

    def __init__(self, limits: CodecLimits = _DEFAULT_LIMITS, json: JsonModule | None = None) -> None:
        super().__init__(json)
        self._json = json
        self._limits = limits
        self._max_name_bytes = limits.max_name_bytes
        loads = None if json is None else json.loads
        self._reader = StrictReader(limits.max_json_depth, limits.max_integer_digits, loads)
        self._decode_list: Callable[[bytes], list[Any]] = _fast_decoder(limits) if json is None else _no_fast_decoder

    def with_limits(self, limits: CodecLimits) -> JsonCodec:
        """The same with other limits."""
        return JsonCodec(limits, self._json)

    # -- reading

    @property
    def plain_decoder(self) -> Callable[[bytes], list[Any]]:
        """Decodes the JSON arrays that nearly everybody sends, in one call of C; raises ValueError or RecursionError
        for all others, valid or not, which :meth:`decode_text` judges then.
        """
        return self._decode_list

    def decode_text(self, data: bytes, start: int = 0) -> Packet:
        """The packet that begins at ``data[start]``. Raises PacketError."""
        # Events and acknowledgements of the main namespace by two searches; all else by the grammar.
        bracket = data.find(b"[", start)
        if bracket > start:
            kind = data[start]
            if kind == _EVENT_BYTE:
                if bracket == start + 1:
                    return Packet(EVENT, "/", self.decode_event(data[bracket:]))
                digits = data[start + 1 : bracket]
                if digits.isdigit() and len(digits) < MAX_ID_DIGITS:
                    return Packet(EVENT, "/", self.decode_event(data[bracket:]), int(digits))
            elif kind == _ACK_BYTE:
                digits = data[start + 1 : bracket]
                if digits.isdigit() and len(digits) < MAX_ID_DIGITS:
                    return Packet(ACK, "/", self.decode_args(data[bracket:]), int(digits))
        head = read_head(data, start, self._limits.max_attachments)
        return _READERS[head.type](self, head, data[head.end :])

    def decode_binary(self, data: bytes) -> Packet:
        """Always raises PacketError: here a binary message is an attachment, and none is awaited."""
        raise PacketError("attachments", "an attachment came without its packet")

    def decode_args(self, data: bytes) -> list[Any]:
        """The JSON array that ``data`` is, within the limits. Raises PacketError."""
        try:
            return self._decode_list(data)
        except (ValueError, RecursionError):
            args: list[Any] = self._reader.read(data, _check_array)
            return args

    def decode_event(self, data: bytes) -> list[Any]:
        """As ``decode_args``, and the first element is a permitted name of an event."""
        try:
            args = self._decode_list(data)
        except (ValueError, RecursionError):
            args = self._reader.read(data, _check_named_array)
        check_event_name(args[0] if args else None, self._max_name_bytes)
        return args

    # -- writing: encode_args is inherited

    def wrap_event(self, namespace: str, body: bytes, attachments: int = 0, id: int | None = None) -> bytes:
        """The event with the data ``body`` and so many attachments."""
        return write_head(BINARY_EVENT if attachments else EVENT, namespace, id, attachments) + body

    def wrap_ack(self, namespace: str, id: int, body: bytes, attachments: int = 0) -> bytes:
        """The acknowledgement with the data ``body`` and so many attachments."""
        return write_head(BINARY_ACK if attachments else ACK, namespace, id, attachments) + body

    def encode_event(self, namespace: str, args: Sequence[Any], id: int | None = None) -> tuple[bytes, list[bytes]]:
        """An event, ``args`` beginning with its name, and its attachments. Raises UnencodableError."""
        body, attachments = self.encode_args(args)
        if id is None and namespace == "/" and not attachments:
            return b"2" + body, attachments
        return self.wrap_event(namespace, body, len(attachments), id), attachments

    def encode_ack(self, namespace: str, id: int, args: Sequence[Any]) -> tuple[bytes, list[bytes]]:
        """The acknowledgement of the client's event ``id``, and its attachments. Raises UnencodableError."""
        body, attachments = self.encode_args(args)
        if namespace == "/" and not attachments:
            return b"3%d%b" % (id, body), attachments
        return self.wrap_ack(namespace, id, body, len(attachments)), attachments

    def encode_connect(self, namespace: str, data: dict[str, Any]) -> bytes:
        """The answer to a CONNECT that was accepted. Raises UnencodableError, for binary data too."""
        return write_head(CONNECT, namespace) + self._encode_whole(data)

    def encode_connect_error(self, namespace: str, data: Any) -> bytes:
        """The answer to a CONNECT that was refused. Raises UnencodableError, for binary data too."""
        return write_head(CONNECT_ERROR, namespace) + self._encode_whole(data)

    def encode_disconnect(self, namespace: str) -> bytes:
        """The end of a namespace."""
        return write_head(DISCONNECT, namespace)

    def _encode_whole(self, data: Any) -> bytes:
        body, attachments = self.encode_args((data,))
        if attachments:
            raise UnencodableError("binary data can only travel in events and acknowledgements")
        return body[1:-1]


def _fast_decoder(limits: CodecLimits) -> Callable[[bytes], list[Any]]:
    """msgspec's decoder for what needs no further check: few levels, integers of 64 bits. It refuses the rest."""
    largest = min(2**63, 10**limits.max_integer_digits) - 1
    integer: Any = Annotated[int, msgspec.Meta(ge=-largest, le=largest)]
    levels = min(PLAIN_DEPTH, limits.max_json_depth)
    return msgspec.json.Decoder(array_of(nested(integer | float | str | bool | None, str, levels - 1))).decode


def _no_fast_decoder(data: bytes) -> list[Any]:
    raise ValueError("the application's JSON module decodes")


def _check_array(value: Any) -> None:
    if type(value) is not list:
        raise PacketError("payload", "the payload must be an array")


def _check_named_array(value: Any) -> None:
    _check_array(value)
    fault = character_fault("an event name", value[0]) if value and isinstance(value[0], str) else None
    if fault is not None:
        raise PacketError("name", fault)


def _check_object(value: Any) -> None:
    if type(value) is not dict:
        raise PacketError("payload", "the payload must be an object")


# -- the payload of each type, once the head has been read


def _read_connect(codec: JsonCodec, head: Head, body: bytes) -> Packet:
    # An id has no meaning here and is ignored, as the reference does.
    if not body:
        return Packet(CONNECT, head.namespace)
    if not body.startswith(b"{"):
        raise PacketError("payload", "the payload of CONNECT must be an object")
    return Packet(CONNECT, head.namespace, codec._reader.read(body, _check_object))


def _read_disconnect(codec: JsonCodec, head: Head, body: bytes) -> Packet:
    if body:
        raise PacketError("payload", "DISCONNECT has no payload")
    check_namespace(head.namespace, codec._max_name_bytes)
    return Packet(DISCONNECT, head.namespace)


def _read_event(codec: JsonCodec, head: Head, body: bytes) -> Packet:
    _check_payload(codec, head, body)
    return Packet(head.type, head.namespace, codec.decode_event(body), head.id, head.attachments)


def _read_ack(codec: JsonCodec, head: Head, body: bytes) -> Packet:
    if head.id is None:
        raise PacketError("id", "an acknowledgement must have an id")
    _check_payload(codec, head, body)
    return Packet(head.type, head.namespace, codec.decode_args(body), head.id, head.attachments)


def _check_payload(codec: JsonCodec, head: Head, body: bytes) -> None:
    if not body.startswith(b"["):
        raise PacketError("payload", "the payload of an event or acknowledgement must be an array")
    check_namespace(head.namespace, codec._max_name_bytes)


def _read_connect_error(codec: JsonCodec, head: Head, body: bytes) -> Packet:
    raise PacketError("type", "CONNECT_ERROR is for servers")


_READERS: dict[int, Callable[[JsonCodec, Head, bytes], Packet]] = {
    CONNECT: _read_connect,
    DISCONNECT: _read_disconnect,
    EVENT: _read_event,
    ACK: _read_ack,
    CONNECT_ERROR: _read_connect_error,
    BINARY_EVENT: _read_event,
    BINARY_ACK: _read_ack,
}
