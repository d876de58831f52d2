"""Counters as Prometheus reads them: a collector for any registry, and the page that a registry makes.

    registry.register(NodeCollector(counters))      # prometheus_client.REGISTRY, or one's own

Nothing is copied while counting; a scrape reads the integers as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from roomcast.core.cluster_counters import Latency
from roomcast.core.counters import Counters
from roomcast.exposition import metrics

_FAMILIES: dict[str, type[CounterMetricFamily | GaugeMetricFamily]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
}


class NodeCollector(Collector):
    """Reads one server's counters at every scrape. Two servers of one process need a registry each."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """All metrics with their present values."""
        for metric in metrics.METRICS:
            yield _family(metric, metric.read(self._counters))

    def describe(self) -> Iterator[Metric]:
        """Names only, so that registering the same server twice is refused without asking for any value."""
        for metric in metrics.METRICS:
            yield _family(metric, Latency() if metric.kind == "histogram" else {})


def _family(metric: metrics.Metric, value: metrics.Reading) -> Metric:
    if isinstance(value, Latency):
        return _histogram(metric, value)
    labels = None if metric.label is None else [metric.label]
    family = _FAMILIES[metric.kind](metric.name, metric.text, labels=labels)
    if isinstance(value, Mapping):
        for label, number in value.items():
            family.add_metric([label], number)
    else:
        family.add_metric([], value)
    return family


def _histogram(metric: metrics.Metric, value: Latency) -> Metric:
    """Prometheus's buckets hold what is at most so long, those below included."""
    family = HistogramMetricFamily(metric.name, metric.text)
    buckets = zip((*metrics.LATENCY_BOUNDS, "+Inf"), accumulate(value.buckets), strict=True)
    family.add_metric([], [(bound, float(count)) for bound, count in buckets], sum_value=value.sum_ms / 1_000)
    return family


def registry_of(counters: Counters) -> CollectorRegistry:
    """A registry of its own with the server's metrics and those of the process (memory, descriptors, garbage,
    Python).
    """
    registry = CollectorRegistry()
    registry.register(NodeCollector(counters))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def page(registry: CollectorRegistry, accept: str = "") -> tuple[str, bytes]:
    """The content type and body for a scrape with this ``Accept`` header: OpenMetrics where asked for, else plain
    text.
    """
    encoder, content_type = choose_encoder(accept)
    return content_type, encoder(registry)
