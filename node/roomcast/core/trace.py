"""What ``logger=True`` and ``engineio_logger=True`` write: the lines that users of this API know.

Both are off by default, and then cost the hot path one comparison with None. Whoever turns them on gets sids, event
names and data in the log; that is what they are for.
"""

from __future__ import annotations

from typing import Any

from roomcast.websocket.frames import BINARY, TEXT, split_frames

PACKETS = ("OPEN", "CLOSE", "PING", "PONG", "MESSAGE", "UPGRADE", "NOOP")
BINARY_DATA = "<binary>"


def describe(payload: bytes) -> tuple[str, str]:
    """An Engine.IO packet as (name, data) for people; ("UNKNOWN", …) for what is none."""
    kind = payload[:1]
    if kind == b"b":
        return "MESSAGE", BINARY_DATA
    name = PACKETS[kind[0] - 48] if kind and 48 <= kind[0] < 48 + len(PACKETS) else "UNKNOWN"
    return name, payload[1:].decode("utf-8", "replace")


class EngineTrace:
    """Tells a logger of every packet of every session."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def received(self, sid: str, payload: bytes, binary: bool = False) -> None:
        """A packet from a client."""
        name, data = ("MESSAGE", BINARY_DATA) if binary else describe(payload)
        self._logger.info("%s: Received packet %s data %s", sid, name, data)

    def sent(self, sid: str, block: bytes) -> None:
        """Packets to a client, as whole WebSocket frames."""
        for opcode, payload in split_frames(block):
            if opcode in (TEXT, BINARY):
                name, data = describe(payload) if opcode == TEXT else ("MESSAGE", BINARY_DATA)
                self._logger.info("%s: Sending packet %s data %s", sid, name, data)

    def packet(self, sid: str, payload: bytes) -> None:
        """A packet to a client that goes past its outbox: the open packet."""
        self._logger.info("%s: Sending packet %s data %s", sid, *describe(payload))

    def note(self, sid: str, message: str) -> None:
        """Something else that happened to a session."""
        self._logger.info("%s: %s", sid, message)


class EventTrace:
    """Tells a logger of every event of every client."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def event(self, name: Any, sid: str, namespace: str) -> None:
        """An event from a client."""
        self._logger.info('received event "%s" from %s [%s]', name, sid, namespace)
