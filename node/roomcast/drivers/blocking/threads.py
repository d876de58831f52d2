"""``async_mode="threading"``: threads of the operating system."""

from __future__ import annotations

import queue
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any

from roomcast.drivers.blocking.concurrency import Concurrency


def start(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> threading.Thread:
    """Run a function in a daemon thread: it ends with the process, as handlers of the incumbent do."""
    thread = threading.Thread(target=function, args=arguments, kwargs=keywords, name="roomcast", daemon=True)
    thread.start()
    return thread


THREADS = Concurrency(
    async_mode="threading",
    start=start,
    sleep=time.sleep,
    make_lock=threading.RLock,
    make_event=threading.Event,
    make_queue=queue.SimpleQueue,
    queue_class=queue.Queue,
    make_selector=selectors.DefaultSelector,
    # As many as may wait for a database at once; a thread that waits costs some 30 KB and no processor.
    handlers=64,
)
