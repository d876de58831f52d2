from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.core.cluster_counters import ClusterCounters, Latency
from roomcast.core.counters import OTHER, REFUSALS, Counters, Tally, refusal_of


def test_everything_starts_at_zero() -> None:
    counters = Counters()
    for owner, name in [(counters, name) for name in Counters.__slots__] + [
        (counters.cluster, name) for name in ClusterCounters.__slots__
    ]:
        value = getattr(owner, name)
        if isinstance(value, ClusterCounters):
            continue
        if isinstance(value, Latency):
            value = {str(index): count for index, count in enumerate([*value.buckets, value.sum_ms])}
        if callable(value):
            value = value()
        if isinstance(value, dict):
            assert set(value.values()) <= {0}
        else:
            assert value == 0


def test_no_counter_can_be_invented_by_a_typing_error() -> None:
    with pytest.raises(AttributeError):
        Counters().packet_in = 1  # type: ignore[attr-defined]  # the point of the test


def test_two_servers_count_apart() -> None:
    one, other = Counters(), Counters()
    one.refused.count("origin")
    one.packets_in += 1
    assert (other.refused["origin"], other.packets_in) == (0, 0)


@given(st.lists(st.text(max_size=20), max_size=30))
def test_a_tally_never_grows_and_never_forgets(labels: list[str]) -> None:
    tally = Tally(("a", "b"))
    for label in labels:
        tally.count(label)
    assert list(tally) == ["a", "b", OTHER]
    assert sum(tally.values()) == len(labels)
    assert tally["a"] == labels.count("a")


def test_an_amount_can_be_counted_at_once() -> None:
    tally = Tally(("a",))
    tally.count("a", 3)
    tally.count("unforeseen", 2)
    assert tally == {"a": 3, OTHER: 2}


@pytest.mark.parametrize("code", range(6))
def test_each_error_code_has_its_own_label(code: int) -> None:
    assert refusal_of(code) == REFUSALS[code]


@pytest.mark.parametrize("code", [-1, 6, 99])
def test_an_unknown_error_code_counts_as_other(code: int) -> None:
    assert refusal_of(code) == OTHER


def test_lag_keeps_the_last_and_the_worst() -> None:
    counters = Counters()
    for seconds in (0.01, 0.5, -0.001):
        counters.lagged(seconds)
    assert (counters.loop_lag_last, counters.loop_lag_max) == (0.0, 0.5)
