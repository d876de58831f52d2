"""A token bucket: how often something may happen."""

from __future__ import annotations


class Bucket:
    """Lets ``rate`` things a second pass (None = any number), and as many at once after a quiet second."""

    __slots__ = ("_at", "_rate", "_since", "_tokens")

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._tokens = max(1.0, rate or 0.0)
        self._at = 0.0
        self._since: float | None = None

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

    def full(self, now: float) -> bool:
        """Whether as much may pass at this time as through a new one."""
        return self._rate is None or self._tokens + (now - self._at) * self._rate >= max(1.0, self._rate)

    def owe(self, now: float) -> tuple[float, float]:
        """Let one thing pass in any case: (seconds until the next should come, seconds for which it has been so)."""
        if self.take(now) or self._rate is None:
            if self._tokens >= max(1.0, self._rate or 0.0) / 2:
                self._since = None
            return 0.0, 0.0
        self._tokens -= 1.0
        if self._since is None:
            self._since = now
        return -self._tokens / self._rate, now - self._since
