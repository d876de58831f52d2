"""Questions across nodes: each ends once, by what comes first, and leaves nothing behind (cluster.md 9)."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.relay import AskedByPeer, error_of, outcome_of
from roomcast.exceptions import (
    AnswerTooLargeError,
    DisconnectedError,
    NodeLostError,
    SocketIOError,
    TooManyPendingError,
)
from roomcast.exceptions import TimeoutError as CallTimeoutError
from roomcast.settings import Settings
from roomcast_brokers.channels import Channels
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.messages import Answer, Ask, Kind, Outcome
from tests.support.strangers import Stranger, emit
from tests.support.world import CLUSTER, FIRST_ID, Ending, Member, PlayedClient, World

CHANNELS = Channels(CLUSTER)
LARGE = Settings(max_payload=2 * MAX_MESSAGE_BYTES)


@pytest.fixture
def pair(world: World) -> tuple[Member, Member, PlayedClient]:
    """The node that asks, the node of the client, and the client."""
    a, b = world.nodes("aaaa", "bbbb", settings=LARGE)
    return a, b, b.client()


def assert_nothing_left(world: World) -> None:
    """No table knows of any question, on any node."""
    for member in world.members:
        census = member.cluster.census()
        assert (census["asks"], census["asked_by"]) == (0, 0), census
        assert member.left().get("acks") is None
        assert member.left().get("deadlines") is None


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [(), (1,), ("a", None, [1.5, {"b": []}]), (b"bytes",), ("two", b"one", b"\0" * 70_000), ([None], "\u2028 é 😀")],
)
@pytest.mark.parametrize("serializers", [("default", "default"), ("msgpack", "msgpack"), ("default", "msgpack")])
@pytest.mark.parametrize("turned", [False, True])
def test_answers_come_back_as_they_were_given_whatever_each_node_speaks(
    world: World, answer: tuple[Any, ...], serializers: tuple[str, str], turned: bool
) -> None:
    first, second = reversed(serializers) if turned else serializers
    a, b = world.node("aaaa", serializer=first), world.node("bbbb", serializer=second)
    world.settle()
    bert = b.client()
    ending = a.ask("question", ("with", b"bytes", {"and": [b"more"]}), bert.sid, timeout=10)
    callback = a.emit_with_callback("question", b"bytes", bert.sid)
    world.settle()
    first_event, second_event = bert.events()
    assert first_event.args == ["question", "with", b"bytes", {"and": [b"more"]}]
    assert second_event.args == ["question", b"bytes"]
    for event in (second_event, first_event):
        assert event.ack_id is not None
        bert.answers(event.ack_id, *answer)
    world.settle()
    assert ending.values == callback.values == answer
    assert a.ends == {"answered": 2}
    assert_nothing_left(world)


def test_questions_in_every_direction_at_once_do_not_meet(world: World) -> None:
    members = world.nodes("aaaa", "bbbb", "cccc")
    clients = [member.client() for member in members]
    asked: list[tuple[str, Ending]] = []
    for asker in members:
        for client in clients:
            for number in range(3):
                what = f"{asker.tag} to {client.member.tag}, {number}"
                asked.append((what, asker.ask("question", what, client.sid, timeout=10)))
    world.settle()
    for client in reversed(clients):
        for event in reversed(client.events()):
            assert event.ack_id is not None
            client.answers(event.ack_id, event.args[1])
    world.settle()
    assert [ending.values for _, ending in asked] == [(what,) for what, _ in asked]
    assert_nothing_left(world)


def test_ids_use_all_their_bits_and_begin_anew_at_the_end(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, b, bert = pair
    assert FIRST_ID.bit_length() == 64
    a.cluster.replies._next = 2**64 - 1
    endings = [a.ask("question", number, bert.sid) for number in range(3)]
    a.world.settle()
    for event in bert.events():
        assert event.ack_id is not None
        bert.answers(event.ack_id, event.args[1])
    a.world.settle()
    assert [ending.values for ending in endings] == [(0,), (1,), (2,)]
    assert b.cluster.census()["asked_by"] == 0


def test_only_the_first_answer_of_a_room_counts_wherever_it_comes_from(world: World) -> None:
    members = world.nodes("aaaa", "bbbb", "cccc")
    clients = [member.client() for member in members]
    for member, client in zip(members, clients, strict=True):
        member.enter(client.sid, "room")
    world.settle()
    for first in range(3):
        ending = members[0].emit_with_callback("question", first, "room")
        world.settle()
        ids = [client.asked() for client in clients]
        for turn in range(3):
            index = (first + turn) % 3
            clients[index].answers(ids[index], clients[index].member.tag)
            world.settle()
        assert ending.values == (members[first].tag,)
    assert members[0].cluster.census()["asks"] == 0
    assert members[0].ends.get("late", 0) >= 3
    world.advance(61)
    assert_nothing_left(world)


def test_a_list_is_asked_like_a_room(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = a.client(), b.client()
    ending = a.emit_with_callback("question", None, [anna.sid, bert.sid])
    world.settle()
    anna.asked()
    bert.answers(bert.asked(), "bert")
    world.settle()
    assert ending.values == ("bert",)
    world.advance(61)
    assert_nothing_left(world)


def test_who_is_skipped_is_not_asked(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert, bea = b.client(), b.client()
    for client in (bert, bea):
        b.enter(client.sid, "room")
    world.settle()
    a.emit_with_callback("question", None, "room", skip=bert.sid)
    world.settle()
    assert bert.events() == []
    assert len(bea.events()) == 1


# --- other ends -------------------------------------------------------------------------------------------------------


def test_a_time_out_ends_it_on_both_sides(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, b, bert = pair
    world = a.world
    ending = a.ask("question", None, bert.sid, timeout=2)
    world.settle()
    ack_id = bert.asked()
    world.advance(1.75)
    assert ending.waiting
    world.advance(0.5)
    assert isinstance(ending.error, CallTimeoutError)
    assert "'question'" in str(ending.error)
    assert_nothing_left(world)
    bert.answers(ack_id, "too late")
    world.settle()
    assert a.ends["timed_out"] == 1
    assert set(a.ends) <= {"timed_out", "late"}
    assert b.left() == {name: size for name, size in b.left().items() if name not in ("acks", "deadlines")}


def test_a_time_out_that_the_other_node_notices_first_is_a_time_out_too(
    pair: tuple[Member, Member, PlayedClient],
) -> None:
    a, b, bert = pair
    world = a.world
    ending = a.ask("question", None, bert.sid, timeout=2)
    world.settle()
    world.now += 2.25
    b.driver.advance(2.25)  # its clock is ahead
    world.settle()
    assert isinstance(ending.error, CallTimeoutError)
    assert_nothing_left(world)


@pytest.mark.parametrize("how", ["vanishes", "leaves"])
@pytest.mark.parametrize("timeout", [None, 30])
def test_a_client_that_goes_ends_it_at_once(
    pair: tuple[Member, Member, PlayedClient], how: str, timeout: float | None
) -> None:
    a, _, bert = pair
    ending = a.ask("question", None, bert.sid, timeout)
    callback = a.emit_with_callback("question", None, bert.sid)
    a.world.settle()
    getattr(bert, how)()
    a.world.settle()
    assert type(ending.error) is type(callback.error) is DisconnectedError
    assert a.ends == {"client_gone": 2}
    assert_nothing_left(a.world)


def test_a_client_that_is_sent_away_ends_it_at_once(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, _, bert = pair
    ending = a.ask("question", None, bert.sid)
    a.disconnect(bert.sid)
    a.world.settle()
    assert type(ending.error) is DisconnectedError
    assert_nothing_left(a.world)


@pytest.mark.parametrize("moment", ["asked", "in flight", "answered"])
@pytest.mark.parametrize("timeout", [None, 60])
def test_the_loss_of_the_clients_node_ends_it_within_four_seconds(
    pair: tuple[Member, Member, PlayedClient], moment: str, timeout: float | None
) -> None:
    a, b, bert = pair
    world = a.world
    ending = a.ask("question", None, bert.sid, timeout)
    a.flush()
    if moment != "asked":
        world.settle()
    if moment == "answered":
        bert.answers(bert.asked(), "never published")
    b.dies()
    took = world.advance_until(lambda: not ending.waiting, 5)
    assert took <= 4.25
    assert isinstance(ending.error, NodeLostError)
    assert isinstance(ending.error, DisconnectedError)
    assert a.ends == {"node_lost": 1}
    assert_nothing_left(world)


@pytest.mark.parametrize("goodbye", [True, False])
def test_the_end_of_the_clients_node_ends_it_at_once(pair: tuple[Member, Member, PlayedClient], goodbye: bool) -> None:
    a, b, bert = pair
    world = a.world
    ending = a.ask("question", None, bert.sid)
    world.settle()
    if goodbye:
        b.leaves()
    else:
        b.dies()
        world.node("bbbb")  # another life of it
    world.settle()
    assert isinstance(ending.error, NodeLostError)
    assert_nothing_left(world)


def test_the_loss_of_the_asking_node_ends_it_where_the_client_is(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, b, bert = pair
    world = a.world
    for timeout in (None, 600):
        a.ask("question", None, bert.sid, timeout)
    world.settle()
    first, second = bert.events()
    a.dies()
    world.advance_until(lambda: not b.peers, 5)
    assert_nothing_left(world)
    assert first.ack_id is not None
    assert second.ack_id is not None
    bert.answers(first.ack_id, "for nobody")
    bert.answers(second.ack_id, "for nobody")
    world.settle()
    assert b.left().get("acks") is None


def test_a_node_that_leaves_ends_what_it_waits_for(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, b, bert = pair
    endings = [
        a.ask("question", None, bert.sid),
        a.ask("question", None, bert.sid, 60),
        a.emit_with_callback("question", None, "room"),
        a.enter(bert.sid, "room"),
    ]
    a.flush()
    a.leaves()
    assert [type(ending.error) for ending in endings] == [NodeLostError] * 4
    a.world.settle()
    assert b.cluster.census()["asked_by"] == 0


def test_who_is_cancelled_waits_no_longer(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, _, bert = pair
    ending = a.ask("question", None, bert.sid, timeout=60)
    a.world.settle()
    assert ending.question is not None
    ending.question.withdraw()
    ending.question.withdraw()
    bert.answers(bert.asked(), "for nobody")
    a.world.settle()
    assert ending.waiting
    assert a.ends == {"withdrawn": 1, "late": 1}
    assert_nothing_left(a.world)


def test_an_answer_that_is_too_large_ends_it(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, b, bert = pair
    ending = a.ask("question", None, bert.sid, timeout=60)
    a.world.settle()
    bert.answers(bert.asked(), "x" * MAX_MESSAGE_BYTES)
    a.world.settle()
    assert isinstance(ending.error, AnswerTooLargeError)
    assert a.ends == {"too_large": 1}
    assert b.ends == {}
    assert_nothing_left(a.world)


def test_an_answer_that_this_nodes_encoding_has_no_form_for_ends_it(world: World) -> None:
    a, b = world.node("aaaa"), world.node("bbbb", settings=Settings(max_integer_digits=9_000))
    world.settle()
    bert = b.client()
    ending = a.ask("question", None, bert.sid, timeout=60)
    world.settle()
    bert.peer.sends(f"43{bert.asked()}[{'9' * 5_000}]")
    world.settle()
    assert isinstance(ending.error, SocketIOError)
    assert_nothing_left(world)


def test_an_answer_without_a_form_on_the_wire_is_told_as_a_failure(world: World) -> None:
    (a,) = world.nodes("aaaa")
    AskedByPeer(a.cluster, Stranger(a).origin, Ask(5), True).settle((object(),), None)
    world.settle()
    (answer,) = [body for _, _, body in world.published(Kind.ANSWER) if isinstance(body, Answer)]
    assert (answer.id, answer.outcome) == (5, Outcome.FAILED)
    assert answer.text


def test_a_table_that_is_full_ends_the_oldest(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb", settings=Settings(max_pending_acks=2))
    bert = b.client()
    endings = [a.ask("question", number, bert.sid, timeout=60) for number in range(4)]
    world.settle()
    assert [ending.waiting for ending in endings] == [False, False, True, True]
    assert all("max_pending_acks" in str(ending.error) for ending in endings[:2])
    assert all(isinstance(ending.error, SocketIOError) for ending in endings[:2])
    for event in bert.events()[2:]:
        assert event.ack_id is not None
        bert.answers(event.ack_id)
    world.settle()
    assert [ending.values for ending in endings[2:]] == [(), ()]
    assert_nothing_left(world)


def test_a_room_goes_on_waiting_while_others_might_answer(world: World) -> None:
    a, b, c = world.nodes("aaaa", "bbbb", "cccc")
    anna, bert, cleo = a.client(), b.client(), c.client()
    for member, client in ((a, anna), (b, bert), (c, cleo)):
        member.enter(client.sid, "room")
    world.settle()
    ending = a.emit_with_callback("question", None, "room")
    world.settle()
    anna.vanishes()
    bert.vanishes()
    world.settle()
    b.dies()
    world.advance(6)
    assert ending.waiting
    cleo.answers(cleo.asked(), "cleo")
    world.settle()
    assert ending.values == ("cleo",)


def test_a_break_on_the_way_loses_no_answer_and_repeats_none(pair: tuple[Member, Member, PlayedClient]) -> None:
    """Question and answer wait for the broker, and what is written twice counts once."""
    a, b, bert = pair
    world = a.world
    ending = a.ask("question", None, bert.sid, timeout=30)
    a.flush()
    a.way.break_off(arrived=10)  # it has arrived; a does not know
    world.settle()
    ack_id = bert.asked()
    a.way.restore()
    world.settle()
    assert bert.events() == []
    b.way.break_off()
    bert.answers(ack_id, "answer")
    world.advance(2)
    assert ending.waiting
    b.way.restore()
    world.advance(1)
    assert ending.values == ("answer",)
    assert a.ends == {"answered": 1}
    assert_nothing_left(world)


def test_a_question_that_never_left_ends_by_its_time_out(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, _, bert = pair
    world = a.world
    world.broker.take_down()
    ending = a.ask("question", None, bert.sid, timeout=8)
    world.advance(7.5)
    world.broker.bring_back()
    world.advance(1)
    assert isinstance(ending.error, CallTimeoutError)
    assert bert.events() == []
    assert a.cluster.queue.dropped == 1
    assert_nothing_left(world)


# --- answers that are none --------------------------------------------------------------------------------------------


def asked(pair: tuple[Member, Member, PlayedClient]) -> tuple[Member, Ending, Stranger]:
    """A question to the client of b, and somebody who would answer in b's name."""
    a, _, bert = pair
    ending = a.ask("question", None, bert.sid, timeout=60)
    a.world.settle()
    stranger = Stranger(a, "bbbb")
    return a, ending, stranger


def answer(a: Member, outcome: int = Outcome.OK, args: bytes = b"[1]", codec: str = "json", **more: Any) -> Answer:
    return Answer(FIRST_ID, a.cluster.origin.epoch, outcome, codec, args, **more)


def test_an_answer_for_another_life_of_this_tag_is_late(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, ending, _ = asked(pair)
    for_predecessor = Stranger(a, "bbbb")
    for_predecessor.says(CHANNELS.node("aaaa"), Answer(FIRST_ID, b"12345678", Outcome.OK, "json", b"[1]"))
    assert ending.waiting
    assert a.ends == {"late": 1}


def test_an_answer_of_somebody_else_is_none(pair: tuple[Member, Member, PlayedClient]) -> None:
    a, ending, stranger = asked(pair)
    stranger.says(CHANNELS.node("aaaa"), answer(a))  # bbbb, and another epoch
    Stranger(a, "emit_008").says(CHANNELS.node("aaaa"), answer(a))
    assert ending.waiting
    assert a.ends == {"late": 2}
    assert a.cluster.replies.late == 2


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome.GONE, DisconnectedError),
        (Outcome.TIMED_OUT, CallTimeoutError),
        (Outcome.TOO_LARGE, AnswerTooLargeError),
        (Outcome.REFUSED, ValueError),
        (Outcome.FAILED, SocketIOError),
        (Outcome.LOST, NodeLostError),
        (77, SocketIOError),
    ],
)
@pytest.mark.parametrize("text", ["", "because"])
def test_every_outcome_is_an_error_that_users_know(outcome: int, kind: type[Exception], text: str) -> None:
    error = error_of(outcome, text)
    assert type(error) is kind
    assert str(error)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (DisconnectedError(), Outcome.GONE),
        (NodeLostError(), Outcome.GONE),
        (KeyError("sid"), Outcome.GONE),
        (CallTimeoutError(), Outcome.TIMED_OUT),
        (ValueError(), Outcome.REFUSED),
        (TooManyPendingError(7), Outcome.FAILED),
        (SocketIOError(), Outcome.FAILED),
    ],
)
def test_every_end_here_has_an_outcome(error: Exception, outcome: Outcome) -> None:
    assert outcome_of(error) is outcome


@pytest.mark.parametrize(
    "body",
    [
        {"args": b"no json"},
        {"args": b"[", "codec": "json"},
        {"args": b"{}", "codec": "json"},
        {"args": b"[1]", "codec": "pickle"},
        {"args": b'[{"_placeholder":true,"num":3}]', "attachments": (b"one",)},
    ],
)
def test_an_answer_that_cannot_be_read_is_an_end_too(world: World, body: dict[str, Any]) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    ending = a.ask("question", None, "room", timeout=60)  # of a room: whoever answers
    Stranger(a).says(CHANNELS.node("aaaa"), answer(a, **body))
    assert isinstance(ending.error, SocketIOError)
    assert "cannot be read" in str(ending.error)
    assert a.cluster.census()["asks"] == 0
    assert b.dropped == a.dropped == {}


def test_a_question_of_whoever_asks_is_answered(world: World) -> None:
    (a,) = world.nodes("aaaa")
    anna = a.client()
    stranger = Stranger(a)
    stranger.says(CHANNELS.node("aaaa"), emit(rooms=(), sids=(anna.sid,), ask=Ask(5, 1_000)))
    stranger.says(CHANNELS.node("aaaa"), emit(rooms=(), sids=("aaaa0123456789abcdef",), ask=Ask(6)))
    stranger.says(CHANNELS.everyone, emit(rooms=("nobody is in",), ask=Ask(7)))
    anna.answers(anna.asked(), "anna")
    world.settle()
    answers = [body for _, _, body in world.published(Kind.ANSWER) if isinstance(body, Answer)]
    assert [(each.id, each.outcome, each.args) for each in answers] == [
        (6, Outcome.GONE, b""),
        (5, Outcome.OK, b'["anna"]'),
    ]
    assert_nothing_left(world)
