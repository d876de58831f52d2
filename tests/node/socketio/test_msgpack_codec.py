"""Packets as MessagePack, in the dialect of notepack 2.2 (the byte strings here were made with it)."""

from __future__ import annotations

import dataclasses
import datetime
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from roomcast.errors import PacketError, UnencodableError
from roomcast.socketio.codec import CodecLimits
from roomcast.socketio.msgpack_codec import MsgpackCodec
from roomcast.socketio.packet import ACK, CONNECT, DISCONNECT, EVENT, Packet

CODEC = MsgpackCodec()
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
NEW_YEAR = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def message(**fields: Any) -> bytes:
    return msgspec.msgpack.encode({"type": EVENT, "nsp": "/", **fields})


def test_packets_are_binary() -> None:
    assert MsgpackCodec.binary is True
    with pytest.raises(PacketError) as caught:
        CODEC.decode_text(b'2["e"]')
    assert caught.value.kind == "msgpack"


@pytest.mark.parametrize(
    ("captured", "packet"),
    [
        (
            (
                "84a47479706502a46461746197a165d40000d7000000000000000000c4020102cb3ff8000000000000ffce00011170"
                "a76f7074696f6e7381a8636f6d7072657373c3a36e7370a12f"
            ),
            Packet(EVENT, "/", ["e", None, EPOCH, b"\1\2", 1.5, -1, 70_000]),
        ),
        ("83a47479706500a464617461d40000a36e7370a22f61", Packet(CONNECT, "/a")),
        ("84a2696403a47479706503a46461746190a36e7370a12f", Packet(ACK, "/", [], 3)),
    ],
)
def test_what_the_reference_writes_is_read(captured: str, packet: Packet) -> None:
    assert CODEC.decode_binary(bytes.fromhex(captured)) == packet


def test_dates_array_buffers_and_nan_of_the_reference_are_read() -> None:
    captured = (
        "84a47479706502a46461746195a165d7000000016f5e66e800c70300010203cb7ff8000000000000cf0000010000000000"
        "a2696405a36e7370a12f"
    )
    packet = CODEC.decode_binary(bytes.fromhex(captured))
    name, moment, buffer, nan, large = packet.data
    assert (name, moment, buffer, large, packet.id) == ("e", NEW_YEAR, b"\1\2\3", 2**40, 5)
    assert math.isnan(nan)


def test_the_time_stamps_of_messagepack_itself_are_read() -> None:
    assert CODEC.decode_binary(message(data=["e", NEW_YEAR])).data == ["e", NEW_YEAR]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"type": 4, "data": {}}, "type"),
        ({"type": 5, "data": ["e"]}, "type"),
        ({"type": 6, "data": []}, "type"),
        ({"type": -1}, "type"),
        ({"type": True, "data": ["e"]}, "msgpack"),
        ({"type": "2", "data": ["e"]}, "msgpack"),
        ({"type": 2.0, "data": ["e"]}, "msgpack"),
        ({"nsp": None, "data": ["e"]}, "msgpack"),
        ({"nsp": b"/", "data": ["e"]}, "msgpack"),
        ({"nsp": "a", "data": ["e"]}, "namespace"),
        ({"nsp": "/a,b", "data": ["e"]}, "namespace"),
        ({"type": 0, "nsp": "/a\n"}, "namespace"),
        ({"type": 0, "data": []}, "payload"),
        ({"type": 0, "data": "x"}, "payload"),
        ({"type": 1, "data": {}}, "payload"),
        ({}, "payload"),
        ({"data": {"e": 1}}, "payload"),
        ({"data": b"e"}, "payload"),
        ({"data": []}, "name"),
        ({"data": [1]}, "name"),
        ({"data": [b"e"]}, "name"),
        ({"data": ["disconnect"]}, "name"),
        ({"data": ["a\n"]}, "name"),
        ({"type": 3, "data": []}, "id"),
        ({"data": ["e"], "id": -1}, "id"),
        ({"data": ["e"], "id": 2**53}, "id"),
        ({"data": ["e"], "id": "1"}, "msgpack"),
        ({"data": ["e"], "id": True}, "msgpack"),
        ({"data": ["e", {1: 2}]}, "msgpack"),
        ({"data": ["e", {b"k": 2}]}, "msgpack"),
        ({"data": ["e", Ext(1, b"x")]}, "msgpack"),
        ({"data": ["e", Ext(0, b"\x7f" * 8)]}, "msgpack"),
    ],
)
def test_a_packet_is_refused(fields: dict[str, Any], kind: str) -> None:
    with pytest.raises(PacketError) as caught:
        CODEC.decode_binary(message(**fields))
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x05",
        b"\x91\x01",
        b"\xc1",
        b"\x81",
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff" * 100,
        b"\x91" * 100_000,
        b"\x81\x80\x01",
        b"\x82\xa4type\x02\xa3nsp\xa1\xff",
        message(data=["e"]) + b"\x00",
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data" + b"\x91" * 100_000,
    ],
)
def test_what_is_no_messagepack_is_refused(data: bytes) -> None:
    with pytest.raises(PacketError) as caught:
        CODEC.decode_binary(data)
    assert caught.value.kind == "msgpack"


@given(st.binary(max_size=30))
def test_bytes_inside_of_a_packet_raise_nothing_else(data: bytes) -> None:
    for head in (b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1e", b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data"):
        try:
            assert isinstance(CODEC.decode_binary(head + data), Packet)
        except PacketError:
            pass


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (CODEC.encode_event("/", ["e", 1])[0], "83a47479706502a46461746192a16501a36e7370a12f"),
        (CODEC.encode_event("/a", ("e",), 5)[0], "84a47479706502a46461746191a165a36e7370a22f61a2696405"),
        (CODEC.encode_ack("/", 3, [])[0], "84a47479706503a46461746190a36e7370a12fa2696403"),
        (CODEC.encode_connect("/", {"sid": "a"}), "83a47479706500a46461746181a3736964a161a36e7370a12f"),
        (CODEC.encode_connect_error("/", "x"), "83a47479706504a464617461a178a36e7370a12f"),
        (CODEC.encode_disconnect("/a"), "82a47479706501a36e7370a22f61"),
        (CODEC.encode_disconnect("/\ud800"), "82a47479706501a36e7370a42fefbfbd"),
    ],
)
def test_packets_are_written(written: bytes, expected: str) -> None:
    assert written.hex() == expected


@dataclasses.dataclass
class Picture:
    taken: datetime.datetime
    pixels: bytes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"x", b"x"),
        (bytearray(b"x"), b"x"),
        (memoryview(b"a-b-")[::2], b"ab"),
        ({"k": [b"x", (b"y",)]}, {"k": [b"x", [b"y"]]}),
        (NEW_YEAR, NEW_YEAR),
        (datetime.datetime(1969, 12, 31, tzinfo=datetime.UTC), datetime.datetime(1969, 12, 31, tzinfo=datetime.UTC)),
        (datetime.datetime(2020, 1, 1), "2020-01-01T00:00:00"),  # noqa: DTZ001  # that is the test
        (datetime.date(2020, 1, 1), "2020-01-01"),
        (Picture(NEW_YEAR, b"x"), {"taken": NEW_YEAR, "pixels": b"x"}),
        ({1: "\ud800"}, {"1": "\ufffd"}),
        ([math.inf, {2: math.inf}], [math.inf, {"2": math.inf}]),
        (2**64 - 1, 2**64 - 1),
        (Ext(0, b"xyz"), b"xyz"),
    ],
)
def test_data_arrives(value: Any, expected: Any) -> None:
    written, attachments = CODEC.encode_event("/", ["e", value])
    assert attachments == []
    assert CODEC.decode_binary(written).data == ["e", expected]


def test_a_date_is_written_as_the_reference_writes_it() -> None:
    assert bytes.fromhex("d7000000016f5e66e800") in CODEC.encode_event("/", ["e", NEW_YEAR])[0]


def test_an_integer_of_more_than_64_bits_is_unencodable() -> None:
    with pytest.raises(UnencodableError, match="64 bits") as caught:
        CODEC.encode_event("/", ["e", 2**64])
    assert isinstance(caught.value.__cause__, OverflowError)


def test_a_disconnect_has_neither_data_nor_id() -> None:
    assert CODEC.decode_binary(message(type=1, id=7)) == Packet(DISCONNECT)


def test_arguments_alone_are_read() -> None:
    assert CODEC.decode_args(CODEC.encode_args(["e", b"x", NEW_YEAR])[0]) == ["e", b"x", NEW_YEAR]
    for data, kind in [(b"\x80", "payload"), (b"\x91" * 65 + b"\x01", "depth"), (b"\x91", "msgpack")]:
        with pytest.raises(PacketError) as caught:
            CODEC.decode_args(data)
        assert caught.value.kind == kind


def test_the_same_codec_has_other_limits() -> None:
    data = b"\x91" * 80 + b"\x01"
    with pytest.raises(PacketError):
        CODEC.decode_args(data)
    assert CODEC.with_limits(CodecLimits(max_json_depth=80)).decode_args(data)


def test_data_that_was_encoded_once_is_wrapped_for_each_packet() -> None:
    body, attachments = CODEC.encode_args(["e", b"x"])
    assert attachments == []
    assert CODEC.wrap_event("/a", body, 0, 7) == CODEC.encode_event("/a", ["e", b"x"], 7)[0]
    assert CODEC.wrap_ack("/a", 7, body) == CODEC.encode_ack("/a", 7, ["e", b"x"])[0]


def test_data_may_be_64_levels_deep() -> None:
    def nested(levels: int) -> list[Any]:
        data: list[Any] = ["e", {"x": "leaf"}]
        for _ in range(levels - 2):
            data = ["e", data]
        return data

    deep = nested(64)
    assert CODEC.decode_binary(CODEC.encode_event("/", deep)[0]).data == deep
    with pytest.raises(PacketError) as caught:
        CODEC.decode_binary(CODEC.encode_event("/", nested(65))[0])
    assert caught.value.kind == "depth"
