"""``AsyncManager``: the client manager, as applications use it on ``sio.manager``.

With a broker its methods reach all nodes of the cluster.
"""

from __future__ import annotations

import asyncio
from typing import Any

from roomcast.core.cluster_calls import ClusterCalls
from roomcast.core.contract import Callback
from roomcast.core.manager import ManagerSurface


class AsyncManager(ManagerSurface):
    """Arguments come in the order sid, namespace, room."""

    @property
    def _calls(self) -> ClusterCalls | None:
        """What reaches the cluster, the clock looked at; None for a server that stands alone."""
        bus = self.server.bus
        if bus is None:
            return None
        self.server.runtime.look_at_clock()
        calls: ClusterCalls | None = bus.calls
        return calls

    async def emit(
        self, event: str, data: Any, namespace: str, room: Any = None, skip_sid: Any = None,
        callback: Callback = None, to: Any = None, ignore_queue: bool = False, volatile: bool = False, **_: Any,
    ) -> None:  # fmt: skip
        self.emit_now(event, data, namespace, room if to is None else to, skip_sid, callback, ignore_queue, volatile)

    def emit_now(
        self, event: str, data: Any, namespace: str, target: Any, skip_sid: Any, callback: Callback,
        ignore_queue: bool, volatile: bool,
    ) -> None:  # fmt: skip
        """What :meth:`emit` does, which never waits; the server calls it where nobody has overridden that."""
        server = self.server
        if server.verbose:
            to_whom = "all" if target is None else target
            server.logger.info('emitting event "%s" to %s [%s]', event, to_whom, namespace)
        calls = None if ignore_queue else self._calls
        if callback is not None:
            if calls is None:
                _, work = server.node.emit_with_ack(event, data, callback, target, skip_sid, namespace)
            else:
                work = calls.emit_with_callback(event, data, callback, target, skip_sid, namespace)
            server.runtime.do(work)
        elif calls is None:
            server.node.emit(event, data, target, skip_sid, namespace, volatile)
        else:
            calls.emit(event, data, target, skip_sid, namespace, volatile)

    async def enter_room(self, sid: str, namespace: str, room: Any, eio_sid: str | None = None) -> None:
        if self.server.verbose:
            self.server.logger.info("%s is entering room %s [%s]", sid, room, namespace)
        calls = self._calls
        if calls is None:
            self.server.node.enter_room(sid, room, namespace)
            return
        waiter, work = calls.enter_room(sid, room, namespace, asyncio.get_running_loop().create_future)
        self.server.runtime.do(work)
        if waiter is not None:
            await waiter

    async def leave_room(self, sid: str, namespace: str, room: Any) -> None:
        if self.server.verbose:
            self.server.logger.info("%s is leaving room %s [%s]", sid, room, namespace)
        calls = self._calls
        if calls is not None:
            calls.leave_room(sid, room, namespace)
            return
        socket = self._find(sid, namespace)
        if socket is not None:
            self.server.node.hub.leave(socket, room)

    async def close_room(self, room: Any, namespace: str) -> None:
        if self.server.verbose:
            self.server.logger.info("room %s is closing [%s]", room, namespace)
        calls = self._calls
        if calls is None:
            self.server.node.hub.close_room(namespace, room)
        else:
            calls.close_room(room, namespace)

    async def can_disconnect(self, sid: str, namespace: str) -> bool:
        return self.is_connected(sid, namespace)

    async def disconnect(self, sid: str, namespace: str, **_: Any) -> None:
        await self.server.disconnect(sid, namespace)

    async def trigger_callback(self, sid: str, id: int, data: Any) -> None:
        socket = self._find(sid, "/") or next(
            (s for name in self.get_namespaces() if (s := self._find(sid, name)) is not None), None
        )
        if socket is not None:
            self.server.runtime.do(self.server.node.acknowledged(socket, id, list(data)))
