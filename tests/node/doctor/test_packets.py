"""The client's side of both protocols, against the server's."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from roomcast.doctor import packets
from roomcast.doctor.packets import Message, Opened, Packet
from roomcast.engineio.packet import open_packet, open_tail
from roomcast.settings import Settings
from roomcast.socketio.json_codec import JsonCodec
from roomcast.socketio.msgpack_codec import MsgpackCodec
from roomcast.socketio.packet import CONNECT, CONNECT_ERROR, EVENT

SID = "wA3x" + "a" * 16


def test_queries() -> None:
    assert packets.query("polling") == "EIO=4&transport=polling"
    assert packets.query("websocket", "a b") == "EIO=4&transport=websocket&sid=a+b"


def test_the_open_packet_of_a_node() -> None:
    packet = open_packet(SID, open_tail(Settings(ping_interval=0.5), ("websocket",))).decode()
    opened = packets.read_open(packet)
    assert opened == Opened(SID, ("websocket",), 0.5, 20.0, 1_000_000)
    assert opened.likely_tag == "wA3x"
    assert Opened("short", (), 1, 1, 1).likely_tag is None


@pytest.mark.parametrize("packet", [b"0{}", "4hello", "0", "0{}", '0{"sid":5}', "<html>"])
def test_what_is_no_open_packet(packet: Packet) -> None:
    assert packets.read_open(packet) is None


def test_payloads_both_ways() -> None:
    sent: list[Packet] = ["40", b"\x00\xff", "6"]
    assert packets.write_payload(sent) == b"40\x1ebAP8=\x1e6"
    assert packets.read_payload(packets.write_payload(sent)) == sent


@pytest.mark.parametrize("body", [b"b=", b"\xff", b"\x1e" * packets.MAX_PACKETS])
def test_what_is_no_payload(body: bytes) -> None:
    assert packets.read_payload(body) is None


@pytest.mark.parametrize("namespace", ["/", "/chat"])
@pytest.mark.parametrize("auth", [None, {"token": "t"}])
def test_a_connect_is_read_by_the_server(namespace: str, auth: dict[str, Any] | None) -> None:
    text = packets.connect_packet(namespace, auth)
    assert isinstance(text, str)
    packet = JsonCodec().decode_text(text.encode(), 1)
    assert (packet.type, packet.namespace, packet.data) == (CONNECT, namespace, auth)
    binary = packets.connect_packet(namespace, auth, "msgpack")
    assert isinstance(binary, bytes)
    packet = MsgpackCodec().decode_binary(binary)
    assert (packet.type, packet.namespace, packet.data) == (CONNECT, namespace, auth or {})


@pytest.mark.parametrize("namespace", ["/", "/chat"])
def test_what_the_server_writes_is_read(namespace: str) -> None:
    for codec in (JsonCodec(), MsgpackCodec()):
        sent = {
            codec.encode_connect(namespace, {"sid": SID}): Message(CONNECT, namespace, {"sid": SID}),
            codec.encode_connect_error(namespace, {"message": "no"}): Message(
                CONNECT_ERROR, namespace, {"message": "no"}
            ),
            codec.encode_event(namespace, ["news", 1])[0]: Message(EVENT, namespace, ["news", 1]),
        }
        for raw, message in sent.items():
            assert packets.read_message(raw if codec.binary else "4" + raw.decode()) == message


@pytest.mark.parametrize(
    "packet", ["2", "", "4", "4x", "42[", "40{", b"", b"\xc1", msgspec.msgpack.encode([1]), "42" + "[" * 9_999]
)
def test_what_is_no_message(packet: Packet) -> None:
    assert packets.read_message(packet) is None


@pytest.mark.parametrize(
    ("message", "sid"),
    [
        (Message(CONNECT, "/", {"sid": SID}), SID),
        (Message(CONNECT, "/", {"sid": 5}), None),
        (Message(CONNECT, "/", None), None),
        (Message(CONNECT_ERROR, "/", {"sid": SID}), None),
    ],
)
def test_the_sid_of_who_was_let_in(message: Message, sid: str | None) -> None:
    assert packets.sid_of(message) == sid


def test_an_event_with_one_argument() -> None:
    assert packets.is_event(Message(EVENT, "/", ["a", "b"]), "a", "b")
    assert not packets.is_event(Message(EVENT, "/", ["a", "c"]), "a", "b")
    assert not packets.is_event(None, "a", "b")
