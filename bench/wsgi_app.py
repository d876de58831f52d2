"""The application of :mod:`bench.app` on the blocking server: ``gunicorn --threads 20 bench.wsgi_app:app``."""

from __future__ import annotations

from typing import Any

import roomcast

sio = roomcast.Server(cors_allowed_origins="*")
app = roomcast.WSGIApp(sio)


@sio.event
def connect(sid: str, environ: dict[str, Any]) -> None:
    """What most applications do first: look at who comes."""
    environ.get("HTTP_USER_AGENT")


@sio.event
def echo(sid: str, data: Any) -> Any:
    """Acknowledge with the same data."""
    return data


@sio.event
def sink(sid: str, data: Any) -> None:
    """Take it and do nothing."""


@sio.event
def pub(sid: str, data: Any) -> None:
    """Tell everybody."""
    sio.emit("msg", data)
