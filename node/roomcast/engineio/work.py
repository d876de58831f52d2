"""What the protocols ask a driver to do that is rare: values, done one at a time and in order."""

from __future__ import annotations

from typing import Any

import msgspec


class CloseLink(msgspec.Struct, frozen=True):
    """Write ``tail`` (whole WebSocket frames, may be empty), then a close frame, and end that connection.

    ``code`` is a WebSocket close code, or None for an empty close frame (the peer sees 1005, wire.md 1.7).
    """

    link: Any
    code: int | None = None
    reason: str = ""
    tail: bytes = b""


class Several(msgspec.Struct, frozen=True):
    """Do these, in this order."""

    works: tuple[Any, ...]


def several(*works: Any) -> Any:
    """Join what is not None into one piece of work: None, the only one, or a :class:`Several`."""
    present = tuple(work for work in works if work is not None)
    if not present:
        return None
    return present[0] if len(present) == 1 else Several(present)
