"""Write to all clients of a cluster from a process that serves none: a task queue, a cron job, a web worker.

::

    from roomcast_emitter import Emitter

    emitter = Emitter("redis://localhost:6379")
    receipt = emitter.emit("progress", {"done": 3, "of": 10}, to="job-17")

Importing this brings no event loop and no broker's package: those come with the first emitter that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from roomcast_emitter.counts import Counts
from roomcast_emitter.emitter import Emitter
from roomcast_emitter.errors import EmitterClosedError, EmitterError, NoBrokerError, NotDeliveredError, OnlyWritesError
from roomcast_emitter.receipts import AsyncReceipt, Outcome, Receipt

if TYPE_CHECKING:
    from roomcast_emitter.async_emitter import AsyncEmitter
    from roomcast_emitter.managers import (
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
    "AsyncAioPikaManager",
    "AsyncEmitter",
    "AsyncKafkaManager",
    "AsyncKombuManager",
    "AsyncReceipt",
    "AsyncRedisManager",
    "AsyncZmqManager",
    "Counts",
    "Emitter",
    "EmitterClosedError",
    "EmitterError",
    "KafkaManager",
    "KombuManager",
    "NoBrokerError",
    "NotDeliveredError",
    "OnlyWritesError",
    "Outcome",
    "Receipt",
    "RedisManager",
    "ZmqManager",
    "__version__",
]

__version__ = "0.1.0"


# Loaded when they are asked for.
_LATER = {name: "managers" for name in __all__ if name.endswith("Manager")} | {"AsyncEmitter": "async_emitter"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
