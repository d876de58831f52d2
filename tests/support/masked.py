"""Frames as a WebSocket client sends them (RFC 6455 section 5.2), written bit by bit and able to break every rule."""

from __future__ import annotations

KEY = b"\x37\xfa\x21\x3d"


def masked_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    key: bytes | None = KEY,
    length_bytes: int | None = None,
) -> bytes:
    """One frame. ``reserved`` are the bits 0x70 of the first byte; without ``key`` it is not masked; ``length_bytes``
    (0, 2 or 8) forces how the length is written."""
    size = len(payload)
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65_536 else 8
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes(((0x80 if fin else 0) | reserved | opcode, (0x80 if key is not None else 0) | short))
    if length_bytes:
        head += size.to_bytes(length_bytes, "big")
    if key is None:
        return head + payload
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
