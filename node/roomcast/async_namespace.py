"""``AsyncNamespace`` under the path that applications import it from."""

from __future__ import annotations

from roomcast.drivers.asyncio.namespace import AsyncNamespace

__all__ = ["AsyncNamespace"]
