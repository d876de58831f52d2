"""Engine.IO by itself; most applications want :class:`roomcast.AsyncServer`."""

from __future__ import annotations

from roomcast.drivers.asyncio.engine_server import EngineServer

__all__ = ["EngineServer"]
