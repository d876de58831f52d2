"""``ASGIApp`` under the path that applications import it from."""

from __future__ import annotations

from roomcast.drivers.asyncio.asgi import ASGIApp

__all__ = ["ASGIApp"]
