"""What a node's pages are understood to say; the real ones are those of an exposition in this process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.core.counters import Counters
from roomcast.exposition.health import Readiness, readyz
from roomcast.exposition.prometheus import page, registry_of
from roomcast.supervision.readings import SILENT, Reading, read

READY = readyz(Readiness(started=True)).body


def test_a_node_as_it_shows_itself() -> None:
    counters = Counters()
    counters.cluster.broker_up = True
    counters.cluster.measure_peers = lambda: 3
    counters.measure_clients = lambda: {"polling": 2, "websocket": 40}
    _, metrics = page(registry_of(counters))
    assert read(READY, metrics) == Reading("ready", (), 42, True, 3)


@pytest.mark.parametrize(
    ("readiness", "expected"),
    [
        (Readiness(started=True, degraded=("the broker is away",)), Reading("degraded", ("the broker is away",))),
        (Readiness(started=True, draining=True, unready=("twin",)), Reading("unready", ("draining", "twin"))),
        (Readiness(), Reading("unready", ("not started",))),
    ],
)
def test_readiness_with_its_reasons(readiness: Readiness, expected: Reading) -> None:
    found = read(readyz(readiness).body, None)
    assert found == expected
    assert found.serves is (expected.answer == "degraded")


@pytest.mark.parametrize(
    "readyz", [None, b"", b"OK", b"[]", b'{"status": "fine"}', b'{"status": "ready", "reasons": 7}']
)
def test_what_is_no_answer_of_a_node(readyz: bytes | None) -> None:
    assert read(readyz, b"roomcast_clients 1\n") is SILENT
    assert not SILENT.serves


@pytest.mark.parametrize(
    ("metrics", "clients"),
    [
        (b"roomcast_clients 7.0\n", 7),
        (b'roomcast_clients{transport="a"} 1\nroomcast_clients{transport="b"} 2.0\n', 3),
        (b"# HELP roomcast_clients 9\nroomcast_clients_total 9\nx_roomcast_clients 9\n", None),
        (b"roomcast_clients NaN\n", None),
        (b"roomcast_clients +Inf\n", None),
        (b"roomcast_clients many\n", None),
    ],
)
def test_numbers(metrics: bytes, clients: int | None) -> None:
    assert read(READY, metrics).clients == clients


@pytest.mark.parametrize(("value", "up"), [(b"1.0", True), (b"0.0", False)])
def test_the_broker(value: bytes, up: bool) -> None:
    assert read(READY, b"roomcast_broker_up " + value + b"\n").broker_up is up


@given(st.binary(), st.binary())
def test_nothing_that_is_read_raises(readyz: bytes, metrics: bytes) -> None:
    read(readyz, metrics)
    read(READY, b"roomcast_peers " + metrics)
