"""The counts of a cluster: how long messages take, and what stands in for who is not there."""

from __future__ import annotations

import pytest

from roomcast.core.cluster_counters import ASK_ENDS, KIND_NAMES, KINDS, LATENCY_BOUNDS_MS, ClusterCounters, Latency
from roomcast_brokers.messages import Kind


@pytest.mark.parametrize(
    ("milliseconds", "bucket"),
    [
        (-5, 0),
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 2),
        (LATENCY_BOUNDS_MS[-1], len(LATENCY_BOUNDS_MS) - 1),
        (10**9, len(LATENCY_BOUNDS_MS)),
    ],
)
def test_a_time_is_counted_in_the_first_bucket_that_holds_it(milliseconds: int, bucket: int) -> None:
    latency = Latency()
    latency.record(milliseconds)
    assert latency.buckets == [int(index == bucket) for index in range(len(LATENCY_BOUNDS_MS) + 1)]
    assert latency.sum_ms == max(0, milliseconds)


def test_every_kind_has_a_label() -> None:
    assert set(KINDS) == set(KIND_NAMES.values()) == {kind.name.lower() for kind in Kind}
    counters = ClusterCounters()
    assert set(KINDS) <= set(counters.received)
    assert set(ASK_ENDS) <= set(counters.ask_ends)


def test_without_a_cluster_there_is_nothing_to_measure() -> None:
    counters = ClusterCounters()
    assert counters.measure_out() == dict.fromkeys(KINDS, 0)
    measures = [name for name in counters.__slots__ if name.startswith("measure_") and name != "measure_out"]
    assert measures
    assert [getattr(counters, name)() for name in measures] == [0] * len(measures)
