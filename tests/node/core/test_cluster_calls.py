"""What an application asks of a cluster: local first, then published on the right channel (cluster.md 3, 4, 6)."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core import cluster_calls
from roomcast.core.cluster_calls import ROOM_CALLBACK_TIMEOUT
from roomcast.exceptions import DisconnectedError
from roomcast.exceptions import TimeoutError as CallTimeoutError
from roomcast_brokers.channels import Channels
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.errors import AddressError, MessageTooLargeError, RoomTypeError, UnencodableError
from roomcast_brokers.messages import Kind
from tests.support.world import CLUSTER, OF_NOBODY, Ending, World, emits, fake_sid, one_each

CHANNELS = Channels(CLUSTER)
ALL = CHANNELS.everyone
ROOM = CHANNELS.room("/", "room")
NO_ROOMS: list[Any] = [1.5, b"room", True, ("a", "b", b"c"), [None], object()]


def routes(world: World) -> list[tuple[str, Any, tuple[str, ...], bool]]:
    """(channel, rooms, sids, either) of all emits that the broker took."""
    return [(channel, emit.rooms, emit.sids, emit.either) for _, channel, emit in emits(world)]


# --- which channel (the table of cluster.md 4) ------------------------------------------------------------------------


def test_everybody_in_a_namespace(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = one_each(a, b)
    (elsewhere,) = one_each(b, namespace="/chat")
    a.emit("hello", {"a": 1})
    world.settle()
    assert routes(world) == [(ALL, None, (), False)]
    assert anna.heard() == bert.heard() == [["hello", {"a": 1}]]
    assert elsewhere.heard() == []


@pytest.mark.parametrize("room", ["room", "", 1, -(2**63), 2**64 - 1, "1", "ein Räumchen 😀", "x" * 1_024])
def test_one_room_travels_on_a_channel_of_its_own(world: World, room: Any) -> None:
    a, b, c = world.nodes("aaaa", "bbbb", "cccc")
    anna, bert, _ = one_each(a, b, c)
    inside = b.client()
    b.enter(inside.sid, room)
    world.settle()
    a.emit("hello", to=room)
    world.settle()
    assert routes(world) == [(CHANNELS.room("/", room), (room,), (), False)]
    assert inside.heard() == [["hello"]]
    assert anna.heard() == bert.heard() == []
    assert world.given(c) == []  # without members of that room it gets nothing at all


def test_a_number_and_its_digits_are_two_rooms(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert, bea = one_each(b, b)
    b.enter(bert.sid, 1)
    b.enter(bea.sid, "1")
    world.settle()
    a.emit("number", to=1)
    a.emit("digit", to="1")
    a.emit("both", to=[1, "1"])
    world.settle()
    assert bert.heard() == [["number"], ["both"]]
    assert bea.heard() == [["digit"], ["both"]]


def test_a_room_of_another_namespace_is_another_room(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert, bea = b.client(), b.client("/chat")
    b.enter(bert.sid, "room")
    b.enter(bea.sid, "room", "/chat")
    world.settle()
    a.emit("chat", to="room", namespace="/chat")
    world.settle()
    assert bert.heard() == []
    assert bea.heard() == [["chat"]]


def test_a_list_is_one_message_and_its_union_is_counted_once(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert, bea, ben = one_each(a, b, b, b)
    for member, client, rooms in ((a, anna, ("x", "y")), (b, bert, ("x", "y")), (b, bea, ("y",))):
        for room in rooms:
            member.enter(client.sid, room)
    world.settle()
    a.emit("hello", to=["x", "y", bert.sid, bea.sid, "nobody"])
    world.settle()
    names = ("x", "y", bert.sid, bea.sid, "nobody")
    assert routes(world) == [(ALL, names, (bert.sid, bea.sid), False)]
    assert anna.heard() == bert.heard() == bea.heard() == [["hello"]]
    assert ben.heard() == []


@pytest.mark.parametrize("several", [list, tuple, set, frozenset])
def test_a_collection_of_one_is_that_one(world: World, several: Any) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = one_each(a, b)
    a.emit("hello", to=several([bert.sid]))
    a.emit("hello", to=several(["room"]))
    world.settle()
    assert routes(world) == [(CHANNELS.node("bbbb"), (), (bert.sid,), True), (ROOM, ("room",), (), False)]
    assert bert.heard() == [["hello"]]
    assert anna.heard() == []


@pytest.mark.parametrize("nobody", [[], (), set()])
def test_an_empty_collection_is_nobody(world: World, nobody: Any) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = one_each(a, b)
    a.emit("hello", to=nobody)
    world.settle()
    assert routes(world) == []
    assert anna.heard() == bert.heard() == []


def test_a_sid_of_this_node_is_not_published(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = one_each(a, b)
    a.emit("hello", to=anna.sid)
    world.settle()
    assert routes(world) == []
    assert anna.heard() == [["hello"]]
    assert bert.heard() == []


def test_a_sid_of_another_node_goes_to_that_node_alone(world: World) -> None:
    a, b, c = world.nodes("aaaa", "bbbb", "cccc")
    anna, bert, bea, cleo = one_each(a, b, b, c)
    a.emit("hello", to=bert.sid)
    world.settle()
    assert routes(world) == [(CHANNELS.node("bbbb"), (), (bert.sid,), True)]
    assert bert.heard() == [["hello"]]
    assert anna.heard() == bea.heard() == cleo.heard() == []
    assert world.given(c) == []
    assert world.given(b) == [("aaaa", "emit")]


def test_a_room_with_the_form_of_a_sid_of_this_node_is_a_room(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = one_each(a, b)
    room = fake_sid("aaaa")
    a.enter(anna.sid, room)
    ending = b.enter(bert.sid, room)
    world.settle()
    assert ending.values == ()
    a.emit("hello", to=room)
    world.settle()
    assert routes(world) == [(CHANNELS.room("/", room), (room,), (), False)]
    assert anna.heard() == bert.heard() == [["hello"]]


def test_a_room_with_the_form_of_a_sid_of_another_node_is_forwarded_once(world: World) -> None:
    a, b, c = world.nodes("aaaa", "bbbb", "cccc")
    room = fake_sid("bbbb")
    inside = one_each(a, b, c)
    for member, client in zip((a, b, c), inside, strict=True):
        member.enter(client.sid, room)
    world.settle()
    outside = one_each(a, b, c)
    a.emit("hello", [b"bytes"], to=room, skip=inside[1].sid)
    world.settle()
    channel = CHANNELS.room("/", room)
    assert routes(world) == [(CHANNELS.node("bbbb"), (), (room,), True), (channel, (room,), (), False)]
    (first, forwarded) = [
        (envelope.origin.name, operation)
        for channel, payload in world.broker.taken
        for envelope in [world.read(channel, payload)]
        for operation in envelope.operations
        if operation.kind == Kind.EMIT
    ]
    maker = forwarded[1].made_by
    assert (first[0], forwarded[0]) == ("aaaa", "bbbb")
    assert first[1].made_by is None
    assert maker is not None
    assert (maker.name, maker.epoch, maker.mid) == ("aaaa", a.cluster.origin.epoch, first[1].mid)
    # who made it was served by itself, and takes it from nobody; the exception travels along
    assert [client.heard() for client in inside] == [[["hello", [b"bytes"]]], [], [["hello", [b"bytes"]]]]
    assert [client.heard() for client in outside] == [[], [], []]


def test_a_sid_form_of_a_node_that_nobody_knows_goes_both_ways(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = one_each(a, b)
    a.enter(anna.sid, OF_NOBODY)
    b.enter(bert.sid, OF_NOBODY)
    world.settle()
    a.emit("hello", to=OF_NOBODY)
    world.settle()
    assert routes(world) == [
        (CHANNELS.node("zzzz"), (), (OF_NOBODY,), False),
        (CHANNELS.room("/", OF_NOBODY), (OF_NOBODY,), (), False),
    ]
    assert anna.heard() == bert.heard() == [["hello"]]


def test_a_client_of_a_node_that_is_not_heard_of_yet_is_reached_once(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    a.cluster.membership.peers.clear()
    a.emit("hello", to=bert.sid)
    world.settle()
    assert len(routes(world)) == 2
    assert bert.heard() == [["hello"]]


def test_a_sid_in_another_namespace_is_a_room_like_any_other_there(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna = a.client()
    ada, bert = one_each(a, b, namespace="/chat")
    a.enter(ada.sid, anna.sid, "/chat")
    ending = b.enter(bert.sid, anna.sid, "/chat")
    world.settle()
    assert ending.values == ()
    a.emit("hello", to=anna.sid, namespace="/chat")
    world.settle()
    assert ada.heard() == bert.heard() == [["hello"]]
    assert anna.heard() == []


# --- who gets it ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [None, "room", ["room", "other"]])
def test_who_is_skipped_is_skipped_on_every_node(world: World, to: Any) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, ada, bert, bea = one_each(a, a, b, b)
    for member, client in ((a, anna), (a, ada), (b, bert), (b, bea)):
        member.enter(client.sid, "room")
    world.settle()
    a.emit("one", to=to, skip=anna.sid)
    a.emit("two", to=to, skip=bert.sid)
    a.emit("three", to=to, skip=[ada.sid, bea.sid, "nobody", None, 7])  # users have lists with anything in them
    world.settle()
    assert anna.heard() == [["two"], ["three"]]
    assert ada.heard() == [["one"], ["two"]]
    assert bert.heard() == [["one"], ["three"]]
    assert bea.heard() == [["one"], ["two"]]
    assert b.dropped == {}


def test_a_sid_that_is_skipped_is_not_reached_by_its_own_name(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    a.emit("hello", to=bert.sid, skip=bert.sid)
    world.settle()
    assert bert.heard() == []


@pytest.mark.parametrize("away", [False, True])
def test_local_clients_are_served_first_and_whatever_becomes_of_the_broker(world: World, away: bool) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = one_each(a, b)
    a.enter(anna.sid, "room")
    world.settle()
    if away:
        a.way.break_off()
    for to in (None, "room", ["room", "x"], anna.sid):
        a.emit("hello", to=to)
        assert anna.heard() == [["hello"]]
    assert bert.heard() == []


def test_nobody_hears_its_own_emits_back(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    anna = a.client()
    a.enter(anna.sid, "room")
    world.settle()
    a.emit("hello", to="room")
    a.emit("hello")
    world.settle()
    assert anna.heard() == [["hello"], ["hello"]]
    assert len([copy for copy in a.way.given if copy.channel == ROOM]) == 1  # it came back, and was dropped


def test_what_is_volatile_here_is_volatile_there(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    a.emit("now or never", volatile=True)
    world.settle()
    (emit,) = [emit for _, _, emit in emits(world)]
    assert emit.volatile
    assert bert.heard() == [["now or never"]]


def test_the_order_of_a_turn_is_kept_across_channels(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    b.enter(bert.sid, "room")
    world.settle()
    before = len(world.broker.taken)
    for number, to in enumerate([None, "room", None, None, bert.sid, "room", "room", None]):
        a.emit("hello", number, to=to)
    world.settle()
    assert bert.heard() == [["hello", number] for number in range(8)]
    # neighbours on one channel share a message, and only they do
    channels = [channel for channel, _ in world.broker.taken[before:]]
    assert channels == [ALL, ROOM, ALL, CHANNELS.node("bbbb"), ROOM, ALL]


def test_the_targets_that_are_remembered_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_calls, "MAX_WAYS", 3)
    a, b = world.nodes("aaaa", "bbbb")
    (bert,) = one_each(b)
    for room in "abcde":
        b.enter(bert.sid, room)
    world.settle()
    for number in range(20):
        a.emit("hello", number, to="abcde"[number % 5])
        assert len(a.cluster.calls._ways) <= 3
    world.settle()
    assert bert.heard() == [["hello", number] for number in range(20)]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_too_much_raises_before_anybody_has_it(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = one_each(a, b)
    a.emit("fits", bytes(MAX_MESSAGE_BYTES - 1_000))
    for to in (None, "room", ["x", "y"], bert.sid, OF_NOBODY):
        with pytest.raises(MessageTooLargeError):
            a.emit("too much", bytes(MAX_MESSAGE_BYTES), to=to)
    with pytest.raises(MessageTooLargeError):
        a.ask("too much", bytes(MAX_MESSAGE_BYTES), bert.sid)
    with pytest.raises(MessageTooLargeError):
        a.emit_with_callback("too much", bytes(MAX_MESSAGE_BYTES), "room")
    for to in (None, "room"):
        with pytest.raises(MessageTooLargeError):
            a.emit("too much text", "x" * MAX_MESSAGE_BYTES, to=to)
    a.emit("as large as it likes", bytes(MAX_MESSAGE_BYTES), to=anna.sid)  # it does not travel
    world.settle()
    assert [name for name, *_ in anna.heard()] == ["fits", "as large as it likes"]
    assert [name for name, *_ in bert.heard()] == ["fits"]
    assert a.cluster.census()["asks"] == 0


@pytest.mark.parametrize("room", NO_ROOMS)
def test_a_room_that_cannot_travel_is_a_type_error(world: World, room: Any) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = one_each(a, b)
    calls: list[Any] = [lambda: a.emit("hello", to=room), lambda: a.ask("hello", None, room)]
    if not isinstance(room, tuple | list):
        calls += [
            lambda: a.enter(anna.sid, room),
            lambda: a.enter(bert.sid, room),
            lambda: a.leave(anna.sid, room),
            lambda: a.close_room(room),
        ]
    for call in calls:
        with pytest.raises(RoomTypeError) as caught:
            call()
        assert isinstance(caught.value, TypeError)
    world.settle()
    assert anna.heard() == bert.heard() == []
    assert a.rooms(anna) == []
    assert a.cluster.census()["asks"] == 0


@pytest.mark.parametrize("room", ["x" * 1_025, "ä" * 513, 2**64, "\ud800"])
def test_a_room_beyond_the_limits_is_an_address_error(world: World, room: Any) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    anna = a.client()
    for call in (
        lambda: a.emit("hello", to=room),
        lambda: a.enter(anna.sid, room),
        lambda: a.close_room(room),
    ):
        with pytest.raises(AddressError):
            call()
    assert anna.heard() == []
    assert a.rooms(anna) == []
    assert a.cluster.census()["rooms_on"] == 0


def test_what_cannot_be_encoded_reaches_nobody(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = one_each(a, b)
    with pytest.raises(UnencodableError):
        a.emit("hello", object())
    with pytest.raises(ValueError, match="reserved"):
        a.emit("connect")
    world.settle()
    assert anna.heard() == bert.heard() == []


# --- questions, as far as they are asked ------------------------------------------------------------------------------


def test_a_question_to_a_client_elsewhere_goes_to_its_node_alone(world: World) -> None:
    a, b, c = world.nodes("aaaa", "bbbb", "cccc")
    bert = b.client()
    ending = a.ask("question", {"a": 1}, bert.sid, timeout=10)
    world.settle()
    ((_, channel, emit),) = emits(world)
    assert channel == CHANNELS.node("bbbb")
    assert (emit.sids, emit.either) == ((bert.sid,), False)  # there is no such room for questions
    assert emit.ask is not None
    assert emit.ask.timeout_ms == 10_000
    assert world.given(c) == []
    bert.answers(bert.asked(), "answer", 2)
    world.settle()
    assert ending.values == ("answer", 2)


@pytest.mark.parametrize("tag", ["aaaa", "bbbb"])
def test_a_question_to_a_sid_that_is_not_there_ends_at_once(world: World, tag: str) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    room = fake_sid(tag)
    anna = a.client()
    a.enter(anna.sid, room)
    world.settle()
    assert a.rooms(anna) == [room]
    ending = a.ask("question", None, room)  # whatever rooms there are: a question means the sid alone
    callback = a.emit_with_callback("question", None, room)
    world.settle()
    assert type(ending.error) is type(callback.error) is DisconnectedError
    assert anna.heard() == []


def test_everybody_cannot_be_asked(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    with pytest.raises(ValueError, match="callback"):
        a.emit_with_callback("question", None, None)


@pytest.mark.parametrize("with_callback", [True, False])
def test_a_room_that_nobody_answers_for_ends_after_a_minute(world: World, with_callback: bool) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    b.enter(bert.sid, "room")
    world.settle()
    ending = a.emit_with_callback("question", None, "room") if with_callback else a.ask("question", None, "room")
    world.settle()
    ack_id = bert.asked()
    world.advance(ROOM_CALLBACK_TIMEOUT - 1)
    assert ending.waiting
    world.advance(1.5)
    assert isinstance(ending.error, CallTimeoutError)
    assert a.cluster.census()["asks"] == b.cluster.census()["asked_by"] == 0
    bert.answers(ack_id, "late")
    world.settle()
    assert isinstance(ending.error, CallTimeoutError)


def test_a_waiter_that_nobody_needs_is_not_made(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    anna = a.client()
    a.enter(anna.sid, "room")
    world.settle()
    made: list[Ending] = []

    def make() -> Ending:
        made.append(Ending())
        return made[-1]

    assert a.cluster.calls.enter_room(anna.sid, "room", "/", make) == (None, None)
    assert made == []
