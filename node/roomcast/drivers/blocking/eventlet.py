"""``async_mode="eventlet"``: green threads of eventlet, whose maintainers advise against new uses of it."""

from __future__ import annotations

from typing import Any

import eventlet
import eventlet.queue
from eventlet.green import selectors, threading

from roomcast.drivers.blocking.concurrency import Concurrency

# As for gevent: cheap, not free.
HANDLERS = 10_000


class GreenTask:
    """A green thread with the ``join`` that tasks of the other kinds have."""

    def __init__(self, thread: Any) -> None:
        self._thread = thread

    def join(self, timeout: float | None = None) -> None:
        with eventlet.Timeout(timeout, False):
            self._thread.wait()


def start(function: Any, *arguments: Any, **keywords: Any) -> GreenTask:
    """Run a function in a green thread."""
    return GreenTask(eventlet.spawn(function, *arguments, **keywords))


EVENTLET = Concurrency(
    async_mode="eventlet",
    start=start,
    sleep=eventlet.sleep,
    make_lock=threading.RLock,
    make_event=threading.Event,
    make_queue=eventlet.queue.Queue,
    make_selector=selectors.DefaultSelector,
    handlers=HANDLERS,
)
