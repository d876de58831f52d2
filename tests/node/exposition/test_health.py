from __future__ import annotations

import msgspec
import pytest

from roomcast.exposition.health import Answer, Readiness, healthz, readyz


def test_whoever_answers_is_alive() -> None:
    assert healthz() == Answer(200, b'{"status":"ok"}\n')


@pytest.mark.parametrize(
    ("readiness", "status", "body"),
    [
        (Readiness(), 503, {"status": "unready", "reasons": ["not started"]}),
        (Readiness(started=True), 200, {"status": "ready"}),
        (Readiness(started=True, draining=True), 503, {"status": "unready", "reasons": ["draining"]}),
        (Readiness(started=True, unready=("deaf",)), 503, {"status": "unready", "reasons": ["deaf"]}),
        (
            Readiness(draining=True, unready=("deaf", "twin"), degraded=("broker away",)),
            503,
            {"status": "unready", "reasons": ["not started", "draining", "deaf", "twin"]},
        ),
        (Readiness(started=True, degraded=("broker away",)), 200, {"status": "degraded", "reasons": ["broker away"]}),
    ],
)
def test_ready_degraded_unready(readiness: Readiness, status: int, body: dict[str, object]) -> None:
    answer = readyz(readiness)
    assert answer.status == status
    assert msgspec.json.decode(answer.body) == body
