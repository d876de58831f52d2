"""A Socket.IO server for Python that is a cluster from its first line.

The public API is python-socketio's: ``import roomcast as socketio`` runs an existing application.
"""

from __future__ import annotations

from roomcast import exceptions
from roomcast.drivers.asyncio.asgi import ASGIApp
from roomcast.drivers.asyncio.frameworks import get_tornado_handler
from roomcast.drivers.asyncio.manager import AsyncManager
from roomcast.drivers.asyncio.namespace import AsyncNamespace
from roomcast.drivers.asyncio.server import AsyncServer
from roomcast.drivers.blocking.manager import Manager
from roomcast.drivers.blocking.namespace import Namespace
from roomcast.drivers.blocking.server import Server
from roomcast.drivers.blocking.wsgi import Middleware, WSGIApp
from roomcast.managers import (
    AsyncAioPikaManager,
    AsyncKafkaManager,
    AsyncKombuManager,
    AsyncRedisManager,
    AsyncZmqManager,
    KafkaManager,
    KombuManager,
    RedisManager,
    ZmqManager,
)

__all__ = [
    "ASGIApp",
    "AsyncAioPikaManager",
    "AsyncKafkaManager",
    "AsyncKombuManager",
    "AsyncManager",
    "AsyncNamespace",
    "AsyncRedisManager",
    "AsyncServer",
    "AsyncZmqManager",
    "KafkaManager",
    "KombuManager",
    "Manager",
    "Middleware",
    "Namespace",
    "RedisManager",
    "Server",
    "WSGIApp",
    "ZmqManager",
    "exceptions",
    "get_tornado_handler",
]

__version__ = "0.1.0"

# Names of the same API that are not there yet: an application that asks for one is told so, not merely that it is
# missing.
_LATER = {
    "PubSubManager": "python-socketio's queue format",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        raise AttributeError(f"roomcast {__version__} has no {name} yet: it comes with {_LATER[name]}")
    raise AttributeError(f"module 'roomcast' has no attribute {name!r}")
