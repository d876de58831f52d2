"""Why nobody subclasses a queue manager here, told to who tries."""

from __future__ import annotations

from typing import Any

ADVICE = (
    "queue managers arrive with the cluster release; a broker of your own is an adapter then: the few methods of "
    "roomcast_brokers.contracts.AsyncBroker, instead of _publish and _listen"
)


class QueueManager:
    """The name that applications subclass for brokers of their own; subclassing and making one raise, and say what to
    do.
    """

    def __init_subclass__(cls, **_: Any) -> None:
        if cls.__module__.startswith("roomcast."):
            return
        raise NotImplementedError(ADVICE)

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(ADVICE)
