"""What has been read and is still to be told: bounded, because who is told may be slower than Kafka."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

# Beyond this the rest is left in Kafka, where it keeps.
MAX_BYTES: Final = 8 * 1_048_576
MAX_MESSAGES: Final = 10_000


class Arrivals:
    """Messages, and confirmations in their place among them. One thread puts, another takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[tuple[str, bytes | int]] = deque()
        self._bytes = 0
        self._over = False

    def wait_for_room(self) -> None:
        """Return when something may be put, or when it is over."""
        with self._changed:
            self._changed.wait_for(self._has_room)

    def put(self, messages: list[tuple[str, bytes]]) -> None:
        """Add these, whether there is room or not: as much as is read at a time fits in beside the rest."""
        with self._changed:
            self._queue.extend(messages)
            self._bytes += sum(len(payload) for _, payload in messages)

    def confirm(self, generations: dict[str, int]) -> None:
        """What is wanted in these generations is heard from here on."""
        with self._changed:
            self._queue.extend(generations.items())

    def take(self, most: int) -> list[tuple[str, bytes | int]]:
        """The oldest ``most``, in order: (channel, payload) of a message, (channel, generation) of a confirmation."""
        with self._changed:
            taken = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
            self._bytes -= sum(len(each) for _, each in taken if isinstance(each, bytes))
            self._changed.notify_all()
        return taken

    def end(self) -> None:
        """Nobody need wait for room any more. What is there can be taken."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._over or (self._bytes < MAX_BYTES and len(self._queue) < MAX_MESSAGES)
