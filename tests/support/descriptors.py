"""How many file descriptors this process has."""

from __future__ import annotations

import gc
import os
import time  # time: looks again until what other threads close is closed
from collections.abc import Callable

from tests.support.patience import PATIENCE

# What leaks does so every time; a thread of an earlier test's that opens something meanwhile does not.
TRIES = 3
LOOK = 0.01


def open_descriptors() -> int:
    """Those that are open, once what earlier tests have dropped is closed."""
    gc.collect()
    return len(os.listdir("/dev/fd"))


def leaves_none_open(experiment: Callable[[], object]) -> None:
    """Fail unless all that ``experiment`` opens is closed soon after it has ended. It may be done several times."""
    left = []
    for _ in range(TRIES):
        before = open_descriptors()
        experiment()
        until = time.monotonic() + PATIENCE
        while (more := open_descriptors() - before) > 0 and time.monotonic() < until:
            time.sleep(LOOK)
        if more <= 0:
            return
        left.append(more)
    raise AssertionError(f"descriptors left open, in {TRIES} tries: {left}")
