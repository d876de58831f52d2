"""``Namespace``: class-based namespaces of the blocking server (python-api.md 1.8)."""

from __future__ import annotations

from typing import Any

from roomcast.core.api import chosen_target
from roomcast.core.contract import Callback
from roomcast.core.namespaces import NamespaceSurface


class Namespace(NamespaceSurface):
    """Handle the events of a namespace by methods ``on_<event>``.

    The methods of the server are here too, with the namespace filled in.
    """

    def is_asyncio_based(self) -> bool:
        return False

    def trigger_event(self, event: str, *args: Any) -> Any:
        method, args = self._handler(event, args)
        return None if method is None else method(*args)

    def emit(
        self, event: str, data: Any = None, to: Any = None, room: Any = None, skip_sid: Any = None,
        namespace: str | None = None, callback: Callback = None, ignore_queue: bool = False, volatile: bool = False,
    ) -> None:  # fmt: skip
        target, name = chosen_target(to, room), self._target(namespace)
        self.server.emit(event, data, target, None, skip_sid, name, callback, ignore_queue, volatile)

    def send(
        self, data: Any, to: Any = None, room: Any = None, skip_sid: Any = None, namespace: str | None = None,
        callback: Callback = None, ignore_queue: bool = False,
    ) -> None:  # fmt: skip
        target, name = chosen_target(to, room), self._target(namespace)
        self.server.send(data, target, None, skip_sid, name, callback, ignore_queue)

    def call(
        self, event: str, data: Any = None, to: Any = None, sid: Any = None, namespace: str | None = None,
        timeout: float | None = 60, ignore_queue: bool = False,
    ) -> Any:  # fmt: skip
        target, name = chosen_target(to, sid), self._target(namespace)
        return self.server.call(event, data, target, None, name, timeout, ignore_queue)

    def enter_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        self.server.enter_room(sid, room, self._target(namespace))

    def leave_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        self.server.leave_room(sid, room, self._target(namespace))

    def close_room(self, room: Any, namespace: str | None = None) -> None:
        self.server.close_room(room, self._target(namespace))

    def get_session(self, sid: str, namespace: str | None = None) -> Any:
        return self.server.get_session(sid, self._target(namespace))

    def save_session(self, sid: str, session: Any, namespace: str | None = None) -> None:
        self.server.save_session(sid, session, self._target(namespace))

    def disconnect(self, sid: str, namespace: str | None = None) -> None:
        self.server.disconnect(sid, self._target(namespace))
