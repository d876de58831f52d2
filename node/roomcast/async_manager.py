"""``AsyncManager`` under the path that applications import it from."""

from __future__ import annotations

from roomcast.drivers.asyncio.manager import AsyncManager

__all__ = ["AsyncManager"]
