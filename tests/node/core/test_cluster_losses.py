"""Loss reported equals loss observed, whatever breaks (cluster.md 7): random schedules over three nodes.

Every node has one client, and it is in every room; so an emit of one node is for exactly one client of each other node.
At the end, when all is well again and three beats have passed, of each node must be true: what its client never got is
what the node has confessed, plus what the others say that they could never publish.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from roomcast_brokers.contracts import Traits
from tests.support.played_broker import Copy
from tests.support.world import Member, World

ORDERED = Traits(ordered_across_channels=True)
TRAITS = {
    "ordered": ORDERED,
    "unordered": Traits(ordered_across_channels=False),
    "sharded": Traits(ordered_across_channels=True, cheap_subscriptions=False),
    "silent": Traits(ordered_across_channels=True, confirms_subscriptions=False),
    "durable": Traits(ordered_across_channels=True, durable=True),
    "durable shards": Traits(cheap_subscriptions=False, durable=True),
}
CONTROL_FLAG = 2
QUIET = 12.0
"""Seconds after the last fault: beats with marks, and a lease where marks wait for one."""

NODES = st.integers(0, 2)
TARGETS = st.sampled_from([None, "x", "y", ("x", "y"), ("y", "nobody")])
SOME = st.integers(1, 4)
ACTIONS = st.one_of(
    st.tuples(st.just("emits"), NODES, TARGETS),
    st.tuples(st.just("breaks in flight"), NODES, st.lists(TARGETS, min_size=1, max_size=4), st.integers(0, 4)),
    st.tuples(st.just("hands over"), NODES),
    st.tuples(st.just("takes"), NODES, SOME),
    st.tuples(st.just("tells receipts"), NODES),
    st.tuples(st.just("gives"), NODES, SOME),
    st.tuples(st.just("loses"), NODES),
    st.tuples(st.just("has a slow channel"), NODES, st.sampled_from([None, "x", "y"])),
    st.tuples(st.just("has no slow channel"), NODES),
    st.tuples(st.just("breaks"), NODES, st.integers(0, 4)),
    st.tuples(st.just("comes back"), NODES),
    st.tuples(st.just("broker ends")),
    st.tuples(st.just("broker comes back"), st.permutations(range(3))),
    st.tuples(st.just("stands still"), st.sampled_from([0.25, 1.0, 3.0])),
    st.tuples(st.just("goes on"), st.sampled_from([0.25, 1.0, 6.0])),
    st.tuples(st.just("settles")),
    st.tuples(st.just("settles")),
)


def is_control(payload: bytes) -> bool:
    return payload[5] & CONTROL_FLAG != 0


class Run:
    """Three nodes, and what was emitted and heard so far."""

    def __init__(self, traits: Traits) -> None:
        self.world = World(traits)
        self.members: list[Member] = self.world.nodes("aaaa", "bbbb", "cccc")
        self.clients = [member.client() for member in self.members]
        for member, client in zip(self.members, self.clients, strict=True):
            for room in ("x", "y"):
                member.enter(client.sid, room)
        self.emitted: list[tuple[int, Any]] = []  # by whom, to whom; the index is the message
        self.heard: list[list[int]] = [[], [], []]
        self.removed = [0, 0, 0]  # operations that each node's way has lost, one message at a time
        self.lossy = False  # a single message that got lost may come after later ones of other channels, written again
        self.world.advance(8)  # the first four seconds of a subscription are outside the promise

    def does(self, action: tuple[Any, ...]) -> None:
        name, *args = action
        getattr(self, f"_{name.replace(' ', '_')}")(*args)
        self._listen()

    def _emits(self, node: int, to: Any) -> None:
        self.members[node].emit("message", len(self.emitted), to=to)
        self.emitted.append((node, to))

    def _hands_over(self, node: int) -> None:
        self.members[node].flush()

    def _takes(self, node: int, count: int) -> None:
        way = self.members[node].way
        for position in range(count):
            if way.up:
                way.take(position)

    def _tells_receipts(self, node: int) -> None:
        if self.members[node].way.up:
            self.members[node].way.tell_receipts()

    def _gives(self, node: int, count: int) -> None:
        for _ in range(count):
            if self.members[node].way.up:
                self.members[node].way.give()

    def _loses(self, node: int) -> None:
        way = self.members[node].way
        lost: Copy | None = next(
            (copy for copy in way.incoming if copy.payload is not None and not is_control(copy.payload)), None
        )
        if lost is not None:
            way.incoming.remove(lost)
            assert lost.payload is not None
            self.removed[node] += len(self.world.read(lost.channel, lost.payload).operations)
            self.lossy = True

    def _has_a_slow_channel(self, node: int, room: str | None) -> None:
        """One way to lag behind: also for longer than a lease."""
        channels = self.members[node].cluster.channels
        if not self.world.broker.traits.ordered_across_channels:
            self.members[node].way.slow.add(channels.everyone if room is None else channels.room("/", room))

    def _has_no_slow_channel(self, node: int) -> None:
        self.members[node].way.slow.clear()

    def _breaks(self, node: int, arrived: int) -> None:
        way = self.members[node].way
        way.repeats = arrived
        way.break_off(arrived)

    def _breaks_in_flight(self, node: int, targets: list[Any], arrived: int) -> None:
        """Messages are handed over, some arrive, and of none there is a receipt."""
        self.world.settle()
        for to in targets:
            self._emits(node, to)
            self.members[node].flush()
        self._breaks(node, arrived)

    def _comes_back(self, node: int) -> None:
        way = self.members[node].way
        if not way.up and not self.world.broker.down:
            way.restore()

    def _broker_ends(self) -> None:
        self.world.broker.take_down()

    def _broker_comes_back(self, order: list[int]) -> None:
        """The nodes reach it one after another; those that come first have said all that they say by then."""
        self.world.broker.down = False
        for node in order:
            self._comes_back(node)
            self.world.settle()

    def _stands_still(self, seconds: float) -> None:
        """Time passes, and nothing arrives."""
        self.world.advance(seconds, settling=False)

    def _goes_on(self, seconds: float) -> None:
        self.world.advance(seconds)

    def _settles(self) -> None:
        self.world.settle()

    def _listen(self) -> None:
        for heard, client in zip(self.heard, self.clients, strict=True):
            heard += [number for _, number in client.heard()]

    def ends_well(self) -> None:
        for node in range(3):
            self._has_no_slow_channel(node)
        self._broker_comes_back([0, 1, 2])
        self.world.settle()
        self.world.advance(QUIET)
        self._listen()

    def judge(self) -> None:
        for node, (member, heard) in enumerate(zip(self.members, self.heard, strict=True)):
            assert len(heard) == len(set(heard)), "a client has got something twice"
            own = {number for number, (by, _) in enumerate(self.emitted) if by == node}
            assert own <= set(heard), "local delivery depends on nothing"
            missing = len(self.emitted) - len(heard)
            tracking = member.cluster.tracking
            confessed = tracking.lost - tracking.recanted
            unpublished = sum(other.cluster.queue.dropped for other in self.members if other is not member)
            assert missing == confessed + unpublished, (member.tag, missing, confessed, unpublished)
            if self.world.broker.traits.durable:
                assert tracking.lost <= self.removed[node], "a break loses nothing"
                assert tracking.recanted == 0, "what was on its way is not lost"
            gaps = sum(gap.count for gap in member.gaps)
            assert gaps == tracking.lost
            for by in range(3):
                numbers = [number for number in heard if self.emitted[number][0] == by]
                if self.world.broker.traits.ordered_across_channels and not self.lossy:
                    assert numbers == sorted(numbers), "out of order"
                for to in {to for _, to in self.emitted}:
                    channel = [number for number in numbers if self.emitted[number][1] == to]
                    assert channel == sorted(channel), "out of order on one channel"


@pytest.mark.parametrize("name", TRAITS)
@hypothesis_settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(actions=st.lists(ACTIONS, min_size=5, max_size=60))
def test_loss_reported_is_loss_observed(name: str, actions: list[tuple[Any, ...]]) -> None:
    judge(TRAITS[name], actions)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TRAITS)
@hypothesis_settings(deadline=None, max_examples=800, suppress_health_check=[HealthCheck.too_slow])
@given(actions=st.lists(ACTIONS, min_size=5, max_size=150))
def test_loss_reported_is_loss_observed_in_long_schedules(name: str, actions: list[tuple[Any, ...]]) -> None:
    judge(TRAITS[name], actions)


def judge(traits: Traits, actions: list[tuple[Any, ...]]) -> None:
    run = Run(traits)
    for action in actions:
        run.does(action)
    run.ends_well()
    run.judge()


def test_who_asks_before_the_others_are_back_is_told_all_the_same() -> None:
    """c missed something in a break of its own, long ago; and when all come back from the broker's end, it is first."""
    judge(
        ORDERED,
        [
            ("breaks", 2, 0),
            ("emits", 0, "x"),
            ("goes on", 6.0),
            ("broker ends",),
            ("broker comes back", [2, 1, 0]),
        ],
    )
