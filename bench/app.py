"""The three-event application that the benchmarks measure, with the defaults that roomcast is shipped with."""

from __future__ import annotations

from typing import Any

import roomcast

sio = roomcast.AsyncServer(cors_allowed_origins="*")
app = roomcast.ASGIApp(sio)


@sio.event
def connect(sid: str, environ: dict[str, Any]) -> None:
    """What most applications do first: look at who comes."""
    environ.get("HTTP_USER_AGENT")


@sio.event
async def echo(sid: str, data: Any) -> Any:
    """Acknowledge with the same data."""
    return data


@sio.event
def sink(sid: str, data: Any) -> None:
    """Take it and do nothing."""


@sio.event
async def pub(sid: str, data: Any) -> None:
    """Tell everybody."""
    await sio.emit("msg", data)
