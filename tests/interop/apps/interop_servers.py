"""The servers of the interop application, for what serves them without ``ASGIApp``."""

from __future__ import annotations

from typing import Any

import roomcast as socketio
from tests.interop.interop_app import Rooms, add_events, add_life


def build(**options: Any) -> socketio.AsyncServer:
    sio = socketio.AsyncServer(cors_allowed_origins="*", **options)
    sio.register_namespace(Rooms("/room"))
    add_life(sio)
    add_events(sio)

    @sio.event
    def disconnect(sid: str, reason: str) -> None:
        print("left:", reason, flush=True)  # noqa: T201  # that is how a test hears of it

    return sio


servers = {"socket.io": build(), "msgpack.io": build(serializer="msgpack")}
