"""What is no packet ends its connection, and nothing of it reaches a handler."""

from __future__ import annotations

from typing import Any

import pytest

import roomcast
from tests.support.api_client import Packet, PollingClient
from tests.support.inprocess import Node, Way, eventually

differs = pytest.mark.differs
PH0 = '{"_placeholder":true,"num":0}'
PH1 = '{"_placeholder":true,"num":1}'

RESERVED = ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]


@differs
@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("binary", [False, True])
async def test_a_reserved_name_never_reaches_a_handler(way: Way, name: str, binary: bool) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []
    sio.on("*", lambda event, sid, *args: seen.append(event))
    for reserved in RESERVED:
        if reserved not in {"connect", "disconnect"}:
            sio.on(reserved, lambda sid, *args: seen.append(args))
    sio.on("connect", lambda sid, environ, auth: seen.append(("connect", type(auth))))
    sio.on("disconnect", lambda sid, reason: seen.append(("disconnect", reason)))
    async with Node(sio, way) as node:
        client = await node.connect()
        packets: list[Packet] = [f'451-["{name}",{PH0},{{}}]', b"x"] if binary else [f'42["{name}","x",{{"a":1}}]']
        if isinstance(client, PollingClient):
            await client.post(str(packets[0]) + ("\x1ebeA==" if binary else ""))
        else:
            await client.send(*packets)
        await client.closed()
        await eventually(lambda: len(seen) == 2)
        assert seen == [("connect", type(None)), ("disconnect", "parse error")]


BROKEN = [
    "4",
    "4abc",
    "47",
    "42",
    "42{}",
    "42[]",
    "42null",
    '42"text"',
    '42abc["e"]',
    '42["e"',
    '42["e"]]',
    '42 ["e"]',
    "42[null]",
    '42[["e"]]',
    '42[{"e":1}]',
    '42["e",NaN]',
    '42["e",Infinity]',
    "43",
    "431",
    "431{}",
    "44",
    '44{"message":"x"}',
    "40[]",
    "40null",
    '40"auth"',
    '41{"x":1}',
    "45",
    '45["e"]',
    '450-["e"]',
    '451["e"]',
    '45-["e"]',
    '451.5-["e"]',
    '45-1-["e"]',
    '42/nowhere,["e"]',
    "41/nowhere,",
    '43/nowhere,1["x"]',
    '451-/nowhere,["e",{"_placeholder":true,"num":0}]',
    '42١["e"]',
]


@differs
@pytest.mark.parametrize("packet", BROKEN)
async def test_a_broken_packet_ends_the_connection(flavour: Way, packet: str) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []
    ended: list[str] = []
    sio.on("*", lambda event, sid, *args: seen.append(event))
    sio.on("disconnect", lambda sid, reason: ended.append(reason))
    async with Node(sio, flavour) as node:
        client, witness = await node.connect(), await node.connect()
        await client.send(packet)
        assert await client.rest() == []
        await eventually(lambda: ended)
        assert seen == []
        assert await witness.drain() == []
        await client.aclose()
        await witness.aclose()
        await node.empty()


@differs
@pytest.mark.parametrize(
    "packets",
    [
        [b"unexpected"],
        [f'451-["e",{PH0}]', '42["e"]'],
        [f'451-["e",{PH0}]', '451-["e"]'],
        [f'452-["e",{PH0},{PH1}]', b"0", "41"],
        ['451-["e",{"_placeholder":true,"num":1}]', b"0"],
        ['451-["e",{"_placeholder":true,"num":-1}]', b"0"],
        ['451-["e",{"_placeholder":true,"num":"0"}]', b"0"],
        ['451-["e",{"_placeholder":true,"num":0.5}]', b"0"],
        ['451-["e",{"_placeholder":true,"num":true}]', b"0"],
        ['451-["e",{"_placeholder":true}]', b"0"],
    ],
    ids=repr,
)
async def test_broken_attachments_end_the_connection(flavour: Way, packets: list[Packet]) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []
    sio.on("*", lambda event, sid, *args: seen.append(event))
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.send(*packets)
        assert await client.rest() == []
        assert seen == []
        await node.empty()


async def test_what_came_before_a_broken_packet_is_handled(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[int] = []
    sio.on("e", lambda sid, number: seen.append(number))
    async with Node(sio, flavour) as node:
        client = await node.connect(transport="polling")
        assert isinstance(client, PollingClient)
        await client.post('42["e",1]\x1e42["e",2]\x1e4abc\x1e42["e",3]')
        await eventually(lambda: len(seen) >= 2)
        assert seen[:2] == [1, 2]
