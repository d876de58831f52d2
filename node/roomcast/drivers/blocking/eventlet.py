"""``async_mode="eventlet"``: green threads of eventlet, whose maintainers advise against new uses of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import eventlet
import eventlet.queue
from eventlet.green import selectors, threading

from roomcast.drivers.blocking.concurrency import Concurrency

# As for gevent: cheap, not free.
HANDLERS = 10_000


class GreenTask:
    """A green thread with the ``join`` that tasks of the other kinds have."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self._ended = threading.Event()
        eventlet.spawn(self._run, function, arguments, keywords)

    def _run(self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        try:
            function(*arguments, **keywords)
        finally:
            self._ended.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, ``timeout`` seconds at most."""
        self._ended.wait(timeout)


def start(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> GreenTask:
    """Run a function in a green thread."""
    return GreenTask(function, arguments, keywords)


EVENTLET = Concurrency(
    async_mode="eventlet",
    start=start,
    sleep=eventlet.sleep,
    make_lock=threading.RLock,
    make_event=threading.Event,
    make_queue=eventlet.queue.Queue,
    queue_class=eventlet.queue.Queue,
    make_selector=selectors.DefaultSelector,
    handlers=HANDLERS,
    gathers=True,
)
