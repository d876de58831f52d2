"""The application that the doctor's deployments serve: it does not know of the doctor. ``OPTIONS`` is JSON."""

from __future__ import annotations

import json
import os

import roomcast


def make() -> roomcast.ASGIApp:
    """Served by ``roomcast run --factory``."""
    sio = roomcast.AsyncServer(**json.loads(os.environ.get("OPTIONS", "{}")))

    @sio.event
    async def connect(sid: str, environ: object) -> None:
        """Everybody is welcome."""

    return roomcast.ASGIApp(sio)
