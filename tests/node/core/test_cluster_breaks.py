"""What a cluster does when its broker goes and comes back: what waits, is lost, is confessed (cluster.md 7, 10)."""

from __future__ import annotations

import pytest

from roomcast.core.confessions import CHANNELS_PER_REQUEST
from roomcast.core.tracking import Gap
from roomcast.settings import Settings
from roomcast_brokers.channels import Channels
from roomcast_brokers.contracts import State, Traits
from roomcast_brokers.messages import Kind, Marks, MarksRequest
from tests.support.world import CLUSTER, World

CHANNELS = Channels(CLUSTER)
ALL = CHANNELS.everyone
LEASE = 3.0
LATE = 0.5
"""A tick before and a tick after what is looked at four times a second."""


def test_what_is_published_during_a_short_outage_arrives_in_order(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = a.client(), b.client()
    world.broker.take_down()
    for number in range(5):
        a.emit("during", number)
        world.advance(0.5)
    assert anna.heard() == [["during", number] for number in range(5)]
    world.broker.bring_back()
    world.advance(1)
    assert bert.heard() == [["during", number] for number in range(5)]
    assert a.cluster.queue.dropped == 0
    assert b.cluster.tracking.lost == 0


def test_what_waits_longer_than_five_seconds_falls_out_and_is_counted_by_its_publisher(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    world.broker.take_down()
    a.emit("early")
    world.advance(3)
    a.emit("late")
    world.advance(3)
    world.broker.bring_back()
    world.advance(5)
    assert bert.heard() == [["late"]]
    assert a.cluster.queue.dropped == 1
    assert b.cluster.tracking.lost == 0  # it never had a number


def test_for_a_broker_that_keeps_messages_they_wait_two_minutes() -> None:
    world = World(Traits(ordered_across_channels=True, durable=True))
    a, b = world.nodes("aaaa", "bbbb", settings=Settings(ping_interval=1_000.0))
    bert = b.client()
    a.way.break_off()
    a.emit("patient")
    world.advance(100)
    assert a.cluster.queue.dropped == 0
    a.way.restore()
    world.settle()
    assert bert.heard() == [["patient"]]
    a.way.break_off()
    a.emit("too late")
    world.advance(121)
    assert a.cluster.queue.dropped == 1


def test_what_was_handed_over_when_the_way_broke_is_delivered_once(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    for number in range(4):
        a.emit("sent", number, to=None if number % 2 else [bert.sid, "x"])
        a.flush()
    a.way.break_off(arrived=2)  # two of four had arrived, nobody said so
    world.settle()
    assert bert.heard() == [["sent", 0], ["sent", 1]]
    a.way.restore()
    world.settle()
    assert bert.heard() == [["sent", 2], ["sent", 3]]
    assert b.cluster.tracking.duplicates == 2
    assert b.cluster.tracking.lost == 0


def test_what_a_break_has_swallowed_is_confessed_to_the_application(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    b.enter(bert.sid, "room")
    world.settle()
    a.emit("before", to="room")
    world.advance(6)
    b.way.break_off()
    for _ in range(3):
        a.emit("missed", to="room")
    a.emit("missed by everybody")
    world.advance(1)
    b.way.restore()
    world.advance(1)
    assert bert.heard() == [["before"]]
    assert b.cluster.tracking.lost == 4
    found = sorted(b.gaps, key=lambda gap: gap.count)
    assert found == [Gap("aaaa", ALL, 1), Gap("aaaa", CHANNELS.room("/", "room"), 3)]
    assert b.reports("warning") == ["4 operations of other nodes were lost on the way here"]
    assert a.cluster.tracking.lost == 0


def test_a_gap_is_confessed_with_the_next_message(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    a.emit("one")
    a.flush()
    a.emit("two")
    a.flush()
    a.emit("three")
    a.flush()
    b.way.loses = lambda copy: b"two" in (copy.payload or b"")
    world.settle()
    assert bert.heard() == [["one"], ["three"]]
    assert b.cluster.tracking.lost == 1
    world.advance(0.25)
    assert b.gaps == [Gap("aaaa", ALL, 1)]


def test_the_tail_is_confessed_by_the_next_beat(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    world.advance(6)
    b.way.loses = lambda copy: b"lost" in (copy.payload or b"")
    a.emit("lost")
    world.settle()
    b.way.loses = lambda _: False
    took = world.advance_until(lambda: b.gaps, 5)
    assert took <= 1 + LATE
    assert b.gaps == [Gap("aaaa", ALL, 1)]


def test_after_a_break_everybody_is_asked_for_marks_and_answers_on_the_askers_channel(world: World) -> None:
    a, b, c = world.nodes("aaaa", "bbbb", "cccc")
    a.emit("hello", to="a room that nobody has here")
    a.emit("hello")
    world.advance(20)
    taken = len(world.broker.taken)
    b.way.break_off()
    world.advance(1)
    b.way.restore()
    world.settle()
    later = [
        (envelope.origin.name, channel, Kind(envelope.operations[0].kind))
        for channel, payload in world.broker.taken[taken:]
        for envelope in [world.read(channel, payload)]
    ]
    assert ("bbbb", ALL, Kind.MARKS_REQUEST) in later
    assert [each for each in later if each[2] is Kind.MARKS] == [("aaaa", CHANNELS.node("bbbb"), Kind.MARKS)]
    assert c.cluster.tracking.lost == a.cluster.tracking.lost == 0
    answers = [body for _, _, body in world.published(Kind.MARKS) if isinstance(body, Marks)]
    assert {mark.channel for mark in answers[0].marks} == {ALL}, "who asks names the channels it has"


def test_a_request_names_at_most_a_thousand_channels(world: World) -> None:
    (a,) = world.nodes("aaaa")
    anna = a.client()
    for number in range(CHANNELS_PER_REQUEST):
        a.enter(anna.sid, number)
    world.advance(10)
    asked = [body.channels for _, _, body in world.published(Kind.MARKS_REQUEST) if isinstance(body, MarksRequest)]
    assert max(map(len, asked)) == CHANNELS_PER_REQUEST
    names = [name for channels in asked for name in channels]
    assert len(names) == len(set(names)) == CHANNELS_PER_REQUEST + 2


def test_a_second_after_its_confirmation_a_channel_gets_a_beginning_to_count_from(world: World) -> None:
    """Who published before we came, and was silent since, loses nothing of ours unseen, however long the break."""
    a, b = world.nodes("aaaa", "bbbb")
    a.emit("before", to="room")
    world.advance(10)
    bert = b.client()
    b.enter(bert.sid, "room")
    world.advance(10)
    b.way.break_off()
    a.emit("missed", to="room")
    world.advance(10)
    b.way.restore()
    world.advance(2)
    assert bert.heard() == []
    assert b.gaps == [Gap("aaaa", CHANNELS.room("/", "room"), 1)]


def test_what_was_published_before_a_node_came_is_no_loss_of_it(world: World) -> None:
    (a,) = world.nodes("aaaa")
    for number in range(10):
        a.emit("hello", number)
        world.advance(0.5)
    (b,) = world.nodes("bbbb")
    bert = b.client()
    a.emit("hello", 10)
    world.advance(10)
    assert bert.heard() == [["hello", 10]]
    assert b.gaps == []
    assert b.cluster.tracking.lost == 0


@pytest.mark.parametrize("breaks", [1, 5])
def test_a_connection_that_breaks_again_and_again_counts(world: World, breaks: int) -> None:
    (a,) = world.nodes("aaaa")
    for _ in range(breaks):
        a.way.break_off()
        assert a.counters.broker_up == 0
        world.advance(0.25)
        a.way.restore()
        world.settle()
        assert a.counters.broker_up == 1
    assert a.counters.broker_reconnects == breaks


def test_a_failed_attempt_to_reach_the_broker_changes_nothing(world: World) -> None:
    (a,) = world.nodes("aaaa")
    a.way.break_off()
    assert a.cluster.changed(State.CONNECTING) is None
    assert a.counters.broker_reconnects == 0
