"""What the two encodings of Socket.IO packets have in common: JSON with attachments, and MessagePack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from roomcast.settings import Settings
from roomcast.socketio.packet import Packet
from roomcast_brokers.plain import MAX_DEPTH

# The longest integer that the interpreter reads and writes, unless it was told otherwise; so no application emits more.
MAX_INTEGER_DIGITS: Final = 4_300


class CodecLimits(msgspec.Struct, frozen=True):
    """The settings that bound one packet from a client."""

    max_attachments: int = 10
    max_json_depth: int = 64
    max_integer_digits: int = 32
    max_name_bytes: int = 256

    @classmethod
    def from_settings(cls, settings: Settings) -> CodecLimits:
        """The limits that ``settings`` name."""
        return cls(
            max_attachments=settings.max_attachments,
            max_json_depth=settings.max_json_depth,
            max_integer_digits=settings.max_integer_digits,
            max_name_bytes=settings.max_name_bytes,
        )

    def between_nodes(self) -> CodecLimits:
        """For what other nodes encoded: their applications may emit what no client may send."""
        return msgspec.structs.replace(
            self,
            max_json_depth=max(self.max_json_depth, MAX_DEPTH),
            max_integer_digits=max(self.max_integer_digits, MAX_INTEGER_DIGITS),
        )


class Codec(Protocol):
    """Packets to and from bytes. Holds no state between calls; one serves all clients of a server.

    Reading raises PacketError for everything that is not a packet which a client may send, and nothing else. The
    namespace of a CONNECT may be longer than ``max_name_bytes``: the caller checks it with ``names.check_namespace``
    and answers CONNECT_ERROR.

    Writing raises UnencodableError, before anything was sent. What is written is one Engine.IO message, without the
    ``4``: text, or with ``binary`` a binary message; attachments follow it as binary messages.
    """

    @property
    def binary(self) -> bool:
        """Whether a packet is a binary message (MessagePack) or a text (JSON)."""

    def with_limits(self, limits: CodecLimits) -> Codec:
        """The same encoding with other limits."""

    @property
    def plain_decoder(self) -> Callable[[bytes], list[Any]]:
        """Decodes the data of most events in one call of C; raises ValueError or RecursionError for all other data."""

    def decode_text(self, data: bytes, start: int = 0) -> Packet:
        """The packet that the text ``data[start:]`` is; a BINARY_EVENT or BINARY_ACK still lacks its attachments."""

    def decode_binary(self, data: bytes) -> Packet:
        """The packet that a binary message is, when no attachment is awaited."""

    def decode_args(self, data: bytes) -> list[Any]:
        """The data that ``encode_args`` writes, alone; what an event's name may be is not checked."""

    def encode_args(self, args: Sequence[Any]) -> tuple[bytes, list[bytes]]:
        """The data of an event or acknowledgement, encoded once for all who get it, and its attachments."""

    def wrap_event(self, namespace: str, body: bytes, attachments: int = 0, id: int | None = None) -> bytes:
        """The event whose data ``encode_args`` made; ``attachments`` is their number."""

    def wrap_ack(self, namespace: str, id: int, body: bytes, attachments: int = 0) -> bytes:
        """The acknowledgement whose data ``encode_args`` made; ``attachments`` is their number."""

    def encode_event(self, namespace: str, args: Sequence[Any], id: int | None = None) -> tuple[bytes, list[bytes]]:
        """An event, ``args`` beginning with its name, and its attachments."""

    def encode_ack(self, namespace: str, id: int, args: Sequence[Any]) -> tuple[bytes, list[bytes]]:
        """The acknowledgement of the client's event ``id``, and its attachments."""

    def encode_connect(self, namespace: str, data: dict[str, Any]) -> bytes:
        """The answer to a CONNECT that was accepted. Binary data is not encodable here."""

    def encode_connect_error(self, namespace: str, data: Any) -> bytes:
        """The answer to a CONNECT that was refused. Binary data is not encodable here."""

    def encode_disconnect(self, namespace: str) -> bytes:
        """The end of a namespace."""
