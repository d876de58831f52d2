"""``AsyncNamespace``: class-based namespaces of the asyncio server (python-api.md 1.8)."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from roomcast.core.api import chosen_target
from roomcast.core.contract import Callback
from roomcast.core.namespaces import NamespaceSurface


class AsyncNamespace(NamespaceSurface):
    """Handle the events of a namespace by methods ``on_<event>``, plain or coroutine functions.

    The methods of the server are here too, with the namespace filled in.
    """

    def is_asyncio_based(self) -> bool:
        return True

    async def trigger_event(self, event: str, *args: Any) -> Any:
        method, args = self._handler(event, args)
        if method is None:
            return None
        try:
            result = method(*args)
            return await result if inspect.isawaitable(result) else result
        except asyncio.CancelledError:
            return None

    async def emit(
        self, event: str, data: Any = None, to: Any = None, room: Any = None, skip_sid: Any = None,
        namespace: str | None = None, callback: Callback = None, ignore_queue: bool = False, volatile: bool = False,
    ) -> None:  # fmt: skip
        target, name = chosen_target(to, room), self._target(namespace)
        await self.server.emit(event, data, target, None, skip_sid, name, callback, ignore_queue, volatile)

    async def send(
        self, data: Any, to: Any = None, room: Any = None, skip_sid: Any = None, namespace: str | None = None,
        callback: Callback = None, ignore_queue: bool = False,
    ) -> None:  # fmt: skip
        target, name = chosen_target(to, room), self._target(namespace)
        await self.server.send(data, target, None, skip_sid, name, callback, ignore_queue)

    async def call(
        self, event: str, data: Any = None, to: Any = None, sid: Any = None, namespace: str | None = None,
        timeout: float | None = 60, ignore_queue: bool = False,
    ) -> Any:  # fmt: skip
        target, name = chosen_target(to, sid), self._target(namespace)
        return await self.server.call(event, data, target, None, name, timeout, ignore_queue)

    async def enter_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        await self.server.enter_room(sid, room, self._target(namespace))

    async def leave_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        await self.server.leave_room(sid, room, self._target(namespace))

    async def close_room(self, room: Any, namespace: str | None = None) -> None:
        await self.server.close_room(room, self._target(namespace))

    async def get_session(self, sid: str, namespace: str | None = None) -> Any:
        return await self.server.get_session(sid, self._target(namespace))

    async def save_session(self, sid: str, session: Any, namespace: str | None = None) -> None:
        await self.server.save_session(sid, session, self._target(namespace))

    async def disconnect(self, sid: str, namespace: str | None = None) -> None:
        await self.server.disconnect(sid, self._target(namespace))
