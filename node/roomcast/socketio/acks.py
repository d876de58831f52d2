"""Acknowledgements that one client owes the server.

Each ends exactly once: as answer, eviction or end of the socket; what is withdrawn before just leaves.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class AckTable(Generic[T]):
    """What waits for the answers of one socket, by id. A token is whatever the caller wants back; it is never ``None``.

    Ids count from 0 and are never used again. Costs three empty slots until the first ``add``.
    """

    __slots__ = ("_evicted", "_limit", "_next", "_pending")

    def __init__(self, limit: int) -> None:
        """At most ``limit`` (1 or more) tokens wait at once; the oldest gives way to a new one."""
        self._limit = limit
        self._next = 0
        self._pending: dict[int, T] | None = None
        self._evicted: list[T] | None = None

    def __len__(self) -> int:
        return len(self._pending) if self._pending else 0

    def add(self, token: T) -> int:
        """The id that the event is to carry. When the table was full, the oldest token is now in ``take_evicted()``."""
        pending = self._pending
        if pending is None:
            pending = self._pending = {}
        elif len(pending) >= self._limit:
            self._evict(pending)
        id = self._next
        self._next = id + 1
        pending[id] = token
        return id

    def take(self, id: int) -> T | None:
        """The token of ``id``, which waits no longer; ``None`` for an id that is unknown, or was answered before."""
        return self._pending.pop(id, None) if self._pending else None

    def take_evicted(self) -> list[T]:
        """The tokens that gave way to others since the last call, oldest first."""
        evicted = self._evicted
        self._evicted = None
        return evicted or []

    def clear(self) -> list[T]:
        """All tokens, oldest first, for the socket is gone; none waits any longer."""
        tokens = self.take_evicted()
        if self._pending:
            tokens += self._pending.values()
        self._pending = None
        return tokens

    def _evict(self, pending: dict[int, T]) -> None:
        token = pending.pop(next(iter(pending)))
        if self._evicted is None:
            self._evicted = []
        self._evicted.append(token)
