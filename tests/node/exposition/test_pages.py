"""The three pages, as answers."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from roomcast.core.counters import Counters
from roomcast.exposition.health import Readiness
from roomcast.exposition.pages import Pages
from roomcast.exposition.prometheus import registry_of

READY = Readiness(started=True)


def pages(readiness: Readiness = READY) -> Pages:
    return Pages(CollectorRegistry(), lambda: readiness)


def test_metrics_in_the_form_that_is_asked_for() -> None:
    counters = Counters()
    counters.connects = 7
    found = Pages(registry_of(counters), lambda: READY)
    plain = found.answer("GET", "/metrics")
    assert plain.status == 200
    assert b"roomcast_connects_total 7.0" in plain.body
    assert (b"content-length", b"%d" % len(plain.body)) in plain.headers
    assert (b"cache-control", b"no-store") in plain.headers
    assert found.answer("GET", "/metrics", "application/openmetrics-text; version=1.0.0").body.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("method", "path", "readiness", "status", "body"),
    [
        ("GET", "/healthz", Readiness(), 200, b'{"status":"ok"}\n'),
        ("GET", "/readyz", READY, 200, b'{"status":"ready"}\n'),
        ("GET", "/readyz", Readiness(), 503, b'{"status":"unready","reasons":["not started"]}\n'),
        ("HEAD", "/readyz", Readiness(), 503, b""),
        ("POST", "/healthz", READY, 405, b"read only\n"),
        ("GET", "/", READY, 404, b"/metrics, /healthz and /readyz are here\n"),
        ("POST", "/", READY, 404, b"/metrics, /healthz and /readyz are here\n"),
    ],
)
def test_what_each_request_is_answered(method: str, path: str, readiness: Readiness, status: int, body: bytes) -> None:
    found = pages(readiness).answer(method, path)
    assert (found.status, found.body) == (status, body)
    assert (dict(found.headers).get(b"allow") == b"GET, HEAD") is (status == 405)


def test_readiness_is_asked_each_time() -> None:
    answers = iter([READY, Readiness()])
    found = Pages(CollectorRegistry(), lambda: next(answers))
    assert [found.answer("GET", "/readyz").status for _ in range(2)] == [200, 503]
