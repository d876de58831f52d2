"""Engine.IO by itself, for asyncio and for threads and greenlets; most applications want :class:`roomcast.AsyncServer`
or :class:`roomcast.Server`.
"""

from __future__ import annotations

from roomcast.drivers.asyncio.engine_server import EngineServer
from roomcast.drivers.asyncio.frameworks import get_tornado_handler
from roomcast.drivers.blocking.engine_server import EngineServer as BlockingEngineServer

__all__ = ["BlockingEngineServer", "EngineServer", "get_tornado_handler"]
