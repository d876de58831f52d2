"""A cluster that is played: nodes without I/O, their clients, and the broker between them (:mod:`.played_broker`).

    world = World()
    a, b = world.node("aaaa"), world.node("bbbb")
    world.settle()
    anna, bert = a.client(), b.client()
    a.emit("hello", 1)
    world.settle()
    assert anna.heard() == bert.heard() == [["hello", 1]]

Time passes in :meth:`World.advance` only, messages move in :meth:`World.settle` (or step by step, by the ways).
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from roomcast.core.cluster import TICK, Cluster, ClusterOptions
from roomcast.core.questions import Question
from roomcast.core.work import DrawTag, Notify, Report, ResetBroker, SettleAck
from roomcast.settings import Settings
from roomcast_brokers.codec import EnvelopeCodec, decode_body, new_origin
from roomcast_brokers.contracts import State, Traits
from roomcast_brokers.errors import BrokerUnreachableError
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import Body, Emit, Envelope, Kind
from tests.support.played import START, Driver, Peer, Stage, make_request
from tests.support.played_broker import TRAITS, PlayedBroker, Way

CLUSTER = "shop"
FIRST_ID = 2**63
"""The id of the first ask of every node: chosen so that it needs all 64 bits."""

EVENT_PACKET = re.compile(r"4[25](?:\d+-)?(?:/[^,\[]*,)?(\d+)?(\[.*)", re.DOTALL)


class Ending:
    """Whoever waits for an answer or for the end of an operation. ``ends`` are (values, error), one at most."""

    def __init__(self) -> None:
        self.ends: list[tuple[tuple[Any, ...], Exception | None]] = []
        self.question: Question | None = None

    @property
    def waiting(self) -> bool:
        return not self.ends

    @property
    def values(self) -> tuple[Any, ...]:
        """What was answered; the only end there was."""
        ((values, error),) = self.ends
        assert error is None, repr(error)
        return values

    @property
    def error(self) -> Exception:
        """Why there is no answer; the only end there was."""
        ((_, error),) = self.ends
        assert error is not None, "it has been answered"
        return error


class ClusterDriver(Driver):
    """Also does what a cluster asks for. What handlers and answers bring is done in order, as in any driver."""

    def __init__(self, member: Member) -> None:
        super().__init__(member.node.engine, member.node)
        self._member = member
        self.reports: list[Report] = []

    def do(self, work: Any) -> None:
        match work:
            case SettleAck(waiter=Ending()):
                work.waiter.ends.append((work.args, work.error))
            case Notify():
                work.fn(*work.args)
            case Report():
                self.reports.append(work)
            case ResetBroker():
                self._member.way.reset()
            case DrawTag():
                self._member.draw_tag()
            case _:
                super().do(work)


class Heard(msgspec.Struct, frozen=True):
    """An event that a client got: its name and arguments, and the id under which an answer is wanted."""

    args: list[Any]
    ack_id: int | None


class PlayedClient:
    """A client of one namespace of one node."""

    def __init__(self, member: Member, namespace: str) -> None:
        self.member = member
        self.namespace = namespace
        self._binary = member.node.codec.binary
        self.peer = Peer(member.driver, make_request(b"EIO=4&transport=websocket"))
        self.peer.opens()
        prefix = "" if namespace == "/" else f"{namespace},"
        self.peer.sends(msgspec.msgpack.encode({"type": 0, "nsp": namespace}) if self._binary else f"40{prefix}")
        opened = self.peer.received()[-1]
        if isinstance(opened, bytes):
            self.sid: str = msgspec.msgpack.decode(opened)["data"]["sid"]
        else:
            self.sid = json.loads(opened[opened.index("{") :])["sid"]

    @property
    def gone(self) -> bool:
        return self.peer.closing is not None

    def events(self) -> list[Heard]:
        """The events that it got since the last call; other packets are left out."""
        found: list[Heard] = []
        attachments: deque[tuple[Any, Any, int]] = deque()
        for packet in self.peer.received():
            if isinstance(packet, bytes):
                if self._binary:
                    message = msgspec.msgpack.decode(packet)
                    if message["type"] == 2:
                        found.append(Heard(message["data"], message.get("id")))
                elif attachments:
                    container, key, _ = attachments.popleft()
                    container[key] = packet
            elif match := EVENT_PACKET.match(packet):
                args = json.loads(match[2])
                found.append(Heard(args, None if match[1] is None else int(match[1])))
                attachments = deque(sorted(_places(args), key=lambda place: place[2]))
        return found

    def heard(self) -> list[list[Any]]:
        """The same without the ids."""
        return [event.args for event in self.events()]

    def asked(self) -> int:
        """The id of the one event that it got since the last call, and is to answer."""
        (event,) = self.events()
        assert event.ack_id is not None, event
        return event.ack_id

    def answers(self, ack_id: int, *args: Any) -> None:
        """Acknowledge an event; bytes may stand among the arguments themselves."""
        if self._binary:
            self.peer.sends(
                msgspec.msgpack.encode({"type": 3, "nsp": self.namespace, "data": list(args), "id": ack_id})
            )
            return
        attachments = [arg for arg in args if isinstance(arg, bytes)]
        numbers = iter(range(len(attachments)))
        plain = [{"_placeholder": True, "num": next(numbers)} if isinstance(arg, bytes) else arg for arg in args]
        prefix = "" if self.namespace == "/" else f"{self.namespace},"
        head = f"46{len(attachments)}-" if attachments else "43"
        self.peer.sends(f"{head}{prefix}{ack_id}{json.dumps(plain)}", *attachments)

    def leaves(self) -> None:
        """It disconnects from its namespace, and stays connected."""
        prefix = "" if self.namespace == "/" else f"{self.namespace},"
        self.peer.sends(msgspec.msgpack.encode({"type": 1, "nsp": self.namespace}) if self._binary else f"41{prefix}")

    def vanishes(self) -> None:
        """Its connection is lost."""
        self.peer.vanishes()


def _places(value: Any) -> list[tuple[Any, Any, int]]:
    """Where attachments belong."""
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    found = []
    for key, item in items:
        if isinstance(item, dict) and item.get("_placeholder") is True:
            found.append((value, key, item["num"]))
        elif isinstance(item, dict | list):
            found += _places(item)
    return found


class Member(Stage):
    """One node of a :class:`World`, with its cluster, and the driver's part of joining it (as drivers/asyncio/bus)."""

    driver: ClusterDriver

    def __init__(
        self,
        world: World,
        tag: str,
        settings: Settings | None = None,
        *,
        cluster: str = CLUSTER,
        keys: Sequence[str] | None = None,
        serializer: str = "default",
        namespaces: Any = "*",
        random_tag: bool = False,
    ) -> None:
        super().__init__(settings, serializer=serializer, namespaces=namespaces, tag=tag)
        self.world = world
        self.driver = ClusterDriver(self)
        self.driver.now = self.node.engine.now = world.now
        self.options = ClusterOptions(
            name=cluster, keys=KeyRing(keys) if keys else None, traits=world.broker.traits, random_tag=random_tag
        )
        self.frozen = False  # the process stands still: what comes waits
        self.later: deque[Any] = deque()  # work of what the broker told, for the next turn
        self._woken = False
        self.cluster = self._new_cluster()
        self.way = Way(world.broker)
        self.gaps: list[Any] = []
        self.cluster.confessions.on_gap.append(self.gaps.append)
        self.clients: list[PlayedClient] = []

    def _new_cluster(self) -> Cluster:
        return Cluster(self.node, self.options, self.world.wall, lambda bits: FIRST_ID)

    @property
    def tag(self) -> str:
        return self.node.sids.tag

    # --- the driver's part --------------------------------------------------------------------------------------------

    def starts(self) -> None:
        self.driver.now = self.node.engine.now = self.world.now
        self.cluster.on_ready = self._wake
        self.cluster.start()
        self.way.open(self)
        self._woken = True
        self.flush()

    def leaves(self) -> None:
        """The process ends as it should."""
        self.driver.do(self.cluster.leave())
        self.flush()
        self.way.close()
        self.cluster.changed(State.CLOSED)
        self.world.members.remove(self)

    def dies(self) -> None:
        """``kill -9``."""
        self.way.vanish()
        self.world.members.remove(self)

    def draw_tag(self) -> None:
        """Join anew under the tag that was drawn."""
        gaps = self.cluster.confessions.on_gap
        self.driver.do(self.cluster.leave())
        self.flush()
        self.way.close()
        self.cluster.changed(State.CLOSED)
        self.cluster = self._new_cluster()
        self.cluster.confessions.on_gap = gaps
        self.way = Way(self.world.broker)
        self.starts()

    def _wake(self) -> None:
        self._woken = True

    def flush(self) -> bool:
        """The end of a turn; whether there was anything to do."""
        if self.frozen or not (self._woken or self.later):
            return False
        while self.later:
            self.driver.do(self.later.popleft())
        self._woken = False
        for change in self.cluster.take_changes():
            if change.generation is None:
                self.way.unsubscribe(change.channel)
            else:
                self.way.subscribe(change.channel, change.generation)
        try:
            for channel, payload in self.cluster.take_messages():
                self.way.publish(channel, payload)
        except BrokerUnreachableError:
            pass  # the cluster hears of the break in this very turn
        return True

    def delivered(self, channel: str, payload: bytes) -> None:
        self._then(self.cluster.delivered(channel, payload))

    def confirmed(self, channel: str, generation: int) -> None:
        self._then(self.cluster.confirmed(channel, generation))

    def accepted(self, count: int) -> None:
        self.cluster.accepted(count)

    def changed(self, state: State, cause: Exception | None) -> None:
        self._then(self.cluster.changed(state))

    def _then(self, work: Any) -> None:
        if work is not None:
            self.later.append(work)

    # --- what the application does ------------------------------------------------------------------------------------

    def client(self, namespace: str = "/") -> PlayedClient:
        client = PlayedClient(self, namespace)
        self.clients.append(client)
        return client

    def emit(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        skip: Any = None,
        namespace: str = "/",
        *,
        volatile: bool = False,
    ) -> None:
        self.cluster.calls.emit(event, data, to, skip, namespace, volatile)

    def ask(self, event: str, data: Any, to: Any, timeout: float | None = None, namespace: str = "/") -> Ending:
        """``call``."""
        ending = Ending()
        ending.question, work = self.cluster.calls.ask(event, data, ending, to, None, namespace, timeout)
        self.driver.do(work)
        return ending

    def emit_with_callback(self, event: str, data: Any, to: Any, skip: Any = None, namespace: str = "/") -> Ending:
        ending = Ending()
        self.driver.do(self.cluster.calls.emit_with_callback(event, data, ending, to, skip, namespace))
        return ending

    def enter(self, sid: str, room: Any, namespace: str = "/") -> Ending:
        """``enter_room``; one that returns at once has ended already."""
        ending = Ending()
        waiter, work = self.cluster.calls.enter_room(sid, room, namespace, lambda: ending)
        self.driver.do(work)
        if waiter is None:
            ending.ends.append(((), None))
        return ending

    def leave(self, sid: str, room: Any, namespace: str = "/") -> None:
        self.cluster.calls.leave_room(sid, room, namespace)

    def close_room(self, room: Any, namespace: str = "/") -> None:
        self.cluster.calls.close_room(room, namespace)

    def disconnect(self, sid: str, namespace: str = "/", close: bool = False) -> None:
        if not self.cluster.calls.disconnect(sid, namespace, close):
            self.driver.do(self.node.disconnect(sid, namespace, close))

    def rooms(self, client: PlayedClient) -> list[Any]:
        socket = self.node.hub.find(client.sid, client.namespace)
        return [] if socket is None else [room for room in self.node.hub.rooms_of(socket) if room != client.sid]

    # --- what is looked at --------------------------------------------------------------------------------------------

    @property
    def counters(self) -> Any:
        return self.cluster.counters

    @property
    def dropped(self) -> dict[str, int]:
        """Messages and operations that were not carried out, by reason."""
        return {reason: count for reason, count in self.cluster.counters.dropped.items() if count}

    @property
    def ends(self) -> dict[str, int]:
        """How asks of this node have ended."""
        return {end: count for end, count in self.cluster.counters.ask_ends.items() if count}

    @property
    def peers(self) -> list[str]:
        return sorted(self.cluster.membership.peers)

    def reports(self, level: str) -> list[str]:
        return [report.text for report in self.driver.reports if report.level == level]

    def left(self) -> dict[str, int]:
        """Tables of node and cluster that hold something, but for the one deadline of a cluster that is joined."""
        found = {**super().left(), **{name: size for name, size in self.cluster.census().items() if size}}
        found["deadlines"] = found.get("deadlines", 0) - 1
        return {name: size for name, size in found.items() if size}


class World:
    """Time, a broker, and the nodes that are alive."""

    def __init__(self, traits: Traits = TRAITS) -> None:
        self.now = START
        self.broker = PlayedBroker(traits)
        self.members: list[Member] = []
        self.reader = EnvelopeCodec(new_origin("read"), CLUSTER)

    def wall(self) -> int:
        return round(self.now * 1_000)

    def node(self, tag: str, settings: Settings | None = None, **options: Any) -> Member:
        """One more node, which begins to join; :meth:`settle` lets it be heard."""
        member = Member(self, tag, settings, **options)
        self.members.append(member)
        member.starts()
        return member

    def nodes(self, *tags: str, **options: Any) -> list[Member]:
        """So many nodes that know each other, everybody's subscriptions confirmed."""
        members = [self.node(tag, **options) for tag in tags]
        self.settle()
        return members

    def settle(self) -> None:
        """Let everything move that can, until nothing does."""
        while any([member.flush() for member in self.members] + [self._moves(member) for member in self.members]):
            pass

    def _moves(self, member: Member) -> bool:
        return not member.frozen and member.way.settle()

    def advance(self, seconds: float, *, settling: bool = True) -> None:
        """Let time pass for all nodes that do not stand still, in the steps in which clusters look at it."""
        until = self.now + seconds
        while self.now < until:
            step = min(TICK, until - self.now)
            self.now += step
            for member in list(self.members):
                if not member.frozen:
                    member.driver.advance(self.now - member.driver.now)
            if settling:
                self.settle()

    def advance_until(self, condition: Callable[[], object], within: float) -> float:
        """Let time pass until the condition holds; how long that took. Fails after ``within`` seconds."""
        began = self.now
        while not condition():
            assert self.now - began < within, f"still not so after {within:g} s"
            self.advance(TICK)
        return self.now - began

    # --- what travelled -----------------------------------------------------------------------------------------------

    def read(self, channel: str, payload: bytes) -> Envelope:
        return self.reader.decode(channel, payload)

    def published(self, *kinds: Kind) -> list[tuple[str, str, Body]]:
        """(origin, channel, body) of all operations of these kinds that the broker took."""
        return [
            (envelope.origin.name, channel, decode_body(operation))
            for channel, payload in self.broker.taken
            for envelope in [self.read(channel, payload)]
            for operation in envelope.operations
            if operation.kind in kinds
        ]

    def given(self, member: Member) -> list[tuple[str, str]]:
        """(origin, kind) of all operations that this node got, its own and control messages left out."""
        found = []
        for copy in member.way.given:
            assert copy.payload is not None
            envelope = self.read(copy.channel, copy.payload)
            if not envelope.control and envelope.origin != member.cluster.origin:
                found += [(envelope.origin.name, Kind(each.kind).name.lower()) for each in envelope.operations]
        return found


def one_each(*members: Member, namespace: str = "/") -> list[PlayedClient]:
    """A client on each of these nodes."""
    return [member.client(namespace) for member in members]


def fake_sid(tag: str) -> str:
    """What has the form of a sid of that node, and is none."""
    return f"{tag}0123456789abcdef"


OF_NOBODY = fake_sid("zzzz")
"""It has the tag of a node that nobody knows."""


def emits(world: World, since: int = 0) -> list[tuple[str, str, Emit]]:
    """The emits that the broker took, each as (tag, channel, emit)."""
    return [each for each in world.published(Kind.EMIT)[since:] if isinstance(each[2], Emit)]  # type: ignore[misc]
