"""What travels between client and forwarder: there and back, bytes of strangers, and pages."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast_brokers.backends.zmq.frames import (
    MAX_CHANNEL_BYTES,
    MAX_FRAME_BYTES,
    PAGE_BYTES,
    PROTOCOL,
    Count,
    Frame,
    FrameError,
    Goodbye,
    Hello,
    Messages,
    Names,
    Refused,
    Waiting,
    Welcome,
    check_channel,
    check_message,
    cost_of,
    decode,
    encode,
)
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.errors import AddressError, MessageTooLargeError

EVERY_KIND: list[Frame] = [
    Hello(PROTOCOL),
    Welcome(PROTOCOL),
    Names([("a", 1), ("b", 0)]),
    Messages(3, [("a", b"\0\xff"), ("é", b"")]),
    Count(2**60),
    Refused("no"),
    Goodbye(),
]

packed = msgspec.msgpack.encode


@pytest.mark.parametrize("frame", EVERY_KIND, ids=lambda frame: type(frame).__name__)
def test_there_and_back(frame: Frame) -> None:
    assert decode(encode(frame)) == frame
    assert decode(memoryview(encode(frame))) == frame


def test_the_bytes_are_these() -> None:
    """A forwarder and its clients need not be of one version."""
    assert encode(Messages(3, [("a", b"\1")])) == b"\x93\x04\x03\x91\x92\xa1a\xc4\x01\x01"
    assert encode(Names([("a", 7)])) == b"\x92\x03\x91\x92\xa1a\x07"
    assert encode(Goodbye()) == b"\x91\x07"


def test_what_a_newer_version_adds_is_ignored() -> None:
    assert decode(packed([5, 8, "more", {"and": "more"}])) == Count(8)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x91",
        packed([]),
        packed([0]),
        packed([99, 1]),
        packed(["5", 1]),
        packed([5, -1]),
        packed([5, 1.5]),
        packed([5]),
        packed([4, 0, [["a"]]]),
        packed([4, 0, [["a", "text"]]]),
        packed([4, 0, [[b"a", b""]]]),
        packed([4, 0, [["a", b"", 1]]]),
        packed([4, 0, [["a" * (MAX_CHANNEL_BYTES + 1), b""]]]),
        packed([4, 0, [["a", bytes(MAX_MESSAGE_BYTES + 1)]]]),
        packed([3, [["a", -1]]]),
        packed([5, 1]) + b"\0",
        b"\x93\x04\x00\xdd\xff\xff\xff\xff",
        b"\x93\x04\x00\x91\x92\xa2\xff\xfe\xc4\x01x",
        b"\x93\x05\x00" + b"\x91" * 100_000,
    ],
)
def test_what_is_no_frame_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(FrameError):
        decode(data)


@given(st.binary(max_size=200))
def test_whatever_the_bytes_nothing_else_is_raised(data: bytes) -> None:
    try:
        decode(data)
    except FrameError:
        pass


@given(st.sampled_from(EVERY_KIND), st.data())
def test_nor_with_frames_that_were_damaged(frame: Frame, data: st.DataObject) -> None:
    damaged = bytearray(encode(frame))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(damaged))
    except FrameError:
        pass


@pytest.mark.parametrize("channel", ["", "a" * MAX_CHANNEL_BYTES, "é" * (MAX_CHANNEL_BYTES // 2)])
def test_a_channel_of_that_length_passes(channel: str) -> None:
    check_channel(channel)
    check_message(channel, b"")


@pytest.mark.parametrize("channel", ["a" * (MAX_CHANNEL_BYTES + 1), "é" * MAX_CHANNEL_BYTES, "\ud800"])
def test_a_channel_that_cannot_travel_is_refused(channel: str) -> None:
    with pytest.raises(AddressError):
        check_channel(channel)
    with pytest.raises(AddressError):
        check_message(channel, b"")


def test_a_payload_has_a_limit_and_a_type() -> None:
    check_message("a", bytes(MAX_MESSAGE_BYTES))
    with pytest.raises(MessageTooLargeError):
        check_message("a", bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(TypeError, match="bytearray"):
        check_message("a", bytearray(1))  # type: ignore[arg-type]


def message(waiting: Waiting, channel: str, payload: bytes) -> None:
    waiting.put_message((channel, payload), cost_of(channel, payload))


def test_neighbours_of_one_sort_share_a_frame_in_their_order() -> None:
    waiting = Waiting()
    message(waiting, "a", b"1")
    message(waiting, "b", b"2")
    waiting.put_name(("c", 1))
    waiting.put_name(("d", 0))
    message(waiting, "a", b"3")
    assert len(waiting) == 5
    assert waiting.take(7) == Messages(7, [("a", b"1"), ("b", b"2")])
    assert waiting.take(7) == Names([("c", 1), ("d", 0)])
    assert waiting.take(7) == Messages(7, [("a", b"3")])
    assert waiting.take(7) is None
    assert (len(waiting), waiting.cost) == (0, 0)


def test_what_was_cleared_is_gone() -> None:
    waiting = Waiting()
    message(waiting, "a", b"1")
    waiting.put_name(("c", 1))
    waiting.clear()
    assert waiting.take(0) is None
    assert waiting.cost == 0
    message(waiting, "a", b"1")
    assert waiting.take(0) == Messages(0, [("a", b"1")])


@pytest.mark.parametrize("size", [10, 1_000, 100_000, MAX_MESSAGE_BYTES])
@pytest.mark.parametrize("channel", ["c", "\U0001f4e3" * MAX_CHANNEL_BYTES])
def test_no_frame_is_longer_than_the_limit(size: int, channel: str) -> None:
    waiting = Waiting()
    count = max(3, 2 * PAGE_BYTES // size) if size > 100 else 3_000
    for _ in range(count):
        message(waiting, channel, bytes(size))
    frames = []
    while (frame := waiting.take(0)) is not None:
        frames.append(frame)
    assert len(frames) > 1
    assert sum(len(frame.items) for frame in frames) == count
    assert waiting.cost == 0
    assert max(len(encode(frame)) for frame in frames) <= MAX_FRAME_BYTES
