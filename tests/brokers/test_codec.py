"""Envelopes: what is written is read, and no bytes whatever get more out of it than an EnvelopeError."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roomcast_brokers import codec as module
from roomcast_brokers.codec import (
    OPERATION_OVERHEAD,
    REASONS,
    EmitForm,
    EnvelopeCodec,
    decode_body,
    encode_body,
    encode_operation,
    new_origin,
)
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.errors import AddressError, EnvelopeError
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import (
    BODIES,
    CONTROL,
    Answer,
    Ask,
    Beat,
    Body,
    CloseRoom,
    Disconnect,
    Emit,
    Envelope,
    Goodbye,
    Hello,
    Join,
    Kind,
    Leave,
    Maker,
    Mark,
    Marks,
    MarksRequest,
    Operation,
    Origin,
    Probe,
    Question,
)
from tests.support import raw_envelope as raw
from tests.support.raw_envelope import ALL, EXAMPLES, LOBBY, SENT_MS, SEVEN, envelope, pack

NODE = Origin("n1-_", raw.EPOCH)
EMITTER = Origin("emit_008", raw.EMITTER_EPOCH)
N2 = "shop:node:n2ab"
RING = KeyRing([raw.KEY])
MARKS = (Mark(ALL, 2**33, 0, 9, 1_500), Mark(LOBBY, 41, 300, 305, 3_000))
LOBBY_EMIT = Emit(2, "/chat", "json", b'["said","hi"]', rooms=("lobby",))
EVERYBODY = Emit(2, "/chat", "json", b'["said","hi"]')
FORWARDED = Maker("n3__", raw.EMITTER_EPOCH, 2**40)


KIND_OF = {body: kind for kind, body in BODIES.items()}


def read(channel: str, payload: bytes, keys: KeyRing | None = None, **options: bool) -> Envelope:
    return EnvelopeCodec(Origin("n2ab", bytes(8)), "shop", keys, **options).decode(channel, payload)


def refused(channel: str, payload: bytes, keys: KeyRing | None = None, **options: bool) -> str:
    with pytest.raises(EnvelopeError) as caught:
        read(channel, payload, keys, **options)
    return caught.value.reason


# -- what is its own


@pytest.mark.parametrize("keys", [None, RING], ids=["unsigned", "signed"])
def test_its_own_messages_are_told_by_their_head_except_control(keys: KeyRing | None) -> None:
    codec = EnvelopeCodec(NODE, "shop", keys)
    body = encode_body(EVERYBODY)
    mine = codec.encode(ALL, 1, 1, SENT_MS, [encode_operation(Kind.EMIT, 2, body)])
    beat = codec.control(ALL, Kind.BEAT, encode_body(Beat(1, 1, {})), SENT_MS)
    assert codec.is_own(mine)
    assert not codec.is_own(beat)
    assert codec.decode(ALL, beat).origin == NODE
    for other in (Origin("n1-_", bytes(8)), Origin("n2-_", raw.EPOCH)):  # an earlier life; another node
        assert not EnvelopeCodec(other, "shop", keys).is_own(mine)


# -- refusals


@pytest.mark.parametrize("size", [0, 1, 23])
def test_what_is_shorter_than_a_head_is_refused(size: int) -> None:
    assert refused(ALL, EXAMPLES["1.0/emit-all"][:size]) == "short"


@pytest.mark.parametrize("size", [24, 63])
def test_what_is_shorter_than_its_signature_is_refused(size: int) -> None:
    assert refused(LOBBY, EXAMPLES["1.0/signed"][:size], RING) == "short"


def test_other_peoples_messages_are_refused() -> None:
    assert refused(ALL, b'{"method":"emit","event":"said"}') == "magic"
    assert refused(ALL, b"\x80\x04" + bytes(30)) == "magic"


def test_a_message_may_be_as_large_as_a_broker_carries_and_no_larger() -> None:
    def message(size: int) -> bytes:
        body = raw.emit(None, args=bytes(size))
        return envelope(raw.data(ALL, 1, [1, 1, None, body]))

    largest = MAX_MESSAGE_BYTES - (len(message(70_000)) - 70_000)
    assert len(message(largest)) == MAX_MESSAGE_BYTES
    assert read(ALL, message(largest)).seq == 1
    assert refused(ALL, message(largest + 1)) == "too_large"


def test_a_message_of_another_cluster_or_copied_to_another_channel_is_refused() -> None:
    payload = EXAMPLES["1.0/emit-all"]
    with pytest.raises(EnvelopeError) as caught:
        EnvelopeCodec(NODE, "shop2").decode(ALL, payload)
    assert caught.value.reason == "cluster"
    assert refused(LOBBY, payload) == "channel"


EMPTY: list[Any] = []
OPERATION = [1, 1, None, raw.emit(None)]


@pytest.mark.parametrize(
    "array",
    [
        b"",
        b"\xc1",  # never used in MessagePack
        pack(7),
        pack([]),
        pack(["shop", ALL, 1, 1, SENT_MS]),
        pack(["shop", ALL, 1, 1, SENT_MS, None]),
        pack(["shop", ALL, 1, 1, SENT_MS, EMPTY]),
        pack(["shop", ALL, 1, 0, SENT_MS, [OPERATION]]),
        pack(["shop", ALL, -1, 1, SENT_MS, [OPERATION]]),
        pack(["shop", ALL, 1, "1", SENT_MS, [OPERATION]]),
        pack(["shop", ALL, True, 1, SENT_MS, [OPERATION]]),
        pack(["shop", ALL, 1, 1, SENT_MS, [[1, 1, None]]]),
        pack(["shop", ALL, 1, 1, SENT_MS, [[1, 1, "n3__", raw.emit(None)]]]),
        pack(["shop", ALL, 1, 1, SENT_MS, [[9, 1, None, [1, 1, {}, []]]]]),  # a beat among numbered operations
        pack(["shop", ALL, 1, 1, SENT_MS, [OPERATION]]) + b"\0",
        pack(["shop", ALL, 1, 1, SENT_MS, [OPERATION]])[:-1],
        pack(["shop"]).replace(b"shop", b"sh\xffp"),
        b"\x96" + pack("shop") + pack(ALL) + pack(1) * 3 + b"\xdd\xff\xff\xff\xff",
        b"\x96" + pack("shop") + pack(ALL) + pack(1) * 3 + b"\x91\x94\x01\x01\xc0" + b"\x91" * 100_000,
    ],
    ids=range(19),
)
def test_an_array_that_is_none_is_refused(array: bytes) -> None:
    assert refused(ALL, EXAMPLES["1.0/emit-all"][:24] + array) == "malformed"


@pytest.mark.parametrize(
    "array",
    [
        ["shop", ALL, 1, 0, SENT_MS, [[9, 0, None, [1, 1, {}]]]],
        ["shop", ALL, 0, 1, SENT_MS, [[9, 0, None, [1, 1, {}]]]],
        ["shop", ALL, 0, 0, SENT_MS, EMPTY],
        ["shop", ALL, 0, 0, SENT_MS, [[9, 0, None, [1, 1, {}]]] * 2],
        ["shop", ALL, 0, 0, SENT_MS, [OPERATION]],  # would never count as lost
    ],
    ids=range(5),
)
def test_a_control_message_is_one_operation_without_numbers(array: list[Any]) -> None:
    assert refused(ALL, envelope(array, flags=raw.CONTROL)) == "malformed"


@pytest.mark.parametrize("name", [b"\0" * 8, b"abc\0\0\0\0\0", b"abcde\0\0\0", b"ab\xff\xff\0\0\0\0", b"ab:c\0\0\0\0"])
def test_an_origin_has_the_name_of_a_node_or_an_emitter(name: bytes) -> None:
    assert refused(ALL, envelope(raw.data(ALL, 1, OPERATION), name=name)) == "malformed"


def test_reserved_bytes_and_flags_are_ignored() -> None:
    payload = bytearray(EXAMPLES["1.0/emit-all"])
    payload[4:8] = b"\x7f\xf0\xff\xff"
    assert read(ALL, bytes(payload)).origin == NODE


# -- signatures


def test_what_is_signed_is_read_by_who_has_the_key() -> None:
    old, new = "an old key", b"a new key"
    operation = encode_operation(Kind.EMIT, 1, encode_body(EVERYBODY))
    payload = EnvelopeCodec(NODE, "shop", KeyRing([new, old])).encode(ALL, 1, 1, SENT_MS, [operation])
    assert read(ALL, payload, KeyRing([old, new])).signed
    assert refused(ALL, payload, KeyRing([old])) == "key"
    assert refused(ALL, payload, KeyRing([old]), accept_unsigned=True) == "key"


def test_where_there_are_no_keys_signed_messages_are_read_unchecked() -> None:
    payload = EXAMPLES["1.0/signed"]
    assert read(LOBBY, payload).signed
    assert read(LOBBY, payload[:24] + bytes(40) + payload[64:]).seq == 320


def test_where_there_are_keys_unsigned_messages_are_refused_unless_they_are_being_rolled_out() -> None:
    assert refused(ALL, EXAMPLES["1.0/emit-all"], RING) == "unsigned"
    assert not read(ALL, EXAMPLES["1.0/emit-all"], RING, accept_unsigned=True).signed


# Everything but the key's id, which is a reason of its own, magic and version, which are judged before.
CHANGED = [n for n in range(4, len(EXAMPLES["1.0/signed"])) if not 24 <= n < 32 and n != 5]


@given(st.sampled_from(CHANGED), st.integers(1, 255))
def test_no_byte_of_a_signed_message_can_be_changed(position: int, change: int) -> None:
    payload = bytearray(EXAMPLES["1.0/signed"])
    payload[position] ^= change
    # A name that cannot be is seen before the signature is.
    assert refused(LOBBY, bytes(payload), RING) == "signature" or 8 <= position < 16


def test_the_flag_of_a_signed_message_cannot_be_taken_away() -> None:
    payload = bytearray(EXAMPLES["1.0/signed"])
    payload[5] = 0
    assert refused(LOBBY, bytes(payload), RING) == "unsigned"
    assert refused(LOBBY, bytes(payload), RING, accept_unsigned=True) == "malformed"


# -- whatever the bytes


def read_through(codec: EnvelopeCodec, channel: str, payload: bytes) -> None:
    """Read everything that can be read; anything but an EnvelopeError with a known reason fails the test."""
    try:
        codec.is_own(payload)
        found = codec.decode(channel, payload)
    except EnvelopeError as error:
        outcomes = [error.reason]
    else:
        outcomes = [outcome_of(operation) for operation in found.operations]
    assert {*REASONS, "read"}.issuperset(outcomes)


def outcome_of(operation: Operation) -> str:
    try:
        body = decode_body(operation)
    except EnvelopeError as error:
        return error.reason
    return "read" if type(body) is BODIES[operation.kind] else "read as something else"


READERS = [EnvelopeCodec(NODE, "shop"), EnvelopeCodec(EMITTER, "shop", RING, accept_unsigned=True)]


@given(st.binary(max_size=200))
@example(b"rc\1\0\0\0\0\0" + bytes(16))
def test_random_bytes_are_refused_with_a_reason(payload: bytes) -> None:
    for codec in READERS:
        read_through(codec, ALL, payload)


@given(st.binary(max_size=200))
def test_random_bytes_behind_a_good_head_too(array: bytes) -> None:
    read_through(READERS[0], ALL, EXAMPLES["1.0/emit-all"][:24] + array)


def mutations(seed: int, payload: bytes, count: int) -> Iterator[bytes]:
    """``payload`` with some bytes changed, cut out, doubled or exchanged."""
    chance = random.Random(seed)
    for _ in range(count):
        changed = bytearray(payload)
        for _ in range(chance.randint(1, 4)):
            position = chance.randrange(len(changed) + 1)
            end = min(len(changed), position + chance.randint(1, 4))
            changed[position:end] = chance.choice(
                [b"", chance.randbytes(end - position), changed[position:end] * 2, bytes([chance.choice(CODES)])]
            )
        yield bytes(changed)


def channel_of(payload: bytes) -> str:
    return next((each for each in CHANNELS if pack(each) in payload), ALL)


CHANNELS = [N2, LOBBY, SEVEN, ALL]
# Heads of MessagePack: they do more than random bytes.
CODES = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, *range(0xC0, 0xE0), 0xFF]


@pytest.mark.parametrize("name", EXAMPLES)
def test_mutated_messages_are_read_or_refused_with_a_reason(name: str) -> None:
    payload = EXAMPLES[name]
    channel = channel_of(payload)
    for changed in mutations(len(payload), payload, 20 if len(payload) > 10_000 else 400):
        for codec in READERS:
            read_through(codec, channel, changed)


@pytest.mark.long
@settings(max_examples=1_000, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(EXAMPLES)))
def test_very_many_mutated_messages(seed: int, name: str) -> None:
    channel = channel_of(EXAMPLES[name])
    for changed in mutations(seed, EXAMPLES[name], 100):
        for codec in READERS:
            read_through(codec, channel, changed)


# -- round trips

u64 = st.integers(0, 2**64 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
blobs = st.binary(max_size=8)
rooms = st.one_of(texts, st.integers(-(2**63), 2**64 - 1))
several = st.lists(rooms, max_size=3).map(tuple)
names = st.lists(texts, max_size=3).map(tuple)
marks = st.lists(st.builds(Mark, texts, u64, u64, u64, u64), max_size=3).map(tuple)
asks = st.builds(Ask, u64, st.none() | u64)
attachments = st.lists(blobs, max_size=2).map(tuple)
bodies: st.SearchStrategy[Body] = st.one_of(
    st.builds(
        Emit,
        *(u64, texts, texts, blobs, attachments, st.none() | several, names, several, names, st.none() | asks),
        *(st.booleans(), st.booleans()),
    ),
    st.builds(Join, texts, texts, rooms, st.none() | asks),
    st.builds(Leave, texts, texts, rooms),
    st.builds(CloseRoom, texts, rooms),
    st.builds(Disconnect, texts, texts, st.booleans()),
    st.builds(Question, asks, texts, texts),
    st.builds(Answer, u64, blobs, u64, texts, blobs, attachments, texts),
    st.builds(Hello, u64, texts),
    st.builds(Beat, u64, u64, st.dictionaries(texts, u64, max_size=3), marks, u64),
    st.builds(Goodbye, texts),
    st.builds(MarksRequest, names),
    st.builds(Marks, marks),
    st.builds(Probe, u64),
)
makers = st.none() | st.builds(Maker, st.sampled_from(["abcd", "emit_008"]), st.binary(min_size=8, max_size=8), u64)


emits = st.builds(
    Emit,
    *(u64, texts, texts, blobs, st.just(()), st.none() | several, names, several, names, st.none() | asks),
    *(st.booleans(), st.booleans()),
)


@given(emits, st.one_of(st.binary(max_size=300), st.sampled_from([255, 256, 65_535, 65_536]).map(bytes)))
def test_a_form_writes_what_its_emits_are(emit: Emit, args: bytes) -> None:
    assert EmitForm(emit).encode(args) == encode_body(msgspec.structs.replace(emit, args=args))


@given(bodies, makers, st.sampled_from([None, RING]), u64)
def test_what_is_written_is_read(body: Body, made_by: Maker | None, keys: KeyRing | None, number: int) -> None:
    kind = KIND_OF[type(body)]
    writer = EnvelopeCodec(NODE, "shop", keys)
    encoded = encode_body(body)
    if kind in CONTROL:
        payload = writer.control(ALL, kind, encoded, number)
        made_by = None
    else:
        operation = encode_operation(kind, number, encoded, made_by)
        assert len(operation) <= len(encoded) + OPERATION_OVERHEAD
        payload = writer.encode(ALL, number, max(1, number), number, [operation, operation])
        assert len(payload) <= 2 * len(operation) + writer.overhead(ALL)
    found = read(ALL, payload, keys)
    for each in found.operations:
        assert (each.kind, each.made_by, decode_body(each)) == (kind, made_by, body)
    assert found.sent_ms == number


@pytest.mark.parametrize("count", [1, 15, 16, 65_535, 65_536])
def test_a_message_holds_any_number_of_operations(count: int) -> None:
    codec = EnvelopeCodec(NODE, "shop")
    operations = [encode_operation(Kind.LEAVE, 1, b"\x93\xa1/\xa1s\x01")] * count
    payload = codec.encode(ALL, 2**64 - 1, 2**64 - 1, 2**64 - 1, operations)
    assert len(payload) <= codec.overhead(ALL) + sum(map(len, operations))
    assert len(read(ALL, payload).operations) == count


def test_a_received_body_can_be_forwarded_as_it_is() -> None:
    (operation,) = read(LOBBY, EXAMPLES["1.0/emit-room"]).operations
    again = encode_operation(operation.kind, 48, operation.body, FORWARDED)
    assert EnvelopeCodec(NODE, "shop").encode(LOBBY, 41, 318, SENT_MS, [again]) == EXAMPLES["1.0/forwarded"]


def test_an_operation_of_an_unknown_kind_can_be_written() -> None:
    unknown = encode_operation(300, 1, b"\xc0")
    found = read(ALL, EnvelopeCodec(NODE, "shop").encode(ALL, 1, 1, SENT_MS, [unknown]))
    assert found.operations[0].kind == 300


# -- bodies


@pytest.mark.parametrize("room", [2**64, -(2**63) - 1, "\ud800"])
def test_rooms_that_messagepack_cannot_hold_are_the_applications_fault(room: int | str) -> None:
    with pytest.raises(AddressError) as caught:
        encode_body(CloseRoom("/", room))
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Kind.LEAVE, ["/", "s", True]),
        (Kind.LEAVE, ["/", "s"]),
        (Kind.LEAVE, {"namespace": "/"}),
        (Kind.EMIT, [2, "/", "json", "text instead of bytes"]),
        (Kind.BEAT, [1, 1, {"/": "many"}]),
    ],
    ids=range(5),
)
def test_a_body_that_is_none_of_its_kind_is_refused(kind: Kind, body: Any) -> None:
    with pytest.raises(EnvelopeError) as caught:
        decode_body(Operation(kind, 1, None, msgspec.Raw(pack(body))))
    assert caught.value.reason == "body"
    assert caught.value.__cause__ is not None


# -- origins and bounds


def test_every_life_has_an_epoch_of_its_own() -> None:
    assert new_origin("abcd").name == "abcd"
    assert new_origin("abcd").epoch != new_origin("abcd").epoch
    emitter = new_origin()
    assert (len(emitter.name), len(emitter.epoch)) == (8, 8)
    assert emitter.name != new_origin().name


@pytest.mark.parametrize("name", ["", "abc", "abcde", "abcdefghi", "a:cd", "abcé", "ab\ud800d"])
def test_an_origin_with_another_name_cannot_be_made(name: str) -> None:
    with pytest.raises(AddressError):
        new_origin(name)
    with pytest.raises(AddressError):
        EnvelopeCodec(Origin(name, bytes(8)), "shop")


def test_a_codec_checks_its_cluster_and_epoch() -> None:
    with pytest.raises(AddressError):
        EnvelopeCodec(NODE, "no:colon")
    with pytest.raises(AddressError):
        EnvelopeCodec(Origin("abcd", b"short"), "shop")


def test_what_a_codec_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_HEADS", 3)
    monkeypatch.setattr(module, "_REMEMBERED_CHANNELS", 3)
    codec = EnvelopeCodec(NODE, "shop")
    operation = encode_operation(Kind.EMIT, 1, encode_body(EVERYBODY))
    for number in range(10):
        origin = Origin(f"n{number:03}", bytes(8))
        channel = f"shop:node:{origin.name}"
        payload = EnvelopeCodec(origin, "shop").encode(channel, 1, 1, SENT_MS, [operation])
        assert codec.decode(channel, payload).origin == origin
        codec.encode(channel, 1, 1, SENT_MS, [operation])
        assert len(codec._heads) <= 3
        assert len(codec._starts) <= 3
