from __future__ import annotations

from collections.abc import Mapping

import pytest

from roomcast.core.cluster_counters import ClusterCounters, Latency
from roomcast.core.counters import DISCONNECT_REASONS, OTHER, TRANSPORTS, Counters
from roomcast.exposition.metrics import METRICS, Metric, Reading


def read(name: str, counters: Counters) -> Reading:
    return next(metric for metric in METRICS if metric.name == name).read(counters)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_and_texts_are_as_prometheus_wants_them(metric: Metric) -> None:
    assert metric.name.startswith("roomcast_")
    assert metric.name.endswith("_total") is (metric.kind == "counter")
    assert metric.text.endswith(".")
    assert isinstance(metric.read(Counters()), Mapping) is (metric.label is not None)
    assert isinstance(metric.read(Counters()), Latency) is (metric.kind == "histogram")


def test_no_name_twice() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))


def test_everything_that_is_counted_is_shown() -> None:
    """One more of each field of Counters, those of the cluster included, changes one row; each row has a field."""
    before = {metric.name: shown(metric, Counters()) for metric in METRICS}
    changed: set[str] = set()
    for of_cluster, field in [(False, field) for field in Counters.__slots__ if field != "cluster"] + [
        (True, field) for field in ClusterCounters.__slots__
    ]:
        counters = Counters()
        add_one(counters.cluster if of_cluster else counters, field)
        rows = {metric.name for metric in METRICS if shown(metric, counters) != before[metric.name]}
        assert len(rows) == 1, field
        changed |= rows
    assert changed == before.keys()


def shown(metric: Metric, counters: Counters) -> object:
    value = metric.read(counters)
    return list(value.buckets) if isinstance(value, Latency) else value


def add_one(owner: object, field: str) -> None:
    value = getattr(owner, field)
    if isinstance(value, Latency):
        value.record(1)
    elif field in {"measure_clients", "measure_out"}:
        setattr(owner, field, lambda: {"polling": 1})
    elif callable(value):
        setattr(owner, field, lambda: 1)
    elif isinstance(value, dict):
        value[OTHER] += 1
    else:
        setattr(owner, field, value + 1)


def test_labels_are_the_fixed_ones() -> None:
    counters = Counters()
    assert read("roomcast_packets_total", counters) == {"in": 0, "out": 0}
    assert set(read("roomcast_sessions_total", counters)) == {*TRANSPORTS, OTHER}  # type: ignore[arg-type]  # a mapping
    assert set(read("roomcast_disconnects_total", counters)) == {*DISCONNECT_REASONS, OTHER}  # type: ignore[arg-type]
