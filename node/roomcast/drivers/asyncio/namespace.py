"""``AsyncNamespace``: class-based namespaces of the asyncio server (python-api.md 1.8)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from roomcast.core.api import chosen_target
from roomcast.core.namespaces import NamespaceSurface


class AsyncNamespace(NamespaceSurface):
    """Handle the events of a namespace by methods ``on_<event>``, plain or coroutine functions.

    The methods of the server are here too, with the namespace filled in.
    """

    def is_asyncio_based(self) -> bool:
        """Its methods are coroutines."""
        return True

    async def trigger_event(self, event: str, *args: Any) -> Any:
        """Call the method for an event; override it to handle all events in one place."""
        method, args = self._handler(event, args)
        if method is None:
            return None
        try:
            result = method(*args)
            return await result if inspect.isawaitable(result) else result
        except asyncio.CancelledError:
            return None

    async def emit(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
        volatile: bool = False,
    ) -> None:
        """See :meth:`AsyncServer.emit`."""
        target = chosen_target(to, room)
        await self.server.emit(
            event, data, target, None, skip_sid, self._target(namespace), callback, ignore_queue, volatile
        )

    async def send(
        self,
        data: Any,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """See :meth:`AsyncServer.send`."""
        target = chosen_target(to, room)
        await self.server.send(data, target, None, skip_sid, self._target(namespace), callback, ignore_queue)

    async def call(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        sid: Any = None,
        namespace: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """See :meth:`AsyncServer.call`."""
        target = chosen_target(to, sid)
        return await self.server.call(event, data, target, None, self._target(namespace), timeout, ignore_queue)

    async def enter_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        """See :meth:`AsyncServer.enter_room`."""
        await self.server.enter_room(sid, room, self._target(namespace))

    async def leave_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        """See :meth:`AsyncServer.leave_room`."""
        await self.server.leave_room(sid, room, self._target(namespace))

    async def close_room(self, room: Any, namespace: str | None = None) -> None:
        """See :meth:`AsyncServer.close_room`."""
        await self.server.close_room(room, self._target(namespace))

    def rooms(self, sid: str, namespace: str | None = None) -> list[Any]:
        """See :meth:`AsyncServer.rooms`."""
        rooms: list[Any] = self.server.rooms(sid, self._target(namespace))
        return rooms

    async def get_session(self, sid: str, namespace: str | None = None) -> Any:
        """See :meth:`AsyncServer.get_session`."""
        return await self.server.get_session(sid, self._target(namespace))

    async def save_session(self, sid: str, session: Any, namespace: str | None = None) -> None:
        """See :meth:`AsyncServer.save_session`."""
        await self.server.save_session(sid, session, self._target(namespace))

    def session(self, sid: str, namespace: str | None = None) -> Any:
        """See :meth:`AsyncServer.session`."""
        return self.server.session(sid, self._target(namespace))

    async def disconnect(self, sid: str, namespace: str | None = None) -> None:
        """See :meth:`AsyncServer.disconnect`."""
        await self.server.disconnect(sid, self._target(namespace))
