"""How many file descriptors this process has."""

from __future__ import annotations

import gc
import os


def open_descriptors() -> int:
    """Those that are open, once what earlier tests have dropped is closed. Compare with ``<=``: more of it may go."""
    gc.collect()
    return len(os.listdir("/dev/fd"))
