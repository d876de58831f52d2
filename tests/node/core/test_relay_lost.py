"""Asks without a deadline end although the question or the answer was lost on the way (cluster.md 9, faults.md F12)."""

from __future__ import annotations

import pytest

from roomcast.exceptions import NodeLostError
from roomcast.settings import Settings
from roomcast_brokers.channels import Channels
from roomcast_brokers.contracts import Traits
from roomcast_brokers.messages import Answer, Kind, Leave, Outcome
from tests.support.strangers import Stranger
from tests.support.world import CLUSTER, Ending, Member, PlayedClient, World

CHANNELS = Channels(CLUSTER)
PATIENT = Settings(ping_interval=1_000.0)


@pytest.fixture
def pair(world: World) -> tuple[Member, Member, PlayedClient]:
    """The node that asks, the node of the client, and the client; they know each other for a while."""
    a, b = world.nodes("aaaa", "bbbb", settings=PATIENT)
    world.advance(5)
    return a, b, b.client()


def swallowed(member: Member) -> None:
    """What is on its way to this node is lost with its connection."""
    member.way.break_off()


def left(world: World) -> dict[str, dict[str, int]]:
    names = ("asks", "asked_by", "pledges")
    found = {each.tag: {name: each.cluster.census()[name] for name in names} for each in world.members}
    return {tag: {name: size for name, size in census.items() if size} for tag, census in found.items()}


def is_lost(ending: Ending) -> bool:
    return not ending.waiting and isinstance(ending.error, NodeLostError)


def test_a_question_that_a_break_has_swallowed_ends_when_the_gap_is_known(
    pair: tuple[Member, Member, PlayedClient],
) -> None:
    a, b, bert = pair
    world = a.world
    ending, callback = a.ask("question", None, bert.sid), a.emit_with_callback("question", None, bert.sid)
    a.flush()
    while a.way.take():
        pass
    swallowed(b)
    world.advance(1)
    assert ending.waiting
    b.way.restore()
    world.advance(1)
    assert is_lost(ending)
    assert is_lost(callback)
    assert a.ends == {"node_lost": 2}
    assert bert.events() == []
    assert left(world) == {"aaaa": {}, "bbbb": {}}


def test_an_answer_that_a_break_has_swallowed_ends_it_too(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, b, bert = pair
    world = a.world
    ending = a.ask("question", None, bert.sid)
    world.settle()
    bert.answers(bert.asked(), "answer")
    b.flush()
    while b.way.take():
        pass
    swallowed(a)
    world.advance(1)
    a.way.restore()
    world.settle()
    assert is_lost(ending)
    assert left(world) == {"aaaa": {}, "bbbb": {}}


def test_what_has_a_deadline_is_left_to_it(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, b, bert = pair
    world = a.world
    limited, unlimited = a.ask("question", None, bert.sid, 30.0), a.ask("question", None, bert.sid)
    world.settle()
    first, _ = bert.events()
    a.emit("to be lost", to=bert.sid)
    a.flush()
    a.way.take()
    swallowed(b)
    b.way.restore()
    world.advance(0.25)
    assert is_lost(unlimited)
    assert first.ack_id is not None
    bert.answers(first.ack_id, "in time")
    world.settle()
    assert limited.values == ("in time",)


def test_who_asked_the_other_way_round_is_told(pair: tuple[Member, Member, PlayedClient]) -> None:
    """What b missed of a may have been the answer to a question of its own."""
    a, b, bert = pair
    world = a.world
    anna = a.client()
    asked, asking = a.ask("question", None, bert.sid), b.ask("question", None, anna.sid)
    world.settle()
    a.emit("to be lost", to=bert.sid)
    a.flush()
    a.way.take()
    swallowed(b)
    b.way.restore()
    world.advance(0.25)
    assert is_lost(asked)
    assert is_lost(asking)
    told = [body for _, _, body in world.published(Kind.ANSWER) if isinstance(body, Answer)]
    assert told == [Answer(0, a.cluster.origin.epoch, Outcome.LOST)]


def test_what_is_still_to_be_written_is_not_lost(pair: tuple[Member, Member, PlayedClient]) -> None:
    """What was asked during a break waits a moment after it, in which the gap becomes known."""
    a, b, bert = pair
    world = a.world
    b.emit("to be lost", to=a.client().sid)
    b.flush()
    b.way.take()
    asked = a.ask("question", None, bert.sid)
    world.settle()
    bert.asked()
    swallowed(a)
    ending = a.ask("question", None, bert.sid)
    b.emit("to be lost", to=a.clients[0].sid)
    world.advance(1)
    a.way.restore()
    world.settle()
    assert is_lost(asked)
    assert ending.waiting
    world.advance(1)
    bert.answers(bert.asked(), "answer")
    world.settle()
    assert ending.values == ("answer",)


def test_a_question_that_falls_out_of_the_buffer_ends_then(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, b, bert = pair
    world = a.world
    a.way.break_off()
    ending = a.ask("question", None, bert.sid)
    world.advance(5.5)
    assert is_lost(ending)
    assert a.cluster.queue.dropped == 1
    assert left(world) == {"aaaa": {}, "bbbb": {}}
    assert b.ends == {}


def test_an_answer_that_falls_out_of_the_buffer_is_told_when_the_broker_is_back(
    pair: tuple[Member, Member, PlayedClient],
) -> None:
    """It never had a number: nobody else could know."""
    a, b, bert = pair
    world = a.world
    ending = a.ask("question", None, bert.sid)
    world.settle()
    ack_id = bert.asked()
    world.broker.take_down()
    bert.answers(ack_id, "answer")
    world.advance(20)
    assert b.cluster.queue.dropped == 1
    assert ending.waiting
    world.broker.bring_back()
    world.advance(1)
    assert is_lost(ending)
    assert a.ends == {"node_lost": 1}
    assert left(world) == {"aaaa": {}, "bbbb": {}}


def test_an_asker_that_was_taken_for_lost_and_returns_is_told(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, b, bert = pair
    world = a.world
    ending, limited = a.ask("question", None, bert.sid), a.ask("question", None, bert.sid, 60.0)
    world.settle()
    a.frozen = True
    world.advance(8)
    assert b.peers == []
    assert ending.waiting
    a.frozen = False
    world.settle()
    assert is_lost(ending)
    assert limited.waiting
    assert a.ends == {"node_lost": 1}


def test_an_asker_that_was_cut_off_for_longer_than_a_lease_learns_it_from_the_gap(
    pair: tuple[Member, Member, PlayedClient],
) -> None:
    a, b, bert = pair
    world = a.world
    ending = a.ask("question", None, bert.sid)
    world.settle()
    a.way.break_off()
    world.advance(8)
    assert b.peers == []
    a.way.restore()
    world.advance(1)
    assert is_lost(ending)


def test_a_gap_of_an_emitter_concerns_no_question(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, b, bert = pair
    ending = a.ask("question", None, bert.sid)
    a.world.settle()
    emitter, channel, body = Stranger(b, "emit_008"), CHANNELS.node("bbbb"), Leave("/", bert.sid, "room")
    emitter.says(channel, body)
    emitter.writes(channel, body)
    emitter.says(channel, body)
    a.world.advance(1)
    assert b.cluster.tracking.lost == 1
    assert ending.waiting
    assert a.world.published(Kind.ANSWER) == []


def test_an_older_reader_counts_it_as_late(pair: tuple[Member, Member, PlayedClient]) -> None:
    """An id that no ask has, as any answer that nobody waits for."""
    a, _, bert = pair
    ending = a.ask("question", None, bert.sid)
    a.world.settle()
    assert a.cluster.replies.answer(0, a.cluster.origin) is None
    Stranger(a, "cccc").says(CHANNELS.node("aaaa"), Answer(0, a.cluster.origin.epoch, Outcome.LOST))
    assert ending.waiting, "somebody else's"


@pytest.mark.parametrize("ordered", [True, False])
def test_a_durable_broker_loses_neither(ordered: bool) -> None:
    world = World(Traits(ordered_across_channels=ordered, durable=True))
    a, b = world.nodes("aaaa", "bbbb", settings=PATIENT)
    world.advance(5)
    bert = b.client()
    ending = a.ask("question", None, bert.sid)
    a.flush()
    a.way.take()
    swallowed(b)
    world.advance(2)
    b.way.restore()
    world.advance(10)
    ack_id = bert.asked()
    swallowed(a)
    bert.answers(ack_id, "answer")
    world.advance(2)
    a.way.restore()
    world.advance(10)
    assert ending.values == ("answer",)
    assert left(world) == {"aaaa": {}, "bbbb": {}}
