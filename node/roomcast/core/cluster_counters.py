"""What a node counts about its cluster: plain integers, as in :mod:`roomcast.core.counters`.   [hot]"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping

from roomcast.core.tally import Tally
from roomcast_brokers.codec import REASONS
from roomcast_brokers.messages import Kind

KINDS = tuple(kind.name.lower() for kind in Kind)
KIND_NAMES: dict[int, str] = {kind: kind.name.lower() for kind in Kind}
ASK_ENDS = ("answered", "timed_out", "client_gone", "node_lost", "refused", "too_large", "failed", "withdrawn", "late")
# Upper bounds in milliseconds; a message within one machine takes 1 ms, one through a broker that is far away 50.
LATENCY_BOUNDS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000)


class Latency:
    """A histogram: how many took at most so many milliseconds, and the sum of all."""

    __slots__ = ("buckets", "sum_ms")

    def __init__(self) -> None:
        self.buckets = [0] * (len(LATENCY_BOUNDS_MS) + 1)  # the last one: longer than all bounds
        self.sum_ms = 0

    def record(self, milliseconds: int) -> None:
        """Count one; clocks of two machines differ, so a negative one counts as 0."""
        if milliseconds < 0:
            milliseconds = 0
        self.buckets[bisect_left(LATENCY_BOUNDS_MS, milliseconds)] += 1
        self.sum_ms += milliseconds


def _nothing() -> float:
    return 0


def _no_publishing() -> Mapping[str, int]:
    return dict.fromkeys(KINDS, 0)


class ClusterCounters:
    """One per node. The ``measure`` functions are totals and gauges that somebody else keeps, asked at scrape time."""

    __slots__ = (
        "ask_ends",
        "broker_reconnects",
        "broker_up",
        "deaf",
        "dropped",
        "joins_unconfirmed",
        "latency",
        "measure_abandoned",
        "measure_buffer_bytes",
        "measure_duplicates",
        "measure_evictions",
        "measure_lag",
        "measure_lost",
        "measure_newer",
        "measure_out",
        "measure_peers",
        "measure_pending",
        "measure_recanted",
        "measure_subscriptions",
        "measure_unpublished",
        "peers_lost",
        "received",
    )

    def __init__(self) -> None:
        self.broker_up = 0
        self.broker_reconnects = 0
        self.deaf = 0  # times this node found itself deaf
        self.received = Tally(KINDS)  # operations of others that were carried out, by kind
        self.dropped = Tally(REASONS)  # messages that were not, by reason
        self.peers_lost = 0
        self.joins_unconfirmed = 0  # enter_room() that returned before its subscription was confirmed
        self.ask_ends = Tally(ASK_ENDS)
        self.latency = Latency()
        self.measure_out: Callable[[], Mapping[str, int]] = _no_publishing
        self.measure_buffer_bytes: Callable[[], float] = _nothing
        self.measure_unpublished: Callable[[], float] = _nothing
        self.measure_abandoned: Callable[[], float] = _nothing
        self.measure_lost: Callable[[], float] = _nothing
        self.measure_newer: Callable[[], float] = _nothing
        self.measure_recanted: Callable[[], float] = _nothing
        self.measure_duplicates: Callable[[], float] = _nothing
        self.measure_evictions: Callable[[], float] = _nothing
        self.measure_peers: Callable[[], float] = _nothing
        self.measure_subscriptions: Callable[[], float] = _nothing
        self.measure_lag: Callable[[], float] = _nothing
        self.measure_pending: Callable[[], float] = _nothing
