"""Where the engine tells what passes through it, for those who want it written down."""

from __future__ import annotations

from typing import Protocol


class Trace(Protocol):
    """All methods return at once and raise nothing; ``sid`` is the Engine.IO sid."""

    def received(self, sid: str, payload: bytes, binary: bool = False) -> None:
        """A packet came from a client."""

    def sent(self, sid: str, block: bytes) -> None:
        """Packets went to a client, as whole WebSocket frames."""

    def packet(self, sid: str, payload: bytes) -> None:
        """A packet went to a client past its outbox."""

    def note(self, sid: str, message: str) -> None:
        """Something else happened to a session."""
