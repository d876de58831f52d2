"""Three nodes and a broker: whoever stands still, whatever is away, nobody who could be heard is given up.

Nodes stand still, what they write is held up, the broker goes away and comes back, nodes die and come back in another
life. A peer may be called lost only if it could not be heard for two beats, an outage of the broker being no reason,
and nobody is deaf. In the end everybody knows everybody who lives.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from roomcast.core.membership import Deaf, Event, Lost, Membership, Twin
from roomcast_brokers.messages import Beat, Hello, Origin

STEP = 0.1
NAMES = ("aaaa", "bbbb", "cccc")


@dataclass
class Letter:
    origin: Origin
    body: Hello | Beat
    arrived: float


class Process:
    """One life of one node, and its connection."""

    def __init__(self, origin: Origin, now: float) -> None:
        self.origin = origin
        self.membership = Membership(origin, started=now)
        self.inbox: deque[Letter] = deque()
        self.connected = False
        self.reconnects: float | None = now
        self.stalled_until = 0.0
        self.held_until = -1_000.0
        self.held: list[Hello | Beat] = []
        self.unheard = now  # the latest moment at which nobody could hear it

    def stands_still(self, now: float) -> bool:
        return now < self.stalled_until


class Cluster:
    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self.lives = 0
        self.broker_back = -1_000.0
        self.nodes = {name: self.born(name) for name in NAMES}
        for place, node in enumerate(self.nodes.values()):
            node.reconnects = place * 0.3  # so that they do not beat at the same moment

    def born(self, name: str) -> Process:
        self.lives += 1
        return Process(Origin(name, self.lives.to_bytes(8, "big")), self.now)

    # --- what happens -------------------------------------------------------------------------------------------------

    def stall(self, name: str, seconds: float) -> None:
        node = self.nodes[name]
        node.stalled_until = max(node.stalled_until, self.now + seconds)

    def hold(self, name: str, seconds: float) -> None:
        node = self.nodes[name]
        if self.now > node.held_until + 3.0:  # else it would be deaf indeed
            node.held_until = self.now + seconds

    def outage(self, seconds: float, spread: float) -> None:
        """Nodes come back one after the other. Peers get a full lease after it, but only once until they are heard."""
        again = self.now < self.broker_back + 4.0
        self.broker_back = max(self.broker_back, self.now + seconds)
        for place, node in enumerate(self.nodes.values()):
            node.held.clear()
            if again:
                node.unheard = self.broker_back + place * spread
            if node.connected:
                node.connected = False
                node.inbox.clear()
                node.membership.down(self.now)
            node.reconnects = self.broker_back + place * spread

    def restart(self, name: str) -> None:
        self.nodes[name] = self.born(name)
        self.nodes[name].reconnects = max(self.now + 0.5, self.broker_back)

    # --- time ---------------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            self.steps += 1
            self.now = self.steps * STEP
            for place, node in enumerate(self.nodes.values()):
                if node.stands_still(self.now):
                    node.unheard = max(node.unheard, self.now)
                    continue
                if not node.connected:
                    self.connect(node)
                self.turn(node, place)

    def connect(self, node: Process) -> None:
        if node.membership.clock == node.membership.started:
            node.unheard = self.now  # it was never there
        if node.reconnects is not None and self.now >= node.reconnects:
            node.connected = True
            node.membership.up(self.now)
            self.send(node, Hello(node.membership.uptime_ms(self.now)))

    def turn(self, node: Process, place: int) -> None:
        """One turn of its loop: timers and sockets in this order or the other."""
        self.release(node)
        if (self.steps + place) % 2:
            self.read(node)
        self.judge(node, node.membership.tick(self.now), self.now)
        number = node.membership.beat(self.now)
        if number is not None:
            self.send(node, Beat(number, node.membership.uptime_ms(self.now), {"/": 1}))
        if not (self.steps + place) % 2:
            self.read(node)

    def send(self, sender: Process, body: Hello | Beat) -> None:
        sender.held.append(body)
        self.release(sender)

    def release(self, sender: Process) -> None:
        if self.now < sender.held_until:
            sender.unheard = max(sender.unheard, self.now)
            return
        for each in sender.held:
            for node in self.nodes.values():
                if node.connected:
                    node.inbox.append(Letter(sender.origin, each, self.now))
        sender.held.clear()

    def read(self, node: Process) -> None:
        while node.inbox:
            letter = node.inbox.popleft()
            if isinstance(letter.body, Hello):
                events = node.membership.heard_hello(letter.origin, letter.body, self.now)
            else:
                events = node.membership.heard_beat(letter.origin, letter.body, self.now)
            self.judge(node, events, letter.arrived)

    def judge(self, node: Process, events: list[Event], at: float) -> None:
        for event in events:
            assert not isinstance(event, Deaf | Twin)
            if isinstance(event, Lost):
                peer = self.nodes[event.tag]
                alive = peer.origin.epoch == event.epoch
                assert not alive or peer.unheard > at - 2.0, f"{event.tag} could be heard since {peer.unheard}"

    # --- the end ------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        self.pass_time(max(0.0, self.broker_back - self.now))
        self.pass_time(max(0.0, *(node.stalled_until - self.now for node in self.nodes.values())))
        self.pass_time(6.5)
        for node in self.nodes.values():
            others = {name: other.origin.epoch for name, other in self.nodes.items() if other is not node}
            assert {tag: peer.epoch for tag, peer in node.membership.peers.items()} == others
            assert not node.membership.deaf


NAME = st.sampled_from(NAMES)
EVENTS = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0.1, 0.7, 1.0, 2.5, 4.0])),
    st.tuples(st.just("stall"), NAME, st.sampled_from([0.5, 1.5, 2.5, 4.0, 10.0])),
    st.tuples(st.just("hold"), NAME, st.sampled_from([0.5, 1.5, 2.5])),
    st.tuples(st.just("outage"), st.sampled_from([0.1, 1.0, 5.0]), st.sampled_from([0.0, 0.3, 1.3])),
    st.tuples(st.just("restart"), NAME),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=25))
def test_nobody_who_could_be_heard_is_given_up(events: list[tuple[object, ...]]) -> None:
    cluster = Cluster()
    cluster.pass_time(2.0)
    for event in events:
        match event:
            case ("pass", float(seconds)):
                cluster.pass_time(seconds)
            case ("stall", str(name), float(seconds)):
                cluster.stall(name, seconds)
            case ("hold", str(name), float(seconds)):
                cluster.hold(name, seconds)
            case ("outage", float(seconds), float(spread)):
                cluster.outage(seconds, spread)
            case ("restart", str(name)):
                cluster.restart(name)
            case _:
                raise AssertionError(event)
    cluster.settle()


def test_the_dead_are_called_lost_within_a_lease() -> None:
    """A node's last beat is up to a second old when it dies; three beats of ours later it is lost."""
    for moment in range(10):
        cluster = Cluster()
        cluster.pass_time(3.0 + moment * STEP)
        cluster.stall("cccc", 1_000.0)
        cluster.pass_time(3.1)
        assert not cluster.nodes["aaaa"].membership.is_alive("cccc")
        assert not cluster.nodes["bbbb"].membership.is_alive("cccc")
