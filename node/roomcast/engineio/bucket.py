"""A token bucket: how often something may happen."""

from __future__ import annotations


class Bucket:
    """Lets ``rate`` things a second pass (None = any number), and as many at once after a quiet second."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._tokens = max(1.0, rate or 0.0)
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Let one thing pass at this time (seconds, monotonic); False when it is too early for it."""
        if self._rate is None:
            return True
        full = max(1.0, self._rate)
        self._tokens = min(full, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def wait(self) -> float:
        """Seconds until the next one may pass, counted from the last :meth:`take`."""
        return 0.0 if self._rate is None else max(0.0, (1.0 - self._tokens) / self._rate)
