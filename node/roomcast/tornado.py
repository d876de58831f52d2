"""``get_tornado_handler`` under the path that applications import it from."""

from __future__ import annotations

from roomcast.drivers.asyncio.frameworks import get_tornado_handler

__all__ = ["get_tornado_handler"]
