"""The node without I/O: clients, namespaces, rooms, acknowledgements and what happens to them (python-api.md 1.5 to
1.7).

A driver feeds it through the engine, calls its methods for the application, and does the work that comes back. All of
it runs in one thread; the life of a client is in :mod:`roomcast.core.lifecycle`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from roomcast.core.client import Client
from roomcast.core.counters import Counters
from roomcast.core.handlers import HandlerTable
from roomcast.core.hub import Hub
from roomcast.core.lifecycle import Lifecycle
from roomcast.core.questions import Question, answered, given_up
from roomcast.core.sockets import CONNECTED, CONNECTING, Socket
from roomcast.core.trace import EventTrace
from roomcast.core.work import CallHandler, several
from roomcast.engineio.cors import OriginPolicy
from roomcast.engineio.deadlines import Deadline
from roomcast.engineio.engine import Engine
from roomcast.engineio.outbox import deliver, deliver_volatile
from roomcast.engineio.session import Session
from roomcast.engineio.sid import SidSource
from roomcast.errors import PacketError
from roomcast.exceptions import DisconnectedError, TooManyPendingError
from roomcast.settings import Settings
from roomcast.socketio.acks import AckTable
from roomcast.socketio.attachments import PAYLOADS_PER_PACKET, Assembly
from roomcast.socketio.codec import Codec
from roomcast.socketio.packet import Packet
from roomcast.websocket.frames import binary_frame, split_frames, text_frame
from roomcast_brokers.arguments import arguments, outgoing_name


class Node(Lifecycle):
    """One Socket.IO server of one process. ``always_connect`` is the incumbent's option (python-api.md 1.3)."""

    def __init__(
        self,
        settings: Settings,
        policy: OriginPolicy,
        codec: Codec,
        handlers: HandlerTable,
        *,
        counters: Counters | None = None,
        tag: str | None = None,
        cookie: Any = None,
        always_connect: bool = False,
    ) -> None:
        self.settings = settings
        self.codec = codec
        self.handlers = handlers
        self.always_connect = always_connect
        self.counters = counters or Counters()
        self.sids = SidSource(tag)
        self.hub = Hub(handlers.exact, settings.max_rooms)
        self.engine = Engine(settings, policy, self.sids, self._new_client, split_frames, self.counters, cookie)
        self.decode_plain = codec.plain_decoder
        # The short way in Client.receive_text reads JSON only, and throttles nobody.
        self.fast_events = not codec.binary and settings.max_events_per_second is None
        self.trace: EventTrace | None = None
        self.unconnected: dict[Client, float] = {}
        self.overdue: Deadline | None = None

    def _new_client(self, session: Session, now: float) -> Client:
        client = Client(self, session)
        self.expect_connect(client, now)
        return client

    # --- packets to clients -------------------------------------------------------------------------------------------

    def unit(self, encoded: tuple[bytes, Sequence[bytes]]) -> bytes:
        """The unit of an encoded packet: one WebSocket message, and one for each attachment."""
        body, attachments = encoded
        if self.codec.binary:
            return binary_frame(body)
        if attachments:
            return text_frame(b"4" + body) + b"".join(map(binary_frame, attachments))
        return text_frame(b"4" + body)

    def emit(
        self,
        event: str,
        data: Any,
        target: Any = None,
        skip: Any = None,
        namespace: str = "/",
        volatile: bool = False,
    ) -> None:
        """Send an event to all that ``target`` and ``skip`` select (:meth:`Namespace.members`), encoded once.

        Raises UnencodableError, or ValueError for a reserved event name, whether or not there is a receiver.
        """
        body, attachments = self.codec.encode_args([outgoing_name(event), *arguments(data)])
        found = self.hub.namespaces.get(namespace)
        if found is not None:
            self.deliver(namespace, body, attachments, found.members(target, skip), volatile)

    def deliver(
        self, namespace: str, body: bytes, attachments: Sequence[bytes], members: Collection[Socket], volatile: bool
    ) -> None:
        """Queue an event, whose arguments are encoded already, for these: one unit for all."""
        if not members:
            return
        if namespace == "/" and not attachments and not self.codec.binary:
            unit = text_frame(b"42" + body)  # what nearly all are, without detours
        else:
            unit = self.unit((self.codec.wrap_event(namespace, body, len(attachments)), attachments))
        if volatile:
            threshold = self.settings.volatile_backlog_bytes
            self.counters.volatile_dropped += deliver_volatile(members, unit, threshold)
        else:
            deliver(self.engine.flusher, members, unit)
        self.counters.events_out += len(members)

    def emit_with_ack(
        self, event: str, data: Any, waiter: Any, target: Any = None, skip: Any = None, namespace: str = "/"
    ) -> tuple[list[tuple[Socket, int]], Any]:
        """As :meth:`emit`, but every receiver is asked for an answer, which ends ``waiter``.

        Returns whom it asked, each with the id of its acknowledgement, and work: what fell out of a full table ends
        with an error.
        """
        encoded = self.codec.encode_args([outgoing_name(event), *arguments(data)])
        found = self.hub.namespaces.get(namespace)
        return self.ask_members(encoded, waiter, namespace, () if found is None else found.members(target, skip))

    def ask_members(
        self, encoded: tuple[bytes, Sequence[bytes]], waiter: Any, namespace: str, members: Collection[Socket]
    ) -> tuple[list[tuple[Socket, int]], Any]:
        """As :meth:`emit_with_ack`, for an event whose arguments are encoded already."""
        body, attachments = encoded
        asked = []
        work: list[Any] = []
        for socket in members:
            if socket.acks is None:
                socket.acks = AckTable(self.settings.max_pending_acks)
            ack_id = socket.acks.add(waiter)
            for evicted in socket.acks.take_evicted():
                work.extend(given_up(evicted, socket, TooManyPendingError(self.settings.max_pending_acks)))
            wrapped = self.codec.wrap_event(namespace, body, len(attachments), ack_id)
            socket.outbox.put(self.unit((wrapped, attachments)))
            asked.append((socket, ack_id))
        self.counters.events_out += len(asked)
        return asked, several(*work)

    # --- packets from clients -----------------------------------------------------------------------------------------

    def assemble(self, header: Packet) -> Assembly:
        """Begin to collect the attachments of a packet."""
        return Assembly(header, PAYLOADS_PER_PACKET * self.settings.max_payload)

    def event(self, socket: Socket, args: list[Any], ack_id: int | None) -> Any:
        """An event of a client: the call of its handler. Without a handler it is dropped, and never acknowledged."""
        if socket.state != CONNECTED:
            return None
        self.counters.events_in += 1
        name = args[0]
        if self.trace is not None:
            self.trace.event(name, socket.sid, socket.namespace.name)
        call = self.handlers.resolve(socket.namespace.name, name)
        if call is None:
            return None
        args[0] = socket.sid
        return CallHandler(call, [*call.prefix, *args], socket, ack_id)

    def event_done(self, socket: Socket, ack_id: int, result: Any) -> None:
        """Acknowledge an event with what its handler returned (python-api.md 1.7). Raises UnencodableError."""
        if socket.state != CONNECTED:
            return
        self.counters.acks_out += 1
        body, attachments = self.codec.encode_args(arguments(result))
        if socket is socket.client.main and not attachments and not self.codec.binary:
            socket.outbox.put(text_frame(b"43%d%b" % (ack_id, body)))  # what nearly all are, without detours
            return
        wrapped = self.codec.wrap_ack(socket.namespace.name, ack_id, body, len(attachments))
        socket.outbox.put(self.unit((wrapped, attachments)))

    def acknowledged(self, socket: Socket, ack_id: int | None, args: list[Any]) -> Any:
        """The answer of a client; one that nobody waits for is ignored."""
        if ack_id is None:
            return socket.client.fail(PacketError("id", "an acknowledgement without an id"))
        if socket.acks is None or socket.state not in (CONNECTED, CONNECTING):
            return None
        waiter = socket.acks.take(ack_id)
        if waiter is None:
            return None
        self.counters.acks_in += 1
        return answered(waiter, tuple(args))

    def ask(
        self, event: str, data: Any, waiter: Any, target: Any, namespace: str, timeout: float | None
    ) -> tuple[Question, Any]:
        """Emit an event whose first answer ends ``waiter``, at the latest after ``timeout`` seconds (None: never).

        Ends with an error when nobody is left who could answer. Returns the question, and work as
        :meth:`emit_with_ack`.
        """
        question = Question(waiter, event, self.engine.deadlines)
        question.asked, work = self.emit_with_ack(event, data, question, target, None, namespace)
        if not question.asked:
            return question, question.fail(DisconnectedError("there is no such client"))
        if timeout is not None:
            question.limit(timeout, self.engine.now)
        return question, work

    # --- what applications ask ----------------------------------------------------------------------------------------

    def socket(self, sid: str, namespace: str) -> Socket:
        """The socket of a sid, also while its disconnect handler runs; KeyError otherwise."""
        socket = self.hub.find(sid, namespace)
        if socket is None:
            raise KeyError("Session not found")
        return socket

    def enter_room(self, sid: str, room: Any, namespace: str) -> None:
        """Put a client into a room. ValueError for an unknown namespace or a sid's room, KeyError for an unknown
        client.
        """
        if namespace not in self.hub.namespaces:
            raise ValueError("sid is not connected to requested namespace")
        socket = self.hub.find(sid, namespace)
        if socket is None:
            raise KeyError(sid)
        self.hub.enter(socket, room)

    def clients_by_namespace(self) -> dict[str, int]:
        """How many clients are in each namespace, those that are connecting included."""
        return {name: len(each.sockets) for name, each in self.hub.namespaces.items() if each.sockets}

    def abandon(self) -> None:
        """Forget all clients without a word to them or to the application (:meth:`Engine.abandon`)."""
        self.engine.abandon()
        self.hub.namespaces.clear()
        self.unconnected.clear()
        self.overdue = None

    def census(self) -> dict[str, int]:
        """How many entries every table has; all 0 on a node without clients."""
        engine = self.engine
        namespaces = list(self.hub.namespaces.values())
        sockets = [socket for each in namespaces for socket in (*each.sockets.values(), *each.leaving.values())]
        return {
            "sessions": len(engine.sessions),
            "heartbeats": int(engine.wheel.due() is not None),
            "deadlines": len(engine.deadlines),
            "namespaces": len(namespaces),
            "sockets": len(sockets),
            "rooms": sum(len(each.rooms) for each in namespaces),
            "acks": sum(len(socket.acks) for socket in sockets if socket.acks is not None),
            "held": sum(len(socket.held) for socket in sockets if socket.held is not None),
            "unconnected": len(self.unconnected),
            "polls": sum(s.polling is not None and s.polling.waiting for s in engine.sessions.values()),
            "candidates": sum(s.candidate is not None for s in engine.sessions.values()),
            "assemblies": sum(getattr(s.upper, "assembly", None) is not None for s in engine.sessions.values()),
            "outboxes": len(engine.flusher.boxes),
        }
