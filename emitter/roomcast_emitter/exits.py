"""What is to be done before this process ends: the last chance for what waits, and the marks that tell the last number.

Python runs ``atexit`` when it ends by itself. Children of ``multiprocessing`` and of Celery's pool leave through
``os._exit``, past it; each has a way of its own to be told, which is used only where that library is loaded already.
A process that is killed tells nobody.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import Any, Final

# Before the queues of multiprocessing are joined (-5), after what the application runs first (above 10).
_PRIORITY: Final = 10

_watched_in: int | None = None
_leave: Callable[[], None] | None = None


def at_exit(leave: Callable[[], None]) -> None:
    """Have ``leave`` called when this process or a child of it ends; once for the life of the program."""
    global _leave
    _leave = leave
    atexit.register(_left)


def watch() -> None:
    """Called when there is something to lose: make sure that the end of this very process is noticed."""
    global _watched_in
    if _watched_in == os.getpid():
        return
    _watched_in = os.getpid()
    _watch_multiprocessing()
    _watch_celery()


def _watch_multiprocessing() -> None:
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        # A child forgets what its parent registered, so this is done in each.
        util.Finalize(None, _left, exitpriority=_PRIORITY)


def _watch_celery() -> None:
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        # Sent in the child, by Celery, before it leaves; the uid keeps it from being registered twice.
        signals.worker_process_shutdown.connect(_left, weak=False, dispatch_uid="roomcast_emitter")


def _left(*_: Any, **__: Any) -> None:
    if _leave is not None:
        _leave()
