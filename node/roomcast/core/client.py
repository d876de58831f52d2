"""[hot] One connection as Socket.IO sees it: its sockets, and what arrives for them (wire.md 2).

Everything here is called by the engine as the session's application, one packet at a time, and answers with work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast.core.sockets import CONNECTED, CONNECTING, Socket
from roomcast.core.work import CallHandler, PauseReading, several
from roomcast.engineio.bucket import Bucket
from roomcast.engineio.environ import Environ
from roomcast.errors import PacketError
from roomcast.socketio.packet import ACK, BINARY_ACK, BINARY_EVENT, CONNECT, DISCONNECT, EVENT, Packet

if TYPE_CHECKING:
    from roomcast.core.node import Node
    from roomcast.engineio.deadlines import Deadline
    from roomcast.engineio.session import Session
    from roomcast.socketio.attachments import Assembly

MAIN = "/"
# Shared by all who have left nothing: an empty frozenset of its own costs each client 216 bytes.
NOWHERE_YET: frozenset[str] = frozenset()
# A client that sends faster than it may for so many seconds on end is closed (limits.md).
STARVATION = 10.0
# "4" Engine.IO message, "2" EVENT, "[" its arguments: an event in the main namespace without acknowledgement.
PLAIN_EVENT = b"42["
EVENT_START = b"42"
# Ids of up to 15 digits are below 2^53; longer ones are left to the strict parser, to judge.
MAX_HEAD = 2 + 15


class Client:
    """The application of one Engine.IO session. ``sockets`` are in order of connecting; ``left`` names namespaces it
    was in.
    """

    __slots__ = ("_environ", "assembly", "bucket", "deadline", "left", "main", "node", "session", "sockets")

    def __init__(self, node: Node, session: Session) -> None:
        self.node = node
        self.session = session
        self.sockets: tuple[Socket, ...] = ()
        self.main: Socket | None = None
        self.left = NOWHERE_YET
        self.assembly: Assembly | None = None
        self.deadline: Deadline | None = None
        self._environ: Environ | None = None
        rate = node.settings.max_events_per_second
        self.bucket = None if rate is None else Bucket(rate)

    @property
    def environ(self) -> Environ:
        """The handshake's environ: one object, the same for all its namespaces, read lazily out of the request."""
        if self._environ is None:
            self._environ = Environ(self.session.request)
        return self._environ

    def find(self, namespace: str) -> Socket | None:
        """Its socket in that namespace, from CONNECT until it leaves."""
        for socket in self.sockets:
            if socket.namespace.name == namespace:
                return socket
        return None

    def add(self, socket: Socket) -> None:
        """It has asked to connect to a namespace."""
        self.sockets = (*self.sockets, socket)
        if socket.namespace.name == MAIN:
            self.main = socket

    def remove(self, socket: Socket) -> None:
        """It has left a namespace, or was refused there."""
        self.sockets = tuple(other for other in self.sockets if other is not socket)
        few = len(self.left) < self.node.settings.max_namespaces  # with namespaces="*" it could name ever more
        self.left = (self.left if few else frozenset()) | {socket.namespace.name}
        if self.main is socket:
            self.main = None

    # --- what arrives -------------------------------------------------------------------------------------------------

    def receive_text(self, payload: bytes) -> Any:
        """A text packet, Engine.IO's ``4`` in front. The two forms of event that nearly everything is are read here."""
        socket = self.main
        node = self.node
        if socket is not None and socket.state == CONNECTED and self.assembly is None and node.fast_events:
            ack_id = None
            start = 2
            if not payload.startswith(PLAIN_EVENT):
                start = payload.find(b"[", 2, MAX_HEAD + 1)
                head = payload[2:start]
                if not payload.startswith(EVENT_START) or not head.isdigit():
                    return self._receive_any(payload)
                ack_id = int(head)
            try:
                args = node.decode_plain(payload[start:])
            except (ValueError, RecursionError):
                return self._receive_any(payload)
            name = args[0] if args else None
            if type(name) is str and (call := socket.namespace.events.get(name)) is not None:
                node.counters.events_in += 1
                if node.trace is not None:
                    node.trace.event(name, socket.sid, MAIN)
                args[0] = socket.sid
                return CallHandler(call, args, socket, ack_id)
        return self._receive_any(payload)

    def _receive_any(self, payload: bytes) -> Any:
        """Any text packet, by the whole grammar."""
        try:
            if self.assembly is not None:
                raise PacketError("attachments", "a text packet where an attachment was due")
            packet = self.node.codec.decode_text(payload, 1)
            if packet.attachments:
                if self.find(packet.namespace) is None and packet.namespace not in self.left:
                    return self._astray(packet)  # before anything is buffered for it
                return self._await_attachments(packet)
        except PacketError as fault:
            return self.fail(fault)
        return self.receive(packet)

    def receive_binary(self, payload: bytes) -> Any:
        """A binary message: an attachment that is due, or a whole packet of a binary codec."""
        try:
            if self.assembly is not None:
                packet = self.assembly.feed(payload)
            elif self.node.codec.binary:
                packet = self.node.codec.decode_binary(payload)
            else:
                raise PacketError("attachments", "a binary message that no packet announced")
        except PacketError as fault:
            return self.fail(fault)
        if packet is None:
            return None
        self._end_assembly()
        return self.receive(packet)

    def receive(self, packet: Packet) -> Any:
        """A complete packet."""
        return RECEIVE[packet.type](self, packet)

    def _receive_connect(self, packet: Packet) -> Any:
        return self.node.connect(self, packet.namespace, packet.data)

    def _receive_disconnect(self, packet: Packet) -> Any:
        socket = self.find(packet.namespace)
        if socket is None:
            return self._astray(packet)
        return self.node.leave(socket, "client disconnect")

    def _receive_event(self, packet: Packet) -> Any:
        socket = self.find(packet.namespace)
        if socket is None:
            return self._astray(packet)
        if socket.state == CONNECTING:
            return self._hold(socket, packet)
        work = self.node.event(socket, list(packet.data), packet.id)
        return work if self.bucket is None else several(work, self._throttle(self.bucket))

    def _throttle(self, bucket: Bucket) -> Any:
        """It sends faster than it may: nothing more is read for a while; who keeps on for long is closed."""
        wait, lasted = bucket.owe(self.node.engine.now)
        if lasted > STARVATION:
            return self.node.engine.close(self.session, "slow consumer", 1008)
        return PauseReading(wait) if wait else None

    def _receive_ack(self, packet: Packet) -> Any:
        socket = self.find(packet.namespace)
        if socket is None:
            return self._astray(packet)
        return self.node.acknowledged(socket, packet.id, packet.data)

    def _hold(self, socket: Socket, packet: Packet) -> Any:
        """An event that came before the connect handler has ended: kept, in order, up to a bound."""
        if socket.held is None:
            socket.held = []
        if len(socket.held) >= self.node.settings.max_held_packets:
            return self.fail(PacketError("event", "too many events before the connect handler has ended"))
        socket.held.append((list(packet.data), packet.id))
        return None

    def _astray(self, packet: Packet) -> Any:
        """A packet for a namespace that it is not in: harmless if it just left it, else a broken client (wire.md
        2.3).
        """
        if packet.namespace in self.left:
            return None
        return self.fail(PacketError("namespace", "a packet for a namespace that was never connected"))

    # --- attachments --------------------------------------------------------------------------------------------------

    def _await_attachments(self, packet: Packet) -> Any:
        self.assembly = self.node.assemble(packet)
        engine = self.node.engine
        due = engine.now + self.node.settings.attachments_timeout
        self.deadline = engine.deadlines.add(due, self._attachments_late)

    def _attachments_late(self, now: float) -> Any:
        return self.fail(PacketError("attachments", "the attachments of a packet did not come in time"))

    def _end_assembly(self) -> None:
        self.assembly = None
        self.node.engine.deadlines.cancel(self.deadline)
        self.deadline = None

    # --- the end ------------------------------------------------------------------------------------------------------

    def fail(self, fault: PacketError) -> Any:
        """It broke the protocol: count it and close the connection."""
        self.node.counters.parse_errors.count(fault.kind)
        return self.node.engine.close(self.session, "parse error")

    def closed(self, reason: str) -> Any:
        """The connection has ended: every socket leaves, in order of connecting."""
        self._end_assembly()
        return self.node.client_closed(self, reason)


RECEIVE = {
    CONNECT: Client._receive_connect,
    DISCONNECT: Client._receive_disconnect,
    EVENT: Client._receive_event,
    ACK: Client._receive_ack,
    BINARY_EVENT: Client._receive_event,
    BINARY_ACK: Client._receive_ack,
}
