"""The node that the browsers are connected to: ``roomcast run examples.celery_worker.app:app --port 8000``.

Start as many as you like: the worker's reports reach a browser wherever it is.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path

import roomcast
from examples.celery_worker.tasks import crunch

JOB_LENGTH = 16  # characters; who knows them may watch

sio = roomcast.AsyncServer(broker=os.environ.get("ROOMCAST_BROKER", "redis://localhost:6379/0"))
app = roomcast.ASGIApp(sio, static_files={"/": str(Path(__file__).with_name("index.html"))})


@sio.event
async def start(sid: str) -> str:
    """Begin a job; whoever asked watches it from its first report on, and is told its name."""
    job = secrets.token_urlsafe(JOB_LENGTH)[:JOB_LENGTH]
    # When this returns, what is emitted to the room anywhere in the cluster arrives here: only now may the task begin.
    await sio.enter_room(sid, f"job:{job}")
    await asyncio.to_thread(crunch.delay, job)  # talks to Celery's broker, and blocks meanwhile
    return job


@sio.event
async def watch(sid: str, job: object = None) -> bool:
    """Watch a job that was begun before: a page that returns asks for it again."""
    if not isinstance(job, str) or len(job) != JOB_LENGTH:
        return False
    await sio.enter_room(sid, f"job:{job}")
    return True
