"""The forwarder without its sockets: who is there, who wants which channel, and what waits for whom.

Everything is called with frames and the present time, in seconds. What is to be written comes out of
:meth:`Switchboard.outgoing`, peer by peer; whoever writes says what became of it.

A peer that does not read harms nobody else: what waits for it is bounded, and what does not fit is dropped and counted.
Its own confirmations and counts are never dropped; a peer that lets too many of them wait is shown out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from roomcast_brokers.backends.zmq.frames import (
    PROTOCOL,
    Count,
    Frame,
    FrameError,
    Goodbye,
    Hello,
    Messages,
    Names,
    Refused,
    Waiting,
    Welcome,
    cost_of,
    decode,
    encode,
)

# What may wait for one peer, in bytes, above what libzmq and the kernel hold for it: a second of 30,000 messages of
# 1 KB. A process that is stopped costs the forwarder this much, for SILENCE seconds at most.
HIGH_WATER: Final = 32 * 1_048_576

# Beyond the mark for what must not be dropped: 200,000 confirmations that a peer asked for and did not read.
SHOWN_OUT: Final = HIGH_WATER + 64 * 1_048_576

# Processes of one machine, or of a few. Each costs about a kilobyte here, and a connection.
MAX_PEERS: Final = 1_000

# A node has a channel for each of its rooms; this many take some 200 MB here.
MAX_CHANNELS: Final = 1_000_000

# Refusals that wait to be written; who is refused asks again.
MAX_REFUSALS: Final = 100

# A client with subscriptions speaks once a second. If it does not for so long it is stopped, or its connection is held
# open by somebody else (the child of a fork). Should it return it is refused, says hello and subscribes again.
SILENCE: Final = 300.0

# Who has been silent for so long is told something, because libzmq says only to who writes that a peer has gone.
ASKED_AFTER: Final = 30.0


class Peer:
    """One client that has said hello."""

    __slots__ = (
        "accepted",
        "asked",
        "blocked",
        "channels",
        "dropped",
        "heard",
        "identity",
        "owes",
        "pending",
        "waiting",
    )

    def __init__(self, identity: bytes, now: float) -> None:
        self.identity = identity
        self.channels: dict[str, None] = {}
        self.waiting = Waiting()
        self.pending: bytes | None = None  # a frame that was taken and could not be written yet
        self.blocked = False
        self.owes = False  # a count is to be told, with the next messages or alone
        self.accepted = 0
        self.dropped = 0
        self.heard = now
        self.asked = now

    def next_frame(self) -> bytes | None:
        """What is to be written next, the same until it is :meth:`written`."""
        if self.pending is None:
            frame: Frame | None = self.waiting.take(self.accepted)
            if frame is None and self.owes:
                frame = Count(self.accepted)
            if frame is not None:
                if not isinstance(frame, Names):
                    self.owes = False
                self.pending = encode(frame)
        return self.pending

    def written(self) -> None:
        self.pending = None


class Switchboard:
    """See the module. Plain integers count: ``dropped`` deliveries that did not fit, ``malformed`` frames, ``refused``
    peers.
    """

    def __init__(
        self, high_water: int = HIGH_WATER, max_peers: int = MAX_PEERS, max_channels: int = MAX_CHANNELS
    ) -> None:
        self.dropped = 0
        self.malformed = 0
        self.refused = 0
        self.max_peers = max_peers
        self._high_water = high_water
        self._max_channels = max_channels
        self._peers: dict[bytes, Peer] = {}
        # dicts as ordered sets: everybody hears in the order in which they subscribed
        self._subscribers: dict[str, dict[Peer, None]] = {}
        self._ready: dict[Peer, None] = {}
        self._blocked: dict[Peer, None] = {}
        self._refusals: deque[tuple[bytes, bytes]] = deque()
        self._answers: dict[type[Frame], Callable[[Peer, Frame], None]] = {
            Messages: self._messages,
            Names: self._names,
            Count: self._count,
            Goodbye: self._goodbye,
        }

    @property
    def peers(self) -> int:
        return len(self._peers)

    @property
    def blocked(self) -> bool:
        """Whether something waits for a peer that takes nothing: try again soon."""
        return bool(self._blocked)

    def subscribers(self, channel: str) -> int:
        return len(self._subscribers.get(channel, ()))

    def received(self, identity: bytes, data: bytes | memoryview, now: float) -> None:
        """One frame from the connection ``identity``."""
        try:
            frame = decode(data)
        except FrameError:
            self.malformed += 1
            return
        if isinstance(frame, Hello):
            self._hello(identity, frame, now)
            return
        peer = self._peers.get(identity)
        if peer is None:
            self._refuse(identity, "say hello first")
            return
        peer.heard = peer.asked = now
        answer = self._answers.get(type(frame))
        if answer is None:
            self.malformed += 1
        else:
            answer(peer, frame)

    def outgoing(self) -> Iterator[Peer]:
        """Those for whom something may be written; the caller asks :meth:`Peer.next_frame` until it says None, or calls
        :meth:`stuck` or :meth:`gone`.
        """
        ready, self._ready = self._ready, {}
        for peer in ready:
            if not peer.blocked:
                yield peer

    def again(self) -> None:
        """Let those who took nothing be tried again with the next :meth:`outgoing`."""
        for peer in self._blocked:
            peer.blocked = False
            self._ready[peer] = None
        self._blocked.clear()

    def stuck(self, peer: Peer) -> None:
        """``peer`` takes nothing at present."""
        peer.blocked = True
        self._blocked[peer] = None

    def refusals(self) -> Iterator[tuple[bytes, bytes]]:
        """(identity, frame) of those who are turned away; nobody cares whether they can be told."""
        while self._refusals:
            yield self._refusals.popleft()

    def gone(self, peer: Peer) -> None:
        """``peer`` is not there any more; nor is what it subscribed and what waits for it. May be called twice."""
        self._peers.pop(peer.identity, None)
        self._blocked.pop(peer, None)
        self._ready.pop(peer, None)
        for channel in peer.channels:
            self._unsubscribe(channel, peer)
        peer.channels.clear()
        peer.waiting.clear()
        peer.pending = None
        peer.owes = False

    def tick(self, now: float) -> None:
        """Once a second or so: look after those who say nothing."""
        for peer in list(self._peers.values()):
            if peer.channels and now - peer.heard > SILENCE:
                self.gone(peer)
            elif now - peer.asked > ASKED_AFTER:
                peer.asked = now
                self._owe(peer)

    # --- what the frames do -----------------------------------------------------------------------------------------

    def _hello(self, identity: bytes, hello: Hello, now: float) -> None:
        if hello.protocol != PROTOCOL:
            self._refuse(identity, f"this forwarder speaks {PROTOCOL}")
            return
        former = self._peers.get(identity)
        if former is not None:
            self.gone(former)
        if len(self._peers) >= self.max_peers:
            self._refuse(identity, "too many clients")
            return
        peer = self._peers[identity] = Peer(identity, now)
        peer.pending = encode(Welcome(PROTOCOL))
        self._ready[peer] = None

    def _messages(self, peer: Peer, frame: Frame) -> None:
        assert isinstance(frame, Messages)
        ready = self._ready
        for message in frame.items:
            subscribers = self._subscribers.get(message[0])
            if subscribers:
                cost = cost_of(message[0], message[1])
                for subscriber in subscribers:
                    waiting = subscriber.waiting
                    if waiting.cost + cost > self._high_water:
                        subscriber.dropped += 1
                        self.dropped += 1
                    else:
                        waiting.put_message(message, cost)
                        ready[subscriber] = None
        peer.accepted += len(frame.items)
        self._owe(peer)

    def _names(self, peer: Peer, frame: Frame) -> None:
        assert isinstance(frame, Names)
        for channel, token in frame.items:
            if not token:
                if channel in peer.channels:
                    del peer.channels[channel]
                    self._unsubscribe(channel, peer)
                continue
            if len(peer.channels) >= self._max_channels or peer.waiting.cost > SHOWN_OUT:
                self.gone(peer)
                self._refuse(peer.identity, "too many channels")
                return
            peer.channels[channel] = None
            self._subscribers.setdefault(channel, {})[peer] = None
            peer.waiting.put_name((channel, token))
        self._ready[peer] = None

    def _count(self, peer: Peer, _: Frame) -> None:
        self._owe(peer)

    def _goodbye(self, peer: Peer, _: Frame) -> None:
        self.gone(peer)

    def _owe(self, peer: Peer) -> None:
        peer.owes = True
        self._ready[peer] = None

    def _unsubscribe(self, channel: str, peer: Peer) -> None:
        subscribers = self._subscribers[channel]
        subscribers.pop(peer, None)
        if not subscribers:
            del self._subscribers[channel]

    def _refuse(self, identity: bytes, why: str) -> None:
        self.refused += 1
        if len(self._refusals) < MAX_REFUSALS:
            self._refusals.append((identity, encode(Refused(why))))
