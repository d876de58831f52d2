"""[hot] What other processes say, carried out here (cluster.md 2 to 4, 7). Nothing of it is trusted, or may raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from roomcast.core.cluster_counters import KIND_NAMES
from roomcast.core.hub import Namespace
from roomcast.core.questions import Question, Waiter
from roomcast.core.relay import AskedByPeer
from roomcast.core.work import several
from roomcast.errors import PacketError, UnencodableError
from roomcast.socketio.packet import EVENT
from roomcast_brokers.arguments import RESERVED_EVENTS
from roomcast_brokers.codec import decode_body, encode_body
from roomcast_brokers.errors import AddressError, EnvelopeError, MessageTooLargeError
from roomcast_brokers.messages import (
    Answer,
    Beat,
    CloseRoom,
    Disconnect,
    Emit,
    Envelope,
    Goodbye,
    Hello,
    Join,
    Kind,
    Leave,
    Maker,
    Marks,
    MarksRequest,
    Operation,
    Outcome,
    Probe,
)
from roomcast_brokers.messages import Question as OwnerQuestion

if TYPE_CHECKING:
    from roomcast.core.cluster import Cluster

class Named(msgspec.Struct, array_like=True):
    """An array that begins with a text: what follows is looked through, and not kept."""

    name: str


# JSON is passed on to clients as it came: that it is an array which begins with a name is looked at, in C, without
# building what is in it (0.2 us for 100 bytes).
_named = msgspec.json.Decoder(Named).decode


class Listening:
    """Turns messages into work. ``delivered`` is called for every message, by :meth:`Cluster.delivered`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._node = cluster.node
        self._received = cluster.counters.received

    def delivered(self, channel: str, payload: bytes) -> Any:
        """Drop what is our own, foreign, broken or repeated; carry out the rest, in order. Returns work."""
        cluster = self._cluster
        codec = cluster.codec
        if codec.is_own(payload):
            return None
        try:
            envelope = codec.decode(channel, payload)
        except EnvelopeError as error:
            cluster.counters.dropped.count(error.reason)
            return None
        now = cluster.node.engine.now
        origin = envelope.origin
        if envelope.control:
            return self._control(envelope, now)
        cluster.membership.heard_other(origin, now)
        operations = envelope.operations
        repeats = cluster.tracking.heard(origin, channel, envelope.gen, envelope.seq, len(operations), now)
        cluster.counters.latency.record(cluster.wall() - envelope.sent_ms)
        if not repeats and len(operations) == 1:  # what nearly all are
            return self._operate(envelope, operations[0])
        return several(*[self._operate(envelope, operation) for operation in operations[repeats:]])

    def _operate(self, envelope: Envelope, operation: Operation) -> Any:
        made_by, own = operation.made_by, self._cluster.origin
        if made_by is not None and made_by.name == own.name and made_by.epoch == own.epoch:
            return None  # forwarded by somebody else, and carried out here when it was made
        try:
            body = decode_body(operation)
            do = OPERATIONS.get(type(body))
            if do is None:
                raise EnvelopeError("kind", "a control message among operations")
            work = do(self, envelope, operation, body)
        except EnvelopeError as error:
            self._cluster.counters.dropped.count(error.reason)
            return None
        except (PacketError, UnencodableError, AddressError, MessageTooLargeError):
            self._cluster.counters.dropped.count("body")
            return None
        self._received[KIND_NAMES[operation.kind]] += 1
        return work

    # --- emits --------------------------------------------------------------------------------------------------------

    def _emit(self, envelope: Envelope, operation: Operation, emit: Emit) -> Any:
        if emit.packet_type != EVENT:
            raise EnvelopeError("kind", "a packet of another type than an event")
        namespace = self._node.hub.namespaces.get(emit.namespace)
        if emit.either and emit.sids and (namespace is None or emit.sids[0] not in namespace.sockets):
            return self._forward(envelope, operation, emit, namespace)
        if namespace is None and emit.ask is None:
            return None
        return self._deliver(envelope, emit, namespace)

    def _deliver(self, envelope: Envelope, emit: Emit, namespace: Namespace | None) -> Any:
        members = (
            () if namespace is None else namespace.select(emit.rooms, emit.sids, emit.except_rooms, emit.except_sids)
        )
        if emit.ask is not None:
            return self._ask(envelope.origin, emit, members)
        if members:
            body, attachments = self._encoded(emit)
            self._node.deliver(emit.namespace, body, attachments, members, emit.volatile)
        return None

    def _encoded(self, emit: Emit) -> tuple[bytes, Any]:
        """The arguments as this node's clients read them. PacketError for what no client should get."""
        cluster = self._cluster
        if emit.codec == "json" == cluster.codec_name and not emit.attachments:
            try:
                name = _named(emit.args).name
            except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
                raise PacketError("json", "another node sent arguments that are none") from error
            check_name(name)
            return emit.args, ()
        args = cluster.decode_args(emit.codec, emit.args, emit.attachments)
        check_name(args[0] if args else None)
        return self._node.codec.encode_args(args)

    def _forward(self, envelope: Envelope, operation: Operation, emit: Emit, namespace: Namespace | None) -> Any:
        """It was for one of our clients by its form, and no client has that sid: it is a room like any other.

        Its members here are served; for those elsewhere it goes out once more, in the name of who made it.
        """
        cluster, name = self._cluster, emit.sids[0]
        as_room = msgspec.structs.replace(emit, rooms=(name,), sids=(), either=False)
        work = self._deliver(envelope, as_room, namespace)
        origin = envelope.origin
        maker = operation.made_by or Maker(origin.name, origin.epoch, operation.mid)
        channel = cluster.channels.room(emit.namespace, name)
        cluster.queue.put(channel, Kind.EMIT, encode_body(as_room), cluster.now, maker)
        return work

    def _ask(self, asker: Any, emit: Emit, members: Any) -> Any:
        """Somebody elsewhere wants an answer of these clients."""
        cluster, ask = self._cluster, emit.ask
        assert ask is not None
        alone = bool(emit.sids) and not emit.rooms
        waiter = AskedByPeer(cluster, asker, ask, alone)
        if not members:
            if alone:
                waiter.tell(Outcome.GONE)
            return None
        try:
            body, attachments = self._encoded(emit)
        except (PacketError, UnencodableError):
            waiter.tell(Outcome.FAILED, "the node of that client cannot read the question")
            raise
        question = Question(waiter, "", self._node.engine.deadlines)
        cluster.asked_by[asker, ask.id] = question
        question.asked, work = self._node.ask_members((body, attachments), question, emit.namespace, members)
        if ask.timeout_ms is not None:
            question.limit(ask.timeout_ms / 1_000, cluster.now)
        return work

    def _answer(self, envelope: Envelope, operation: Operation, answer: Answer) -> Any:
        return self._cluster.relay.answered(envelope.origin, answer)

    # --- clients and rooms --------------------------------------------------------------------------------------------

    def _question(self, envelope: Envelope, operation: Operation, question: OwnerQuestion) -> Any:
        known = self._node.hub.find(question.sid, question.namespace) is not None
        waiter = AskedByPeer(self._cluster, envelope.origin, question.ask, True)
        waiter.tell(Outcome.OK if known else Outcome.GONE)

    def _join(self, envelope: Envelope, operation: Operation, join: Join) -> Any:
        socket = self._node.hub.find(join.sid, join.namespace)
        waiter = None if join.ask is None else AskedByPeer(self._cluster, envelope.origin, join.ask, True)
        if socket is None:
            return waiter.settle((), KeyError(join.sid)) if waiter is not None else None
        try:
            return self._cluster.calls.join(socket, join.room, waiter if waiter is not None else NOBODY)
        except AddressError as error:
            if waiter is not None:
                waiter.settle((), error)
            raise

    def _leave(self, envelope: Envelope, operation: Operation, leave: Leave) -> Any:
        socket = self._node.hub.find(leave.sid, leave.namespace)
        if socket is not None:
            self._node.hub.leave(socket, leave.room)

    def _close_room(self, envelope: Envelope, operation: Operation, close: CloseRoom) -> Any:
        namespace = self._node.hub.namespaces.get(close.namespace)
        if namespace is not None and not namespace.is_sid(close.room):
            self._node.hub.close_room(close.namespace, close.room)

    def _disconnect(self, envelope: Envelope, operation: Operation, disconnect: Disconnect) -> Any:
        return self._node.disconnect(disconnect.sid, disconnect.namespace, disconnect.close)

    # --- control messages: who is there, and how far everybody is -----------------------------------------------------

    def _control(self, envelope: Envelope, now: float) -> Any:
        """Our own come back too: that is how a node hears itself."""
        if len(envelope.operations) != 1:
            self._cluster.counters.dropped.count("malformed")
            return None
        operation = envelope.operations[0]
        try:
            body = decode_body(operation)
            do = CONTROLS.get(type(body))
            if do is None:
                raise EnvelopeError("kind", "an operation that is no control message, marked as one")
        except EnvelopeError as error:
            self._cluster.counters.dropped.count(error.reason)
            return None
        work = do(self, envelope, body, now)
        if envelope.origin != self._cluster.origin:
            self._received[KIND_NAMES[operation.kind]] += 1
        return work

    def _hello(self, envelope: Envelope, hello: Hello, now: float) -> Any:
        self._cluster.confessions.hear_hello(envelope.origin, envelope.channel)
        return self._cluster.events.follow(self._cluster.membership.heard_hello(envelope.origin, hello, now))

    def _beat(self, envelope: Envelope, beat: Beat, now: float) -> Any:
        cluster = self._cluster
        origin = envelope.origin
        events = cluster.membership.heard_beat(origin, beat, now)
        if origin == cluster.origin:
            cluster.tracking.tick(cluster.membership.clock)
        else:
            cluster.confessions.hear_marks(origin, beat.marks)
        return several(cluster.events.follow(events), cluster.confessions.report())

    def _goodbye(self, envelope: Envelope, goodbye: Goodbye, now: float) -> Any:
        return self._cluster.events.follow(self._cluster.membership.heard_goodbye(envelope.origin, goodbye, now))

    def _marks_request(self, envelope: Envelope, request: MarksRequest, now: float) -> Any:
        if envelope.origin != self._cluster.origin:
            self._cluster.confessions.tell_marks(envelope.origin, request.channels)

    def _marks(self, envelope: Envelope, marks: Marks, now: float) -> Any:
        if envelope.origin == self._cluster.origin:
            return None
        self._cluster.confessions.hear_marks(envelope.origin, marks.marks)
        return self._cluster.confessions.report()

    def _probe(self, envelope: Envelope, probe: Probe, now: float) -> Any:
        if envelope.origin == self._cluster.origin:
            return self._cluster.probing.heard(envelope.channel, probe.token)
        return None


class _Nobody(Waiter):
    """Of this operation nobody wants to know how it ended."""

    __slots__ = ()

    def settle(self, args: tuple[Any, ...], error: Exception | None) -> Any:
        """Nothing follows."""


NOBODY = _Nobody()


def check_name(name: object) -> None:
    """Raise PacketError unless clients take an event of this name: anything but what they reserve."""
    if type(name) is not str or name in RESERVED_EVENTS:
        raise PacketError("name", "another node sent an event without a name, or with a reserved one")


OPERATIONS: dict[type[Any], Callable[[Listening, Envelope, Operation, Any], Any]] = {
    Emit: Listening._emit,
    Answer: Listening._answer,
    Join: Listening._join,
    Leave: Listening._leave,
    CloseRoom: Listening._close_room,
    Disconnect: Listening._disconnect,
    OwnerQuestion: Listening._question,
}

CONTROLS: dict[type[Any], Callable[[Listening, Envelope, Any, float], Any]] = {
    Hello: Listening._hello,
    Beat: Listening._beat,
    Goodbye: Listening._goodbye,
    MarksRequest: Listening._marks_request,
    Marks: Listening._marks,
    Probe: Listening._probe,
}
