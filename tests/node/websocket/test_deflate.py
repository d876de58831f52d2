from __future__ import annotations

import contextlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.websocket import frames
from roomcast.websocket.closecodes import INVALID_DATA, TOO_BIG
from roomcast.websocket.deflate import NotDeflated, TooLong, compress_unit, deflate, inflate, negotiate

BASE = b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(
    ("wire", "plain"),
    [
        ("f248cdc9c90700", b"Hello"),  # RFC 7692, 7.2.3.1
        ("000500faff48656c6c6f00", b"Hello"),  # 7.2.3.3: no compression
        ("f348cdc9c9070000", b"Hello"),  # 7.2.3.4: the block is marked as the last one
        ("f348cdc9c90700", b"Hello"),  # the same without the zero byte
        ("f24805000000ffffcac9c90700", b"Hello"),  # 7.2.3.5: two blocks
        ("00", b""),  # 7.2.3.6
    ],
)
def test_the_examples_of_the_rfc(wire: str, plain: bytes) -> None:
    assert inflate(bytes.fromhex(wire), 5) == plain


def test_the_first_example_is_what_we_send() -> None:
    assert deflate(b"Hello") == bytes.fromhex("f248cdc9c90700")
    assert deflate(b"") == b"\0"


@given(payload=st.binary(max_size=2_000) | st.binary(max_size=20).map(lambda part: part * 1_000))
def test_roundtrip(payload: bytes) -> None:
    packed = deflate(payload)
    assert inflate(packed, len(payload)) == payload
    # A client that was promised a window of 12 bits can read it.
    assert zlib.decompressobj(-12).decompress(packed + b"\0\0\xff\xff") == payload


@pytest.mark.parametrize("size", [1, 100, 65_536, 1_000_000])
def test_the_limit_holds_at_its_edge(size: int) -> None:
    packed = deflate(b"a" * size)
    assert len(inflate(packed, size + 1)) == size
    assert len(inflate(packed, size)) == size
    with pytest.raises(TooLong) as caught:
        inflate(packed, size - 1)
    assert caught.value.failure.code == TOO_BIG


@pytest.mark.parametrize(
    "wire",
    [
        "",  # an empty message is one zero byte, 7.2.3.6
        "ff",  # no such kind of block
        "f248cdc9",  # cut off within a block
        "000500faff4865",  # cut off within a stored block
        "f348cdc9c907006162",  # something behind the last block
    ],
)
def test_what_does_not_inflate(wire: str) -> None:
    with pytest.raises(NotDeflated) as caught:
        inflate(bytes.fromhex(wire), 1_000)
    assert caught.value.failure.code == INVALID_DATA


@given(payload=st.binary(max_size=100))
def test_any_input_ends_well_or_in_a_fault(payload: bytes) -> None:
    with contextlib.suppress(NotDeflated, TooLong):
        assert len(inflate(payload, 1_000)) <= 1_000


def test_a_unit_is_compressed_frame_by_frame() -> None:
    text, binary = b"text " * 100, b"\1\2\3\4" * 20_000
    unit = frames.text_frame(text) + frames.ping_frame(b"p" * 100) + frames.binary_frame(binary) + frames.pong_frame()
    packed = compress_unit(unit)
    assert len(packed) < len(unit) / 50
    assert frames.split_frames(packed) == [
        (frames.TEXT, deflate(text)),
        (frames.PING, b"p" * 100),
        (frames.BINARY, deflate(binary)),
        (frames.PONG, b""),
    ]
    assert packed[0] == 0xC1  # FIN, RSV1, text


def test_messages_below_the_threshold_stay() -> None:
    short, long = frames.text_frame(b"x" * 99), frames.text_frame(b"x" * 100)
    assert compress_unit(short + short, 100) == short + short
    assert compress_unit(long, 100) == bytes((0xC1, len(deflate(b"x" * 100)))) + deflate(b"x" * 100)
    assert compress_unit(b"") == b""


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        (b"permessage-deflate", BASE),
        (b"Permessage-Deflate", BASE),
        (b"permessage-deflate; server_no_context_takeover; client_no_context_takeover", BASE),
        (b"permessage-deflate; client_max_window_bits", BASE + b"; client_max_window_bits=12"),
        (b"permessage-deflate;client_max_window_bits=15", BASE + b"; client_max_window_bits=12"),
        (b"permessage-deflate; client_max_window_bits=9", BASE + b"; client_max_window_bits=9"),
        (b"permessage-deflate; server_max_window_bits=12", BASE + b"; server_max_window_bits=12"),
        (b'permessage-deflate ; server_max_window_bits = "15"', BASE + b"; server_max_window_bits=12"),
        (
            b"permessage-deflate; server_max_window_bits=13; client_max_window_bits=8",
            BASE + b"; server_max_window_bits=12; client_max_window_bits=8",
        ),
        (b"x-other; a=1, permessage-deflate; server_max_window_bits=9, permessage-deflate", BASE),
    ],
)
def test_offers_that_are_taken(offers: bytes, answer: bytes) -> None:
    assert negotiate(offers) == answer


@pytest.mark.parametrize(
    "offers",
    [
        b"",
        b",",
        b"permessage-deflat",
        b"permessage-deflate2",
        b"x-webkit-deflate-frame",
        b"permessage-deflate; server_max_window_bits=11",
        b"permessage-deflate; server_max_window_bits=8",
        b"permessage-deflate; server_max_window_bits=16",
        b"permessage-deflate; server_max_window_bits=012",
        b"permessage-deflate; server_max_window_bits",
        b"permessage-deflate; server_max_window_bits=",
        b'permessage-deflate; server_max_window_bits="',
        b"permessage-deflate; client_max_window_bits=7",
        b"permessage-deflate; client_max_window_bits=",
        b"permessage-deflate; client_max_window_bits=x",
        b"permessage-deflate; server_no_context_takeover=1",
        b"permessage-deflate; client_no_context_takeover=",
        b"permessage-deflate; client_max_window_bits; client_max_window_bits",
        b"permessage-deflate; unknown",
        b"permessage-deflate;",
    ],
)
def test_offers_that_are_declined(offers: bytes) -> None:
    assert negotiate(offers) is None


@given(offers=st.binary(max_size=60) | st.text(alphabet='permsag-dflt;,="_ 19', max_size=60).map(str.encode))
def test_no_offer_is_an_error(offers: bytes) -> None:
    assert (negotiate(offers) or BASE).startswith(BASE)
    assert negotiate(b"permessage-deflate, " + offers) == BASE
