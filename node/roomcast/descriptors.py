"""How many clients a process has file descriptors for."""

from __future__ import annotations

# File descriptors that are kept for everything but clients.
SPARE_FILES = 64


def most_clients() -> int | None:
    """How many the limit of open files leaves room for; None where there is no such limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else max(1, soft - SPARE_FILES)
