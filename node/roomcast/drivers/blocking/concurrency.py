"""How one kind of blocking server starts tasks, waits and locks: the record that threads, gevent and eventlet fill in.

The driver knows no other difference between them.
"""

from __future__ import annotations

import contextlib
import selectors
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec


class Task(Protocol):
    """What runs beside whoever started it."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, ``timeout`` seconds at most; what it raised is nobody's business here."""


class Event(Protocol):
    """Set once or more; whoever waits goes on."""

    def set(self) -> None: ...
    def clear(self) -> None: ...
    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Queue(Protocol):
    """Without a bound of its own."""

    def put(self, item: Any, /) -> None: ...
    def get(self) -> Any: ...


class Concurrency(msgspec.Struct, frozen=True, kw_only=True):
    """One way to do several things at once in one process.

    ``start(function, *arguments, **keywords)`` runs a function as a task that ends with the process, and raises
    RuntimeError where there can be no more. Locks may be taken again by the task that has them: the application's own
    code may be called inside one (an origin check, a json module) and may call the server. ``clock()`` is monotonic
    (seconds). ``queue_class`` is the queue that applications know. ``handlers`` is how many of the application's
    handlers may run at the same time unless the server is told otherwise. ``gathers``: a task costs so much less than a
    write that one is started to write what all who can go on now have for a client: what 16 events of one turn of the
    loop send to 1,000 clients is written 1,000 times instead of 16,000 times.
    """

    async_mode: str
    start: Callable[..., Task]
    sleep: Callable[[float], None]
    make_lock: Callable[[], contextlib.AbstractContextManager[Any]]
    make_event: Callable[[], Event]
    make_queue: Callable[[], Queue]
    queue_class: Callable[..., Any]
    make_selector: Callable[[], selectors.BaseSelector]
    handlers: int
    gathers: bool = False
    clock: Callable[[], float] = time.monotonic
