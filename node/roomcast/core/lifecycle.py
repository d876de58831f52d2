"""The life of a client: connecting, being refused, leaving, and every way in between (python-api.md 1.7, wire.md 2.3,
2.5).

Each connect handler that accepted is followed by exactly one disconnect handler, whatever happened to the connection.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roomcast.core.questions import given_up
from roomcast.core.sockets import CONNECTED, CONNECTING, DOOMED, GONE, LEAVING, Socket
from roomcast.core.work import CallConnect, CallDisconnect, several
from roomcast.engineio.outbox import NOWHERE, Outbox
from roomcast.errors import PacketError, UnencodableError
from roomcast.exceptions import ConnectionRefusedError, DisconnectedError
from roomcast.socketio.names import check_namespace
from roomcast.websocket.frames import binary_frame, text_frame

if TYPE_CHECKING:
    from roomcast.core.client import Client
    from roomcast.core.counters import Counters
    from roomcast.core.handlers import HandlerTable
    from roomcast.core.hub import Hub
    from roomcast.engineio.deadlines import Deadline
    from roomcast.engineio.engine import Engine
    from roomcast.engineio.sid import SidSource
    from roomcast.settings import Settings
    from roomcast.socketio.codec import Codec

INVALID_NAMESPACE = {"message": "Invalid namespace"}
REJECTED = {"message": "Connection rejected by server"}
REFUSED = {"message": "Connection refused by server"}
FAILED = {"message": "Internal server error"}


class Lifecycle:
    """The half of the node that lets clients in and out; the other half is :class:`roomcast.core.node.Node`."""

    settings: Settings
    codec: Codec
    handlers: HandlerTable
    counters: Counters
    hub: Hub
    engine: Engine
    sids: SidSource
    always_connect: bool
    unconnected: dict[Client, float]
    overdue: Deadline | None

    if TYPE_CHECKING:

        def event(self, socket: Socket, args: list[Any], ack_id: int | None) -> Any:
            """Handle an event; see :class:`roomcast.core.node.Node`."""

    # --- connecting ---------------------------------------------------------------------------------------------------

    def expect_connect(self, client: Client, now: float) -> None:
        """A connection has opened: it has ``connect_timeout`` to connect to a namespace."""
        due = now + self.settings.connect_timeout
        if not self.unconnected:
            self.overdue = self.engine.deadlines.add(due, self._connect_overdue)
        self.unconnected[client] = due

    def _is_connected(self, client: Client) -> None:
        """It has connected, or gone: nobody waits for its CONNECT any more."""
        if self.unconnected.pop(client, None) is not None and not self.unconnected:
            self.engine.deadlines.cancel(self.overdue)

    def _connect_overdue(self, now: float) -> Any:
        """Close all that never connected. All wait equally long, so the dict is in order of due time."""
        late = []
        for client, due in self.unconnected.items():
            if due > now:
                self.overdue = self.engine.deadlines.add(due, self._connect_overdue)
                break
            late.append(client)
        return several(*[self.engine.close(client.session, "connect timeout") for client in late])

    def connect(self, client: Client, name: str, auth: Any) -> Any:
        """A CONNECT packet. A second one for the same namespace closes the connection (wire.md 2.3)."""
        if client.find(name) is not None:
            return client.fail(PacketError("namespace", "a second CONNECT for one namespace"))
        refusal = self._refusal(client, name)
        if refusal is not None:
            self.counters.refused.count("namespace")
            client.session.outbox.put(self._control(self.codec.encode_connect_error(name, refusal)))
            return None
        socket = Socket(self.sids.new(), self.hub.namespace(name), client, client.session.outbox)
        client.add(socket)
        self.hub.add(socket)
        call = self.handlers.resolve(name, "connect")
        if call is None:
            return self._accept(socket)
        if self.always_connect:
            self._put_connect(socket)
        else:
            socket.outbox = Outbox(self.engine.flusher, NOWHERE, client.session, paused=True)
        return CallConnect(call, call.fit(socket.sid, client.environ, auth or None), socket)

    def _refusal(self, client: Client, name: str) -> dict[str, Any] | None:
        """Why this client may not connect to that namespace, as the client reads it; None when it may."""
        try:
            check_namespace(name, self.settings.max_name_bytes)
        except PacketError:
            return INVALID_NAMESPACE
        if not self.handlers.accepts(name):
            return INVALID_NAMESPACE
        if len(client.sockets) >= self.settings.max_namespaces:
            return {"message": "Too many namespaces"}
        if name not in self.hub.namespaces and not self.handlers.named(name):
            own = sum(other in self.hub.namespaces for other in self.handlers.names())
            dynamic = len(self.hub.namespaces) - own
            if dynamic >= self.settings.max_dynamic_namespaces:
                return {"message": "Too many namespaces"}
        return None

    def connect_done(self, socket: Socket, result: Any = None, error: BaseException | None = None) -> Any:
        """The connect handler has ended: it returned ``result``, or raised ``error``."""
        socket.client.environ.compact()
        refusal = refusal_of(result, error)
        if socket.state == DOOMED:
            return self._doomed(socket, refusal)
        if refusal is not None:
            self.counters.refused.count("connect_handler")
            return self._refuse(socket, refusal)
        return self._accept(socket)

    def _doomed(self, socket: Socket, refusal: dict[str, Any] | None) -> Any:
        """Its connection ended, it left, or it was told to go, while its connect handler ran."""
        if socket.client.session.alive and socket.reason != "client disconnect":
            return self._refuse(socket, refusal or REJECTED)
        if refusal is not None:
            return self._forget(socket)
        self.counters.connects += 1
        socket.state = CONNECTED
        socket.client.remove(socket)
        return self._depart(socket, socket.reason or "transport close")

    def _refuse(self, socket: Socket, refusal: dict[str, Any]) -> Any:
        outbox = socket.client.session.outbox
        if socket.outbox is not outbox:
            socket.outbox.shut()
        name = socket.namespace.name
        if self.always_connect:
            outbox.put(self._control(self.codec.encode_disconnect(name)))
        else:
            outbox.put(self._control(self._encode_refusal(name, refusal)))
        return self._forget(socket)

    def _encode_refusal(self, name: str, refusal: dict[str, Any]) -> bytes:
        try:
            return self.codec.encode_connect_error(name, refusal)
        except UnencodableError:
            return self.codec.encode_connect_error(name, REJECTED)

    def _accept(self, socket: Socket) -> Any:
        """CONNECT goes out first, then what was emitted to it meanwhile; then its events that were held are handled."""
        client = socket.client
        socket.state = CONNECTED
        self.counters.connects += 1
        self._is_connected(client)
        holding, outbox = socket.outbox, client.session.outbox
        if holding is not outbox:
            socket.outbox = outbox
            self._put_connect(socket)
            for unit in holding.take():
                outbox.put(unit)
        elif not self.always_connect or self.handlers.resolve(socket.namespace.name, "connect") is None:
            self._put_connect(socket)
        if socket.held is None:
            return None
        held, socket.held = socket.held, None
        return several(*[self.event(socket, args, ack_id) for args, ack_id in held])

    def _put_connect(self, socket: Socket) -> None:
        connect = self.codec.encode_connect(socket.namespace.name, {"sid": socket.sid})
        socket.outbox.put(self._control(connect))

    def _control(self, body: bytes) -> bytes:
        """The unit of a packet without attachments."""
        return binary_frame(body) if self.codec.binary else text_frame(b"4" + body)

    # --- leaving ------------------------------------------------------------------------------------------------------

    def disconnect(self, sid: str, namespace: str, close: bool = False) -> Any:
        """The server disconnects a client from a namespace, or with ``close`` ends its connection; unknown sids are
        fine.
        """
        socket = self.hub.find(sid, namespace)
        if socket is None or socket.state in (LEAVING, GONE):
            return None
        leaving = socket.client.sockets if close else (socket,)
        for each in leaving:
            if each.state == CONNECTED:
                each.outbox.put(self._control(self.codec.encode_disconnect(each.namespace.name)))
        work = several(*[self.leave(each, "server disconnect") for each in leaving])
        if close:
            work = several(work, self.engine.close(socket.client.session, "server disconnect"))
        return work

    def leave(self, socket: Socket, reason: str) -> Any:
        """A socket leaves its namespace for this reason; the connection stays."""
        if socket.state == CONNECTING:
            socket.state = DOOMED
            socket.reason = reason
            return several(*self._end_acks(socket))  # the connect handler itself may wait for them
        if socket.state != CONNECTED:
            return None
        socket.client.remove(socket)
        return self._depart(socket, reason)

    def client_closed(self, client: Client, reason: str) -> Any:
        """A connection has ended: all its sockets leave."""
        self._is_connected(client)
        return several(*[self.leave(socket, reason) for socket in client.sockets])

    def _depart(self, socket: Socket, reason: str) -> Any:
        """Nothing is sent to it any more, what waits for its answers ends, and its disconnect handler is called."""
        self.counters.disconnects.count(reason)
        socket.state = LEAVING
        self.hub.withdraw(socket)
        waiting = self._end_acks(socket)
        call = self.handlers.resolve(socket.namespace.name, "disconnect")
        if call is None:
            return several(*waiting, self._forget(socket))
        return several(*waiting, CallDisconnect(call, call.fit(socket.sid, reason), socket))

    def _end_acks(self, socket: Socket) -> Iterator[Any]:
        acks, socket.acks = socket.acks, None
        if acks is not None:
            for waiter in acks.clear():
                yield from given_up(waiter, socket, DisconnectedError("the client has gone"))

    def disconnect_done(self, socket: Socket) -> None:
        """The disconnect handler has ended, or raised: the socket is forgotten either way."""
        self._forget(socket)

    def _forget(self, socket: Socket) -> Any:
        socket.state = GONE
        socket.held = None
        socket.client.remove(socket)
        self.hub.forget(socket)
        return several(*self._end_acks(socket))


def refusal_of(result: Any, error: BaseException | None) -> dict[str, Any] | None:
    """What a connect handler's outcome tells the client: None = accepted (python-api.md 1.7). Only False rejects."""
    if error is None:
        return REJECTED if result is False else None
    if isinstance(error, ConnectionRefusedError):
        return error.error_args
    return REFUSED if isinstance(error, builtins.ConnectionRefusedError) else FAILED
