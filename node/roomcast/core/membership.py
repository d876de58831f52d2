"""Who else is there, whether this node is heard, and whether somebody else goes by its name (cluster.md 1 and 8).

Control messages of nodes come in, this node's own ones too; what they mean comes out as events. Whoever calls writes
the beats and does what the events ask for.

**Rounds.** Time passes for peers only as fast as beats of ours come back through the broker. A *round* is over when
one came back that was written after the round before it was over. A peer is lost when three rounds were over since it
was last heard. So an outage of the broker ends no round; and a stall of our own ends one at most: the beats that are
read in one go after it were all written before the first of them was read, and what peers wrote meanwhile is read
before the next round. After a break of the connection peers have a full lease again, since they had to come back as
well; but only once until they are heard, so that a connection that breaks all the time keeps no dead ones alive.

**Clock.** :attr:`Membership.clock` is the moment at which the latest of our beats that came back was written. Whatever
is read after that beat went through the broker after that moment, however late it is read. Marks are judged by it
(:mod:`roomcast.core.tracking`). A beat is due at once after :meth:`Membership.up`: written before a request for marks,
it comes back before the answers.

**Second epochs.** A tag that is taken by a live peer is given to another epoch only by a hello (a restart), or when
the other was heard before and after a round, and the one who has the tag was not heard in between. Our own tag has a
twin when another epoch was heard under it before and after a round.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Final

import msgspec

from roomcast_brokers.messages import Beat, Goodbye, Hello, Origin

TAG_LENGTH: Final = 4  # emitters have 8 characters, and are no members

# The bounds keep forged hellos from filling memory; a cluster of this design has tens of nodes.
MAX_PEERS: Final = 1_000
MAX_KNOWN: Final = 10_000  # tags that were peers once, for `knew`
MAX_NAMESPACES: Final = 1_000  # whose clients are remembered of one peer's beat

# Uptimes of twins that differ by less say nothing, since each is as old as its way through the broker was long: the
# epochs decide.
TWIN_TIE_MS: Final = 1_000
# A twin that is still heard so many rounds after it should have yielded thinks the same of us: the epochs decide.
TWIN_ROUNDS: Final = 10


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


class Rival:
    """Another epoch under a tag that is taken, and the rounds in which it was heard first and last."""

    __slots__ = ("epoch", "first", "last")

    def __init__(self, epoch: bytes, round_: int) -> None:
        self.epoch = epoch
        self.first = self.last = round_


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

    __slots__ = (
        "_barrier",
        "_beat",
        "_deaf",
        "_deaf_at",
        "_is_up",
        "_known",
        "_lease",
        "_looked",
        "_next",
        "_number",
        "_rounds",
        "_twin",
        "_twin_told",
        "_written",
        "clock",
        "lag",
        "origin",
        "peers",
        "refused",
        "started",
        "yielded",
    )

    def __init__(self, origin: Origin, beat: float = 1.0, lease: int = 3, started: float = 0.0) -> None:
        self.origin = origin
        self.started = started
        self.peers: dict[str, Peer] = {}
        self.refused = 0  # control messages of nodes for which there was no room
        self.lag = 0.0  # seconds that our latest beat that came back was on its way
        self.clock = started
        self.yielded = False  # a twin has our tag
        self._beat = beat
        self._lease = lease
        self._is_up = False
        self._next: float | None = None
        self._number = 0  # of the latest beat written
        self._written: deque[tuple[int, float]] = deque()  # since the last confirmation; not come back
        self._rounds = 0
        self._barrier: int | None = None  # a beat with a higher number ends the next round; None: begins one
        self._looked = started
        self._deaf = False
        self._deaf_at: float | None = None
        self._known: dict[str, bytes] = {}  # tag: its last epoch; the oldest first
        self._twin: Rival | None = None
        self._twin_told: int | None = None  # the round in which the twin was told of

    # --- the way to the broker ----------------------------------------------------------------------------------------

    def up(self, now: float) -> None:
        """The broker is up and the channel of everybody is confirmed. A beat is due at once."""
        self._is_up = True
        self._looked = now
        self._written.clear()
        self._barrier = None
        self._next = None if self.yielded else now
        self._deaf_at = None
        for peer in self.peers.values():
            if not peer.graced:
                peer.graced = True
                peer.heard = self._rounds

    def down(self, now: float) -> None:
        """The broker is away: no beats, and nobody is lost, until it is up again."""
        self._is_up = False
        self._written.clear()
        self._next = self._deaf_at = None

    @property
    def deaf(self) -> bool:
        """Whether what is written does not come back although the broker is up."""
        return self._deaf and self._is_up

    def due(self) -> float | None:
        """When :meth:`tick` or :meth:`beat` has something to do."""
        if self._next is None or self._deaf_at is None:
            return self._next
        return min(self._next, self._deaf_at)

    def tick(self, now: float) -> Events:
        """See whether this node is deaf. To be called when something is due; more often does no harm."""
        self._look(now)
        if self._deaf_at is None or now < self._deaf_at:
            return []
        self._written.clear()
        self._deaf_at = None
        again, self._deaf = self._deaf, True
        return [Deaf(again)]

    def beat(self, now: float) -> int | None:
        """The number of the beat that is to be written now, by the caller; None if none is due."""
        self._look(now)
        due = self._next
        if due is None or now < due:
            return None
        self._next = due + self._beat if due + self._beat > now else now + self._beat
        self._number += 1
        self._written.append((self._number, now))
        if self._deaf_at is None and len(self._written) >= self._lease:
            self._deaf_at = self._written[0][1] + self._lease * self._beat
        return self._number

    def uptime_ms(self, now: float) -> int:
        """Since when this node is there."""
        return int((now - self.started) * 1000)

    def rename(self, origin: Origin) -> None:
        """Go on under another tag, in the same epoch: a twin has the old one. A beat is due at once, if we are up."""
        self.origin = origin
        self.yielded = False
        self._twin = self._twin_told = None
        self._next = self._looked if self._is_up else None

    def _look(self, now: float) -> None:
        """After a stall of ours, what came back may wait in our sockets: it is read before we call ourselves deaf."""
        if self._deaf_at is not None and now - self._looked > 2 * self._beat:
            self._deaf_at = max(self._deaf_at, now + self._beat)
        self._looked = now

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
            if self._twin is not None and self._twin.epoch == origin.epoch:
                self._twin = self._twin_told = None
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
            peer.heard = self._rounds

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
            peer.heard = self._rounds
            peer.graced = False
            peer.rival = None
            return peer, []
        if not (hello and origin.epoch != peer.predecessor) and not self._is_believed(peer, origin.epoch):
            return None, []
        successor = self.peers[origin.name] = Peer(origin, self._rounds)
        successor.predecessor = peer.epoch
        return successor, [Restarted(origin.name, peer.epoch, origin.epoch)]

    def _admit(self, origin: Origin) -> tuple[Peer | None, Events]:
        if len(self.peers) >= MAX_PEERS or len(origin.name) != TAG_LENGTH:
            self.refused += 1
            return None, []
        peer = self.peers[origin.name] = Peer(origin, self._rounds)
        before = self._known.pop(origin.name, None)
        if before == origin.epoch:
            return peer, [Returned(origin.name, origin.epoch)]
        peer.predecessor = before
        return peer, [Joined(origin.name, origin.epoch)]

    def _is_believed(self, peer: Peer, epoch: bytes) -> bool:
        rival = self._seen(peer.rival, epoch)
        if peer.heard > rival.first:  # the one who has the tag lives: twins, who will settle it
            rival = Rival(epoch, self._rounds)
        peer.rival = rival
        return rival.last > rival.first

    def _seen(self, rival: Rival | None, epoch: bytes) -> Rival:
        """The rival, heard now. One that was not heard for a lease is heard for the first time."""
        if rival is None or rival.epoch != epoch or self._rounds - rival.last >= self._lease:
            return Rival(epoch, self._rounds)
        rival.last = self._rounds
        return rival

    def _forget(self, peer: Peer) -> None:
        tag = peer.origin.name
        del self.peers[tag]
        self._known.pop(tag, None)
        self._known[tag] = peer.epoch
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    def _came_back(self, number: int, now: float) -> Events:
        """A beat of ours: those before it, if they are missing, will not come any more, since order is kept."""
        written = self._written
        if not written or not written[0][0] <= number <= self._number:
            return []  # of before the last break, another page of one that was here, or made up
        while written and written[0][0] < number:
            written.popleft()
        self.clock = written.popleft()[1]
        self.lag = now - self.clock
        self._deaf_at = None
        events: Events = []
        if self._deaf:
            self._deaf = False
            events = [HearsAgain()]
        barrier = self._barrier
        if barrier is None or number > barrier:
            self._barrier = self._number
        if barrier is None or number <= barrier:
            return events
        self._rounds += 1
        return events + self._expelled()

    def _expelled(self) -> Events:
        limit = self._rounds - self._lease
        lost = [peer for peer in self.peers.values() if peer.heard <= limit]
        for peer in lost:
            self._forget(peer)
        return [Lost(peer.origin.name, peer.epoch) for peer in lost]

    def _heard_twin(self, origin: Origin, uptime_ms: int, now: float) -> Events:
        twin = self._seen(self._twin, origin.epoch)
        if twin is not self._twin:
            self._twin, self._twin_told = twin, None
        if self.yielded or twin.last == twin.first:
            return []
        by_epoch = self.origin.epoch < origin.epoch
        if self._twin_told is None:
            older_by = self.uptime_ms(now) - uptime_ms
            yields = by_epoch if abs(older_by) < TWIN_TIE_MS else older_by < 0
        elif self._rounds - self._twin_told >= TWIN_ROUNDS and by_epoch:
            yields = True
        else:
            return []
        self._twin_told = self._rounds
        if yields:
            self.yielded = True
            self._next = self._deaf_at = None
        return [Twin(yields)]
