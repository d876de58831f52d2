"""A node among others, without I/O: what it publishes, subscribes and hears, and who it knows to be there (cluster.md).

A driver owns the connection to the broker. It tells the cluster what the broker told it (:meth:`Cluster.delivered`,
``confirmed``, ``accepted``, ``changed``) and does the work that comes back. When ``on_ready`` was called, it takes what
is to be subscribed and published (:meth:`Cluster.take_changes`, ``take_messages``), once per turn of the loop. What the
application asks is in :mod:`roomcast.core.cluster_calls`, what others ask in :mod:`roomcast.core.listening`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from roomcast.core.cluster_calls import ClusterCalls
from roomcast.core.cluster_counters import KIND_NAMES
from roomcast.core.listening import Listening
from roomcast.core.membership import (
    Deaf,
    Event,
    HearsAgain,
    Joined,
    Left,
    Lost,
    Membership,
    Restarted,
    Returned,
    Twin,
)
from roomcast.core.questions import Question, settle
from roomcast.core.relay import Relay, publish_answer
from roomcast.core.replies import Replies
from roomcast.core.subscriptions import Change, Subscriptions
from roomcast.core.tracking import Tracking
from roomcast.core.work import DrawTag, Notify, Report, ResetBroker, several
from roomcast.errors import PacketError
from roomcast.socketio.attachments import fill
from roomcast.socketio.codec import Codec, CodecLimits
from roomcast.socketio.serializers import SERIALIZERS, make_codec
from roomcast_brokers.addressing import Room
from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, encode_body, new_origin
from roomcast_brokers.contracts import State, Traits
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import Answer, Beat, Goodbye, Hello, Kind, Mark, Marks, MarksRequest, Origin
from roomcast_brokers.publishing import PublishQueue
from roomcast_brokers.sequences import Sequences

if TYPE_CHECKING:
    from roomcast.core.node import Node

# How often (seconds) is looked at what is due: beats, leases, lingering subscriptions, the age of what is buffered.
# All of them are at least a second, so that a quarter of one late is no harm, and one timer serves them.
TICK = 0.25
# Marks in one message: 1,000 of them are at most 90 KB, far below what a broker message holds.
MARKS_PER_PAGE = 1_000
VERSION = "1.0"


class ClusterOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a cluster is made of: its name, its keys, and what its back end can do."""

    name: str
    keys: KeyRing | None
    traits: Traits
    random_tag: bool  # whether a twin may be escaped by drawing another tag


class Cluster:
    """One node's part of the cluster ``options.name``. ``wall()`` is the time of day in milliseconds, for latencies
    only.
    """

    def __init__(
        self,
        node: Node,
        options: ClusterOptions,
        wall: Callable[[], int],
        random_bits: Callable[[int], int],
    ) -> None:
        settings = node.settings
        self.node = node
        self.options = options
        self.wall = wall
        self.origin = new_origin(node.sids.tag)
        self.codec_name = "msgpack" if node.codec.binary else "json"
        self.counters = node.counters.cluster
        self.channels = Channels(options.name, shards=not options.traits.cheap_subscriptions)
        self.codec = EnvelopeCodec(self.origin, options.name, options.keys, settings.accept_unsigned)
        self.sequences = Sequences()
        self.queue = PublishQueue(
            self.codec,
            self.sequences,
            max_bytes=settings.publish_buffer_bytes,
            max_age=settings.publish_buffer_seconds,
            wall=wall,
        )
        self.subscriptions = Subscriptions()
        self.beat_interval = max(settings.beat_interval, options.traits.shortest_beat)
        self.tracking = Tracking(options.traits.ordered_across_channels, self.beat_interval * settings.lease_beats)
        self.membership = Membership(self.origin, self.beat_interval, settings.lease_beats, started=self.now)
        self.replies = Replies(random_bits)
        self.asked_by: dict[tuple[Origin, int], Question] = {}
        self.relay = Relay(self)
        self.calls = ClusterCalls(self)
        self.listening = Listening(self)
        self.state = State.CONNECTING
        self.on_ready: Callable[[], None] = _nobody
        self.on_gap: list[Callable[..., Any]] = []
        self._ready = False
        self._was_up = False
        self._rooms_on: dict[str, int] = {}  # channel → rooms here that need it: a shard serves several
        self._codecs: dict[str, Codec] = {self.codec_name: node.codec}
        self.queue.on_ready = self.subscriptions.on_ready = self._wake
        self._give_gauges()
        node.hub.on_room = self.room_changed
        for namespace in node.hub.namespaces.values():  # there are some when it comes back under another tag
            for room in namespace.rooms:
                self.room_changed(namespace.name, room, True)

    @property
    def now(self) -> float:
        """The engine's time, which drivers set before they call."""
        return self.node.engine.now

    @property
    def up(self) -> bool:
        """Whether the broker is there and everything wanted is subscribed."""
        return self.state is State.UP

    # --- the seam to the driver ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Want the channels that every node has, and look at what is due from now on."""
        self.state = State.CONNECTING
        self.subscriptions.want(self.channels.everyone, self.now)
        self.subscriptions.want(self.channels.node(self.origin.name), self.now)
        self.node.engine.deadlines.add(self.now + TICK, self._tick)

    def _wake(self) -> None:
        if not self._ready:
            self._ready = True
            self.on_ready()

    def take_changes(self) -> list[Change]:
        """What is to be subscribed and unsubscribed, in order."""
        self._ready = False
        changes = self.subscriptions.take(self.now)
        for change in changes:
            if change.generation is None:
                self.tracking.end(change.channel)
        return changes

    def take_messages(self) -> list[tuple[str, bytes]]:
        """What is to be published, in order; nothing unless the broker is there."""
        self._ready = False
        return self.queue.take(self.now)

    def delivered(self, channel: str, payload: bytes) -> Any:
        """A message has come; returns work. Never raises because of what it holds."""
        return self.listening.delivered(channel, payload)

    def confirmed(self, channel: str, generation: int) -> Any:
        """A subscription is confirmed: who waits for it in ``enter_room`` goes on."""
        waiters = self.subscriptions.confirmed(channel, generation, self.now)
        if self.subscriptions.is_confirmed(channel):
            self.tracking.begin(channel, self.now)
        return go_on(waiters)

    def accepted(self, count: int) -> None:
        """So many of the oldest messages are with the broker."""
        self.queue.accepted(count, self.now)

    def changed(self, state: State) -> Any:
        """The broker has come or gone."""
        was, self.state = self.state, state
        if state is State.UP:
            return self._is_up()
        self.counters.broker_up = 0
        if was is not State.UP:
            return None
        self.queue.down(self.now)
        self.membership.down(self.now)
        waiters = self.subscriptions.broken(self.now)
        self.counters.joins_unconfirmed += len(waiters)
        return go_on(waiters)

    def _is_up(self) -> Any:
        """Say hello; after a break ask the others how far they are, since what they published meanwhile is lost."""
        self.counters.broker_up = 1
        self.counters.broker_reconnects += self._was_up
        now = self.now
        self.queue.up(now)
        self.membership.up(now)
        self._hello(self.channels.everyone)
        beat = self._beat_if_due(now)  # before the request: it comes back before the answers
        if self._was_up:
            self._control(self.channels.everyone, Kind.MARKS_REQUEST, MarksRequest())
        self._was_up = True
        return beat

    def leave(self) -> Any:
        """Say goodbye; what waits is still published. All that waits for other nodes ends; returns work."""
        self._control(self.channels.everyone, Kind.GOODBYE, Goodbye("server shutting down"))
        return self.relay.end()

    def _hello(self, channel: str) -> None:
        self._control(channel, Kind.HELLO, Hello(self._uptime_ms(self.now), VERSION))

    def _uptime_ms(self, now: float) -> int:
        return round((now - self.membership.started) * 1_000)

    def _control(self, channel: str, kind: Kind, body: Any) -> None:
        self.queue.control(channel, kind, encode_body(body))

    # --- what is due --------------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> Any:
        """Beats, leases, ages. Runs until the node forgets its deadlines."""
        if self.state is State.CLOSED:
            return None
        self.node.engine.deadlines.add(now + TICK, self._tick)
        left = self.subscriptions.tick(now)
        self.queue.expire(now)
        self.sequences.tick(now)
        events = self.events(self.membership.tick(now))
        return several(events, self._beat_if_due(now), self.report_gaps(), go_on(left))

    def _beat_if_due(self, now: float) -> Any:
        number = self.membership.beat(now)
        if number is None:
            return None
        self.sequences.roll(now)
        clients = self.node.clients_by_namespace()
        uptime = self._uptime_ms(now)
        for page, marks in enumerate(pages(self.sequences.marks(now)) or [()]):
            beat = Beat(number, uptime, clients if page == 0 else {}, marks, page)
            self._control(self.channels.everyone, Kind.BEAT, beat)
        return None

    def tell_marks(self, asker: Origin, channels: tuple[str, ...]) -> None:
        """Answer a request for marks, on the asker's own channel."""
        channel = self.channels.node(asker.name)
        for marks in pages(self.sequences.marks_of(channels or None, self.now)):
            self._control(channel, Kind.MARKS, Marks(marks))

    def report_gaps(self) -> Any:
        """Tell the application what was lost since the last time (cluster.md 7)."""
        gaps = self.tracking.take_gaps()
        if not gaps:
            return None
        lost = sum(gap.count for gap in gaps)
        works: list[Any] = [Report("warning", f"{lost} operations of other nodes were lost on the way here")]
        works += [Notify(hook, (gap,)) for gap in gaps for hook in self.on_gap]
        return several(*works)

    # --- who is there -------------------------------------------------------------------------------------------------

    def events(self, events: Sequence[Event]) -> Any:
        """What follows from what the membership has found out."""
        return several(*[EVENTS[type(event)](self, event) for event in events]) if events else None

    def _joined(self, event: Joined) -> Any:
        # It need not wait for our next beat to know of us; on its own channel, or n nodes would tell n nodes.
        self._hello(self.channels.node(event.tag))
        return Report("info", f"node {event.tag} is there")

    def _restarted(self, event: Restarted) -> Any:
        return several(
            *self.relay.lost(Origin(event.tag, event.old_epoch)), Report("info", f"node {event.tag} has started anew")
        )

    def _lost(self, event: Lost) -> Any:
        self.counters.peers_lost += 1
        works = self.relay.lost(Origin(event.tag, event.epoch))
        return several(*works, Report("warning", f"node {event.tag} was not heard of for a lease: it counts as lost"))

    def _left(self, event: Left) -> Any:
        works = self.relay.lost(Origin(event.tag, event.epoch))
        return several(*works, Report("info", f"node {event.tag} has left"))

    def _returned(self, event: Returned) -> Any:
        return Report("info", f"node {event.tag} is there again")

    def _found_twin(self, event: Twin) -> Any:
        """Another node has our tag. The younger one yields: its clients go, and come back under other sids."""
        name = self.origin.name
        if not event.yields:
            return Report("warning", f"another node runs under this one's tag {name}; it is the younger one and yields")
        self.subscriptions.drop(self.channels.node(name), self.now)
        if self.options.random_tag:
            self.node.sids.draw()  # at once: whoever comes from now on gets a sid that leads here
        leaving = self.node.engine.close_some(len(self.node.engine.sessions), "server shutting down", 1012)
        if self.options.random_tag:
            text = f"another node has drawn the same tag {name}: this one closes its clients and draws another"
            return several(Report("error", text), *leaving, DrawTag())
        text = (
            f"another node runs under the tag {name}, which was set for both: this one serves nobody until it is "
            "restarted with a tag of its own (tag=, ROOMCAST_TAG, --tag), or with none, which draws one"
        )
        return several(Report("error", text), *leaving)

    def _deaf(self, event: Deaf) -> Any:
        self.counters.deaf += 1
        if event.again:
            return ResetBroker()
        text = "this node does not hear itself through the broker: it is unready, and subscribes everything anew"
        return several(Report("error", text), ResetBroker())

    def _hears_again(self, _: HearsAgain) -> Any:
        return Report("info", "this node hears itself through the broker again")

    def unready(self) -> tuple[str, ...]:
        """Why no client should come here (cluster.md 8), in words."""
        reasons = []
        if self.membership.deaf:
            reasons.append("this node does not hear itself through the broker")
        if self.membership.yielded:
            reasons.append("another node has this one's tag")
        if self.node.settings.require_broker and not self.up:
            reasons.append("the broker is away")
        return tuple(reasons)

    def degraded(self) -> tuple[str, ...]:
        """Why clients here do not get all that they might."""
        return () if self.up else ("the broker is away",)

    # --- rooms --------------------------------------------------------------------------------------------------------

    def room_changed(self, namespace: str, room: Hashable, present: bool) -> None:
        """A room has got its first member here, or lost its last: its channel is wanted, or no longer."""
        channel = self.channels.room(namespace, cast("Room", room))
        users = self._rooms_on.get(channel, 0) + (1 if present else -1)
        if users > 0:
            self._rooms_on[channel] = users
            if present and users == 1:
                self.subscriptions.want(channel, self.now)
        elif self._rooms_on.pop(channel, None) is not None:
            self.subscriptions.drop(channel, self.now)

    # --- answers ------------------------------------------------------------------------------------------------------

    def answer(self, asker: Origin, answer: Answer) -> None:
        """Publish the end of an ask of another process."""
        publish_answer(self, asker, answer)

    def codec_of(self, name: str) -> Codec:
        """The codec by the name that stands in messages. PacketError for one that is not known here."""
        codec = self._codecs.get(name)
        if codec is None:
            serializer = "default" if name == "json" else name
            if serializer not in SERIALIZERS:
                raise PacketError("type", "another node uses an encoding that is not known here")
            codec = self._codecs[name] = make_codec(serializer, CodecLimits.from_settings(self.node.settings))
        return codec

    def decode_args(self, codec: str, args: bytes, attachments: tuple[bytes, ...]) -> list[Any]:
        """The values that another node encoded. PacketError for what is none."""
        values = self.codec_of(codec).decode_args(args)
        if attachments:
            fill(values, attachments)
        return values

    def census(self) -> dict[str, int]:
        """Entries of the tables that grow with use; all 0 when nothing is going on."""
        return {"asks": len(self.replies), "asked_by": len(self.asked_by), "rooms_on": len(self._rooms_on)}

    def _give_gauges(self) -> None:
        counters = self.counters
        counters.measure_out = lambda: {KIND_NAMES[kind]: count for kind, count in self.queue.published.items()}
        counters.measure_buffer_bytes = lambda: self.queue.waiting_bytes
        counters.measure_unpublished = lambda: self.queue.dropped
        counters.measure_abandoned = lambda: self.queue.abandoned
        counters.measure_lost = lambda: self.tracking.lost
        counters.measure_recanted = lambda: self.tracking.recanted
        counters.measure_duplicates = lambda: self.tracking.duplicates
        counters.measure_evictions = lambda: self.tracking.early_evictions
        counters.measure_peers = lambda: len(self.membership.peers)
        counters.measure_subscriptions = lambda: self.subscriptions.confirmed_count
        counters.measure_lag = lambda: self.membership.lag
        counters.measure_pending = lambda: len(self.replies)


EVENTS: dict[type[Any], Callable[[Cluster, Any], Any]] = {
    Joined: Cluster._joined,
    Restarted: Cluster._restarted,
    Lost: Cluster._lost,
    Left: Cluster._left,
    Returned: Cluster._returned,
    Twin: Cluster._found_twin,
    Deaf: Cluster._deaf,
    HearsAgain: Cluster._hears_again,
}


def pages(marks: list[Mark]) -> list[tuple[Mark, ...]]:
    """The marks in messages of a bounded size; none for no marks."""
    return [tuple(marks[at : at + MARKS_PER_PAGE]) for at in range(0, len(marks), MARKS_PER_PAGE)]


def go_on(waiters: list[object]) -> Any:
    """The work when these need not wait for a subscription any longer."""
    return several(*[settle(waiter) for waiter in waiters]) if waiters else None


def _nobody() -> None:
    """No driver is there yet."""
