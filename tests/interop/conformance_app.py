"""What the official conformance suites are run against: a bare Engine.IO echo and a small Socket.IO application.

    roomcast run tests.interop.conformance_app:app --port 3000

``/engine.io/`` sends every message back as it came. ``/socket.io/``: the main namespace tells each client its CONNECT
payload in ``auth``, answers ``message`` with ``message-back`` and acknowledges ``message-with-ack``; ``/custom`` has
``auth`` only.
"""

from __future__ import annotations

from typing import Any

import roomcast
from roomcast.engine import EngineServer

PING_INTERVAL = 0.3
PING_TIMEOUT = 0.2
CONNECT_TIMEOUT = 1.0
MAX_PAYLOAD = 1_000_000

eio = EngineServer(
    cors_allowed_origins="*",
    ping_interval=PING_INTERVAL,
    ping_timeout=PING_TIMEOUT,
    max_http_buffer_size=MAX_PAYLOAD,
)
sio = roomcast.AsyncServer(
    cors_allowed_origins="*",
    ping_interval=PING_INTERVAL,
    ping_timeout=PING_TIMEOUT,
    connect_timeout=CONNECT_TIMEOUT,
    max_http_buffer_size=MAX_PAYLOAD,
)


async def echo(sid: str, data: str | bytes) -> None:
    await eio.send(sid, data)


eio.on("message", echo)


@sio.on("connect")
async def greet(sid: str, environ: dict[str, Any], auth: Any) -> None:
    await sio.emit("auth", auth or {}, to=sid)


@sio.on("connect", namespace="/custom")
async def greet_custom(sid: str, environ: dict[str, Any], auth: Any) -> None:
    await sio.emit("auth", auth or {}, to=sid, namespace="/custom")


@sio.on("message")
async def message_back(sid: str, *args: Any) -> None:
    await sio.emit("message-back", args, to=sid)


@sio.on("message-with-ack")
async def message_with_ack(sid: str, *args: Any) -> tuple[Any, ...]:
    return args


app = roomcast.ASGIApp(sio, other_asgi_app=roomcast.ASGIApp(eio, socketio_path="engine.io"))
servers = {"socket.io": sio, "engine.io": eio}
"""The same for frameworks."""
