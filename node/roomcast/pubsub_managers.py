"""The names that applications subclass for brokers of their own, and what they are told instead.

Refusing is what these classes are for: a queue manager of python-socketio cannot be one of roomcast's, whose
brokers move bytes and decide nothing.
"""

from __future__ import annotations

from typing import Any

ADVICE = (
    "roomcast's brokers move bytes and decide nothing: a broker of your own is the few methods of "
    "roomcast_brokers.contracts.AsyncBroker, instead of _publish and _listen; for Redis there is AsyncRedisManager"
)


class QueueManager:
    """Subclassing it outside roomcast, or making one, raises NotImplementedError with the advice what to do."""

    def __init_subclass__(cls, **_: Any) -> None:
        if cls.__module__.startswith("roomcast."):
            return
        raise NotImplementedError(ADVICE)  # on purpose and for good: _publish and _listen have no counterpart here

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(ADVICE)  # on purpose as well
