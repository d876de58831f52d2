"""What ``data`` becomes on the wire, and what a client's packets become as arguments."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import json
import math
import uuid
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Packet, arguments
from tests.support.inprocess import Node, Way

PH0 = '{"_placeholder":true,"num":0}'
PH1 = '{"_placeholder":true,"num":1}'
differs = pytest.mark.differs

SENT: list[Any] = [
    (None, ['42["e"]']),
    ((), ['42["e"]']),
    ((None,), ['42["e",null]']),
    ([], ['42["e",[]]']),
    ([None], ['42["e",[null]]']),
    ({}, ['42["e",{}]']),
    ("", ['42["e",""]']),
    ("text", ['42["e","text"]']),
    (0, ['42["e",0]']),
    (False, ['42["e",false]']),
    (True, ['42["e",true]']),
    (1.5, ['42["e",1.5]']),
    (2**53, ['42["e",9007199254740992]']),
    ((1, 2), ['42["e",1,2]']),
    ([1, 2], ['42["e",[1,2]]']),
    (([1, 2],), ['42["e",[1,2]]']),
    (((1, 2), "x"), ['42["e",[1,2],"x"]']),
    ({"a": [1, {"b": None}]}, ['42["e",{"a":[1,{"b":null}]}]']),
    (b"\x01\x02", [f'451-["e",{PH0}]', b"\x01\x02"]),
    (b"", [f'451-["e",{PH0}]', b""]),
    pytest.param(bytearray(b"ab"), [f'451-["e",{PH0}]', b"ab"], marks=differs),
    (("x", b"1", 2, b"2"), [f'452-["e","x",{PH0},2,{PH1}]', b"1", b"2"]),
    ([b"1", b"2"], [f'452-["e",[{PH0},{PH1}]]', b"1", b"2"]),
    ({"a": b"1", "b": [b"2"]}, [f'452-["e",{{"a":{PH0},"b":[{PH1}]}}]', b"1", b"2"]),
    pytest.param(memoryview(b"mv"), [f'451-["e",{PH0}]', b"mv"], marks=differs, id="memoryview"),
    pytest.param({"a": (1, b"1")}, [f'451-["e",{{"a":[1,{PH0}]}}]', b"1"], marks=differs),
    pytest.param([((b"1",),)], [f'451-["e",[[[{PH0}]]]]', b"1"], marks=differs),
    pytest.param(math.nan, ['42["e",null]'], marks=differs),
    pytest.param([math.inf, -math.inf], ['42["e",[null,null]]'], marks=differs),
]


@pytest.mark.parametrize(("data", "packets"), SENT, ids=repr)
async def test_data_becomes_arguments(way: Way, data: Any, packets: list[Packet]) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()
        await sio.emit("e", data)
        assert await client.drain() == packets


async def test_left_out_data_is_no_argument(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.emit("e")
        assert await client.drain() == ['42["e"]']


@pytest.mark.parametrize(
    "text", ["ü€😀", 'quote " backslash \\', "\x00\x1e\x1f\n\r\t", "\u2028\u2029", "</script>", "\x7f"]
)
async def test_any_text_arrives_as_it_was(way: Way, text: str) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()
        await sio.emit("e", {text: text})
        (packet,) = await client.drain()
        assert arguments(packet) == ["e", {text: text}]


@differs
async def test_a_lone_surrogate_reaches_clients_as_the_replacement_character(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()
        await sio.emit("e", {"a": "x\ud800y"})
        (packet,) = await client.drain()
        assert arguments(packet) == ["e", {"a": "x\ufffdy"}]


@dataclasses.dataclass
class Point:
    x: int
    y: int


@differs
@pytest.mark.parametrize(
    ("value", "on_the_wire"),
    [
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.UTC), "2024-02-29T01:02:03Z"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Point(1, 2), {"x": 1, "y": 2}),
        (decimal.Decimal("1.50"), "1.50"),
    ],
    ids=["date", "datetime", "uuid", "dataclass", "decimal"],
)
async def test_what_msgspec_encodes_is_welcome(flavour: Way, value: Any, on_the_wire: Any) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.emit("e", [value])
        (packet,) = await client.drain()
        assert arguments(packet) == ["e", [on_the_wire]]


def cyclic() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@differs
@pytest.mark.parametrize(
    "value",
    [object(), {"deep": [object()]}, cyclic(), lambda: None, {"a": type}],
    ids=["object", "nested", "cyclic", "function", "class"],
)
async def test_what_has_no_form_raises_at_the_call_and_sends_nothing(flavour: Way, value: Any) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        with pytest.raises(TypeError):
            await sio.emit("e", value)
        assert await client.drain() == []
        await sio.emit("e", "after")
        assert await client.drain() == ['42["e","after"]']


RECEIVED: list[Any] = [
    (['42["e"]'], ()),
    (['42["e",null]'], (None,)),
    (['42["e",1,"2",{"3":[true]}]'], (1, "2", {"3": [True]})),
    (['42["e",[1,2]]'], ([1, 2],)),
    (['42["e",1.0,-0.5,1e3]'], (1.0, -0.5, 1000.0)),
    (['42["e","\\u00fc\\ud83d\\ude00"]'], ("ü😀",)),
    (['42["e",9007199254740993]'], (9007199254740993,)),
    (['42["e",{"a":1,"a":2}]'], ({"a": 2},)),
    ([f'451-["e",{PH0}]', b"\x01"], (b"\x01",)),
    ([f'451-["e",{PH0}]', b""], (b"",)),
    ([f'452-["e",{{"a":{PH1},"b":[{PH0}]}}]', b"0", b"1"], ({"a": b"1", "b": [b"0"]},)),
    ([f'452-["e",{PH1},{PH1},{PH0}]', b"0", b"1"], (b"1", b"1", b"0")),
    pytest.param(['42["e","x\\ud800y"]'], ("x\ufffdy",), marks=differs),
    (['42["e",{"_placeholder":true,"num":0}]'], ({"_placeholder": True, "num": 0},)),
]


@pytest.mark.parametrize(("packets", "values"), RECEIVED, ids=repr)
async def test_a_packet_becomes_arguments(way: Way, packets: list[Packet], values: tuple[Any, ...]) -> None:
    sio = roomcast.AsyncServer()
    seen: list[tuple[Any, ...]] = []

    @sio.on("e")
    async def handler(sid: str, *args: Any) -> None:
        seen.append((sid, *args))

    async with Node(sio, way) as node:
        client = await node.connect()
        await client.send(*packets)
        await client.drain()
        assert seen == [(client.sid, *values)]
        assert [type(value) for value in seen[0][1:]] == [type(value) for value in values]


async def test_base64_text_on_a_websocket_is_binary(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []
    sio.on("e", lambda sid, data: seen.append(data))
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.send(f'451-["e",{PH0}]', "bAQIDBA==")
        await client.drain()
        assert seen == [b"\x01\x02\x03\x04"]


class SortedJson:
    """A ``json=`` of one's own, which marks what went through it."""

    def __init__(self) -> None:
        self.dumped: list[dict[str, Any]] = []

    def dumps(self, value: Any, **options: Any) -> str:
        self.dumped.append(options)
        return json.dumps(value, sort_keys=True, default=repr, **options)

    def loads(self, text: str | bytes, **options: Any) -> Any:
        return json.loads(text, parse_float=lambda digits: f"float {digits}")


async def test_a_json_module_of_ones_own_is_used_in_both_directions(flavour: Way) -> None:
    codec = SortedJson()
    sio = roomcast.AsyncServer(json=codec)
    seen: list[Any] = []
    sio.on("e", lambda sid, *args: seen.extend(args))
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.emit("e", {"b": 1, "a": 2, "bytes": b"x"})
        assert await client.drain() == [f'451-["e",{{"a":2,"b":1,"bytes":{PH0}}}]', b"x"]
        await client.send('42["e",1.5]')
        await client.drain()
        assert seen == ["float 1.5"]
        assert {"separators": (",", ":")} in codec.dumped


@differs
async def test_a_json_module_belongs_to_one_server(flavour: Way) -> None:
    plain = roomcast.AsyncServer()
    roomcast.AsyncServer(json=SortedJson())
    async with Node(plain, flavour) as node:
        client = await node.connect()
        await plain.emit("e", {"b": 1, "a": 2})
        assert await client.drain() == ['42["e",{"b":1,"a":2}]']


async def test_two_tasks_cannot_interleave_binary_packets(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()

        async def sender(mark: bytes) -> None:
            for _ in range(50):
                await sio.emit("e", [mark, mark], to=client.sid)
                await sio.sleep(0)

        tasks = [sio.start_background_task(sender, bytes([number])) for number in range(4)]
        packets: list[Packet] = []
        while len(packets) < 600:
            packets.append(await client.receive())
        for task in tasks:
            await task
        for header, first, second in zip(packets[::3], packets[1::3], packets[2::3], strict=True):
            assert header == f'452-["e",[{PH0},{PH1}]]'
            assert first == second
