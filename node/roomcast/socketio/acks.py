"""Acknowledgements that one client owes the server.

Each ends exactly once: as answer, time-out, eviction or end of the socket.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class AckTable(Generic[T]):
    """What waits for the answers of one socket, by id. A token is whatever the caller wants back; it is never ``None``.

    Ids count from 0 and are never used again. Costs three empty slots until the first ``add``.
    """

    __slots__ = ("_due", "_evicted", "_limit", "_next", "_pending")

    def __init__(self, limit: int) -> None:
        """At most ``limit`` (1 or more) tokens wait at once; the oldest gives way to a new one."""
        self._limit = limit
        self._next = 0
        self._pending: dict[int, tuple[T, float | None]] | None = None
        self._evicted: list[T] | None = None
        self._due: float | None = None

    def __len__(self) -> int:
        return len(self._pending) if self._pending else 0

    def add(self, token: T, deadline: float | None = None) -> int:
        """The id that the event is to carry. ``deadline`` is a moment of ``expire``'s clock, or None to wait for ever.

        When the table was full, the oldest token is now in ``take_evicted()``.
        """
        pending = self._pending
        if pending is None:
            pending = self._pending = {}
        elif len(pending) >= self._limit:
            self._evict(pending)
        id = self._next
        self._next = id + 1
        pending[id] = (token, deadline)
        if deadline is not None and (self._due is None or deadline < self._due):
            self._due = deadline
        return id

    def take(self, id: int) -> T | None:
        """The token of ``id``, which waits no longer; ``None`` for an id that is unknown, or was answered before."""
        entry = self._pending.pop(id, None) if self._pending else None
        return None if entry is None else entry[0]

    def take_evicted(self) -> list[T]:
        """The tokens that gave way to others since the last call, oldest first."""
        evicted = self._evicted
        self._evicted = None
        return evicted or []

    def due(self) -> float | None:
        """When to call ``expire`` next: no deadline is earlier, though the one it stands for may have been answered."""
        return self._due

    def expire(self, now: float) -> list[T]:
        """The tokens whose deadline has come, in order of their ids; they wait no longer."""
        if self._due is None or now < self._due or not self._pending:
            return []
        expired: list[T] = []
        waiting: dict[int, tuple[T, float | None]] = {}
        self._due = None
        for id, (token, deadline) in self._pending.items():
            if deadline is not None and deadline <= now:
                expired.append(token)
                continue
            waiting[id] = (token, deadline)
            if deadline is not None and (self._due is None or deadline < self._due):
                self._due = deadline
        self._pending = waiting or None
        return expired

    def clear(self) -> list[T]:
        """All tokens, oldest first, for the socket is gone; none waits any longer."""
        tokens = self.take_evicted()
        if self._pending:
            tokens += [token for token, _ in self._pending.values()]
        self._pending = self._due = None
        return tokens

    def _evict(self, pending: dict[int, tuple[T, float | None]]) -> None:
        token, _ = pending.pop(next(iter(pending)))
        if self._evicted is None:
            self._evicted = []
        self._evicted.append(token)
