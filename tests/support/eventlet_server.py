"""A WSGI application on eventlet's own server:  python -m tests.support.eventlet_server MODULE:NAME PORT"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Any

import eventlet
import eventlet.wsgi

HOST = "127.0.0.1"


def main(path: str, port: str) -> None:
    """Serve until SIGTERM; then the server of the application's module, ``sio``, is shut down."""
    eventlet.monkey_patch()  # before the application and all that it needs are imported
    listening = eventlet.listen((HOST, int(port)))
    module, _, name = path.partition(":")
    application: Any = import_module(module)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        eventlet.wsgi.server(listening, getattr(application, name), log_output=False)
    finally:
        application.sio.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
