"""The Celery tasks of these tests: they emit, and return what became of it."""

from __future__ import annotations

import os
import time  # time: the worker is to be busy while something is done to it

from celery import Celery

from roomcast_emitter import Emitter

app = Celery("faults", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_prefetch_multiplier = 1

emitter = Emitter(os.environ["ROOMCAST_BROKER"])

ROOM = "tasks"
PATIENCE = 10.0
"""Seconds; what the broker does not take falls out of the emitter's buffer after 5."""


@app.task  # type: ignore[untyped-decorator]  # Celery has no types
def tell(number: int, pause: float) -> str:
    """Emit one message, be busy for a while, return the outcome."""
    receipt = emitter.emit("m", ("task", ROOM, number, ""), to=ROOM)
    time.sleep(pause)
    outcome: str = receipt.wait(PATIENCE)
    return outcome
