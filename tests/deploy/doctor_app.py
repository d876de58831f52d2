"""The application that the doctor's deployments serve: it does not know of the doctor. ``OPTIONS`` is JSON."""

from __future__ import annotations

import json
import os

import roomcast


def make() -> roomcast.ASGIApp:
    """Served by ``roomcast run --factory``."""
    sio = roomcast.AsyncServer(**json.loads(os.environ.get("OPTIONS", "{}")))

    @sio.on("connect")
    async def connect(sid: str, environ: object, auth: dict[str, str] | None = None) -> None:
        if os.environ.get("TOKEN") and (auth or {}).get("token") != os.environ["TOKEN"]:
            raise roomcast.exceptions.ConnectionRefusedError("who are you?")

    return roomcast.ASGIApp(sio)
