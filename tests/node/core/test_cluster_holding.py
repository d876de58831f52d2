"""After a break a node publishes what has waited a moment later, when the others hear it again."""

from __future__ import annotations

import pytest

from roomcast.core.cluster import HOLD_MARGIN, MAX_HOLD
from roomcast_brokers.contracts import Traits
from roomcast_brokers.messages import Kind
from tests.support.world import Member, PlayedClient, World


def three(world: World) -> tuple[Member, Member, PlayedClient, PlayedClient]:
    """Two nodes that know each other for a while, and a client of each."""
    a, b = world.nodes("aaaa", "bbbb")
    world.advance(5)
    return a, b, a.client(), b.client()


def held_for(world: World, member: Member) -> float:
    """How long what waits is still held back."""
    release = member.cluster.queue.up
    (due,) = [entry[0] for entry in member.node.engine.deadlines._heap if entry[2].action == release]
    return due - world.now


def test_who_comes_back_later_misses_nothing(world: World) -> None:
    a, b, anna, bert = three(world)
    world.broker.take_down()
    for number in range(4):
        a.emit("during", number)
        world.advance(0.25)
    world.broker.down = False
    a.way.restore()
    world.advance(0.5)
    assert anna.heard() == [["during", number] for number in range(4)], "local delivery waits for nobody"
    assert world.published(Kind.EMIT) == []
    a.emit("after", 4)
    b.way.restore()
    world.advance(0.5)
    assert bert.heard() == [*(["during", number] for number in range(4)), ["after", 4]]
    assert b.cluster.tracking.lost == 0


@pytest.mark.parametrize(("away", "held"), [(0.0, 0.05), (0.25, 0.55), (0.4, 0.85), (1.0, 0.85), (60.0, 0.85)])
def test_for_twice_as_long_as_the_outage_and_less_than_a_second(world: World, away: float, held: float) -> None:
    a, *_ = three(world)
    a.way.break_off()
    world.advance(away)
    a.way.restore()
    assert held_for(world, a) == pytest.approx(held)
    assert held <= MAX_HOLD + HOLD_MARGIN


def test_control_messages_are_not_held_back(world: World) -> None:
    a, _, anna, _ = three(world)
    a.way.break_off()
    world.advance(1)
    a.emit("waits")
    world.broker.taken.clear()
    a.way.restore()
    world.settle()
    a.enter(anna.sid, "room")
    assert [kind.name for kind in kinds(world, a)] == ["HELLO", "BEAT", "MARKS_REQUEST"]
    world.advance(0.75)
    assert Kind.EMIT not in kinds(world, a)
    world.advance(0.25)
    assert Kind.EMIT in kinds(world, a)


def kinds(world: World, member: Member) -> list[Kind]:
    """What the broker took of that node."""
    read = [world.read(channel, payload) for channel, payload in world.broker.taken]
    return [Kind(each.operations[0].kind) for each in read if each.origin == member.cluster.origin]


def test_what_was_on_its_way_goes_first_and_at_once(world: World) -> None:
    """Marks tell of its numbers: whoever heard them without it would take it for lost."""
    a, b, _, bert = three(world)
    a.emit("on its way", 1)
    a.flush()
    a.way.break_off()
    a.emit("waits", 2)
    world.advance(2)
    a.way.restore()
    world.settle()
    assert bert.heard() == [["on its way", 1]]
    world.advance(1)
    assert bert.heard() == [["waits", 2]]
    assert (b.cluster.tracking.lost, b.cluster.tracking.duplicates) == (0, 0)


def test_marks_tell_of_nothing_that_is_held_back(world: World) -> None:
    a, b, _, bert = three(world)
    a.way.break_off()
    world.advance(1)
    a.emit("waits")
    a.way.restore()
    b.way.reset()
    world.advance(0.5)
    assert b.cluster.tracking.lost == 0
    world.advance(2)
    assert bert.heard() == [["waits"]]
    assert (b.cluster.tracking.lost, b.cluster.tracking.recanted) == (0, 0)


def test_nothing_grows_too_old_meanwhile(world: World) -> None:
    a, _, _, bert = three(world)
    a.way.break_off()
    a.emit("old")
    world.advance(4.75)
    a.way.restore()
    world.advance(1)
    assert bert.heard() == [["old"]]
    assert a.cluster.queue.dropped == 0


def test_a_first_connection_holds_nothing_back(world: World) -> None:
    world.broker.down = True
    a, b = world.node("aaaa"), world.node("bbbb")
    bert = b.client()
    world.advance(3)
    a.emit("early")
    world.broker.down = False
    b.way.restore()
    world.settle()
    assert bert.heard() == [["early"]]


def test_a_durable_broker_needs_no_waiting() -> None:
    world = World(Traits(ordered_across_channels=True, durable=True))
    a, _, _, bert = three(world)
    a.way.break_off()
    world.advance(1)
    a.emit("waits")
    a.way.restore()
    world.settle()
    assert bert.heard() == [["waits"]]


def test_another_break_meanwhile_begins_anew(world: World) -> None:
    a, _, _, bert = three(world)
    a.way.break_off()
    world.advance(1)
    a.emit("waits")
    a.way.restore()
    world.advance(0.5)
    a.way.break_off()
    world.advance(0.5)
    assert world.published(Kind.EMIT) == []
    a.way.restore()
    world.advance(0.75)
    assert bert.heard() == []
    world.advance(0.25)
    assert bert.heard() == [["waits"]]


def test_who_leaves_meanwhile_publishes_it_before_the_goodbye(world: World) -> None:
    a, b, _, bert = three(world)
    a.way.break_off()
    world.advance(1)
    a.emit("waits")
    a.way.restore()
    a.leaves()
    world.settle()
    assert bert.heard() == [["waits"]]
    assert b.peers == []
    assert b.reports("info")[-1] == "node aaaa has left"
