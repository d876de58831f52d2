"""Golden files: what was valid once stays valid, is read as what it meant, and is written again byte by byte."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from roomcast_brokers.codec import EnvelopeCodec, decode_body, encode_body, encode_operation
from roomcast_brokers.errors import EnvelopeError
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import (
    BODIES,
    Answer,
    Ask,
    Beat,
    Body,
    CloseRoom,
    Disconnect,
    Emit,
    Goodbye,
    Hello,
    Join,
    Leave,
    Maker,
    Mark,
    Marks,
    MarksRequest,
    Origin,
    Outcome,
    Probe,
    Question,
)
from tests.support import raw_envelope as raw
from tests.support.raw_envelope import ALL, EXAMPLES, LOBBY, SENT_MS, SEVEN, SID, envelope

NODE = Origin("n1-_", raw.EPOCH)
EMITTER = Origin("emit_008", raw.EMITTER_EPOCH)
N2 = "shop:node:n2ab"
RING = KeyRing([raw.KEY])
KIND_OF = {body: kind for kind, body in BODIES.items()}
MARKS = (Mark(ALL, 2**33, 0, 9, 1_500), Mark(LOBBY, 41, 300, 305, 3_000))
LOBBY_EMIT = Emit(2, "/chat", "json", b'["said","hi"]', rooms=("lobby",))
EVERYBODY = Emit(2, "/chat", "json", b'["said","hi"]')
FORWARDED = Maker("n3__", raw.EMITTER_EPOCH, 2**40)


class Example(msgspec.Struct, frozen=True):
    """What a golden file means: origin, channel, number of the first operation (None: control), operations."""

    channel: str
    seq: int | None
    operations: tuple[tuple[int, Maker | None, Body], ...]
    origin: Origin = NODE
    signed: bool = False


def one(channel: str, seq: int, mid: int, body: Body, made_by: Maker | None = None, **more: Any) -> Example:
    return Example(channel, seq, ((mid, made_by, body),), **more)


def beside(body: Body, channel: str = ALL, **more: Any) -> Example:
    return Example(channel, None, ((0, None, body),), **more)


# The same as in tests/support/raw_envelope.py, as a reader sees it.
MEANT = {
    "1.0/emit-all": one(ALL, 1, 42, EVERYBODY),
    "1.0/emit-room": one(LOBBY, 300, 70_000, LOBBY_EMIT),
    "1.0/emit-numbered-room": one(SEVEN, 2, 43, msgspec.structs.replace(LOBBY_EMIT, rooms=(7,))),
    "1.0/emit-list": one(
        ALL, 2, 44, msgspec.structs.replace(LOBBY_EMIT, rooms=("lobby", -(2**63), 2**64 - 1, SID), sids=(SID,))
    ),
    "1.0/emit-attachment-ask": one(
        ALL,
        3,
        45,
        Emit(
            *(2, "/", "json", b'["file",{"_placeholder":true,"num":0}]', (bytes(range(256)) * 2,)),
            except_rooms=("muted", 5),
            except_sids=(SID,),
            ask=Ask(2**63 + 1, 30_000),
            volatile=True,
        ),
    ),
    "1.0/emit-sid-or-room": one(N2, 1, 46, msgspec.structs.replace(EVERYBODY, rooms=(), sids=(SID,), either=True)),
    "1.0/emit-long": one(ALL, 4, 47, msgspec.structs.replace(EVERYBODY, args=b"[" + b" " * 70_000 + b"]")),
    "1.0/batch": Example(LOBBY, 301, tuple((100 + n, None, LOBBY_EMIT) for n in range(17))),
    "1.0/forwarded": one(LOBBY, 318, 48, LOBBY_EMIT, FORWARDED),
    "1.0/join": one(N2, 2, 49, Join("/chat", SID, "lobby", Ask(7))),
    "1.0/leave": one(N2, 3, 50, Leave("/chat", SID, 7)),
    "1.0/close-room": one(LOBBY, 319, 51, CloseRoom("/chat", "lobby")),
    "1.0/disconnect": one(N2, 4, 52, Disconnect("/chat", SID, close=True)),
    "1.0/ask": one(N2, 5, 53, Question(Ask(8, 1_000), "/chat", SID)),
    "1.0/answer": one(N2, 6, 54, Answer(8, raw.EPOCH, Outcome.OK, "json", b'["ok"]', (b"\0",))),
    "1.0/answer-refused": one(N2, 7, 55, Answer(9, raw.EPOCH, Outcome.REFUSED, text="no: größer")),
    "1.0/answer-lost": one(N2, 8, 57, Answer(0, raw.EPOCH, Outcome.LOST)),
    "1.0/hello": beside(Hello(12, "0.1.0")),
    "1.0/beat": beside(Beat(7, 7_001, {"/": 3, "/chat": 70_000}, MARKS, page=1)),
    "1.0/goodbye": beside(Goodbye("draining")),
    "1.0/marks-request": beside(MarksRequest((ALL, LOBBY))),
    "1.0/marks": beside(Marks(MARKS)),
    "1.0/probe": beside(Probe(2**64 - 1), LOBBY),
    "1.0/emitter": one(ALL, 1, 2, EVERYBODY, origin=EMITTER),
    "1.0/signed": one(LOBBY, 320, 56, LOBBY_EMIT, signed=True),
    "1.0/signed-beat": beside(Beat(8, 8_001, {}), signed=True),
}


def written(meant: Example) -> bytes:
    """What this version writes for it."""
    codec = EnvelopeCodec(meant.origin, "shop", RING if meant.signed else None)
    if meant.seq is None:
        ((_, _, body),) = meant.operations
        return codec.control(meant.channel, KIND_OF[type(body)], encode_body(body), SENT_MS)
    operations = [
        encode_operation(KIND_OF[type(body)], mid, encode_body(body), made_by)
        for mid, made_by, body in meant.operations
    ]
    return codec.encode(meant.channel, 41, meant.seq, SENT_MS, operations)


def reader(keys: KeyRing | None = None) -> EnvelopeCodec:
    return EnvelopeCodec(Origin("n2ab", bytes(8)), "shop", keys)


@pytest.mark.parametrize("name", EXAMPLES)
def test_golden_files_are_what_the_independent_writer_writes(name: str) -> None:
    assert raw.path_of(name).read_bytes() == EXAMPLES[name]


def test_every_golden_file_is_known() -> None:
    assert {path.relative_to(raw.FOLDER).with_suffix("").as_posix() for path in raw.FOLDER.rglob("*.bin")} == set(
        EXAMPLES
    )
    assert {type(body) for meant in MEANT.values() for _, _, body in meant.operations} == set(BODIES.values())
    assert set(MEANT) == {name for name in EXAMPLES if name.startswith("1.0/")}


@pytest.mark.parametrize("name", MEANT)
def test_golden_files_are_read(name: str) -> None:
    meant = MEANT[name]
    keys = RING if meant.signed else None
    found = reader(keys).decode(meant.channel, raw.path_of(name).read_bytes())
    assert (found.origin, found.channel, found.cluster) == (meant.origin, meant.channel, "shop")
    assert (found.control, found.signed, found.sent_ms) == (meant.seq is None, meant.signed, SENT_MS)
    assert (found.gen, found.seq) == ((0, 0) if meant.seq is None else (41, meant.seq))
    assert [(each.mid, each.made_by, decode_body(each)) for each in found.operations] == list(meant.operations)
    assert [each.kind for each in found.operations] == [KIND_OF[type(body)] for _, _, body in meant.operations]


@pytest.mark.parametrize("name", MEANT)
def test_golden_files_are_written(name: str) -> None:
    assert written(MEANT[name]) == raw.path_of(name).read_bytes()


# -- other versions


def test_a_newer_minor_version_is_read_as_far_as_it_is_known() -> None:
    codec = reader()
    found = codec.decode(LOBBY, EXAMPLES["1.1/longer"])
    emit, unknown, join = found.operations
    assert (found.seq, found.control, found.signed) == (321, False, False)
    assert (decode_body(emit), emit.made_by) == (LOBBY_EMIT, Maker("n3__", raw.EMITTER_EPOCH, 5))
    assert decode_body(join) == Join("/chat", SID, "lobby", Ask(7))
    assert (unknown.kind, unknown.mid) == (99, 58)
    with pytest.raises(EnvelopeError) as caught:
        decode_body(unknown)
    assert caught.value.reason == "kind"


def test_control_messages_of_a_newer_minor_version_too() -> None:
    beat = reader().decode(ALL, EXAMPLES["1.1/longer-beat"])
    assert decode_body(beat.operations[0]) == Beat(7, 7_001, {}, MARKS[:1])
    unknown = reader().decode(ALL, EXAMPLES["1.1/unknown-control"])
    assert (unknown.control, unknown.operations[0].kind) == (True, 98)


def test_messages_of_a_newer_minor_version_are_counted_each() -> None:
    codec = reader()
    codec.decode(ALL, EXAMPLES["1.0/emit-all"])
    assert codec.newer == 0
    codec.decode(LOBBY, EXAMPLES["1.1/longer"])
    codec.decode(LOBBY, EXAMPLES["1.1/longer"])
    assert codec.newer == 2


@pytest.mark.parametrize(
    "payload", [EXAMPLES["2.0/anything"], envelope(raw.data(ALL, 1, [1, 1, None, raw.emit(None)]), version=(0, 9))]
)
def test_another_major_version_is_dropped(payload: bytes) -> None:
    with pytest.raises(EnvelopeError) as caught:
        reader().decode(ALL, payload)
    assert caught.value.reason == "major"
