"""A node among others, without I/O: what it publishes, subscribes and hears, and who it knows to be there (cluster.md).

A driver owns the connection to the broker. It tells the cluster what the broker told it (:meth:`Cluster.delivered`,
``confirmed``, ``accepted``, ``changed``) and does the work that comes back. When ``on_ready`` was called, it takes what
is to be subscribed and published (:meth:`Cluster.take_changes`, ``take_messages``), once per turn of the loop. What the
application asks is in :mod:`roomcast.core.cluster_calls`, what others ask in :mod:`roomcast.core.listening`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, cast

import msgspec

from roomcast.core.cluster_calls import ClusterCalls
from roomcast.core.cluster_counters import KIND_NAMES
from roomcast.core.cluster_events import ClusterEvents
from roomcast.core.confessions import Confessions, pages
from roomcast.core.listening import Listening
from roomcast.core.membership import Membership
from roomcast.core.probing import Probing
from roomcast.core.questions import Question, settle
from roomcast.core.relay import Relay, publish_answer
from roomcast.core.replies import Replies
from roomcast.core.subscriptions import Change, Subscriptions
from roomcast.core.tracking import Tracking
from roomcast.core.work import several
from roomcast.errors import PacketError
from roomcast.socketio.attachments import fill
from roomcast.socketio.codec import Codec, CodecLimits
from roomcast.socketio.serializers import make_codec
from roomcast_brokers.addressing import Room
from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, encode_body, new_origin
from roomcast_brokers.contracts import State, Traits
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import Answer, Beat, Goodbye, Hello, Kind, Origin
from roomcast_brokers.publishing import PublishQueue, waiting_limits
from roomcast_brokers.sequences import Sequences

if TYPE_CHECKING:
    from roomcast.core.node import Node
    from roomcast.engineio.deadlines import Deadline

# How often (seconds) is looked at what is due: beats, leases, lingering subscriptions, the age of what is buffered.
# All of them are at least a second, so that a quarter of one late is no harm, and one timer serves them.
TICK = 0.25
# After a break of the connection what waits is held back for twice as long as it was away, and a little, so that the
# others have subscribed again before it is published: they lost the same broker, and try again at ever longer
# intervals. In a trial this cut what they missed after a restart of Redis from 43 % to 1.5 %. No longer than this
# (seconds), since clients wait; a durable broker needs nothing of it.
MAX_HOLD = 0.8
HOLD_MARGIN = 0.05
VERSION = "1.0"
# The names of encodings in messages, and the serializers that they are.
CODECS = {"json": "default", "msgpack": "msgpack"}


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
        max_bytes, max_age = waiting_limits(
            options.traits.durable, settings.publish_buffer_bytes, settings.publish_buffer_seconds
        )
        self.queue = PublishQueue(self.codec, self.sequences, max_bytes=max_bytes, max_age=max_age, wall=wall)
        self.subscriptions = Subscriptions()
        self.beat_interval = max(settings.beat_interval, options.traits.shortest_beat)
        lease = self.beat_interval * settings.lease_beats
        self.tracking = Tracking(
            options.traits.ordered_across_channels,
            lease,
            options.traits.durable,
            self.channels.node(self.origin.name),
        )
        self.probing = Probing(self, max(TICK, options.traits.shortest_beat))
        self.membership = Membership(self.origin, self.beat_interval, settings.lease_beats, started=self.now)
        self.replies = Replies(random_bits)
        self.asked_by: dict[tuple[Origin, int], Question] = {}
        self.relay = Relay(self)
        self.calls = ClusterCalls(self)
        self.listening = Listening(self)
        self.events = ClusterEvents(self)
        self.confessions = Confessions(self)
        self.state = State.CONNECTING
        self.joined = False
        """Whether the broker is there and what concerns every node is heard here; then hello has been said."""
        self.on_ready: Callable[[], None] = _nobody
        self.on_joined: Callable[[], None] = _nobody
        self._ready = False
        self._was_up = self._was_joined = False
        self._away_since: float | None = None  # since when it is away that was there
        self._release: Deadline | None = None
        self._received = 0
        self._rooms_on: dict[str, int] = {}  # channel → rooms here that need it: a shard serves several
        self._limits = CodecLimits.from_settings(settings).between_nodes()
        self._codecs: dict[str, Codec] = {self.codec_name: node.codec.with_limits(self._limits)}
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
        """Whether the broker is there and everything wanted is subscribed, as far as the back end can tell."""
        return self.state is State.UP

    # --- the seam to the driver ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Want the channels that every node has, and look at what is due from now on."""
        self.state = State.CONNECTING
        for channel in self._own_channels():
            self.subscriptions.want(channel, self.now)
        self.node.engine.deadlines.add(self.now + TICK, self._tick)

    def _own_channels(self) -> tuple[str, str]:
        return self.channels.everyone, self.channels.node(self.origin.name)

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
                self.probing.end(change.channel)
        return changes

    def take_messages(self) -> list[tuple[str, bytes]]:
        """What is to be published, in order; nothing unless the broker is there."""
        self._ready = False
        return self.queue.take(self.now)

    def delivered(self, channel: str, payload: bytes) -> Any:
        """A message has come; returns work. Never raises because of what it holds."""
        return self.listening.delivered(channel, payload)

    def confirmed(self, channel: str, generation: int) -> Any:
        """The back end says that a channel is subscribed; where it cannot know that, a probe has to find out."""
        self.subscriptions.told(channel, generation)
        if self.options.traits.confirms_subscriptions:
            return self.hears(channel, generation)
        self.probing.begin(channel, generation)
        return None

    def hears(self, channel: str, generation: int) -> Any:
        """What is published to that channel arrives here: who waits for it in ``enter_room`` goes on."""
        waiters = self.subscriptions.confirmed(channel, generation, self.now)
        if self.subscriptions.is_confirmed(channel):
            self.confessions.begin(channel)
        return several(go_on(waiters), self._join_if_heard())

    def accepted(self, count: int) -> None:
        """So many of the oldest messages are with the broker."""
        self.queue.accepted(count, self.now)

    def changed(self, state: State) -> Any:
        """The broker has come or gone."""
        was, self.state = self.state, state
        if state is State.UP:
            return self._is_up()
        self.counters.broker_up = 0
        self.joined = False
        self.node.engine.deadlines.cancel(self._release)
        if was is not State.UP:
            return None
        self._away_since = self.now
        self.queue.down(self.now)
        self.membership.down(self.now)
        self.probing.broken()
        waiters = self.subscriptions.broken(self.now)
        self.counters.joins_unconfirmed += len(waiters)
        return go_on(waiters)

    def _is_up(self) -> Any:
        self.counters.broker_up = 1
        self.counters.broker_reconnects += self._was_up
        self._was_up = True
        self._publish_again(self.now)
        self.membership.up(self.now)
        self.probing.look()
        return self._join_if_heard()

    def _publish_again(self, now: float) -> None:
        away_since, self._away_since = self._away_since, None
        if away_since is None or self.options.traits.durable:
            self.queue.up(now)
            return
        self.queue.hold(now)
        until = now + min(MAX_HOLD, 2 * (now - away_since)) + HOLD_MARGIN
        self._release = self.node.engine.deadlines.add(until, self.queue.up)

    def _join_if_heard(self) -> Any:
        """Say hello; after a break ask the others how far they are, since what they published meanwhile is lost.

        Not before the answers will be heard: where the back end confirms nothing, that takes probes.
        """
        if self.joined or not self.up:
            return None
        heard = all(self.subscriptions.is_confirmed(channel) for channel in self._own_channels())
        if not heard and not self.options.traits.confirms_subscriptions:
            return None
        self.joined = True
        self.hello(self.channels.everyone)
        beat = self._beat_if_due(self.now)  # before the request: it comes back before the answers
        if self._was_joined:
            self.confessions.ask_all()
        self._was_joined = True
        self.on_joined()
        return beat

    def leave(self) -> Any:
        """Say goodbye; what waits is still published. All that waits for other nodes ends; returns work."""
        if self.up:
            self.queue.up(self.now)
        self.control(self.channels.everyone, Kind.GOODBYE, Goodbye("server shutting down"))
        return self.relay.end()

    def hello(self, channel: str) -> None:
        """Say that this node is there."""
        self.control(channel, Kind.HELLO, Hello(self._uptime_ms(self.now), VERSION))

    def _uptime_ms(self, now: float) -> int:
        return round((now - self.membership.started) * 1_000)

    def control(self, channel: str, kind: Kind, body: Any) -> None:
        """Let a control message go out, if the broker is there."""
        self.queue.control(channel, kind, encode_body(body))

    # --- what is due --------------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> Any:
        """Beats, leases, ages. Runs until the node forgets its deadlines."""
        if self.state is State.CLOSED:
            return None
        self.node.engine.deadlines.add(now + TICK, self._tick)
        left = self.subscriptions.tick(now)
        self.probing.look()
        self.queue.expire(now)
        self.sequences.tick(now)
        if self.options.traits.durable:
            self._look_whether_busy(now)
        events = self.events.follow(self.membership.tick(now))
        return several(events, self._beat_if_due(now), self.confessions.look(), go_on(left), self.relay.look())

    def _look_whether_busy(self, now: float) -> None:
        received = sum(self.counters.received.values()) + self.tracking.duplicates
        if received != self._received:
            self._received = received
            self.membership.busy(now)

    def _beat_if_due(self, now: float) -> Any:
        number = self.membership.beat(now)
        if number is None:
            return None
        self.sequences.roll(now)
        clients = self.node.clients_by_namespace()
        uptime = self._uptime_ms(now)
        for page, marks in enumerate(pages(self.sequences.marks(now)) or [()]):
            beat = Beat(number, uptime, clients if page == 0 else {}, marks, page)
            self.control(self.channels.everyone, Kind.BEAT, beat)
        return None

    # --- health -------------------------------------------------------------------------------------------------------

    def unready(self) -> tuple[str, ...]:
        """Why no client should come here (cluster.md 8), in words."""
        reasons = []
        if self.membership.deaf:
            reasons.append("this node does not hear itself through the broker")
        if self.membership.yielded:
            reasons.append("another node has this one's tag")
        if self.node.settings.require_broker:
            reasons += self.degraded()
        return tuple(reasons)

    def degraded(self) -> tuple[str, ...]:
        """Why clients here do not get all that they might."""
        if self.joined:
            return ()
        return ("this node does not hear yet what is published" if self.up else "the broker is away",)

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

    def answer(self, asker: Origin, answer: Answer) -> int:
        """Publish the end of an ask of another process; returns the ticket."""
        return publish_answer(self, asker, answer)

    def codec_of(self, name: str) -> Codec:
        """What reads the codec of that name in messages. PacketError for one that is not known here."""
        codec = self._codecs.get(name)
        if codec is None:
            serializer = CODECS.get(name)
            if serializer is None:
                raise PacketError("type", "another node uses an encoding that is not known here")
            codec = self._codecs[name] = make_codec(serializer, self._limits)
        return codec

    def decode_args(self, codec: str, args: bytes, attachments: tuple[bytes, ...]) -> list[Any]:
        """The values that another node encoded. PacketError for what is none."""
        values = self.codec_of(codec).decode_args(args)
        if attachments:
            fill(values, attachments)
        return values

    def census(self) -> dict[str, int]:
        """Entries of the tables that grow with use; all 0 when nothing is going on."""
        return {
            "asks": len(self.replies),
            "asked_by": len(self.asked_by),
            "pledges": len(self.relay.pledges),
            "rooms_on": len(self._rooms_on),
        }

    def _give_gauges(self) -> None:
        counters = self.counters
        counters.measure_out = lambda: {KIND_NAMES[kind]: count for kind, count in self.queue.published.items()}
        counters.measure_buffer_bytes = lambda: self.queue.waiting_bytes
        counters.measure_unpublished = lambda: self.queue.dropped
        counters.measure_abandoned = lambda: self.queue.abandoned
        counters.measure_newer = lambda: self.codec.newer
        counters.measure_lost = lambda: self.tracking.lost
        counters.measure_recanted = lambda: self.tracking.recanted
        counters.measure_duplicates = lambda: self.tracking.duplicates
        counters.measure_evictions = lambda: self.tracking.early_evictions
        counters.measure_peers = lambda: len(self.membership.peers)
        counters.measure_subscriptions = lambda: self.subscriptions.confirmed_count
        counters.measure_lag = lambda: self.membership.lag
        counters.measure_pending = lambda: len(self.replies)


def go_on(waiters: list[object]) -> Any:
    """The work when these need not wait for a subscription any longer."""
    return several(*[settle(waiter) for waiter in waiters]) if waiters else None


def _nobody() -> None:
    """No driver is there yet."""
