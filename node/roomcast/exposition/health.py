"""Whether the process lives and whether it should get clients, as the answers for ``/healthz`` and ``/readyz``.

Alive is who answers at all. Ready is who is started, not draining, and has no reason against it. Degraded is ready as
well: when a broker is away, all nodes turning red at once would leave the balancer without any.
"""

from __future__ import annotations

from typing import Any

import msgspec

OK, UNAVAILABLE = 200, 503


class Readiness(msgspec.Struct, frozen=True):
    """What a node knows about itself. ``unready`` and ``degraded`` are short sentences for people."""

    started: bool = False
    draining: bool = False
    unready: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why no client should come here; empty when ready."""
        own = [text for text, holds in (("not started", not self.started), ("draining", self.draining)) if holds]
        return (*own, *self.unready)


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer: a status, and a body in JSON."""

    status: int
    body: bytes


def healthz() -> Answer:
    """Always the same: whoever gets it has an event loop that turns."""
    return _answer(OK, {"status": "ok"})


def readyz(readiness: Readiness) -> Answer:
    """200 ``ready`` or ``degraded``, 503 ``unready``; the last two with their reasons."""
    if readiness.reasons:
        return _answer(UNAVAILABLE, {"status": "unready", "reasons": readiness.reasons})
    if readiness.degraded:
        return _answer(OK, {"status": "degraded", "reasons": readiness.degraded})
    return _answer(OK, {"status": "ready"})


def _answer(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, msgspec.json.encode(body) + b"\n")
