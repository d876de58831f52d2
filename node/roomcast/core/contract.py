"""What the methods of the public API do that both colours have: written once (python-api.md 1.6, 1.8, 1.10).

The signatures are the drivers': those of a server for asyncio are coroutine functions. ``help()``, ``inspect.getdoc``
and editors find the texts here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Callback = Callable[..., Any] | None
"""What is called with an acknowledgement; for asyncio also a coroutine function."""


class Emitting:
    """What servers and namespaces have in common. ``namespace`` None is ``/`` on a server, its own on a namespace."""

    def emit(self, event: str, *args: Any, **more: Any) -> Any:
        """Send an event to a client, a room, a collection of those, or (``to=None``) everybody in the namespace.

        A tuple as ``data`` is several arguments. ``skip_sid`` is a sid or a collection. ``callback`` is called with
        each receiver's acknowledgement, as a task. ``volatile`` events are dropped for clients that are behind. Never
        waits. Raises UnencodableError (a TypeError) and ValueError before anything is sent.
        """

    def send(self, data: Any, *args: Any, **more: Any) -> Any:
        """Emit the event ``message``."""

    def call(self, event: str, *args: Any, **more: Any) -> Any:
        """Emit an event to one client and wait for its acknowledgement: None, the value, or a tuple of several.

        Raises ``exceptions.TimeoutError`` after ``timeout`` seconds (None = never), ``exceptions.DisconnectedError`` at
        once when the client is not there or goes.
        """

    def enter_room(self, *args: Any, **more: Any) -> Any:
        """Put a client into a room. ValueError for a sid's room or an unknown namespace, KeyError for an unknown
        client.
        """

    def leave_room(self, *args: Any, **more: Any) -> Any:
        """Take a client out of a room; never complains."""

    def close_room(self, *args: Any, **more: Any) -> Any:
        """Take everybody out of a room. ValueError for a sid."""

    def rooms(self, sid: str, namespace: str | None = None) -> list[Any]:
        """The rooms of a client of this node, its own sid first; empty for an unknown one."""
        raise NotImplementedError  # only says what it is: every server has its own

    def get_session(self, sid: str, namespace: str | None = None) -> Any:
        """The session dict of a client, the same object each time; KeyError for an unknown client."""

    def save_session(self, sid: str, session: Any, namespace: str | None = None) -> Any:
        """Replace the session of a client; KeyError for an unknown client."""

    def session(self, sid: str, namespace: str | None = None) -> Any:
        """``with sio.session(sid) as session:`` (``async with`` for asyncio) gives the session, and saves it on
        leaving, also after an error.
        """

    def disconnect(self, *args: Any, **more: Any) -> Any:
        """Disconnect a client from a namespace; its connection stays, unless ``close``. Unknown sids are fine."""


class Serving(Emitting):
    """What only servers have."""

    def start(self) -> Any:
        """Join the cluster now, and take clients; done by itself with the first request where nobody calls it."""

    def handle_request(self, *args: Any) -> Any:
        """Serve one request, whatever its path."""

    def start_background_task(self, *args: Any, **more: Any) -> Any:
        """Run a function, with these arguments, as a task beside the caller: a coroutine function for asyncio, where
        the server keeps the task and, at shutdown, waits for a moment and cancels it; else a function, and the task
        has ``join()``.
        """

    def sleep(self, seconds: float = 0) -> Any:
        """Wait, letting others run."""

    def serve_metrics(self, port: int | None = None, host: str = "127.0.0.1") -> Any:
        """Serve ``/metrics``, ``/healthz`` and ``/readyz`` on a listener of their own, for who does not use ``roomcast
        run``.

        Takes ``port`` (None: 9464) or the first free one of the next 64; the listener that is returned knows which, and
        has ``close()``. It goes on during :meth:`shutdown`, so that the end can be watched.
        """

    def readiness(self) -> Any:
        """Whether this node should get clients, as ``/readyz`` tells it."""

    def shutdown(self) -> Any:
        """Stop: no new clients, all are closed over ``drain_seconds`` so that they come back elsewhere, handlers end.

        Disconnect handlers get ``server shutting down``. May be called more than once.
        """


class Managing:
    """What client managers do. Arguments come in the order sid, namespace, room; ``namespace`` has no default."""

    def emit(self, event: str, *args: Any, **more: Any) -> Any:
        """Emit to clients of all nodes, or with ``ignore_queue`` of this one."""

    def enter_room(self, *args: Any, **more: Any) -> Any:
        """Put a client into a room; raises as the server's method."""

    def leave_room(self, *args: Any, **more: Any) -> Any:
        """Take a client out of a room."""

    def close_room(self, *args: Any, **more: Any) -> Any:
        """Take everybody out of a room."""

    def can_disconnect(self, *args: Any) -> Any:
        """Whether that client is here and may be disconnected."""

    def disconnect(self, *args: Any, **more: Any) -> Any:
        """Disconnect a client, as the server's method does."""

    def trigger_callback(self, *args: Any) -> Any:
        """End an acknowledgement as if the client had answered ``data`` (a list of values)."""
