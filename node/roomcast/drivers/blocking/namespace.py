"""``Namespace``: class-based namespaces of the blocking server (python-api.md 1.8)."""

from __future__ import annotations

from typing import Any

from roomcast.core.namespaces import NamespaceSurface


class Namespace(NamespaceSurface):
    """Handle the events of a namespace by methods ``on_<event>``.

    The methods of the server are here too, with the namespace filled in.
    """

    def is_asyncio_based(self) -> bool:
        """Its methods are plain functions."""
        return False

    def trigger_event(self, event: str, *args: Any) -> Any:
        """Call the method for an event; override it to handle all events in one place."""
        method, args = self._handler(event, args)
        return None if method is None else method(*args)

    def emit(self, event: str, data: Any = None, *args: Any, namespace: str | None = None, **more: Any) -> None:
        self.server.emit(event, data, *args, namespace=self._target(namespace), **more)

    def send(self, data: Any, *args: Any, namespace: str | None = None, **more: Any) -> None:
        self.server.send(data, *args, namespace=self._target(namespace), **more)

    def call(self, event: str, data: Any = None, *args: Any, namespace: str | None = None, **more: Any) -> Any:
        return self.server.call(event, data, *args, namespace=self._target(namespace), **more)

    def enter_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        self.server.enter_room(sid, room, self._target(namespace))

    def leave_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        self.server.leave_room(sid, room, self._target(namespace))

    def close_room(self, room: Any, namespace: str | None = None) -> None:
        self.server.close_room(room, self._target(namespace))

    def rooms(self, sid: str, namespace: str | None = None) -> list[Any]:
        rooms: list[Any] = self.server.rooms(sid, self._target(namespace))
        return rooms

    def get_session(self, sid: str, namespace: str | None = None) -> Any:
        return self.server.get_session(sid, self._target(namespace))

    def save_session(self, sid: str, session: Any, namespace: str | None = None) -> None:
        self.server.save_session(sid, session, self._target(namespace))

    def session(self, sid: str, namespace: str | None = None) -> Any:
        return self.server.session(sid, self._target(namespace))

    def disconnect(self, sid: str, namespace: str | None = None) -> None:
        self.server.disconnect(sid, self._target(namespace))
