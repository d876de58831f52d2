"""``async_mode="gevent"`` and ``"gevent_uwsgi"``: greenlets of gevent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
import gevent.lock
import gevent.queue
import gevent.selectors

from roomcast.drivers.blocking.concurrency import Concurrency, Task

# Greenlets are cheap, but each handler that waits keeps what it has: a bound all the same.
HANDLERS = 10_000


def start(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Task:
    """Run a function in a greenlet."""
    greenlet: Task = gevent.spawn(function, *arguments, **keywords)
    return greenlet


def _concurrency(async_mode: str) -> Concurrency:
    return Concurrency(
        async_mode=async_mode,
        start=start,
        sleep=gevent.sleep,
        make_lock=gevent.lock.RLock,
        make_event=gevent.event.Event,
        make_queue=gevent.queue.SimpleQueue,
        queue_class=gevent.queue.Queue,
        make_selector=gevent.selectors.GeventSelector,
        handlers=HANDLERS,
        gathers=True,
    )


GEVENT = _concurrency("gevent")
GEVENT_UWSGI = _concurrency("gevent_uwsgi")
