"""What the two codecs share: their limits, and one suite over both."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.errors import PacketError, UnencodableError
from roomcast.settings import Settings
from roomcast.socketio.attachments import Assembly
from roomcast.socketio.codec import Codec, CodecLimits
from roomcast.socketio.json_codec import JsonCodec
from roomcast.socketio.msgpack_codec import MsgpackCodec
from roomcast.socketio.packet import ACK, CONNECT, DISCONNECT, EVENT, Packet

CODECS: list[Codec] = [JsonCodec(), MsgpackCodec()]

both = pytest.mark.parametrize("codec", CODECS, ids=["json", "msgpack"])

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
values = st.recursive(
    scalars | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text.filter("_placeholder".__ne__), inner, max_size=4),
    max_leaves=10,
)
namespaces = st.sampled_from(["/", "/admin", "/größe"])


def read(codec: Codec, message: bytes, attachments: list[bytes]) -> Packet:
    """The packet that a client's message and its attachments make."""
    packet = codec.decode_binary(message) if codec.binary else codec.decode_text(b"4" + message, 1)
    if not packet.attachments:
        assert not attachments
        return packet
    assert len(attachments) == packet.attachments
    assembly = Assembly(packet, 10**6)
    return [assembly.feed(attachment) for attachment in attachments][-1] or packet


def test_the_limits_come_from_the_settings() -> None:
    assert CodecLimits.from_settings(Settings()) == CodecLimits()
    settings = Settings(max_attachments=1, max_json_depth=2, max_integer_digits=3, max_name_bytes=4)
    assert CodecLimits.from_settings(settings) == CodecLimits(1, 2, 3, 4)


@both
@given(namespace=namespaces, args=st.lists(values, max_size=3), id=st.none() | st.integers(0, 2**53 - 1))
def test_an_event_comes_back(codec: Codec, namespace: str, args: list[Any], id: int | None) -> None:
    codec = JsonCodec(CodecLimits(max_attachments=1_000)) if isinstance(codec, JsonCodec) else codec
    message, attachments = codec.encode_event(namespace, ["e", *args], id)
    assert read(codec, message, attachments) == Packet(EVENT, namespace, ["e", *args], id)


@both
@given(namespace=namespaces, args=st.lists(values, max_size=3), id=st.integers(0, 2**53 - 1))
def test_an_acknowledgement_comes_back(codec: Codec, namespace: str, args: list[Any], id: int) -> None:
    codec = JsonCodec(CodecLimits(max_attachments=1_000)) if isinstance(codec, JsonCodec) else codec
    message, attachments = codec.encode_ack(namespace, id, args)
    assert read(codec, message, attachments) == Packet(ACK, namespace, args, id)


@both
def test_data_that_is_encoded_once_serves_every_packet(codec: Codec) -> None:
    for args in (["e", {"n": 1}], ["e", [b"x"]]):
        body, attachments = codec.encode_args(args)
        count = len(attachments)
        for namespace in ("/", "/admin"):
            assert codec.wrap_event(namespace, body, count) == codec.encode_event(namespace, args)[0]
            assert codec.wrap_event(namespace, body, count, 7) == codec.encode_event(namespace, args, 7)[0]
            assert codec.wrap_ack(namespace, 7, body, count) == codec.encode_ack(namespace, 7, args)[0]


@both
@pytest.mark.parametrize("namespace", ["/", "/admin"])
def test_connect_and_disconnect_come_back(codec: Codec, namespace: str) -> None:
    connect = codec.encode_connect(namespace, {"sid": "x"})
    assert read(codec, connect, []) == Packet(CONNECT, namespace, {"sid": "x"})
    assert read(codec, codec.encode_disconnect(namespace), []) == Packet(DISCONNECT, namespace)


@both
def test_connect_error_is_for_servers(codec: Codec) -> None:
    with pytest.raises(PacketError) as caught:
        read(codec, codec.encode_connect_error("/", {"message": "no"}), [])
    assert caught.value.kind == "type"


@both
@given(st.binary())
def test_any_bytes_are_a_packet_or_a_packet_error(codec: Codec, message: bytes) -> None:
    for decode in (codec.decode_text, codec.decode_binary):
        try:
            assert isinstance(decode(message), Packet)
        except PacketError:
            pass


@both
@pytest.mark.parametrize("length", [255, 256])
def test_names_may_have_256_bytes(codec: Codec, length: int) -> None:
    name, namespace = "x" * length, "/" + "x" * (length - 1)
    assert read(codec, *codec.encode_event(namespace, [name])) == Packet(EVENT, namespace, [name])


@both
def test_a_longer_name_is_refused_but_for_the_namespace_of_connect(codec: Codec) -> None:
    namespace = "/" + "x" * 256
    for message, kind in [
        (codec.encode_event("/", ["x" * 257])[0], "name"),
        (codec.encode_event(namespace, ["x"])[0], "namespace"),
        (codec.encode_ack(namespace, 1, [])[0], "namespace"),
        (codec.encode_disconnect(namespace), "namespace"),
    ]:
        with pytest.raises(PacketError) as caught:
            read(codec, message, [])
        assert caught.value.kind == kind
    assert read(codec, codec.encode_connect(namespace, {}), []).namespace == namespace


@both
@pytest.mark.parametrize("levels", [7, 8, 9, 63, 64])
def test_data_may_be_64_levels_deep(codec: Codec, levels: int) -> None:
    for wrap in (lambda inner: [inner], lambda inner: {"x": inner}):
        data: Any = "leaf"
        for _ in range(levels - 1):  # the array of the arguments is the first level
            data = wrap(data)
        assert read(codec, *codec.encode_event("/", ["e", data])).data == ["e", data]


@both
def test_data_65_levels_deep_is_refused(codec: Codec) -> None:
    data: Any = "leaf"
    for _ in range(64):
        data = [data]
    with pytest.raises(PacketError) as caught:
        read(codec, *codec.encode_event("/", ["e", data]))
    assert caught.value.kind == "depth"


@pytest.mark.parametrize("kind", [JsonCodec, MsgpackCodec])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_depth_is_a_setting(kind: Callable[[CodecLimits], Codec], depth: int) -> None:
    codec = kind(CodecLimits(max_json_depth=depth))
    args = ["e"] if depth == 1 else ["e", [1]]
    assert read(codec, *codec.encode_event("/", args)).data == args
    with pytest.raises(PacketError, match="deep"):
        read(codec, *codec.encode_event("/", ["e", [args]]))


@both
def test_what_cannot_be_sent_is_told_to_the_caller(codec: Codec) -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    for data in (cycle, object(), {(1, 2): 3}, {b"x": 1}, 10**5_000):
        with pytest.raises(UnencodableError):
            codec.encode_event("/", ["e", data])
        with pytest.raises(TypeError):
            codec.encode_ack("/", 1, [data])
        with pytest.raises(UnencodableError):
            codec.encode_connect_error("/", {"data": data})


@both
def test_lone_surrogates_are_replaced_before_they_reach_a_client(codec: Codec) -> None:
    message, attachments = codec.encode_event("/", ["e", "\ud800x", {"\udfff": ["\ud83d\ude00"]}])
    assert read(codec, message, attachments).data == ["e", "\ufffdx", {"\ufffd": ["\ufffd\ufffd"]}]


@both
def test_unusual_data_is_sent_as_what_it_resembles(codec: Codec) -> None:
    class Word(str):
        __slots__ = ()

    data = [(1, 2), {3: Word("x"), Word("y"): True}, {None: None}, {True: [], 1.5: {}}, bytearray(b"b"), -math.inf]
    expected = [[1, 2], {"3": "x", "y": True}, {"null": None}, {"true": [], "1.5": {}}, b"b"]
    assert read(codec, *codec.encode_event("/", ["e", *data])).data[1:-1] == expected


def test_between_nodes_limits_are_those_of_applications_unless_they_are_higher() -> None:
    limits = CodecLimits(max_attachments=3).between_nodes()
    assert (limits.max_attachments, limits.max_json_depth, limits.max_integer_digits) == (3, 128, 4_300)
    higher = CodecLimits(max_json_depth=500, max_integer_digits=10_000)
    assert higher.between_nodes() == higher
