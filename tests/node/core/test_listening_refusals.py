"""Whom a node hears, and that nothing that comes makes it raise (cluster.md 2, 7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from roomcast.settings import Settings
from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, encode_body, encode_operation
from roomcast_brokers.messages import (
    Answer,
    Ask,
    Beat,
    CloseRoom,
    Disconnect,
    Emit,
    Goodbye,
    Hello,
    Join,
    Kind,
    Leave,
    Mark,
    Marks,
    MarksRequest,
    Probe,
    Question,
)
from tests.support.strangers import Stranger, emit, kind_of
from tests.support.world import CLUSTER, Member, World

CHANNELS = Channels(CLUSTER)
ALL = CHANNELS.everyone
OWN = CHANNELS.node("aaaa")
ROOM = CHANNELS.room("/", "room")
KEYS = ("a key that is long enough", "another key for the rotation")


@pytest.fixture
def a(world: World) -> Member:
    (member,) = world.nodes("aaaa")
    return member


# --- who may be heard -------------------------------------------------------------------------------------------------


def test_foreign_and_broken_messages_are_dropped_by_reason(a: Member) -> None:
    anna = a.client()
    stranger = Stranger(a)
    good = stranger.writes(ALL, emit())
    flags = bytes([0, 2])
    cases: dict[str, bytes] = {
        "short": good[:23],
        "magic": b"xx" + good[2:],
        "major": good[:2] + b"\x02" + good[3:],
        "malformed": good[:24] + b"\xc1",
        "cluster": Stranger(a, cluster="other").writes(ALL, emit()),
        "channel": stranger.writes(OWN, emit()),
        "too_large": good + bytes(1_040_001),
        "kind": stranger.raw(ALL, (98, b"\xc0")),
        "body": stranger.raw(ALL, (Kind.EMIT, b"\x90")),
    }
    for payload in cases.values():
        stranger.brings(ALL, payload)
    assert a.dropped == dict.fromkeys(cases, 1)
    # a control message among the operations, an operation as a control message, two in one
    operation = encode_operation(Kind.EMIT, 1, encode_body(emit()))
    hello = encode_operation(Kind.HELLO, 0, encode_body(Hello(1)))
    codec = stranger.codec
    for payload in (
        codec.encode(ALL, 1, 50, 0, [hello]),
        codec.encode(ALL, 0, 0, 0, [operation])[:4] + flags + codec.encode(ALL, 0, 0, 0, [operation])[6:],
        codec.encode(ALL, 0, 0, 0, [hello, hello])[:4] + flags + codec.encode(ALL, 0, 0, 0, [hello, hello])[6:],
    ):
        stranger.brings(ALL, payload)
    assert a.dropped["malformed"] == 4
    assert anna.heard() == []
    assert a.peers == []
    assert a.counters.received["hello"] == 0


def test_an_unknown_control_message_is_counted(a: Member) -> None:
    stranger = Stranger(a)
    stranger.brings(ALL, stranger.codec.control(ALL, 98, b"\xc0", 0))
    stranger.brings(ALL, stranger.codec.control(ALL, Kind.BEAT, b"\xc0", 0))
    assert a.dropped == {"kind": 1, "body": 1}
    assert a.peers == []


def test_two_clusters_on_one_broker_do_not_hear_each_other(world: World) -> None:
    (a,) = world.nodes("aaaa")
    (other,) = world.nodes("oooo", cluster="other")
    anna, otto = a.client(), other.client()
    for member, client in ((a, anna), (other, otto)):
        member.enter(client.sid, "room")
    world.settle()
    a.emit("hello")
    a.emit("hello", to="room")
    a.emit("hello", to=otto.sid)
    a.disconnect(otto.sid)
    a.close_room("room")
    world.settle()
    assert otto.heard() == []
    assert (a.peers, other.peers) == ([], [])
    assert other.rooms(otto) == ["room"]
    assert a.dropped == other.dropped == {}  # their channels have other names: nothing even arrives


@pytest.mark.parametrize(
    ("keys", "reason"),
    [(None, "unsigned"), (("a key that nobody here knows",), "key"), (KEYS[:1], None), (KEYS[1:], None)],
)
def test_where_keys_are_set_others_are_not_believed(
    world: World, keys: tuple[str, ...] | None, reason: str | None
) -> None:
    (a,) = world.nodes("aaaa", keys=KEYS)
    anna = a.client()
    stranger = Stranger(a, keys=keys)
    stranger.says(ALL, emit())
    stranger.says(ALL, Hello(1_000))
    if reason is None:
        assert anna.heard() == [["hello"]]
        assert a.peers == ["xxxx"]
    else:
        assert anna.heard() == []
        assert a.peers == []
        assert a.dropped == {reason: 2}


def test_a_signed_message_that_was_changed_is_not_believed(world: World) -> None:
    (a,) = world.nodes("aaaa", keys=KEYS)
    anna = a.client()
    stranger = Stranger(a, keys=KEYS)
    payload = stranger.writes(ALL, emit())
    for position in (2, 5, 9, 17, 33, 70, len(payload) - 1):
        changed = bytearray(payload)
        changed[position] ^= 1
        stranger.brings(ALL, bytes(changed))
    assert anna.heard() == []
    assert sum(a.dropped.values()) == 7
    stranger.brings(CHANNELS.node("aaaa"), payload)  # whole, copied to another channel
    assert a.dropped["channel"] == 1


def test_keys_can_be_rolled_out_and_rotated_node_by_node(world: World) -> None:
    """Every step of a roll-out: what is signed is read without keys, and what is not where that is accepted."""
    old, new = KEYS
    steps: list[tuple[tuple[str, ...] | None, bool]] = [
        (None, False),
        ((old,), True),
        ((old,), False),
        ((old, new), False),
        ((new, old), False),
        ((new,), False),
    ]
    for (keys, lenient), (next_keys, next_lenient) in pairwise(steps):
        pair = World()
        (a,) = pair.nodes("aaaa", keys=keys, settings=Settings(accept_unsigned=lenient))
        (b,) = pair.nodes("bbbb", keys=next_keys, settings=Settings(accept_unsigned=next_lenient))
        anna, bert = a.client(), b.client()
        a.emit("from a")
        b.emit("from b")
        pair.settle()
        assert sorted(anna.heard()) == sorted(bert.heard()) == [["from a"], ["from b"]]
        assert a.dropped == b.dropped == {}


def test_own_messages_are_not_even_decoded_and_own_control_messages_are(a: Member, world: World) -> None:
    before = len(a.way.given)
    a.emit("hello")
    world.advance(1.25)
    assert len(a.way.given) > before
    assert sum(a.counters.received.values()) == 0
    assert a.cluster.membership.lag == 0
    payload = a.cluster.codec.encode(ALL, 1, 1, 0, [b"broken"])
    a.delivered(ALL, payload)
    assert a.dropped == {}


def test_latency_is_measured_by_the_clocks_on_the_wall(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    a.emit("hello")
    a.flush()
    world.advance(0.5, settling=False)
    world.settle()
    latency = b.counters.latency
    assert sum(latency.buckets) == 1
    assert latency.sum_ms == 500


# --- whatever comes, nothing raises -----------------------------------------------------------------------------------


@cache
def corpus() -> tuple[tuple[str, bytes], ...]:
    """Messages of every kind, as nodes write them."""
    world = World()
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = a.client(), b.client()
    b.enter(bert.sid, "room")
    a.enter(bert.sid, "other")
    a.enter(anna.sid, "bbbb0123456789abcdef")
    world.settle()
    a.emit("hello", [1, b"bytes", {"a": None}])
    a.emit("hello", to=["room", 7, bert.sid], skip="nobody")
    a.emit("hello", to="bbbb0123456789abcdef")
    ending = a.ask("question", 1, bert.sid, 5)
    world.settle()
    bert.answers(bert.events()[-1].ack_id or 0, b"answer")
    world.advance(2)
    assert not ending.waiting
    b.way.reset()
    world.settle()
    a.leave(bert.sid, "room")
    a.close_room("other")
    a.disconnect(bert.sid)
    b.leaves()
    world.settle()
    kinds = {operation.kind for message in world.broker.taken for operation in world.read(*message).operations}
    assert kinds == set(Kind) - {Kind.PROBE}
    return tuple(world.broker.taken)


def hardened(payload_of: Callable[[Member], tuple[str, bytes]]) -> None:
    """A node with a client hears it, and goes on."""
    world = World()
    (a,) = world.nodes("aaaa")
    anna = a.client()
    a.enter(anna.sid, "room")
    world.settle()
    channel, payload = payload_of(a)
    before = sum(a.counters.dropped.values()) + sum(a.counters.received.values()) + a.cluster.tracking.duplicates
    a.delivered(channel, payload)
    a.flush()
    world.advance(0.5)
    after = sum(a.counters.dropped.values()) + sum(a.counters.received.values()) + a.cluster.tracking.duplicates
    assert after >= before
    anna.events()
    late = a.client()  # whatever it was, it may have sent anna away
    a.emit("still there")
    world.settle()
    assert late.heard()[-1] == ["still there"]
    assert a.cluster.census()["rooms_on"] == len(
        [room for each in a.node.hub.namespaces.values() for room in each.rooms]
    )


def mutate(data: st.DataObject, payload: bytes) -> bytes:
    changed = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed)))
        match data.draw(st.sampled_from(["set", "cut", "drop", "insert"])):
            case "set" if at < len(changed):
                changed[at] = data.draw(st.integers(0, 255))
            case "cut":
                del changed[at:]
            case "drop":
                del changed[at : at + data.draw(st.integers(1, 8))]
            case "insert":
                changed[at:at] = data.draw(st.binary(max_size=8))
    return bytes(changed)


@hypothesis_settings(deadline=None, max_examples=150)
@given(st.data())
def test_mutated_messages_never_raise(data: st.DataObject) -> None:
    channel, payload = data.draw(st.sampled_from(corpus()))
    changed = mutate(data, payload)
    hardened(lambda _: (channel, changed))


@hypothesis_settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_random_bytes_never_raise(payload: bytes) -> None:
    hardened(lambda _: (ALL, payload))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@hypothesis_settings(deadline=None, max_examples=150)
@given(st.sampled_from(Kind), st.lists(ANYTHING, max_size=12), st.booleans())
def test_bodies_of_anything_never_raise(kind: Kind, body: list[Any], control: bool) -> None:
    encoded = msgspec.msgpack.encode(body)

    def payload(a: Member) -> tuple[str, bytes]:
        stranger = Stranger(a)
        return ALL, stranger.codec.control(ALL, kind, encoded, 0) if control else stranger.raw(ALL, (kind, encoded))

    hardened(payload)


ROOMS = st.sampled_from(["room", "x" * 2_000, "", "aaaa0123456789abcdef", "zzzz0123456789abcdef"]) | st.integers(
    -5, 2**64 - 1
)
NAMES = st.sampled_from(["/", "/chat", "", "x" * 2_000, "\0"])
IDS = st.integers(0, 2**64 - 1)
ASKS = st.none() | st.builds(Ask, IDS, st.none() | st.integers(-(2**63), 2**64 - 1))
SIDS = st.sampled_from(["{sid}", "aaaa0123456789abcdef", "", "x" * 2_000])
ARGS = st.sampled_from([b'["hello"]', b"[]", b"", b'["a",{"_placeholder":true,"num":0}]', b"\x91\xa1a", b"\xff"])
CODECS = st.sampled_from(["json", "msgpack", "", "default", "pickle"])
BYTES = st.lists(st.binary(max_size=4), max_size=2).map(tuple)
MARKS = st.lists(
    st.builds(Mark, st.sampled_from([ALL, ROOM, OWN]), *[st.integers(-(2**63), 2**63)] * 4), max_size=3
).map(tuple)
NUMBERS = st.integers(-(2**63), 2**64 - 1)
BODIES = st.one_of(
    st.builds(
        Emit,
        st.sampled_from([2, 3, -1, 2**40]),
        NAMES,
        CODECS,
        ARGS,
        BYTES,
        st.none() | st.lists(ROOMS, max_size=3).map(tuple),
        st.lists(SIDS, max_size=2).map(tuple),
        st.lists(ROOMS, max_size=2).map(tuple),
        st.lists(SIDS, max_size=2).map(tuple),
        ASKS,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(Join, NAMES, SIDS, ROOMS, ASKS),
    st.builds(Leave, NAMES, SIDS, ROOMS),
    st.builds(CloseRoom, NAMES, ROOMS),
    st.builds(Disconnect, NAMES, SIDS, st.booleans()),
    st.builds(Question, st.builds(Ask, IDS), NAMES, SIDS),
    st.builds(Answer, IDS, st.just(b"12345678"), NUMBERS, CODECS, ARGS, BYTES, st.text(max_size=5)),
    st.builds(Hello, NUMBERS, st.text(max_size=5)),
    st.builds(Beat, NUMBERS, NUMBERS, st.dictionaries(st.text(max_size=3), NUMBERS, max_size=3), MARKS, NUMBERS),
    st.builds(Goodbye, st.text(max_size=5)),
    st.builds(MarksRequest, st.lists(st.sampled_from([ALL, "nothing"]), max_size=3).map(tuple)),
    st.builds(Marks, MARKS),
    st.builds(Probe, NUMBERS),
)


@hypothesis_settings(deadline=None, max_examples=300)
@given(BODIES, st.sampled_from(["xxxx", "emit_008", "aaaa"]))
def test_bodies_of_the_right_types_and_odd_values_never_raise(body: Any, name: str) -> None:
    def payload(a: Member) -> tuple[str, bytes]:
        sid = a.clients[0].sid
        encoded = encode_body(body).replace(msgspec.msgpack.encode("{sid}"), msgspec.msgpack.encode(sid))
        stranger = Stranger(a, name)
        kind = kind_of(body)
        control = kind >= Kind.HELLO
        return ALL, stranger.codec.control(ALL, kind, encoded, 0) if control else stranger.raw(ALL, (kind, encoded))

    hardened(payload)


def test_an_envelope_of_a_newer_minor_version_is_read(a: Member) -> None:
    anna = a.client()
    stranger = Stranger(a)
    payload = stranger.writes(ALL, emit())
    stranger.brings(ALL, payload[:3] + b"\x07" + payload[4:])
    assert anna.heard() == [["hello"]]
    assert isinstance(a.cluster.codec, EnvelopeCodec)
    assert a.cluster.codec.newer == 1
