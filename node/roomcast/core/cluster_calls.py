"""What an application asks of a whole cluster: local first, then published (cluster.md 3, 4, 6, 9).

Whatever is wrong with a call (data that cannot be encoded, a room that cannot travel, too much for one message) raises
before anybody, here or elsewhere, got anything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from roomcast.core.hub import SEVERAL
from roomcast.core.questions import Question, Waiter, settle
from roomcast.core.sockets import Socket
from roomcast.exceptions import DisconnectedError
from roomcast_brokers import messages
from roomcast_brokers.addressing import Room, check_room
from roomcast_brokers.arguments import arguments, outgoing_name
from roomcast_brokers.channels import is_sid_form, tag_of
from roomcast_brokers.codec import EmitForm, encode_body
from roomcast_brokers.messages import Ask, Emit, Kind
from roomcast_brokers.routing import Owner, destinations

if TYPE_CHECKING:
    from roomcast.core.cluster import Cluster
    from roomcast.engineio.deadlines import Deadline

EVENT = 2  # Socket.IO's packet type
EMIT = int(Kind.EMIT)  # looking a member of an enumeration up costs 0.16 µs
# A callback on a room that nobody answers ends after so many seconds (cluster.md 9).
ROOM_CALLBACK_TIMEOUT = 60.0
# How long (seconds) the owner of what looks like a sid may take to say whether it is one (cluster.md 4).
OWNER_TIMEOUT = 1.0

# Targets whose form is remembered, a few hundred bytes each. When so many are, all are forgotten.
MAX_WAYS = 4_096

Encoded = tuple[bytes, list[bytes]]


class ClusterCalls:
    """The calls of one node. ``waiter`` is, everywhere, whatever :class:`~roomcast.core.work.SettleAck` takes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._node = cluster.node
        self._ways: dict[tuple[str, str | None, bool], tuple[str, EmitForm]] = {}

    # --- emitting -----------------------------------------------------------------------------------------------------

    def emit(self, event: str, data: Any, to: Any, skip: Any, namespace: str, volatile: bool) -> None:
        """Send an event to all that ``to`` and ``skip`` select, here and elsewhere (as :meth:`Node.emit`)."""
        node = self._node
        args, attachments = node.codec.encode_args([outgoing_name(event), *arguments(data)])
        found = node.hub.namespaces.get(namespace)
        if skip is None and not attachments and (to is None or type(to) is str):  # what most are
            channel, form = self._ways.get((namespace, to, volatile)) or self._way(namespace, to, volatile)
            if form is not None:
                queue, body = self._cluster.queue, form.encode(args)
                queue.check(channel, body)
                # First: the clients here write while the broker's messages are made, so more of them share one.
                if found is not None:
                    node.deliver(namespace, args, (), found.members(to), volatile)
                queue.put(channel, EMIT, body, node.engine.now)
                return
        skipped = () if skip is None else names_of(skip)
        emits = self._emits((args, attachments), to, skipped, namespace, volatile, None)
        if found is not None:
            node.deliver(namespace, args, attachments, found.members(to, skip), volatile)
        self._publish(EMIT, emits)

    def _way(self, namespace: str, to: str | None, volatile: bool) -> tuple[str, EmitForm | None]:
        """The channel of an emit to everybody or to one room, and the form of such emits; none where it depends."""
        cluster = self._cluster
        if to is not None and is_sid_form(to):
            return "", None
        channel = cluster.channels.everyone if to is None else cluster.channels.room(namespace, to)
        rooms = None if to is None else (to,)
        form = EmitForm(Emit(EVENT, namespace, cluster.codec_name, b"", rooms=rooms, volatile=bool(volatile)))
        if len(self._ways) >= MAX_WAYS:
            self._ways.clear()
        way = self._ways[namespace, to, volatile] = channel, form
        return way

    def emit_with_callback(self, event: str, data: Any, waiter: Any, to: Any, skip: Any, namespace: str) -> Any:
        """Send an event whose first answer, of anybody anywhere, ends ``waiter``; returns work.

        Raises ValueError for everybody as the target.
        """
        if to is None:
            raise ValueError("Cannot use callback without a room set.")
        _, work = self.ask(event, data, waiter, to, skip, namespace, None)
        return work

    def ask(
        self, event: str, data: Any, waiter: Any, to: Any, skip: Any, namespace: str, timeout: float | None
    ) -> tuple[Question, Any]:
        """Emit an event whose first answer ends ``waiter``, at the latest after ``timeout`` seconds.

        A name that has the form of a sid and this node's tag, or a live peer's, means the client of that sid alone.
        Then None is without a limit, since the end of the client or of its node ends it too; else None is a minute.
        """
        node, cluster = self._node, self._cluster
        encoded = node.codec.encode_args([outgoing_name(event), *arguments(data)])
        question = Question(waiter, event, node.engine.deadlines)
        request: Ask | None = None
        owner = self._owner_of(to, namespace)
        if timeout is None and owner in (None, Owner.UNKNOWN):
            timeout = ROOM_CALLBACK_TIMEOUT
        found = node.hub.namespaces.get(namespace)
        members = () if found is None or owner is Owner.PEER else found.members(to, skip)
        if owner in (Owner.HERE, Owner.ABSENT):
            if owner is Owner.ABSENT or not members:
                return question, question.fail(DisconnectedError("there is no such client"))
            emits = []
        else:
            peer = cluster.membership.peers.get(tag_of(_only(to))) if owner is Owner.PEER else None
            request = cluster.relay.open(question, None if peer is None else peer.origin, timeout)
            try:
                emits = self._emits(encoded, to, names_of(skip), namespace, False, request)
            except Exception:
                question.withdraw()
                raise
        question.asked, work = node.ask_members(encoded, question, namespace, members)
        if timeout is not None:
            question.limit(timeout, node.engine.now)
        ticket = self._publish(EMIT, emits)
        if timeout is None and request is not None:
            cluster.relay.pledges.asked(request.id, ticket)
        return question, work

    def _emits(
        self, encoded: Encoded, to: Any, skip: tuple[str, ...], namespace: str, volatile: bool, ask: Ask | None
    ) -> list[tuple[str, bytes]]:
        """The bodies to publish, each with its channel. Raises for a room that cannot travel, or too much data."""
        cluster = self._cluster
        body, attachments = encoded
        if to is None and not attachments:  # what most are: 1 µs less than the long way
            emit = Emit(EVENT, namespace, cluster.codec_name, body, (), None, (), (), skip, ask, volatile)
            everyone, encoded_emit = cluster.channels.everyone, encode_body(emit)
            cluster.queue.check(everyone, encoded_emit)
            return [(everyone, encoded_emit)]
        found = []
        for each in destinations(cluster.channels, namespace, to, partial(self._owner, namespace)):
            emit = Emit(
                EVENT,
                namespace,
                cluster.codec_name,
                body,
                tuple(attachments) if attachments else (),
                each.rooms,
                each.sids,
                (),
                skip,
                ask,
                volatile,
                each.either and ask is None,
            )
            encoded_emit = encode_body(emit)
            cluster.queue.check(each.channel, encoded_emit)
            found.append((each.channel, encoded_emit))
        return found

    def _publish(self, kind: int, bodies: list[tuple[str, bytes]]) -> int:
        """Put them into the queue; returns the last one's ticket, or 0."""
        queue, now = self._cluster.queue, self._node.engine.now
        ticket = 0
        for channel, body in bodies:
            ticket = queue.put(channel, kind, body, now)
        return ticket

    def _owner(self, namespace: str, name: str) -> Owner:
        """What this node knows about a name that has the form of a sid. In other namespaces than its own, a sid is a
        name like any other.
        """
        tag = tag_of(name)
        if tag == self._cluster.origin.name:
            found = self._node.hub.namespaces.get(namespace)
            return Owner.HERE if found is not None and name in found.sockets else Owner.ABSENT
        return Owner.PEER if self._cluster.membership.is_alive(tag) else Owner.UNKNOWN

    def _owner_of(self, to: Any, namespace: str) -> Owner | None:
        """The same for a target; None for one that has not the form of one sid."""
        name = _only(to)
        return self._owner(namespace, name) if name is not None and is_sid_form(name) else None

    # --- rooms --------------------------------------------------------------------------------------------------------

    def enter_room(self, sid: str, room: Any, namespace: str, make_waiter: Callable[[], Any]) -> tuple[Any, Any]:
        """Put a client, of whatever node, into a room.

        Returns the waiter, made only if there is something to wait for (else None: done), and work. Raises at once what
        can be known at once: a room that cannot travel, another client's sid, an unknown client of this node.
        """
        cluster = self._cluster
        channel = cluster.channels.room(namespace, room)
        socket = self._node.hub.find(sid, namespace)
        if socket is None:
            if not self._is_elsewhere(sid):
                self._node.enter_room(sid, room, namespace)  # raises what users know
            waiter = make_waiter()
            return waiter, self._ask_to_join(sid, room, namespace, waiter)
        if self._may_be_sid_elsewhere(room):
            waiter = make_waiter()
            return waiter, self.ask_owner(socket, room, waiter)
        self._node.hub.enter(socket, room)
        if not self._pending(socket, room):
            return None, None
        waiter = make_waiter()
        return waiter, cluster_wait(cluster, channel, waiter)

    def join(self, socket: Socket, room: Room, waiter: Any) -> Any:
        """Put a client of this node into a room; ``waiter`` ends when its channel is confirmed. Returns work.

        Raises AddressError for a room that cannot travel.
        """
        self._cluster.channels.room(socket.namespace.name, room)
        if self._may_be_sid_elsewhere(room):
            return self.ask_owner(socket, room, waiter)
        return self.join_now(socket, room, waiter)

    def join_now(self, socket: Socket, room: Room, waiter: Any) -> Any:
        """As :meth:`join`, when it is known that the room is no sid of another node."""
        try:
            self._node.hub.enter(socket, room)
        except ValueError as error:
            return settle(waiter, error=error)
        if not self._pending(socket, room):
            return settle(waiter)
        return cluster_wait(self._cluster, self._cluster.channels.room(socket.namespace.name, room), waiter)

    def ask_owner(self, socket: Socket, room: Room, waiter: Any) -> Any:
        """Ask the node whose tag the room's name begins with whether it is a sid; what follows is in the waiter."""
        name = str(room)
        entering = OwnerAsked(self._cluster, socket, room, waiter)
        body = messages.Question(Ask(0), socket.namespace.name, name)
        return self._request(entering, tag_of(name), OWNER_TIMEOUT, Kind.ASK, lambda ask: _with(body, ask))

    def _ask_to_join(self, sid: str, room: Room, namespace: str, waiter: Any) -> Any:
        timeout = self._node.settings.remote_timeout
        joining = JoiningElsewhere(sid, waiter)
        return self._request(
            joining, tag_of(sid), timeout, Kind.JOIN, lambda ask: messages.Join(namespace, sid, room, ask)
        )

    def _request(self, waiter: Any, tag: str, timeout: float, kind: Kind, body: Callable[[Ask], Any]) -> Any:
        """Ask the node of that tag something that ends ``waiter``; returns work."""
        cluster = self._cluster
        peer = cluster.membership.peers.get(tag)
        question = Question(waiter, kind.name.lower(), self._node.engine.deadlines)
        ask = cluster.relay.open(question, None if peer is None else peer.origin, timeout)
        try:
            cluster.queue.put(cluster.channels.node(tag), kind, encode_body(body(ask)), self._node.engine.now)
        except Exception:
            question.withdraw()
            raise
        question.limit(timeout, self._node.engine.now)
        return None

    def leave_room(self, sid: str, room: Any, namespace: str) -> None:
        """Take a client, of whatever node, out of a room; never complains about who is not there."""
        room = check_room(room)
        socket = self._node.hub.find(sid, namespace)
        if socket is not None:
            self._node.hub.leave(socket, room)
        elif self._is_elsewhere(sid):
            self._tell_owner(sid, Kind.LEAVE, messages.Leave(namespace, sid, room))

    def close_room(self, room: Any, namespace: str) -> None:
        """Take everybody, on all nodes, out of a room. ValueError for the sid of a client here."""
        room = check_room(room)
        channel = self._cluster.channels.room(namespace, room)
        body = encode_body(messages.CloseRoom(namespace, room))
        self._node.hub.close_room(namespace, room)
        self._publish(Kind.CLOSE_ROOM, [(channel, body)])

    def disconnect(self, sid: str, namespace: str, close: bool) -> bool:
        """Pass the end of a client on to its node; False where it is a client of this node, or of none."""
        if self._node.hub.find(sid, namespace) is not None or not self._is_elsewhere(sid):
            return False
        self._tell_owner(sid, Kind.DISCONNECT, messages.Disconnect(namespace, sid, close))
        return True

    def _tell_owner(self, sid: str, kind: Kind, body: messages.Body) -> None:
        self._publish(kind, [(self._cluster.channels.node(tag_of(sid)), encode_body(body))])

    def _pending(self, socket: Socket, room: Room) -> bool:
        """Whether an emit made elsewhere right now might miss that room's members here, and waiting helps."""
        cluster = self._cluster
        if socket.rooms is None or room not in socket.rooms:
            return False  # its own sid, or it is leaving
        if cluster.subscriptions.is_confirmed(cluster.channels.room(socket.namespace.name, room)):
            return False
        if not cluster.up:
            cluster.counters.joins_unconfirmed += 1
            return False
        return True

    def _is_elsewhere(self, sid: Any) -> bool:
        return isinstance(sid, str) and is_sid_form(sid) and tag_of(sid) != self._cluster.origin.name

    def _may_be_sid_elsewhere(self, room: Room) -> bool:
        return self._is_elsewhere(room) and self._cluster.membership.knew(tag_of(str(room)))


class OwnerAsked(Waiter):
    """A client wants to enter a room whose name looks like a sid of another node, which was asked (cluster.md 4)."""

    __slots__ = ("cluster", "room", "socket", "waiter")

    def __init__(self, cluster: Cluster, socket: Socket, room: Room, waiter: Any) -> None:
        self.cluster = cluster
        self.socket = socket
        self.room = room
        self.waiter = waiter

    def settle(self, args: tuple[Any, ...], error: Exception | None) -> Any:
        """No such client there: it is a room like any other. Yes, or no answer: nobody enters."""
        if type(error) is DisconnectedError:
            return self.cluster.calls.join_now(self.socket, self.room, self.waiter)
        refusal = ValueError("cannot enter a sid room: it belongs to the client of that sid alone")
        refusal.__cause__ = error
        return settle(self.waiter, error=refusal)


class JoiningElsewhere(Waiter):
    """The owner of a client was asked to put it into a room."""

    __slots__ = ("sid", "waiter")

    def __init__(self, sid: str, waiter: Any) -> None:
        self.sid = sid
        self.waiter = waiter

    def settle(self, args: tuple[Any, ...], error: Exception | None) -> Any:
        """It is in, or not; a client that is not there is told as for one of this node."""
        if type(error) is DisconnectedError:
            missing = KeyError(self.sid)
            missing.__cause__ = error
            error = missing
        return settle(self.waiter, error=error)


class Joining(Waiter):
    """Somebody waits until the channel of a room is confirmed, for a bounded time (cluster.md 6)."""

    __slots__ = ("channel", "cluster", "deadline", "waiter")

    def __init__(self, cluster: Cluster, channel: str, waiter: Any) -> None:
        self.cluster = cluster
        self.channel = channel
        self.waiter = waiter
        due = cluster.now + cluster.node.settings.join_timeout
        self.deadline: Deadline | None = cluster.node.engine.deadlines.add(due, self._late)

    def settle(self, args: tuple[Any, ...], error: Exception | None) -> Any:
        """Confirmed, or not to be confirmed soon."""
        self.cluster.node.engine.deadlines.cancel(self.deadline)
        return settle(self.waiter)

    def _late(self, now: float) -> Any:
        self.deadline = None
        self.cluster.counters.joins_unconfirmed += 1
        self.cluster.subscriptions.forget_waiter(self.channel, self)
        return settle(self.waiter)


def cluster_wait(cluster: Cluster, channel: str, waiter: Any) -> Any:
    """Let ``waiter`` end when ``channel`` is confirmed, or ``join_timeout`` later; returns work."""
    joining = Joining(cluster, channel, waiter)
    return None if cluster.subscriptions.wait(channel, joining) else joining.settle((), None)


def names_of(skip: Any) -> tuple[str, ...]:
    """The sids that ``skip_sid`` names."""
    several = skip if isinstance(skip, SEVERAL) else (skip,)
    return tuple(each for each in several if isinstance(each, str))  # what else is in such lists is nobody's


def _only(to: Any) -> Any:
    """The one name of a target, if it is a str; else None."""
    if isinstance(to, SEVERAL) and len(to) == 1:
        to = next(iter(to))
    return to if isinstance(to, str) else None


def _with(body: messages.Question, ask: Ask) -> messages.Question:
    return messages.Question(ask, body.namespace, body.sid)
