"""Compressing what goes to clients that agreed to permessage-deflate: once per block, whoever gets it."""

from __future__ import annotations

from typing import Any

from roomcast.websocket.deflate import compress_unit

# Frames below this (bytes) are sent as they are: compressing them costs more than it saves (Node's default too).
THRESHOLD = 1_024


class DeflatingSink:
    """Stands between an outbox and the transport. Without context takeover one compressed block serves every client."""

    __slots__ = ("_transport",)

    _last: tuple[bytes, bytes] = (b"", b"")

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def write(self, block: bytes) -> None:
        """Compress a block, unless the client before this one was sent the very same."""
        plain, compressed = DeflatingSink._last
        if plain is not block:
            compressed = compress_unit(block, THRESHOLD)
            DeflatingSink._last = (block, compressed)
        self._transport.write(compressed)

    def get_write_buffer_size(self) -> int:
        """What the transport has not written yet."""
        size: int = self._transport.get_write_buffer_size()
        return size
