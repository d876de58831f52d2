"""Where the back end cannot say that a channel is subscribed, a message of our own that comes back does (cluster.md 6).

The back end says when it has asked for a subscription. From then on a probe goes out on that channel now and then until
one was heard; only that is a confirmation. Its token is the subscription's generation, so that a probe of a
subscription that has ended confirms nothing. While the broker is away none goes out; after a break all channels begin
anew, because the back end has to ask for all of them again.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

# Probes that go out in one turn at most, those that waited longest first: 100 KB. Who has more channels than that
# unheard gets to them in the turns that follow.
MAX_AT_ONCE: Final = 1_000


class Probes:
    """The channels of one node that were asked for and not heard yet. The next probe comes ``pause`` seconds later."""

    __slots__ = ("_new", "_pause", "_sent")

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._new: dict[str, int] = {}  # channel → generation, before its first probe
        self._sent: dict[str, tuple[int, float]] = {}  # and when the next one is due, the earliest first

    def __len__(self) -> int:
        return len(self._new) + len(self._sent)

    def begin(self, channel: str, generation: int) -> None:
        """The back end has asked for it, for the first time or anew."""
        self._sent.pop(channel, None)
        self._new[channel] = generation

    def end(self, channel: str) -> None:
        """It is wanted no longer, or heard."""
        self._new.pop(channel, None)
        self._sent.pop(channel, None)

    def broken(self) -> None:
        """The broker is away."""
        self._new.clear()
        self._sent.clear()

    def heard(self, channel: str, token: int) -> bool:
        """A probe of ours has come back: whether that confirms the channel."""
        sent = self._sent.get(channel)
        if token != (self._new.get(channel) if sent is None else sent[0]):
            return False
        self.end(channel)
        return True

    def take(self, now: float) -> list[tuple[str, int]]:
        """(channel, token) of the probes that are to go out now."""
        due = list(islice(self._new.items(), MAX_AT_ONCE))
        for channel, (generation, at) in self._sent.items():
            if at > now or len(due) == MAX_AT_ONCE:
                break
            due.append((channel, generation))
        for channel, generation in due:
            self.end(channel)
            self._sent[channel] = generation, now + self._pause
        return due
