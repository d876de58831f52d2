"""Polling payloads: what is joined splits again, and what cannot be read stops there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.engineio.packet import MESSAGE, PING, Packet, decode
from roomcast.engineio.payload import join, polling_form, split
from roomcast.errors import PacketError

# JSON has no raw control characters, so 0x1E cannot be inside a text packet (wire.md 1.2).
TEXT = st.binary(max_size=20).map(lambda data: data.replace(b"\x1e", b""))
PACKETS = st.lists(
    st.one_of(TEXT.map(lambda data: Packet(MESSAGE, data)), st.binary().map(lambda data: Packet(MESSAGE, data, True))),
    min_size=1,
)


def test_text_and_binary_in_one_payload() -> None:
    body = b"4hello\x1ebAQIDBA==\x1e2"
    packets = [Packet(MESSAGE, b"hello"), Packet(MESSAGE, b"\x01\x02\x03\x04", True), Packet(PING)]
    assert list(map(decode, split(body, 1000))) == packets
    assert join([polling_form(1, b"4hello"), polling_form(2, b"\x01\x02\x03\x04"), polling_form(1, b"2")]) == body


@given(PACKETS)
def test_what_is_joined_splits_again(packets: list[Packet]) -> None:
    body = join(
        [polling_form(2, packet.data) if packet.binary else polling_form(1, b"4" + packet.data) for packet in packets]
    )
    assert list(map(decode, split(body, len(packets)))) == packets


@pytest.mark.parametrize("body", [b"", b"\x1e4a", b"4a\x1e", b"4a\x1e\x1e4b", b"x"])
def test_an_empty_or_unknown_packet_is_an_error(body: bytes) -> None:
    with pytest.raises(PacketError):
        list(map(decode, split(body, 1000)))


def test_packets_before_the_bad_one_are_delivered() -> None:
    packets = map(decode, split(b"4a\x1e4b\x1e9\x1e4c", 1000))
    assert next(packets) == Packet(MESSAGE, b"a")
    assert next(packets) == Packet(MESSAGE, b"b")
    with pytest.raises(PacketError):
        next(packets)


@pytest.mark.parametrize(("count", "fits"), [(999, True), (1000, True), (1001, False)])
def test_the_number_of_packets_is_limited(count: int, fits: bool) -> None:
    body = join([b"4"] * count)
    if fits:
        assert len(list(split(body, 1000))) == count
    else:
        with pytest.raises(PacketError) as caught:
            split(body, 1000)
        assert caught.value.kind == "payload"
