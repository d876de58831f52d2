"""What gunicorn is told for nodes of these tests: it says nothing to an application that it stops."""

from __future__ import annotations

from typing import Any


def worker_exit(server: Any, worker: Any) -> None:
    from tests.cluster.blocking_application import sio

    sio.shutdown()
