"""The three-event application on python-socketio: ``uvicorn bench.peers.pysio_app:app``.

With ``REDIS=redis://…`` or ``AMQP=amqp://…`` in the environment it joins a cluster through that server.
"""

from __future__ import annotations

import os
from typing import Any

import socketio

MANAGERS = {"REDIS": socketio.AsyncRedisManager, "AMQP": socketio.AsyncAioPikaManager}
manager = next((make(os.environ[name]) for name, make in MANAGERS.items() if name in os.environ), None)
sio = socketio.AsyncServer(async_mode="asgi", client_manager=manager, cors_allowed_origins="*")
app = socketio.ASGIApp(sio)


@sio.event  # type: ignore[untyped-decorator]  # python-socketio has no types
async def echo(sid: str, data: Any) -> Any:
    """Acknowledge with the same data."""
    return data


@sio.event  # type: ignore[untyped-decorator]  # as above
async def sink(sid: str, data: Any) -> None:
    """Take it and do nothing."""


@sio.event  # type: ignore[untyped-decorator]  # as above
async def pub(sid: str, data: Any) -> None:
    """Tell everybody."""
    await sio.emit("msg", data)
