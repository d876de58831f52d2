from __future__ import annotations

import random
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.websocket.closecodes import INVALID_DATA, POLICY_VIOLATION, PROTOCOL_ERROR, TOO_BIG, Failure
from roomcast.websocket.deflate import deflate, inflate
from roomcast.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    FrameReader,
    binary_frame,
    close_frame,
    head,
    ping_frame,
    pong_frame,
    split_frames,
    text_frame,
)
from tests.support.masked import masked_frame

LENGTHS = [0, 1, 4, 125, 126, 127, 999, 1_000, 65_535, 65_536, 70_000]
RSV1 = 0x40

text = partial(masked_frame, TEXT)
binary = partial(masked_frame, BINARY)
more = partial(masked_frame, CONTINUATION)


def reader(max_message: int = 100_000, max_fragments: int = 100, *, compressed: bool = False) -> FrameReader:
    return FrameReader(max_message, max_fragments, inflate if compressed else None)


def fault(data: bytes, reader: FrameReader) -> tuple[list[tuple[int, bytes]], int]:
    """What came before the fault, and its code; nothing is read after it."""
    before = reader.receive(data)
    assert reader.failure is not None
    assert reader.failure.reason
    assert not reader.unfinished
    assert reader.receive(text(b"after")) == []
    return before, reader.failure.code


# What we send


@pytest.mark.parametrize("length", LENGTHS)
def test_own_frames_and_back(length: int) -> None:
    payload = b"x" * length
    size = {0: b"", 2: b"\x7e", 8: b"\x7f"}[0 if length < 126 else 2 if length < 65_536 else 8]
    size += length.to_bytes(1 if length < 126 else 2 if length < 65_536 else 8, "big")
    assert text_frame(payload) == b"\x81" + size + payload
    assert binary_frame(payload) == b"\x82" + size + payload
    assert head(0xC1, length) == b"\xc1" + size
    assert split_frames(text_frame(payload) + binary_frame(payload)) == [(TEXT, payload), (BINARY, payload)]


def test_own_control_frames() -> None:
    assert ping_frame() == b"\x89\x00"
    assert pong_frame(b"hi") == b"\x8a\x02hi"
    assert close_frame() == b"\x88\x00"
    assert close_frame(1009, "big") == b"\x88\x05\x03\xf1big"
    assert len(ping_frame(b"x" * 125)) == 127
    with pytest.raises(ValueError, match="not 126"):
        pong_frame(b"x" * 126)
    with pytest.raises(ValueError, match="1006"):
        close_frame(1006)


FRAME = {TEXT: text_frame, BINARY: binary_frame}
OWN = st.tuples(st.sampled_from([TEXT, BINARY]), st.sampled_from(LENGTHS[:-2]).map(bytes) | st.binary(max_size=200))


@given(messages=st.lists(OWN, max_size=5))
def test_split_frames_undoes_joining(messages: list[tuple[int, bytes]]) -> None:
    assert split_frames(b"".join([FRAME[opcode](payload) for opcode, payload in messages])) == messages


# Whole messages


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_one_frame_one_message(opcode: int, length: int) -> None:
    payload = (bytes(range(256)) * 300)[:length]
    one = reader()
    assert one.receive(masked_frame(opcode, payload)) == [(opcode, payload)]
    assert not one.unfinished
    assert one.failure is None


def test_the_example_of_the_rfc() -> None:
    one = reader()
    assert one.receive(bytes.fromhex("818537fa213d7f9f4d5158")) == [(TEXT, b"Hello")]


def test_text_is_not_decoded() -> None:
    assert reader().receive(text(b"\xff")) == [(TEXT, b"\xff")]


def test_fragments_and_control_frames_between_them() -> None:
    one = reader()
    data = text(b"He", fin=False) + masked_frame(PING, b"p") + more(b"", fin=False) + masked_frame(PONG) + more(b"llo")
    assert one.receive(data + binary(b"!")) == [(PING, b"p"), (PONG, b""), (TEXT, b"Hello"), (BINARY, b"!")]
    assert not one.unfinished


def test_unfinished() -> None:
    one = reader()
    steps = [
        (b"", False),
        (text(b"abc")[:1], True),
        (text(b"abc")[1:], False),
        (text(b"abc", fin=False), True),
        (more(b"")[:-1], True),
        (more(b"")[-1:], False),
    ]
    for data, unfinished in steps:
        one.receive(data)
        assert one.unfinished is unfinished


def test_nothing_is_read_after_a_close() -> None:
    one = reader()
    closing = masked_frame(CLOSE, b"\x03\xe8bye")
    assert one.receive(text(b"a") + text(b"b", fin=False) + closing + text(b"c")) == [
        (TEXT, b"a"),
        (CLOSE, b"\x03\xe8bye"),
    ]
    assert one.failure is None
    assert not one.unfinished
    assert one.receive(b"\xff\xff") == one.receive(text(b"d")) == []
    assert one.failure is None


# Limits


@pytest.mark.parametrize("limit", [10, 125, 126, 127, 65_535, 65_536])
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_the_length_limit_is_inclusive(limit: int, pieces: int) -> None:
    for length, fine in ((limit - 1, True), (limit, True), (limit + 1, False)):
        cuts = [b"x" * (length // pieces)] * (pieces - 1)
        cuts.append(b"x" * (length - sum(map(len, cuts))))
        data = b"".join([masked_frame(TEXT if at == 0 else 0, cut, fin=False) for at, cut in enumerate(cuts[:-1])])
        data += masked_frame(TEXT if pieces == 1 else 0, cuts[-1])
        if fine:
            assert reader(limit).receive(data) == [(TEXT, b"x" * length)]
        else:
            assert fault(data, reader(limit)) == ([], TOO_BIG)


def test_the_announced_length_is_enough_to_refuse() -> None:
    assert fault(text(b"x" * 70_000)[:10], reader(69_999)) == ([], TOO_BIG)
    announced = b"\x82\xff" + (2**63 - 1).to_bytes(8, "big")
    assert fault(text(b"ok") + announced, reader()) == ([(TEXT, b"ok")], TOO_BIG)


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_the_limit_of_fragments_is_inclusive_and_counts_empty_ones(limit: int) -> None:
    def message(count: int) -> bytes:
        frames = [masked_frame(TEXT if at == 0 else 0, b"", fin=at == count - 1) for at in range(count)]
        return masked_frame(PING).join(frames)

    for count in {max(1, limit - 1), limit}:
        assert reader(max_fragments=limit).receive(message(count))[-1] == (TEXT, b"")
    pings = [(PING, b"")] * limit
    assert fault(message(limit + 1), reader(max_fragments=limit)) == (pings, POLICY_VIOLATION)


def test_sixty_four_thousand_fragments_of_one_message() -> None:
    one = reader(100_000, 65_536)
    assert one.receive(text(b"x", fin=False) + more(b"x", fin=False) * 65_534 + more(b"x")) == [(TEXT, b"x" * 65_536)]


# Faults

KEPT = [(TEXT, b"kept")]

FAULTS = {
    "unmasked": (text(b"x", key=None), PROTOCOL_ERROR),
    "RSV1 without the extension": (text(b"x", reserved=0x40), PROTOCOL_ERROR),
    "RSV2": (text(b"x", reserved=0x20), PROTOCOL_ERROR),
    "RSV3": (binary(b"x", reserved=0x10), PROTOCOL_ERROR),
    "RSV on a ping": (masked_frame(PING, reserved=0x40), PROTOCOL_ERROR),
    **{f"opcode {code}": (masked_frame(code), PROTOCOL_ERROR) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "continuation of nothing": (more(b"x"), PROTOCOL_ERROR),
    "text within text": (text(b"x", fin=False) + text(b"y"), PROTOCOL_ERROR),
    "long binary within text": (text(b"x", fin=False) + binary(b"y" * 200), PROTOCOL_ERROR),
    "unfinished binary within text": (text(b"x", fin=False) + binary(b"y", fin=False), PROTOCOL_ERROR),
    "fragmented ping": (masked_frame(PING, fin=False), PROTOCOL_ERROR),
    "fragmented close": (masked_frame(CLOSE, fin=False), PROTOCOL_ERROR),
    "long ping": (masked_frame(PING, b"x" * 126), PROTOCOL_ERROR),
    "two bytes for 125": (text(b"x" * 125, length_bytes=2), PROTOCOL_ERROR),
    "two bytes for 0": (text(b"", length_bytes=2), PROTOCOL_ERROR),
    "two bytes for 120 and more to come": (text(b"x" * 120, length_bytes=2) + text(b"y" * 99), PROTOCOL_ERROR),
    "eight bytes for 65,535": (binary(b"x" * 65_535, length_bytes=8), PROTOCOL_ERROR),
    "length with the top bit": (b"\x82\xff" + (2**63).to_bytes(8, "big") + bytes(4), PROTOCOL_ERROR),
    "close with one byte": (masked_frame(CLOSE, b"\x03"), PROTOCOL_ERROR),
    "close with 1005": (masked_frame(CLOSE, b"\x03\xed"), PROTOCOL_ERROR),
    "close with a bad reason": (masked_frame(CLOSE, b"\x03\xe8\xff"), INVALID_DATA),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str) -> None:
    data, code = FAULTS[name]
    assert fault(text(b"kept") + data + text(b"dropped"), reader()) == (KEPT, code)
    bytewise = reader()
    kept = [message for byte in text(b"kept") + data for message in bytewise.receive(bytes((byte,)))]
    assert (kept, bytewise.failure and bytewise.failure.code) == (KEPT, code)


# permessage-deflate


def test_compressed_messages() -> None:
    one = reader(compressed=True)
    packed = deflate(b"Hello" * 20)
    whole = text(packed, reserved=RSV1)
    parts = binary(packed[:3], reserved=RSV1, fin=False) + masked_frame(PING) + more(packed[3:])
    assert one.receive(whole + parts + text(b"plain")) == [
        (TEXT, b"Hello" * 20),
        (PING, b""),
        (BINARY, b"Hello" * 20),
        (TEXT, b"plain"),
    ]
    assert one.failure is None


def test_rsv1_belongs_on_the_first_frame_only() -> None:
    data = text(b"", reserved=RSV1, fin=False) + more(deflate(b"x"), reserved=RSV1)
    assert fault(data, reader(compressed=True)) == ([], PROTOCOL_ERROR)
    assert fault(text(b"", reserved=0x60), reader(compressed=True)) == ([], PROTOCOL_ERROR)


def test_the_limit_is_on_the_inflated_size() -> None:
    packed = deflate(b"x" * 1_001)
    assert reader(1_001, compressed=True).receive(text(packed, reserved=RSV1)) == [(TEXT, b"x" * 1_001)]
    assert fault(text(b"kept") + text(packed, reserved=RSV1), reader(1_000, compressed=True)) == (KEPT, TOO_BIG)


def test_a_message_that_deflate_made_longer_is_not_too_long() -> None:
    """A message of exactly the limit that does not shrink, whole and in two parts."""
    noise = random.Random(7).randbytes(20_000)
    packed = deflate(noise)
    assert len(packed) > len(noise)
    limit = len(noise)
    assert reader(limit, compressed=True).receive(binary(packed, reserved=RSV1)) == [(BINARY, noise)]
    parts = binary(packed[:9_000], reserved=RSV1, fin=False) + more(packed[9_000:])
    assert reader(limit, compressed=True).receive(parts) == [(BINARY, noise)]
    longer = bytes(limit + (limit >> 8) + 65)
    assert fault(binary(longer, reserved=RSV1), reader(limit, compressed=True)) == ([], TOO_BIG)
    assert fault(binary(longer[:-65]), reader(limit, compressed=True)) == ([], TOO_BIG)


def test_what_does_not_inflate_is_bad_data() -> None:
    data = text(b"kept") + text(b"\xff\xff", reserved=RSV1) + text(b"dropped")
    assert fault(data, reader(compressed=True)) == (KEPT, INVALID_DATA)


# Any split gives the same

PAYLOADS = st.binary(max_size=10) | st.sampled_from([124, 125, 126, 127, 300]).map(lambda length: b"\x9a" * length)
ANY_FRAME = st.builds(
    masked_frame,
    st.sampled_from([TEXT, TEXT, BINARY, CONTINUATION, PING, PONG, 3]),
    PAYLOADS,
    fin=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 0x40]),
    key=st.binary(min_size=4, max_size=4) | st.just(bytes(4)),
)
CLOSES = st.sampled_from([b"", b"\x03\xe8", b"\x03\xe8bye", b"\x03", b"\x03\xe8\xff"]).map(partial(masked_frame, CLOSE))


def message_of(parts: list[bytes]) -> bytes:
    last = len(parts) - 1
    return b"".join([masked_frame(0 if at else BINARY, part, fin=at == last) for at, part in enumerate(parts)])


INPUT = st.lists(ANY_FRAME | CLOSES | st.lists(PAYLOADS, min_size=1, max_size=6).map(message_of), max_size=6)


def outcome(pieces: list[bytes], *, compressed: bool) -> tuple[list[tuple[int, bytes]], Failure | None, bool]:
    one = reader(max_message=299, max_fragments=5, compressed=compressed)
    messages = [message for piece in pieces for message in one.receive(piece)]
    return messages, one.failure, one.unfinished


@given(frames=INPUT, rest=st.binary(max_size=20), cuts=st.lists(st.integers(0, 2_000)), compressed=st.booleans())
def test_any_split_gives_the_same(frames: list[bytes], rest: bytes, cuts: list[int], compressed: bool) -> None:
    data = b"".join(frames) + rest
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:stop] for start, stop in pairwise(edges)]
    whole = outcome([data], compressed=compressed)
    assert outcome(pieces, compressed=compressed) == whole
    assert outcome([bytes((byte,)) for byte in data], compressed=compressed) == whole


@given(messages=st.lists(st.tuples(st.sampled_from([TEXT, BINARY]), PAYLOADS), max_size=20))
def test_roundtrip(messages: list[tuple[int, bytes]]) -> None:
    one = reader()
    data = b"".join([masked_frame(opcode, payload) for opcode, payload in messages])
    assert one.receive(data) == messages
    assert not one.unfinished


@given(data=st.binary(max_size=100))
def test_noise_never_raises(data: bytes) -> None:
    one = reader(compressed=True)
    one.receive(data)
    assert one.receive(b"") == []


def test_an_idle_reader_holds_nothing() -> None:
    one = reader()
    one.receive(text(b"x" * 50_000)[:40_000])
    one.receive(text(b"x" * 50_000)[40_000:])
    one.receive(binary(b"x", fin=False) + more(b"y"))
    assert (one._held, one._message) == (None, None)
    assert not hasattr(one, "__dict__")
