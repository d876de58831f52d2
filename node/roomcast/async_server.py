"""``AsyncServer`` under the path that applications import it from."""

from __future__ import annotations

from roomcast.drivers.asyncio.server import AsyncServer

__all__ = ["AsyncServer"]
