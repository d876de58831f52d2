"""What the engine counts, as it sees it: :class:`roomcast.core.counters.Counters` fits."""

from __future__ import annotations

from typing import Protocol

from roomcast.engineio.outbox import FlushCounts


class Labels(Protocol):
    """A counter with a fixed set of labels."""

    def count(self, label: str, amount: int = 1, /) -> None:
        """Add to one of them."""


class Counts(FlushCounts, Protocol):
    """Integers that only grow."""

    bytes_in: int
    packets_in: int
    ping_timeouts: int
    slow_consumers: int
    upgrades: int
    upgrades_failed: int

    @property
    def sessions(self) -> Labels:
        """Sessions opened, by transport."""

    @property
    def parse_errors(self) -> Labels:
        """What clients sent that was no packet, by kind."""

    @property
    def refused(self) -> Labels:
        """Requests refused, by reason."""
