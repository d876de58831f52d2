"""The application of :mod:`tests.interop.conformance_app` on the blocking servers.

gunicorn --threads 20 tests.interop.conformance_wsgi:app
"""

from __future__ import annotations

from typing import Any

import roomcast
from roomcast.engine import BlockingEngineServer
from tests.interop.conformance_app import CONNECT_TIMEOUT, MAX_PAYLOAD, PING_INTERVAL, PING_TIMEOUT

eio = BlockingEngineServer(
    cors_allowed_origins="*",
    ping_interval=PING_INTERVAL,
    ping_timeout=PING_TIMEOUT,
    max_http_buffer_size=MAX_PAYLOAD,
)
sio = roomcast.Server(
    cors_allowed_origins="*",
    ping_interval=PING_INTERVAL,
    ping_timeout=PING_TIMEOUT,
    connect_timeout=CONNECT_TIMEOUT,
    max_http_buffer_size=MAX_PAYLOAD,
)


@eio.on("message")
def echo(sid: str, data: str | bytes) -> None:
    eio.send(sid, data)


@sio.on("connect")
def greet(sid: str, environ: dict[str, Any], auth: Any) -> None:
    sio.emit("auth", auth or {}, to=sid)


@sio.on("connect", namespace="/custom")
def greet_custom(sid: str, environ: dict[str, Any], auth: Any) -> None:
    sio.emit("auth", auth or {}, to=sid, namespace="/custom")


@sio.on("message")
def message_back(sid: str, *args: Any) -> None:
    sio.emit("message-back", args, to=sid)


@sio.on("message-with-ack")
def message_with_ack(sid: str, *args: Any) -> tuple[Any, ...]:
    return args


app = roomcast.WSGIApp(sio, roomcast.WSGIApp(eio, socketio_path="engine.io"))
