"""Who else is there, whether this node is heard, and whether somebody else goes by its name (cluster.md 1 and 8).

Control messages of nodes come in, this node's own ones too; what they mean comes out as events. Whoever calls writes
the beats and does what the events ask for.

**Leases.** A peer is lost when three rounds (:mod:`roomcast.core.own_beats`) were over since it was last heard. After a
break of the connection peers have a full lease again, since they had to come back as well; but only once until they are
heard, so that a connection that breaks all the time keeps no dead ones alive.

**Second epochs.** A tag that is taken by a live peer is given to another epoch only by a hello (a restart), or when
the other was heard before and after a round, and the one who has the tag was not heard in between. Our own tag has a
twin when another epoch was heard under it before and after a round.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final

import msgspec

from roomcast.core.own_beats import OwnBeats
from roomcast.core.rivals import Rival, TwinWatch, heard_again
from roomcast_brokers.messages import Beat, Goodbye, Hello, Origin

TAG_LENGTH: Final = 4  # emitters have 8 characters, and are no members

# The bounds keep forged hellos from filling memory; a cluster of this design has tens of nodes.
MAX_PEERS: Final = 1_000
MAX_KNOWN: Final = 10_000  # tags that were peers once, for `knew`
MAX_NAMESPACES: Final = 1_000  # whose clients are remembered of one peer's beat


class Joined(msgspec.Struct, frozen=True):
    """A node is there that was not known, or not in this life of it."""

    tag: str
    epoch: bytes


class Restarted(msgspec.Struct, frozen=True):
    """A node that was alive is there in another life: what waited for the old one ends."""

    tag: str
    old_epoch: bytes
    epoch: bytes


class Lost(msgspec.Struct, frozen=True):
    """A node was not heard for a lease: what waited for it ends."""

    tag: str
    epoch: bytes


class Left(msgspec.Struct, frozen=True):
    """A node has said goodbye: what waited for it ends."""

    tag: str
    epoch: bytes


class Returned(msgspec.Struct, frozen=True):
    """A node that was lost is simply there again, in the same life."""

    tag: str
    epoch: bytes


class Twin(msgspec.Struct, frozen=True):
    """Another process goes by our tag. ``yields``: it is for this one to give way; it writes no beats any more."""

    yields: bool


class Deaf(msgspec.Struct, frozen=True):
    """What we write does not come back: rebuild the connection. ``again``: that was done and did not help."""

    again: bool = False


class HearsAgain(msgspec.Struct, frozen=True):
    """A beat of ours came back after we were deaf."""


Event = Joined | Restarted | Lost | Left | Returned | Twin | Deaf | HearsAgain
Events = list[Event]


class Peer:
    """A live node, as far as it has been heard. ``heard`` is the round in which it was heard last."""

    __slots__ = (
        "clients",
        "epoch",
        "graced",
        "heard",
        "number",
        "origin",
        "predecessor",
        "rival",
        "uptime_ms",
        "version",
    )

    def __init__(self, origin: Origin, heard: int) -> None:
        self.origin = origin
        self.epoch = origin.epoch
        self.heard = heard
        self.graced = False  # got a full lease anew after a break, and has not been heard since
        self.number = 0  # of its latest beat
        self.uptime_ms = 0
        self.clients: Mapping[str, int] = {}
        self.version = ""
        self.predecessor: bytes | None = None  # the epoch before this one
        self.rival: Rival | None = None


class Membership:
    """One node's view. ``beat`` is in seconds, ``lease`` in beats, ``started`` the present time."""

    __slots__ = ("_known", "_lease", "_own", "_twins", "origin", "peers", "refused", "started")

    def __init__(self, origin: Origin, beat: float = 1.0, lease: int = 3, started: float = 0.0) -> None:
        self.origin = origin
        self.started = started
        self.peers: dict[str, Peer] = {}
        self.refused = 0  # control messages of nodes for which there was no room
        self._own = OwnBeats(beat, lease, started)
        self._lease = lease
        self._known: dict[str, bytes] = {}  # tag: its last epoch; the oldest first
        self._twins = TwinWatch(lease)

    # --- the way to the broker ----------------------------------------------------------------------------------------

    def up(self, now: float) -> None:
        """The broker is up and the channel of everybody is confirmed. A beat is due at once."""
        self._own.up(now)
        for peer in self.peers.values():
            if not peer.graced:
                peer.graced = True
                peer.heard = self._own.rounds

    def down(self, now: float) -> None:
        """The broker is away: no beats, and nobody is lost, until it is up again."""
        self._own.down()

    @property
    def deaf(self) -> bool:
        """Whether what is written does not come back although the broker is up."""
        return self._own.is_deaf and self._own.is_up

    @property
    def yielded(self) -> bool:
        """Whether a twin has our tag, and we write no beats."""
        return self._own.silent

    @property
    def clock(self) -> float:
        """The moment at which our latest beat that came back was written: the time by which marks are judged."""
        return self._own.clock

    @property
    def lag(self) -> float:
        """Seconds that our latest beat that came back was on its way."""
        return self._own.lag

    def due(self) -> float | None:
        """When :meth:`tick` or :meth:`beat` has something to do."""
        return self._own.due()

    def tick(self, now: float) -> Events:
        """See whether this node is deaf. To be called when something is due; more often does no harm."""
        again = self._own.is_deaf
        return [Deaf(again)] if self._own.fell_deaf(now) else []

    def busy(self, now: float) -> None:
        """A durable broker has delivered something of others: our own beats may wait behind what is left of it."""
        self._own.busy(now)

    def beat(self, now: float) -> int | None:
        """The number of the beat that is to be written now, by the caller; None if none is due."""
        return self._own.write(now)

    def uptime_ms(self, now: float) -> int:
        """For how long this node has been there."""
        return int((now - self.started) * 1000)

    def rename(self, origin: Origin) -> None:
        """Go on under another tag, in the same epoch: a twin has the old one. A beat is due at once, if we are up."""
        self.origin = origin
        self._twins = TwinWatch(self._lease)
        self._own.silence(False)

    # --- what is heard ------------------------------------------------------------------------------------------------

    def heard_hello(self, origin: Origin, body: Hello, now: float) -> Events:
        """A node says hello, or we do."""
        if origin.epoch == self.origin.epoch:
            return []
        if origin.name == self.origin.name:
            return self._heard_twin(origin, body.uptime_ms, now)
        peer, events = self._heard(origin, hello=True)
        if peer is not None:
            peer.uptime_ms = body.uptime_ms
            peer.version = body.version
        return events

    def heard_beat(self, origin: Origin, body: Beat, now: float) -> Events:
        """A node lives; or a beat of ours came back, which ends leases."""
        if origin.epoch == self.origin.epoch:
            return self._came_back(body.number, now)
        if origin.name == self.origin.name:
            return self._heard_twin(origin, body.uptime_ms, now)
        peer, events = self._heard(origin, hello=False)
        if peer is not None and body.page == 0:
            peer.number = body.number
            peer.uptime_ms = body.uptime_ms
            clients = body.clients
            peer.clients = clients if len(clients) <= MAX_NAMESPACES else dict(islice(clients.items(), MAX_NAMESPACES))
        return events

    def heard_goodbye(self, origin: Origin, body: Goodbye, now: float) -> Events:
        """A node leaves; or we do, or a predecessor of ours did."""
        if origin.name == self.origin.name:
            self._twins.gone(origin.epoch)
            return []
        peer = self.peers.get(origin.name)
        if peer is None or peer.epoch != origin.epoch:
            return []
        self._forget(peer)
        return [Left(origin.name, origin.epoch)]

    def heard_other(self, origin: Origin, now: float) -> None:
        """Any other message: a peer that sends something lives. (Hot: once per message received.)

        It makes no peers and brings no lost ones back: that takes a control message, which is never stored anywhere.
        """
        peer = self.peers.get(origin.name)
        if peer is not None and peer.epoch == origin.epoch:
            peer.heard = self._own.rounds

    # --- who is known -------------------------------------------------------------------------------------------------

    def owner_epoch(self, tag: str) -> bytes | None:
        """The epoch of that live peer."""
        peer = self.peers.get(tag)
        return None if peer is None else peer.epoch

    def is_alive(self, tag: str) -> bool:
        """Whether that is a live peer. We are none."""
        return tag in self.peers

    def knew(self, tag: str) -> bool:
        """Whether that is a live peer or was one."""
        return tag in self.peers or tag in self._known

    # --- how ----------------------------------------------------------------------------------------------------------

    def _heard(self, origin: Origin, hello: bool) -> tuple[Peer | None, Events]:
        peer = self.peers.get(origin.name)
        if peer is None:
            return self._admit(origin)
        if peer.epoch == origin.epoch:
            peer.heard = self._own.rounds
            peer.graced = False
            peer.rival = None
            return peer, []
        if not (hello and origin.epoch != peer.predecessor) and not self._is_believed(peer, origin.epoch):
            return None, []
        successor = self.peers[origin.name] = Peer(origin, self._own.rounds)
        successor.predecessor = peer.epoch
        return successor, [Restarted(origin.name, peer.epoch, origin.epoch)]

    def _admit(self, origin: Origin) -> tuple[Peer | None, Events]:
        if len(self.peers) >= MAX_PEERS or len(origin.name) != TAG_LENGTH:
            self.refused += 1
            return None, []
        peer = self.peers[origin.name] = Peer(origin, self._own.rounds)
        before = self._known.pop(origin.name, None)
        if before == origin.epoch:
            return peer, [Returned(origin.name, origin.epoch)]
        peer.predecessor = before
        return peer, [Joined(origin.name, origin.epoch)]

    def _is_believed(self, peer: Peer, epoch: bytes) -> bool:
        rival = heard_again(peer.rival, epoch, self._own.rounds, self._lease)
        if peer.heard > rival.first:  # the one who has the tag lives: twins, who will settle it
            rival = Rival(epoch, self._own.rounds)
        peer.rival = rival
        return rival.lives

    def _forget(self, peer: Peer) -> None:
        tag = peer.origin.name
        del self.peers[tag]
        self._known.pop(tag, None)
        self._known[tag] = peer.epoch
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    def _came_back(self, number: int, now: float) -> Events:
        was_deaf = self._own.is_deaf
        ends_round = self._own.came_back(number, now)
        events: Events = [HearsAgain()] if was_deaf and not self._own.is_deaf else []
        return events + self._expelled() if ends_round else events

    def _expelled(self) -> Events:
        limit = self._own.rounds - self._lease
        lost = [peer for peer in self.peers.values() if peer.heard <= limit]
        for peer in lost:
            self._forget(peer)
        return [Lost(peer.origin.name, peer.epoch) for peer in lost]

    def _heard_twin(self, origin: Origin, uptime_ms: int, now: float) -> Events:
        if self.yielded:
            return []
        yields = self._twins.heard(self.origin, self.uptime_ms(now), origin.epoch, uptime_ms, self._own.rounds)
        if yields is None:
            return []
        if yields:
            self._own.silence(True)
        return [Twin(yields)]
