"""Which channels a listener may hear of: between whoever subscribes and whoever is told stand queues and threads.

What was on its way when a channel was unsubscribed must not be told, nor what was confirmed to an earlier subscription.
"""

from __future__ import annotations

import threading


class Subscribed:
    """A channel is ``in`` it from the confirmation of its latest ``subscribe`` to its ``unsubscribe``.

    Callable from any thread. Generations of one channel must differ.
    """

    __slots__ = ("_confirmed", "_generations", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generations: dict[str, int] = {}
        self._confirmed: set[str] = set()

    def __contains__(self, channel: str) -> bool:
        return channel in self._confirmed

    def subscribe(self, channel: str, generation: int) -> None:
        with self._lock:
            self._generations[channel] = generation

    def unsubscribe(self, channel: str) -> bool:
        """Whether it was wanted."""
        with self._lock:
            self._confirmed.discard(channel)
            return self._generations.pop(channel, None) is not None

    def confirm(self, channel: str, generation: int) -> bool:
        """Whether this is to be told: it belongs to the latest ``subscribe``, and no ``unsubscribe`` came after it."""
        with self._lock:
            if self._generations.get(channel) != generation:
                return False
            self._confirmed.add(channel)
            return True

    def wanted(self) -> dict[str, int]:
        """The latest generation of every channel that is wanted, in the order in which they were first wanted."""
        with self._lock:
            return dict(self._generations)
