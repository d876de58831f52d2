"""A process that ends when whoever started it is gone, however that came to its end.

The starter holds the other end of standard input and writes nothing. Every system closes it with its process, also
after ``kill -9``; what Linux has for this (a signal at the parent's death) would leave no time to drain.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

# Seconds beyond the time for draining. Who has not ended by then hangs, and nobody is there to notice.
END_PATIENCE: Final = 15.0

_STANDARD_INPUT: Final = 0


def follow_standard_input(drain_seconds: float) -> None:
    """Drain and end, as after SIGTERM, when standard input ends; by force if that takes too long.

    Watched by a thread: an event loop that is stuck is no excuse.
    """
    threading.Thread(
        target=watch, args=(_STANDARD_INPUT, drain_seconds + END_PATIENCE), name="roomcast-leash", daemon=True
    ).start()


def watch(
    descriptor: int,
    patience: float,
    send: Callable[[int], None] = lambda number: os.kill(os.getpid(), number),
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Read until the end, then ``send`` SIGTERM, and after ``patience`` seconds SIGKILL."""
    try:
        while os.read(descriptor, 1_024):
            pass
    except OSError:
        pass  # it was closed: nobody can tell us anything either
    send(signal.SIGTERM)
    wait(patience)
    send(signal.SIGKILL)
