"""What other processes say, as one node carries it out, and all that it must not carry out (cluster.md 2 to 4, 7)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from roomcast.settings import Settings
from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import encode_body, encode_operation
from roomcast_brokers.contracts import Traits
from roomcast_brokers.messages import (
    Answer,
    Ask,
    CloseRoom,
    Disconnect,
    Emit,
    Join,
    Kind,
    Leave,
    Maker,
    Mark,
    Marks,
    MarksRequest,
    Outcome,
    Probe,
    Question,
)
from tests.support.strangers import Stranger, emit
from tests.support.world import CLUSTER, Member, World

CHANNELS = Channels(CLUSTER)
ALL = CHANNELS.everyone
OWN = CHANNELS.node("aaaa")
ROOM = CHANNELS.room("/", "room")


@pytest.fixture
def a(world: World) -> Member:
    (member,) = world.nodes("aaaa")
    return member


# --- emits ------------------------------------------------------------------------------------------------------------


def test_the_target_is_evaluated_here_union_and_exceptions(a: Member, world: World) -> None:
    clients = {name: a.client() for name in ("in x", "in y", "in both", "in none")}
    for name, rooms in (("in x", "x"), ("in y", "y"), ("in both", "xy")):
        for room in rooms:
            a.enter(clients[name].sid, room)
    world.settle()
    stranger = Stranger(a)

    def hear(**target: Any) -> set[str]:
        stranger.says(ALL, emit(**target))
        heard = {name: client.heard() for name, client in clients.items()}
        assert all(events in ([], [["hello"]]) for events in heard.values()), heard
        return {name for name, events in heard.items() if events}

    everybody = set(clients)
    assert hear() == everybody
    assert hear(rooms=("x",)) == {"in x", "in both"}
    assert hear(rooms=("x", "y", "nothing")) == {"in x", "in y", "in both"}
    assert hear(sids=(clients["in none"].sid, clients["in x"].sid, "nobody")) == {"in none", "in x"}
    assert hear(rooms=("x",), sids=(clients["in none"].sid, clients["in x"].sid)) == {"in x", "in both", "in none"}
    assert hear(except_rooms=("x",)) == {"in y", "in none"}
    assert hear(rooms=("x", "y"), except_rooms=("y", "nothing"), except_sids=(clients["in x"].sid,)) == set()
    assert hear(except_sids=(clients["in x"].sid, "nobody")) == everybody - {"in x"}
    assert hear(rooms=()) == set()
    assert hear(namespace="/nowhere") == set()


def test_a_broken_namespace_touches_no_other(a: Member) -> None:
    anna, ada = a.client(), a.client("/chat")
    Stranger(a).says(ALL, emit(namespace="/chat"))
    assert anna.heard() == []
    assert ada.heard() == [["hello"]]


def test_json_is_passed_on_as_it_came(a: Member) -> None:
    anna = a.client()
    Stranger(a).says(ALL, emit(b'[ "hello" , 1.50 ]'))
    assert anna.peer.received() == ['42[ "hello" , 1.50 ]']


@pytest.mark.parametrize("serializer", ["default", "msgpack"])
@pytest.mark.parametrize("codec", ["json", "msgpack"])
def test_what_others_encoded_differently_is_encoded_again(world: World, serializer: str, codec: str) -> None:
    (member,) = world.nodes("aaaa", serializer=serializer)
    client = member.client()
    if codec == "json":
        event = emit(b'["hello",{"a":{"_placeholder":true,"num":0}},1]', attachments=(b"bytes",))
    else:
        event = emit(msgspec.msgpack.encode(["hello", {"a": b"bytes"}, 1]), codec="msgpack")
    Stranger(member).says(ALL, event)
    assert client.heard() == [["hello", {"a": b"bytes"}, 1]]


@pytest.mark.parametrize("serializer", ["default", "msgpack"])
@pytest.mark.parametrize(
    ("codec", "args", "attachments"),
    [
        ("json", b"", ()),
        ("json", b"[", ()),
        ("json", b"[]", ()),
        ("json", b"[1]", ()),
        ("json", b'{"hello":1}', ()),
        ("json", b'"hello"', ()),
        ("json", b'["hello"]x', ()),
        ("json", b'["hello",]', ()),
        ("json", b'["\xff"]', ()),
        ("json", b'["connect"]', ()),
        ("json", b'["disconnecting"]', ()),
        ("json", b'[["hello"]]', ()),
        ("json", b"[" * 5_000, ()),
        ("json", b'["hello",{"_placeholder":true,"num":1}]', (b"one",)),
        ("json", b'["hello",{"_placeholder":true,"num":"0"}]', (b"one",)),
        ("json", b'["connect"]', (b"one",)),
        ("msgpack", b"", ()),
        ("msgpack", b"\xc1", ()),
        ("msgpack", b"\x90", ()),
        ("msgpack", msgspec.msgpack.encode("hello"), ()),
        ("msgpack", msgspec.msgpack.encode([1]), ()),
        ("msgpack", msgspec.msgpack.encode(["connect"]), ()),
        ("msgpack", b"\x91" * 5_000 + b"\x90", ()),
        ("msgpack", msgspec.msgpack.encode(["hello", msgspec.msgpack.Ext(9, b"x")]), ()),
        ("pickle", b"cos\nsystem\n", ()),
        ("", b"", ()),
        ("default", b'["hello"]', ()),
    ],
)
def test_arguments_that_are_none_are_dropped_and_counted(
    world: World, serializer: str, codec: str, args: bytes, attachments: tuple[bytes, ...]
) -> None:
    (member,) = world.nodes("aaaa", serializer=serializer)
    client = member.client()
    stranger = Stranger(member)
    stranger.says(ALL, emit(args, codec=codec, attachments=attachments))
    assert member.dropped == {"body": 1}
    stranger.says(ALL, emit())
    assert client.heard() == [["hello"]]


def test_a_broken_operation_does_not_harm_its_neighbours(a: Member) -> None:
    anna = a.client()
    stranger = Stranger(a)
    good = encode_body(emit())
    stranger.brings(ALL, stranger.raw(ALL, (Kind.EMIT, good), (Kind.EMIT, b"\xc0"), (99, b"\xc0"), (Kind.EMIT, good)))
    assert anna.heard() == [["hello"], ["hello"]]
    assert a.dropped == {"body": 1, "kind": 1}
    assert a.counters.received["emit"] == 2


def test_packets_of_other_types_are_for_later_versions(a: Member) -> None:
    anna = a.client()
    Stranger(a).says(ALL, Emit(3, "/", "json", b'["hello"]'))
    assert anna.heard() == []
    assert a.dropped == {"kind": 1}


def test_what_this_node_made_and_another_forwards_is_ignored(a: Member) -> None:
    anna = a.client()
    own = a.cluster.origin
    stranger = Stranger(a)
    stranger.says(ALL, emit(), made_by=Maker(own.name, own.epoch, 7))
    assert anna.heard() == []
    stranger.says(ALL, emit(), made_by=Maker(own.name, b"87654321", 7))  # a predecessor of this node
    stranger.says(ALL, emit(), made_by=Maker("zzzz", own.epoch, 7))
    assert anna.heard() == [["hello"], ["hello"]]


def test_what_was_forwarded_to_this_node_is_forwarded_in_the_name_of_its_maker(a: Member, world: World) -> None:
    maker = Maker("zzzz", b"12345678", 77)
    Stranger(a).says(OWN, emit(rooms=(), sids=("aaaa0123456789abcdef",), either=True), made_by=maker)
    world.settle()
    (operation,) = [
        operation
        for channel, payload in world.broker.taken
        for operation in world.read(channel, payload).operations
        if operation.kind == Kind.EMIT
    ]
    assert operation.made_by == maker
    assert len(world.published(Kind.EMIT)) == 1


def test_either_without_a_name_forwards_nothing(a: Member, world: World) -> None:
    Stranger(a).says(OWN, emit(rooms=(), sids=(), either=True))
    world.settle()
    assert world.published(Kind.EMIT) == []


# --- clients and rooms ------------------------------------------------------------------------------------------------


def test_an_emitter_puts_clients_into_rooms_and_out_and_away(a: Member, world: World) -> None:
    anna, ada = a.client(), a.client()
    emitter = Stranger(a, "emit_008")
    emitter.says(OWN, Join("/", anna.sid, "room"))
    emitter.says(OWN, Join("/", ada.sid, 7))
    emitter.says(OWN, Join("/", "aaaa0123456789abcdef", "room"))
    world.settle()
    assert (a.rooms(anna), a.rooms(ada)) == (["room"], [7])
    emitter.says(OWN, Leave("/", anna.sid, "room"))
    emitter.says(OWN, Leave("/", "aaaa0123456789abcdef", "room"))
    emitter.says(CHANNELS.room("/", 7), CloseRoom("/", 7))
    assert (a.rooms(anna), a.rooms(ada)) == ([], [])
    emitter.says(OWN, Disconnect("/", anna.sid))
    emitter.says(OWN, Disconnect("/", ada.sid, True))
    emitter.says(OWN, Disconnect("/", "aaaa0123456789abcdef", True))
    a.driver.flush()
    assert not anna.gone
    assert ada.gone
    assert a.node.hub.find(anna.sid, "/") is None
    assert a.dropped == {}
    assert a.peers == []  # an emitter is no node


def test_closing_what_is_a_sid_here_does_nothing(a: Member) -> None:
    anna = a.client()
    Stranger(a).says(ROOM, CloseRoom("/", anna.sid), CloseRoom("/nowhere", "room"))
    assert a.node.hub.find(anna.sid, "/") is not None
    assert a.dropped == {}


@pytest.mark.parametrize("room", ["x" * 1_025, "x" * 70_000])
@pytest.mark.parametrize("ask", [None, Ask(7, 1_000)])
def test_a_room_that_no_call_would_take_is_refused(a: Member, world: World, room: str, ask: Ask | None) -> None:
    anna = a.client()
    Stranger(a).says(OWN, Join("/", anna.sid, room, ask))
    world.settle()
    assert a.rooms(anna) == []
    assert a.cluster.census()["rooms_on"] == 0
    answers = [body for _, _, body in world.published(Kind.ANSWER) if isinstance(body, Answer)]
    assert a.dropped == {"body": 1}
    if ask is None:
        assert answers == []
    else:
        assert [(answer.id, answer.outcome) for answer in answers] == [(7, Outcome.REFUSED)]
        assert "1,024 bytes" in answers[0].text
    anna.vanishes()
    world.advance(3)
    assert a.left() == {}


def test_whether_a_sid_is_known_is_answered_for_its_namespace(a: Member, world: World) -> None:
    anna = a.client()
    stranger = Stranger(a)
    stranger.says(OWN, Question(Ask(1), "/", anna.sid))
    stranger.says(OWN, Question(Ask(2), "/chat", anna.sid))
    stranger.says(OWN, Question(Ask(3), "/", "aaaa0123456789abcdef"))
    world.settle()
    answers = [(channel, body) for _, channel, body in world.published(Kind.ANSWER) if isinstance(body, Answer)]
    assert [(channel, answer.id, answer.outcome, answer.epoch) for channel, answer in answers] == [
        (CHANNELS.node("xxxx"), 1, Outcome.OK, stranger.origin.epoch),
        (CHANNELS.node("xxxx"), 2, Outcome.GONE, stranger.origin.epoch),
        (CHANNELS.node("xxxx"), 3, Outcome.GONE, stranger.origin.epoch),
    ]


def test_a_question_whose_arguments_cannot_be_read_ends_and_leaves_nothing(a: Member, world: World) -> None:
    anna = a.client()
    Stranger(a).says(OWN, emit(b"no arguments", rooms=(), sids=(anna.sid,), ask=Ask(5)))
    world.settle()
    assert anna.heard() == []
    assert a.cluster.census()["asked_by"] == 0
    (answer,) = [body for _, _, body in world.published(Kind.ANSWER) if isinstance(body, Answer)]
    assert (answer.id, answer.outcome) == (5, Outcome.FAILED)
    assert a.dropped == {"body": 1}


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_a_repeat_is_dropped_and_counted(a: Member) -> None:
    anna = a.client()
    stranger = Stranger(a)
    first = stranger.writes(ALL, emit(b'["one"]'), emit(b'["two"]'))
    second = stranger.writes(ALL, emit(b'["three"]'))
    for payload in (first, first, second, first, second):
        stranger.brings(ALL, payload)
    assert anna.heard() == [["one"], ["two"], ["three"]]
    assert a.cluster.tracking.duplicates == 5
    assert a.counters.received["emit"] == 3


def test_of_a_message_that_overlaps_only_the_new_is_carried_out(a: Member) -> None:
    anna = a.client()
    stranger = Stranger(a)
    stranger.says(ALL, emit(b'["one"]'), emit(b'["two"]'))
    operations = [encode_operation(Kind.EMIT, 9, encode_body(emit(b'["%s"]' % word))) for word in (b"two", b"three")]
    stranger.brings(ALL, stranger.codec.encode(ALL, 1, 2, 0, operations))
    assert anna.heard() == [["one"], ["two"], ["three"]]
    assert a.cluster.tracking.duplicates == 1


def test_marks_of_channels_that_are_not_subscribed_say_nothing(a: Member, world: World) -> None:
    world.advance(10)
    stranger = Stranger(a, "emit_008")
    stranger.says(ALL, Marks((Mark(ROOM, 1, 0, 7, 1_000), Mark(ALL, 1, 2, 5, 1_000))))
    assert a.cluster.tracking.lost == 3
    assert [(gap.origin, gap.channel, gap.count) for gap in a.gaps] == [("emit_008", ALL, 3)]


def test_marks_are_answered_as_far_as_they_are_asked_for(a: Member, world: World) -> None:
    a.emit("hello")
    a.emit("hello", to="room")
    world.settle()
    stranger = Stranger(a)
    for channels in ((), (ROOM, "shop:nothing"), ("shop:nothing",)):
        stranger.says(ALL, MarksRequest(channels))
    world.settle()
    answers = [(channel, body) for _, channel, body in world.published(Kind.MARKS) if isinstance(body, Marks)]
    assert [(channel, {mark.channel for mark in marks.marks}) for channel, marks in answers] == [
        (CHANNELS.node("xxxx"), {ALL, ROOM}),
        (CHANNELS.node("xxxx"), {ROOM}),
    ]


def test_a_probe_of_our_own_confirms_its_channel_and_nobody_elses_does() -> None:
    (a,) = World(Traits(confirms_subscriptions=False)).nodes("aaaa")
    ending = a.enter(a.client().sid, "room")
    generation = a.cluster.subscriptions.want(ROOM, a.world.now)
    a.confirmed(ROOM, generation)
    Stranger(a).says(ROOM, Probe(generation))
    assert ending.waiting
    payload = a.cluster.codec.control(ROOM, Kind.PROBE, encode_body(Probe(generation)), 0)
    a.delivered(ROOM, payload)
    a.flush()
    assert ending.values == ()


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("data", [deep(100), 10**200, {"a": deep(60), "b": -(10**40)}])
@pytest.mark.parametrize("beside", [(), (b"attached",)])
def test_applications_may_emit_what_no_client_may_send(data: Any, beside: tuple[bytes, ...]) -> None:
    """Clients' packets are bound to 64 levels and 32 digits; what another node's application emits is not."""
    world = World()
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = a.client(), b.client()
    a.emit("large", (data, *beside))
    world.settle()
    assert anna.heard() == bert.heard() == [["large", data, *beside]]
    assert b.dropped == {}


def test_answers_that_a_more_generous_node_took_are_read_too() -> None:
    world = World()
    a, b = world.node("aaaa"), world.node("bbbb", Settings(max_json_depth=120, max_integer_digits=100))
    world.settle()
    bert = b.client()
    ending = a.ask("question", None, bert.sid, 10.0)
    world.settle()
    bert.answers(bert.asked(), deep(110), 10**90)
    world.settle()
    assert ending.values == (deep(110), 10**90)


def test_what_is_deeper_than_any_application_may_emit_is_dropped() -> None:
    world = World()
    (a,) = world.nodes("aaaa")
    a.client()
    Stranger(a).says(ALL, emit(b'["e",' + b"[" * 200 + b"]" * 200 + b"]", attachments=(b"x",)))
    assert a.dropped == {"body": 1}
