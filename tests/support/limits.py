"""What tests of limits share: where they look, who is watched meanwhile, and whether the client outlived it."""

from __future__ import annotations

from typing import Any

import pytest

import roomcast
from tests.support.api_client import Client

AROUND = pytest.mark.parametrize("offset", [-1, 0, 1])
"""One below the limit, at it, and one above."""


class Watched:
    """A server that echoes ``e`` and writes down what reaches handlers and how clients end."""

    def __init__(self, **options: Any) -> None:
        self.sio = roomcast.AsyncServer(**options)
        self.seen: list[tuple[Any, ...]] = []
        self.ended: list[str] = []
        self.sio.on("*", self.event)
        self.sio.on("disconnect", lambda sid, reason: self.ended.append(reason))

    def event(self, event: str, sid: str, *args: Any) -> tuple[Any, ...]:
        self.seen.append((event, *args))
        return args


async def survives(client: Client) -> bool:
    """Whether the server still answers this client; if not, it has ended the session."""
    try:
        await client.drain()
    except Exception:
        await client.closed()
        return False
    return True
