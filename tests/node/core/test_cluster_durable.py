"""A broker that keeps messages for who is cut off: late is not lost, and who is busy catching up is not deaf."""

from __future__ import annotations

import pytest

from roomcast.settings import Settings
from roomcast_brokers.contracts import Traits
from roomcast_brokers.messages import Kind
from tests.support.world import Member, World

QUEUE = Traits(ordered_across_channels=True, durable=True)
"""One queue for each node, as in RabbitMQ."""
PARTITIONS = Traits(cheap_subscriptions=False, durable=True)
"""Each channel keeps its order, as in Kafka."""
PATIENT = Settings(ping_interval=1_000.0)


class Pair:
    """Two nodes; a client of the second is in a room, and has heard of both of its channels before."""

    def __init__(self, traits: Traits) -> None:
        self.world = World(traits)
        self.a, self.b = self.world.nodes("aaaa", "bbbb", settings=PATIENT)
        self.bert = self.b.client()
        self.b.enter(self.bert.sid, "room")
        self.world.advance(5)
        self.a.emit("first", to="room")
        self.a.emit("first")
        self.world.advance(5)
        self.bert.heard()
        self.room = self.b.cluster.channels.room("/", "room")

    def breaks_while_is_emitted(self, count: int) -> None:
        """What the room got meanwhile waits at the broker."""
        self.b.way.break_off()
        for number in range(count):
            self.a.emit("meanwhile", number, to="room")
        self.world.advance(2)


def losses(member: Member) -> tuple[int, int]:
    return member.cluster.tracking.lost, member.cluster.tracking.recanted


@pytest.mark.parametrize("traits", [QUEUE, PARTITIONS])
def test_what_was_published_during_a_break_comes_late_and_once(traits: Traits) -> None:
    pair = Pair(traits)
    pair.b.way.repeats = 3
    pair.breaks_while_is_emitted(5)
    pair.b.way.restore()
    pair.world.advance(10)
    assert pair.bert.heard() == [["meanwhile", number] for number in range(5)]
    assert losses(pair.b) == (0, 0)


def test_a_channel_that_lags_behind_the_beats_is_not_confessed() -> None:
    pair = Pair(PARTITIONS)
    pair.breaks_while_is_emitted(5)
    pair.b.way.slow.add(pair.room)
    pair.b.way.restore()
    pair.world.advance(30)
    assert pair.bert.heard() == []
    assert losses(pair.b) == (0, 0)
    assert pair.b.cluster.unready() == ()
    pair.b.way.slow.clear()
    pair.world.advance(10)
    assert pair.bert.heard() == [["meanwhile", number] for number in range(5)]
    assert losses(pair.b) == (0, 0)


def test_what_the_broker_has_lost_is_confessed_a_lease_after_all_older_has_come() -> None:
    pair = Pair(PARTITIONS)
    pair.breaks_while_is_emitted(2)
    (copy,) = [copy for copy in pair.b.way.incoming if copy.channel == pair.room]
    pair.b.way.incoming.remove(copy)
    pair.b.way.slow.add(pair.room)
    pair.b.way.restore()
    pair.world.advance(30)
    assert losses(pair.b) == (0, 0)
    pair.b.way.slow.clear()
    assert pair.world.advance_until(lambda: losses(pair.b)[0], within=6.0) >= 3.0
    assert [(gap.origin, gap.channel, gap.count) for gap in pair.b.gaps] == [("aaaa", pair.room, 2)]


def test_probes_go_out_only_where_something_is_missing() -> None:
    pair = Pair(PARTITIONS)
    pair.world.advance(10)
    assert pair.world.published(Kind.PROBE) == []
    pair.breaks_while_is_emitted(1)
    pair.b.way.slow.add(pair.room)
    pair.b.way.restore()
    pair.world.advance(3)
    assert {channel for _, channel, _ in pair.world.published(Kind.PROBE)} == {pair.room}


def test_where_all_comes_in_one_order_a_mark_is_believed_at_once() -> None:
    pair = Pair(QUEUE)
    pair.breaks_while_is_emitted(2)
    (copy,) = [copy for copy in pair.b.way.incoming if copy.channel == pair.room]
    pair.b.way.incoming.remove(copy)
    pair.b.way.restore()
    pair.world.settle()
    assert losses(pair.b) == (2, 0)
    assert pair.world.published(Kind.PROBE) == []


def catches_up(pair: Pair, per_second: int, seconds: float) -> None:
    """Let time pass in which b gets so many messages a second of what waits for it; nothing is published by others."""
    for _ in range(round(4 * seconds)):
        pair.world.advance(0.25, settling=False)
        pair.b.flush()
        while pair.b.way.take():
            pass
        for _ in range(per_second // 4):
            pair.b.way.give()
        pair.b.flush()


def test_a_node_that_is_busy_with_what_waited_for_it_is_not_deaf() -> None:
    pair = Pair(QUEUE)
    pair.b.way.break_off()
    for number in range(200):
        pair.a.emit("meanwhile", number, to="room")
        pair.a.emit("meanwhile", number)
        pair.world.settle()
    pair.b.way.restore()
    catches_up(pair, 20, 10)
    assert pair.b.way.incoming, "its own beats wait behind that"
    assert pair.b.cluster.unready() == ()
    assert pair.b.way.resets == 0
    pair.world.advance(1)
    assert len(pair.bert.heard()) == 400
    assert losses(pair.b) == (0, 0)
    assert pair.b.peers == ["aaaa"]


def test_a_node_that_hears_nothing_at_all_is_deaf_as_anywhere() -> None:
    pair = Pair(QUEUE)
    pair.b.way.break_off()
    pair.world.advance(1)
    pair.b.way.restore()
    catches_up(pair, 0, 5)
    assert pair.b.way.resets == 1


def test_who_hears_others_for_minutes_and_never_itself_is_deaf() -> None:
    pair = Pair(QUEUE)
    own = pair.b.cluster.codec._control_head
    pair.b.way.loses = lambda copy: copy.payload is not None and copy.payload.startswith(own)
    pair.world.advance(100)
    assert pair.b.way.resets == 0
    pair.world.advance(30)
    assert pair.b.way.resets >= 1
    assert pair.b.cluster.unready() == ("this node does not hear itself through the broker",)
