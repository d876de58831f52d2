"""The three-event application on python-socketio's blocking server: ``gunicorn --threads 1100
bench.peers.pysio_wsgi_app:app``, or ``-k gevent``.
"""

from __future__ import annotations

import sys
from typing import Any

import socketio

monkey = sys.modules.get("gevent.monkey")
mode = "gevent" if monkey is not None and monkey.is_module_patched("socket") else "threading"
sio = socketio.Server(async_mode=mode, cors_allowed_origins="*")
app = socketio.WSGIApp(sio)


@sio.event  # type: ignore[untyped-decorator]  # python-socketio has no types
def echo(sid: str, data: Any) -> Any:
    """Acknowledge with the same data."""
    return data


@sio.event  # type: ignore[untyped-decorator]  # as above
def sink(sid: str, data: Any) -> None:
    """Take it and do nothing."""


@sio.event  # type: ignore[untyped-decorator]  # as above
def pub(sid: str, data: Any) -> None:
    """Tell everybody."""
    sio.emit("msg", data)
