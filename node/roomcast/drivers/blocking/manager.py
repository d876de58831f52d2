"""``Manager``: the client manager of the blocking server, as applications use it on ``sio.manager``."""

from __future__ import annotations

from typing import Any

from roomcast.core.cluster_calls import ClusterCalls
from roomcast.core.contract import Callback
from roomcast.core.manager import ManagerSurface
from roomcast.drivers.blocking.answers import Answer


class Manager(ManagerSurface):
    """Arguments come in the order sid, namespace, room. Methods may be called from any thread."""

    def _calls(self, ignore_queue: bool = False) -> ClusterCalls | None:
        """What reaches the cluster; None for a server that stands alone. In a turn."""
        bus = None if ignore_queue else self.server.bus
        calls: ClusterCalls | None = None if bus is None else bus.calls
        return calls

    def _log(self, text: str, *values: Any) -> None:
        if self.server.verbose:
            self.server.logger.info(text, *values)

    def emit(
        self, event: str, data: Any, namespace: str, room: Any = None, skip_sid: Any = None,
        callback: Callback = None, to: Any = None, ignore_queue: bool = False, volatile: bool = False, **_: Any,
    ) -> None:  # fmt: skip
        target = room if to is None else to
        self._log('emitting event "%s" to %s [%s]', event, "all" if target is None else target, namespace)
        server = self.server
        with server.runtime.turn:
            calls = self._calls(ignore_queue)
            if callback is None:
                (server.node if calls is None else calls).emit(event, data, target, skip_sid, namespace, volatile)
            elif calls is None:
                server.runtime.do(server.node.emit_with_ack(event, data, callback, target, skip_sid, namespace)[1])
            else:
                server.runtime.do(calls.emit_with_callback(event, data, callback, target, skip_sid, namespace))

    def enter_room(self, sid: str, namespace: str, room: Any, eio_sid: str | None = None) -> None:
        self._log("%s is entering room %s [%s]", sid, room, namespace)
        server = self.server
        server.runtime.awaken()  # or nobody would keep the time
        with server.runtime.turn:
            calls = self._calls()
            if calls is None:
                server.node.enter_room(sid, room, namespace)
                return
            waiter, work = calls.enter_room(sid, room, namespace, server.make_answer)
            server.runtime.do(work)
        if isinstance(waiter, Answer):
            waiter.wait()

    def leave_room(self, sid: str, namespace: str, room: Any) -> None:
        self._log("%s is leaving room %s [%s]", sid, room, namespace)
        with self.server.runtime.turn:
            calls = self._calls()
            if calls is not None:
                calls.leave_room(sid, room, namespace)
            elif (socket := self._find(sid, namespace)) is not None:
                self.server.node.hub.leave(socket, room)

    def close_room(self, room: Any, namespace: str) -> None:
        self._log("room %s is closing [%s]", room, namespace)
        with self.server.runtime.turn:
            calls = self._calls()
            if calls is not None:
                calls.close_room(room, namespace)
            else:
                self.server.node.hub.close_room(namespace, room)

    def can_disconnect(self, sid: str, namespace: str) -> bool:
        return self.is_connected(sid, namespace)

    def disconnect(self, sid: str, namespace: str, **_: Any) -> None:
        self.server.disconnect(sid, namespace)

    def trigger_callback(self, sid: str, id: int, data: Any) -> None:
        with self.server.runtime.turn:
            found = (self._find(sid, name) for name in self.get_namespaces())
            socket = next((each for each in found if each is not None), None)
            if socket is not None:
                self.server.runtime.do(self.server.node.acknowledged(socket, id, list(data)))
