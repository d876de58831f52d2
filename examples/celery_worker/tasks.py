"""A Celery application whose tasks tell their progress to the browsers that watch.

``celery -A examples.celery_worker.tasks worker`` runs it, from the top of the repository. The worker serves no clients
and needs no web server: it emits through the broker to whichever node has them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import Any

from celery import Celery

from roomcast_emitter import Emitter

# Celery's queue and the cluster's broker may be the same Redis. In production let them be two: a queue that fills its
# memory must not silence the clients.
app = Celery(
    "celery_worker",
    broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0"),
    backend=os.environ.get("CELERY_RESULT_BACKEND"),
)
app.conf.broker_connection_retry_on_startup = True

# One for the whole module. It connects with the first emit of each process of the pool, and each has its own.
emitter = Emitter.from_environment("redis://localhost:6379/0")

SECONDS_PER_STEP = 0.2
MAX_STEPS = 1_000


@app.task  # type: ignore[untyped-decorator]  # Celery has no types
def crunch(job: str, steps: int = 20) -> dict[str, int]:
    """Do something long, and tell everybody who watches ``job`` how far it is. Returns what became of the reports.

    Each report says everything: who missed one, or comes later, knows with the next.
    """
    watchers = emitter.to(f"job:{job}")
    outcomes: Counter[str] = Counter()
    for step in range(1, min(steps, MAX_STEPS) + 1):
        time.sleep(SECONDS_PER_STEP)  # the long thing
        outcomes[watchers.emit("progress", {"job": job, "done": step, "of": steps}).outcome] += 1
    return dict(outcomes)


@app.task  # type: ignore[untyped-decorator]
def tell(event: str, data: Any, room: str, patience: float = 10.0) -> str:
    """Emit one event to a room, from anywhere that can queue a task. Returns what became of it: ``delivered``,
    ``dropped``, ``unconfirmed``, or ``queued`` if that is not decided within ``patience`` seconds.
    """
    outcome: str = emitter.emit(event, data, to=room).wait(patience)
    return outcome
