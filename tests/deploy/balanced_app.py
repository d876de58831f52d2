"""What nodes behind balancers serve in these tests. ``BALANCED_OPTIONS`` is JSON with options of the server."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import roomcast

sio = roomcast.AsyncServer(cors_allowed_origins="*", **json.loads(os.environ.get("BALANCED_OPTIONS", "{}")))


@sio.event
async def connect(sid: str, environ: dict[str, object], auth: object) -> None:
    if isinstance(auth, dict):
        await sio.enter_room(sid, auth["group"])


@sio.event
def echo(sid: str, value: object) -> object:
    return value


@sio.event
async def last_words(sid: str, name: str, count: int) -> None:
    """Say something to everybody, in turns of the loop of their own, so that polls that were held are used up by the
    first; and be told to stop in the very turn of the last one.
    """
    for number in range(count):
        await sio.emit("words", (name, number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGTERM)


app = roomcast.ASGIApp(sio)
