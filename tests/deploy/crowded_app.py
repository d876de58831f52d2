"""A blocking server that echoes, and an application beside it:  gunicorn --threads 20 tests.deploy.crowded_app:app"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import roomcast

sio = roomcast.Server(cors_allowed_origins="*")


@sio.event
def echo(sid: str, data: Any) -> Any:
    return data


def plain(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """The application beside it."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"plain"]


app = roomcast.WSGIApp(sio, plain)
