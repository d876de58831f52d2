"""Engine.IO packets: every type, binary as base64, and the open packet byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.engineio.packet import (
    CLOSE,
    CLOSE_PACKET,
    MESSAGE,
    NOOP,
    NOOP_PACKET,
    OPEN,
    PING,
    PING_PACKET,
    PONG,
    PROBE_PING,
    PROBE_PONG,
    UPGRADE,
    UPGRADE_PACKET,
    Packet,
    decode,
    decode_base64,
    encode_base64,
    open_packet,
    open_tail,
)
from roomcast.errors import PacketError
from roomcast.settings import Settings


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        (b"0{}", Packet(OPEN, b"{}")),
        (CLOSE_PACKET, Packet(CLOSE)),
        (PING_PACKET, Packet(PING)),
        (PROBE_PING, Packet(PING, b"probe")),
        (b"3", Packet(PONG)),
        (PROBE_PONG, Packet(PONG, b"probe")),
        (b"4hello", Packet(MESSAGE, b"hello")),
        (b"4", Packet(MESSAGE)),
        (UPGRADE_PACKET, Packet(UPGRADE)),
        (NOOP_PACKET, Packet(NOOP)),
        (b"bAQIDBA==", Packet(MESSAGE, b"\x01\x02\x03\x04", True)),
        (b"b", Packet(MESSAGE, b"", True)),
    ],
)
def test_decode(text: bytes, packet: Packet) -> None:
    assert decode(text) == packet


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"", "packet"),
        (b"7", "packet"),
        (b"/", "packet"),
        (b"abc", "packet"),
        (b"\xff", "packet"),
        (b" 4", "packet"),
        (b"bAQ", "base64"),
        (b"bAQ==x", "base64"),
        (b"bA\xff==", "base64"),
        (b"bAQID\n", "base64"),
        (b"b====", "base64"),
    ],
)
def test_what_is_no_packet(text: bytes, kind: str) -> None:
    with pytest.raises(PacketError) as caught:
        decode(text)
    assert caught.value.kind == kind


@given(st.binary())
def test_any_input_is_a_packet_or_an_error(text: bytes) -> None:
    try:
        packet = decode(text)
    except PacketError:
        return
    if not packet.binary:
        assert b"%d%b" % (packet.type, packet.data) == text


@given(st.binary())
def test_binary_survives_base64(data: bytes) -> None:
    text = encode_base64(data)
    assert text.isascii()
    assert decode_base64(text) == data
    assert decode(text) == Packet(MESSAGE, data, True)


def test_the_open_packet() -> None:
    assert open_packet("fabrQzAAq8O6PhOmAAAA", open_tail(Settings(), ("websocket",))) == (
        b'0{"sid":"fabrQzAAq8O6PhOmAAAA","upgrades":["websocket"],'
        b'"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
    )


def test_the_open_packet_tells_milliseconds_and_the_grace() -> None:
    settings = Settings(ping_interval=0.3, ping_grace=0.05, ping_timeout=0.2, max_payload=7)
    assert open_packet("s", open_tail(settings, ())) == (
        b'0{"sid":"s","upgrades":[],"pingInterval":350,"pingTimeout":200,"maxPayload":7}'
    )
