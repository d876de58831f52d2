"""Packets as texts, byte for byte."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roomcast.errors import PacketError, UnencodableError
from roomcast.socketio.codec import CodecLimits
from roomcast.socketio.json_codec import JsonCodec
from roomcast.socketio.packet import ACK, BINARY_ACK, BINARY_EVENT, CONNECT, DISCONNECT, EVENT, Packet

STANDARD = JsonCodec(json=json)
CODECS = [JsonCodec(), STANDARD]
either = pytest.mark.parametrize("codec", CODECS, ids=["msgspec", "json"])

PLACE = {"_placeholder": True, "num": 0}


def test_packets_are_texts() -> None:
    assert JsonCodec.binary is False


@either
@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", Packet(CONNECT)),
        ("0{}", Packet(CONNECT, "/", {})),
        ('0{"token":"123"}', Packet(CONNECT, "/", {"token": "123"})),
        ("0/custom", Packet(CONNECT, "/custom")),
        ("0/custom,", Packet(CONNECT, "/custom")),
        ('0/custom,{"token":"abc"}', Packet(CONNECT, "/custom", {"token": "abc"})),
        ("012{}", Packet(CONNECT, "/", {})),
        ("0/custom?x=1,", Packet(CONNECT, "/custom?x=1")),
        ("1", Packet(DISCONNECT)),
        ("1/admin,", Packet(DISCONNECT, "/admin")),
        ("1/admin", Packet(DISCONNECT, "/admin")),
        ('2["message",1,"2",{"3":[true]}]', Packet(EVENT, "/", ["message", 1, "2", {"3": [True]}])),
        ('2["x"] ', Packet(EVENT, "/", ["x"])),
        ('2[ "x" ]', Packet(EVENT, "/", ["x"])),
        ('20["x"]', Packet(EVENT, "/", ["x"], 0)),
        ('2007["x"]', Packet(EVENT, "/", ["x"], 7)),
        ('2456["ack",[false]]', Packet(EVENT, "/", ["ack", [False]], 456)),
        ('29007199254740991["x"]', Packet(EVENT, "/", ["x"], 2**53 - 1)),
        ('2/admin,["x"]', Packet(EVENT, "/admin", ["x"])),
        ('2/admin,7["x"]', Packet(EVENT, "/admin", ["x"], 7)),
        ('2/,["x"]', Packet(EVENT, "/", ["x"])),
        ("30[]", Packet(ACK, "/", [], 0)),
        ('3456[1,"2"]', Packet(ACK, "/", [1, "2"], 456)),
        ('39007199254740991["connect"]', Packet(ACK, "/", ["connect"], 2**53 - 1)),
        ("3/admin,7[null]", Packet(ACK, "/admin", [None], 7)),
        ('51-["e",{"_placeholder":true,"num":0}]', Packet(BINARY_EVENT, "/", ["e", PLACE], None, 1)),
        ('510-/a,3["e"]', Packet(BINARY_EVENT, "/a", ["e"], 3, 10)),
        ('61-3[{"_placeholder":true,"num":0}]', Packet(BINARY_ACK, "/", [PLACE], 3, 1)),
        ('2["e",{"_placeholder":true,"num":0}]', Packet(EVENT, "/", ["e", PLACE])),
        ('2["größe","😀","\\ud83d\\ude00"]', Packet(EVENT, "/", ["größe", "😀", "😀"])),
        ('2["e","\\ud800"]', Packet(EVENT, "/", ["e", "\ufffd"])),
        ('31["\\ud800"]', Packet(ACK, "/", ["\ufffd"], 1)),
        ('2["e",{"a":1,"a":2}]', Packet(EVENT, "/", ["e", {"a": 2}])),
        ('2["e",123456789012345678901234567890]', Packet(EVENT, "/", ["e", 123456789012345678901234567890])),
        ('2["e",9223372036854775807,-9223372036854775809]', Packet(EVENT, "/", ["e", 2**63 - 1, -(2**63) - 1])),
        ('2["e",[[[[[[[[[1]]]]]]]]]]', Packet(EVENT, "/", ["e", [[[[[[[[[1]]]]]]]]]])),
    ],
)
def test_a_text_is_read(codec: JsonCodec, text: str, packet: Packet) -> None:
    data = text.encode()
    assert codec.decode_text(data) == packet
    assert codec.decode_text(b"4" + data, 1) == packet


@either
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"", "type"),
        (b"abc", "type"),
        (b"7[]", "type"),
        (b"4", "type"),
        (b'4{"message":"x"}', "type"),
        (b"0null", "payload"),
        (b"0[]", "payload"),
        (b'0"s"', "payload"),
        (b"0{", "json"),
        (b"0 {}", "payload"),
        (b"1[]", "payload"),
        (b"1/a,{}", "payload"),
        (b"2", "payload"),
        (b"2123", "payload"),
        (b"2123]", "payload"),
        (b"2{}", "payload"),
        (b'2 ["x"]', "payload"),
        (b'2abc["x"]', "payload"),
        (b'2-1["x"]', "payload"),
        (b'2\xd9\xa2["x"]', "payload"),
        (b'2/["x"]', "payload"),
        (b'29007199254740992["x"]', "id"),
        (b'2["x"', "json"),
        (b'2["x"]]', "json"),
        (b'2["x"],', "json"),
        (b'2["\xff"]', "json"),
        (b'2["x","\xed\xa0\x80"]', "json"),
        (b'2["x",NaN]', "number"),
        (b'2["x",1e400]', "number"),
        (b'2["x",%b]' % (b"1" * 33), "number"),
        (b"2[]", "name"),
        (b"2[1]", "name"),
        (b"2[null]", "name"),
        (b'2[["x"]]', "name"),
        (b'2["connect"]', "name"),
        (b'27["disconnect","x"]', "name"),
        (b'2/a,["newListener"]', "name"),
        (b'2["a\\n"]', "name"),
        (b'2["\\ud800"]', "name"),
        (b'2["\\ud800x",1]', "name"),
        (b"3[]", "id"),
        (b"3", "id"),
        (b"31", "payload"),
        (b'31{"a":1}', "payload"),
        (b"39007199254740992[]", "id"),
        (b'5-["x"]', "attachments"),
        (b'51["x"]', "attachments"),
        (b'51.5-["x"]', "attachments"),
        (b'50-["x"]', "attachments"),
        (b'511-["x"]', "attachments"),
        (b'51-[{"_placeholder":true,"num":0}]', "name"),
        (b"51-", "payload"),
        (b'21-["x"]', "attachments"),
        (b'2/\xff,["x"]', "namespace"),
        (b"1/a\x00,", "namespace"),
    ],
)
def test_a_text_is_refused(codec: JsonCodec, text: bytes, kind: str) -> None:
    for data, start in ((text, 0), (b"4" + text, 1)):
        with pytest.raises(PacketError) as caught:
            codec.decode_text(data, start)
        assert caught.value.kind == kind


@given(st.text('0123456789-/,[]{}"\\abcud ', max_size=20).map(str.encode), st.integers(0, 3))
@example(b"2[", 0)
@example(b"2", 5)
def test_texts_that_resemble_packets_raise_nothing_else(data: bytes, start: int) -> None:
    for codec in CODECS:
        try:
            assert isinstance(codec.decode_text(data, start), Packet)
        except PacketError:
            pass


@either
def test_arguments_alone_are_read(codec: JsonCodec) -> None:
    assert codec.decode_args(b'[1,{"a":"\\ud800"}]') == [1, {"a": "\ufffd"}]
    assert codec.decode_event(b'["e",1]') == ["e", 1]
    for data in (b"{}", b'{"a":1}', b"1", b'"x"', b"null"):
        with pytest.raises(PacketError) as caught:
            codec.decode_args(data)
        assert caught.value.kind == "payload"


def test_an_attachment_that_nobody_awaits_is_an_error() -> None:
    with pytest.raises(PacketError) as caught:
        JsonCodec().decode_binary(b"x")
    assert caught.value.kind == "attachments"


@pytest.mark.parametrize("digits", [1, 2, 18, 19, 20, 32])
def test_the_digits_of_an_integer_are_a_setting(digits: int) -> None:
    codec = JsonCodec(CodecLimits(max_integer_digits=digits))
    for sign in ("", "-"):
        number = sign + "9" * digits
        assert codec.decode_args(f"[{number}]".encode()) == [int(number)]
        with pytest.raises(PacketError) as caught:
            codec.decode_args(f"[{sign}1{'0' * digits}]".encode())
        assert caught.value.kind == "number"


def test_the_same_codec_has_other_limits() -> None:
    deep, long = b"[" * 80 + b"]" * 80, b"[" + b"9" * 40 + b"]"
    for codec in (JsonCodec(), JsonCodec(json=json)):
        generous = codec.with_limits(CodecLimits(max_json_depth=80, max_integer_digits=40))
        for data in (deep, long):
            assert generous.decode_args(data)
            with pytest.raises(PacketError):
                codec.decode_args(data)
        assert generous.encode_args([{"a": 1}]) == codec.encode_args([{"a": 1}])
    own = JsonCodec(json=Reversing())
    assert own.with_limits(CodecLimits()).decode_args(b"[1,2]") == [2, 1]


class Reversing:
    """A JSON module with a mind of its own."""

    dumps = staticmethod(json.dumps)

    def loads(self, text: str) -> Any:
        return json.loads(text)[::-1]


def test_the_number_of_attachments_is_a_setting() -> None:
    codec = JsonCodec(CodecLimits(max_attachments=1_000))
    assert codec.decode_text(b'51000-["e"]').attachments == 1_000
    with pytest.raises(PacketError):
        codec.decode_text(b'51001-["e"]')


@either
@pytest.mark.parametrize(
    ("namespace", "args", "id", "text", "attachments"),
    [
        ("/", ["hello"], None, '2["hello"]', []),
        ("/", ("hello", 1, None), None, '2["hello",1,null]', []),
        ("/", ["hello", {"a": [1.5, True]}], 0, '20["hello",{"a":[1.5,true]}]', []),
        ("/admin", ["hello"], None, '2/admin,["hello"]', []),
        ("/admin", ["hello"], 12, '2/admin,12["hello"]', []),
        ("/", ["e", b"\1"], None, '51-["e",{"_placeholder":true,"num":0}]', [b"\1"]),
        (
            "/a",
            ["e", [bytearray(b"x")], {"k": (memoryview(b"y"),)}],
            3,
            '52-/a,3["e",[{"_placeholder":true,"num":0}],{"k":[{"_placeholder":true,"num":1}]}]',
            [b"x", b"y"],
        ),
        ("/", ["e", math.nan, {1: math.inf}], None, '2["e",null,{"1":null}]', []),
        ("/", ["e", "\ud800"], None, '2["e","\ufffd"]', []),
        ("/", ["e", {True: 1, None: 2}], None, '2["e",{"true":1,"null":2}]', []),
        ("/", ["e", 2**70], None, '2["e",1180591620717411303424]', []),
    ],
)
def test_an_event_is_written(
    codec: JsonCodec, namespace: str, args: Any, id: int | None, text: str, attachments: list[bytes]
) -> None:
    written, binaries = codec.encode_event(namespace, args, id)
    assert (written if codec is not STANDARD else ascii_undone(written)) == text.encode()
    assert binaries == attachments


def ascii_undone(text: bytes) -> bytes:
    """The standard library escapes what is not ASCII; JSON means the same."""
    return text.replace(b"\\ufffd", "\ufffd".encode())


@either
def test_an_acknowledgement_is_written(codec: JsonCodec) -> None:
    assert codec.encode_ack("/", 456, [1, "2", {"3": [False]}]) == (b'3456[1,"2",{"3":[false]}]', [])
    assert codec.encode_ack("/", 0, []) == (b"30[]", [])
    assert codec.encode_ack("/a", 7, ()) == (b"3/a,7[]", [])
    assert codec.encode_ack("/", 7, [b"x"]) == (b'61-7[{"_placeholder":true,"num":0}]', [b"x"])


@either
def test_the_ends_of_a_connection_are_written(codec: JsonCodec) -> None:
    assert codec.encode_connect("/", {"sid": "x"}) == b'0{"sid":"x"}'
    assert codec.encode_connect("/a", {"sid": "x"}) == b'0/a,{"sid":"x"}'
    assert codec.encode_connect_error("/random", {"message": "Invalid namespace"}) == (
        b'4/random,{"message":"Invalid namespace"}'
    )
    assert codec.encode_connect_error("/", "no") == b'4"no"'
    assert codec.encode_disconnect("/") == b"1"
    assert codec.encode_disconnect("/a") == b"1/a,"


@either
def test_only_events_and_acknowledgements_have_attachments(codec: JsonCodec) -> None:
    with pytest.raises(UnencodableError, match="binary"):
        codec.encode_connect("/", {"sid": b"x"})
    with pytest.raises(UnencodableError, match="binary"):
        codec.encode_connect_error("/", {"data": [b"x"]})


def test_more_than_jsons_types_is_encoded() -> None:
    moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    assert JsonCodec().encode_event("/", ["e", moment, {1}, Decimal("1.5")])[0] == (
        b'2["e","2020-01-01T00:00:00Z",[1],"1.5"]'
    )


def test_attachments_are_found_inside_of_objects_that_msgspec_knows() -> None:
    assert JsonCodec().encode_event("/", ["e", {frozenset({b"x"})}])[1] == [b"x"]


@either
def test_an_integer_too_long_to_write_is_unencodable(codec: JsonCodec) -> None:
    with pytest.raises(UnencodableError) as caught:
        codec.encode_event("/", ["e", 10**5_000])
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_application_may_bring_its_own_json() -> None:
    class Tagging:
        """Writes decimals as tagged strings and reads them back."""

        @staticmethod
        def dumps(value: Any, *, separators: tuple[str, str]) -> str:
            assert separators == (",", ":")
            return json.dumps(value, separators=separators, default=lambda item: {"decimal": str(item)})

        @staticmethod
        def loads(text: str) -> Any:
            assert isinstance(text, str)
            return json.loads(text, object_hook=lambda item: Decimal(item["decimal"]) if "decimal" in item else item)

    codec = JsonCodec(json=Tagging())
    text, attachments = codec.encode_event("/", ["e", Decimal("1.5"), b"x"])
    assert text == b'51-["e",{"decimal":"1.5"},{"_placeholder":true,"num":0}]'
    assert attachments == [b"x"]
    assert codec.decode_text(b'2["e",{"decimal":"1.5"}]').data == ["e", Decimal("1.5")]
    with pytest.raises(PacketError) as caught:
        codec.decode_text(b'0{"decimal":"1.5"}')
    assert caught.value.kind == "payload"
    # The other servers of the process keep theirs.
    assert JsonCodec().decode_text(b'2["e",{"decimal":"1.5"}]').data == ["e", {"decimal": "1.5"}]


def test_whatever_the_applications_module_raises_is_unencodable() -> None:
    with pytest.raises(UnencodableError, match="not JSON serializable") as caught:
        STANDARD.encode_event("/", ["e", object()])
    assert isinstance(caught.value.__cause__, TypeError)


def test_data_that_was_encoded_once_is_wrapped_for_each_packet() -> None:
    codec = JsonCodec()
    assert codec.encode_args(["e", 1]) == (b'["e",1]', [])
    assert codec.wrap_event("/", b'["e"]') == b'2["e"]'
    assert codec.wrap_event("/a", b'["e"]', 2, 7) == b'52-/a,7["e"]'
    assert codec.wrap_ack("/a", 7, b"[]") == b"3/a,7[]"
    assert codec.wrap_ack("/", 7, b"[]", 1) == b"61-7[]"
