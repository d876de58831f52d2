from __future__ import annotations

from collections.abc import Mapping

import pytest

from roomcast.core.counters import DISCONNECT_REASONS, OTHER, TRANSPORTS, Counters
from roomcast.exposition.metrics import METRICS, Metric


def read(name: str, counters: Counters) -> float | Mapping[str, int]:
    return next(metric for metric in METRICS if metric.name == name).read(counters)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_and_texts_are_as_prometheus_wants_them(metric: Metric) -> None:
    assert metric.name.startswith("roomcast_")
    assert metric.name.endswith("_total") is (metric.kind == "counter")
    assert metric.text.endswith(".")
    assert isinstance(metric.read(Counters()), Mapping) is (metric.label is not None)


def test_no_name_twice() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))


def test_everything_that_is_counted_is_shown() -> None:
    """One more of each field of Counters changes one row, and each row has a field."""
    before = {metric.name: metric.read(Counters()) for metric in METRICS}
    changed: set[str] = set()
    for field in Counters.__slots__:
        counters = Counters()
        value = getattr(counters, field)
        if field == "measure_clients":
            counters.measure_clients = lambda: {"polling": 1}
        elif callable(value):
            setattr(counters, field, lambda: 1)
        elif isinstance(value, dict):
            value[OTHER] += 1
        else:
            setattr(counters, field, value + 1)
        rows = {metric.name for metric in METRICS if metric.read(counters) != before[metric.name]}
        assert len(rows) == 1, field
        changed |= rows
    assert changed == before.keys()


def test_labels_are_the_fixed_ones() -> None:
    counters = Counters()
    assert read("roomcast_packets_total", counters) == {"in": 0, "out": 0}
    assert set(read("roomcast_sessions_total", counters)) == {*TRANSPORTS, OTHER}  # type: ignore[arg-type]  # a mapping
    assert set(read("roomcast_disconnects_total", counters)) == {*DISCONNECT_REASONS, OTHER}  # type: ignore[arg-type]
