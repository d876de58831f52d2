"""What stands for a connection in tests of what is written to clients: it keeps blocks, and can refuse them."""

from __future__ import annotations

from typing import Any

from roomcast.websocket.frames import BINARY, TEXT, split_frames


class RecordingSink:
    """Takes every block and keeps it in ``blocks``; ``waiting`` bytes count as not yet accepted by the peer's side."""

    def __init__(self, waiting: int = 0) -> None:
        self.blocks: list[bytes] = []
        self.waiting = waiting

    def write(self, block: bytes, /) -> None:
        self.blocks.append(block)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def taken(self) -> bytes:
        """Everything written since the last call."""
        blocks, self.blocks = self.blocks, []
        return b"".join(blocks)


class Counted:
    """The counts of a flusher alone."""

    def __init__(self) -> None:
        self.packets_out = 0
        self.bytes_out = 0


class Listener:
    """Keeps what it is called with; for hooks such as ``wake`` and ``on_slow``."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *args: Any) -> None:
        self.calls.append(args)


class RecordingTrace:
    """Keeps what an engine or its flusher tell of what passes through."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bytes | str]] = []

    def received(self, sid: str, payload: bytes, binary: bool = False) -> None:
        self.lines.append(("received binary" if binary else "received", payload))

    def sent(self, sid: str, block: bytes) -> None:
        self.lines.append(("sent", block))

    def packet(self, sid: str, payload: bytes) -> None:
        self.lines.append(("packet", payload[:1]))

    def note(self, sid: str, message: str) -> None:
        self.lines.append(("note", message))


def packets(written: bytes) -> list[str | bytes]:
    """The messages in what was written to a WebSocket: texts as str, binary as bytes, control frames left out."""
    return [
        body.decode() if opcode == TEXT else body for opcode, body in split_frames(written) if opcode in (TEXT, BINARY)
    ]
