"""The application of :mod:`tests.cluster.application` on a blocking server.

gunicorn --threads 20 --config python:tests.cluster.gunicorn_settings tests.cluster.blocking_application:app
"""

from __future__ import annotations

from typing import Any

import roomcast
from tests.cluster.application import COMMON, NAMESPACES, Desk, chosen_options, methods_of, raised, returned


class BlockingDesk(Desk):
    """That of a ``Server``."""

    def emit_with_callback(self, event: str, data: Any = None, to: Any = None, namespace: str = "/") -> None:
        """Emit, and keep what the callback is called with."""

        def answered(*values: Any) -> None:
            self._sio.sleep(0)  # that it may wait, as any handler
            self._answers.append(list(values))

        self._sio.emit(event, data, to=to, namespace=namespace, callback=answered)

    def enter_and_emit(self, sid: str, room: str, count: int) -> None:
        """Enter a room and emit to it, again and again."""
        for number in range(count):
            self._sio.enter_room(sid, room)
            self._sio.emit("entered", number, to=room)
            self._sio.leave_room(sid, room)


sio = roomcast.Server(**{"drain_seconds": 0.1, **COMMON, **chosen_options()})
methods = methods_of(sio, BlockingDesk(sio))


def do(sid: str, method: str, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        return returned(methods[method](*args, **kwargs))
    except Exception as error:
        return raised(error)


for each in NAMESPACES:
    sio.on("do", do, namespace=each)
listener = sio.serve_metrics(0)
print(f"Metrics and health on http://127.0.0.1:{listener.port}/metrics", flush=True)  # noqa: T201  # as roomcast run
app = roomcast.WSGIApp(sio)
