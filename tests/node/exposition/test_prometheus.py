from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from roomcast.core.counters import Counters
from roomcast.exposition.metrics import METRICS
from roomcast.exposition.prometheus import NodeCollector, page, registry_of


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_a_scrape_reads_the_integers_as_they_are() -> None:
    counters = Counters()
    registry = registry_of(counters)
    counters.packets_in += 3
    counters.disconnects.count("ping timeout")
    counters.disconnects.count("something a client made up")
    counters.measure_clients = lambda: {"polling": 2, "websocket": 5}
    counters.lagged(0.25)
    found = samples(page(registry)[1])
    assert found["roomcast_packets_total", frozenset({("direction", "in")})] == 3
    assert found["roomcast_disconnects_total", frozenset({("reason", "ping timeout")})] == 1
    assert found["roomcast_disconnects_total", frozenset({("reason", "other")})] == 1
    assert found["roomcast_clients", frozenset({("transport", "websocket")})] == 5
    assert found["roomcast_loop_lag_max_seconds", frozenset()] == 0.25
    plain = {metric.name for metric in METRICS if metric.kind != "histogram"}
    assert plain - {"roomcast_clients"} <= {name for name, _ in found}


def test_a_histogram_s_buckets_hold_what_is_below_them_too() -> None:
    counters = Counters()
    for milliseconds in (-5, 1, 2, 30, 99_999):
        counters.cluster.latency.record(milliseconds)
    found = samples(page(registry_of(counters))[1])
    name = "roomcast_relay_latency_seconds"
    buckets = {
        bound: found[f"{name}_bucket", frozenset({("le", bound)})] for bound in ("0.001", "0.002", "0.05", "+Inf")
    }
    assert buckets == {"0.001": 2, "0.002": 3, "0.05": 4, "+Inf": 5}
    assert found[f"{name}_count", frozenset()] == 5
    assert found[f"{name}_sum", frozenset()] == pytest.approx(100.032)


def test_the_process_is_shown_too() -> None:
    names = {name for name, _ in samples(page(registry_of(Counters()))[1])}
    assert {"python_info", "python_gc_collections_total"} <= names


def test_a_registry_of_the_user_s_own() -> None:
    registry = CollectorRegistry()
    Counter("orders", "The application's.", registry=registry).inc()
    registry.register(NodeCollector(Counters()))
    text = page(registry)[1]
    assert b"orders_total 1.0" in text
    assert b"# TYPE roomcast_connects_total counter" in text
    assert b"# HELP roomcast_connects_total Sockets accepted into a namespace." in text
    assert b"python_info" not in text


def test_the_same_names_twice_are_refused_without_asking_for_values() -> None:
    counters = Counters()

    def unready() -> int:
        raise AssertionError("asked too early")

    counters.measure_outbox_bytes = unready
    registry = CollectorRegistry()
    registry.register(NodeCollector(counters))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(NodeCollector(counters))


@pytest.mark.parametrize(
    ("accept", "content_type", "ending"),
    [
        ("", "text/plain", b"\n"),
        ("text/html", "text/plain", b"\n"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", b"# EOF\n"),
    ],
)
def test_openmetrics_is_spoken_where_asked_for(accept: str, content_type: str, ending: bytes) -> None:
    kind, body = page(registry_of(Counters()), accept)
    assert kind.startswith(content_type)
    assert body.endswith(ending)
