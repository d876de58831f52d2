"""Options of the Engine.IO layer, as they show on the wire: handshake, pings, compression, transports, upgrades."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

import roomcast
from tests.support.api_client import HANDSHAKE, get, request
from tests.support.inprocess import Node, Way
from tests.support.limits import AROUND

differs = pytest.mark.differs
SID = re.compile(r"[A-Za-z0-9_-]{20}")


async def opening(options: dict[str, Any], **parameters: Any) -> httpx.Response:
    """The answer to a polling handshake at a server with these options."""
    async with Node(roomcast.AsyncServer(**options), Way()) as node:
        return await get(node.base, params=HANDSHAKE, **parameters)


async def test_the_handshake(way: Way) -> None:
    async with Node(roomcast.AsyncServer(), way) as node:
        client = await node.open()
        assert client.handshake == {
            "sid": client.engine_sid,
            "upgrades": ["websocket"] if way.transport == "polling" else [],
            "pingInterval": 25000,
            "pingTimeout": 20000,
            "maxPayload": 1000000,
        }
        assert SID.fullmatch(client.engine_sid)


@differs
async def test_the_handshake_byte_for_byte() -> None:
    response = await opening({})
    assert re.findall(r'"(\w+)":', response.text) == [
        "sid",
        "upgrades",
        "pingInterval",
        "pingTimeout",
        "maxPayload",
    ]
    assert response.headers["content-type"] == "text/plain; charset=UTF-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    sid = response.text.split('"')[3]
    assert sid.startswith(response.headers["x-roomcast-node"])
    assert len(response.headers["x-roomcast-node"]) == 4


@differs
async def test_every_sid_begins_with_the_tag_of_its_node(way: Way) -> None:
    async with Node(roomcast.AsyncServer(), way) as node:
        one, two = await node.connect(), await node.connect()
        sids = [one.sid, one.engine_sid, two.sid, two.engine_sid]
        assert len(set(sids)) == 4
        assert len({sid[:4] for sid in sids}) == 1
        assert all(SID.fullmatch(sid) for sid in sids)


@pytest.mark.parametrize(
    ("options", "interval", "timeout"),
    [
        ({}, 25000, 20000),
        ({"ping_interval": 5, "ping_timeout": 3}, 5000, 3000),
        ({"ping_interval": (5, 2)}, 7000, 20000),
        pytest.param({"ping_interval": 0.7, "ping_timeout": 0.3}, 700, 300, marks=differs),
        pytest.param({"ping_interval": (1.5, 0.25)}, 1750, 20000, marks=differs),
    ],
)
async def test_what_is_told_about_pings(options: dict[str, Any], interval: int, timeout: int) -> None:
    told = httpx.Response(200, text=(await opening(options)).text[1:]).json()
    assert (told["pingInterval"], told["pingTimeout"]) == (interval, timeout)


@differs
@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"EIO": "4"}, 0, "Transport unknown"),
        ({"EIO": "4", "transport": "smoke"}, 0, "Transport unknown"),
        ({"EIO": "4", "transport": "__proto__"}, 0, "Transport unknown"),
        ({"EIO": "4", "transport": "polling", "sid": "x" * 20}, 1, "Session ID unknown"),
        ({"EIO": "4", "transport": "websocket"}, 3, "Bad request"),
        ({"transport": "polling"}, 5, "Unsupported protocol version"),
        ({"EIO": "3", "transport": "polling"}, 5, "Unsupported protocol version"),
        ({"EIO": "abc", "transport": "polling"}, 5, "Unsupported protocol version"),
    ],
)
async def test_refusals(flavour: Way, parameters: dict[str, str], code: int, message: str) -> None:
    async with Node(roomcast.AsyncServer(), flavour) as node:
        response = await get(node.base, params=parameters)
        assert response.status_code == 400
        assert response.text == f'{{"code":{code},"message":"{message}"}}'
        assert response.headers["content-type"].startswith("application/json")
        assert node.left_over() == {}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
async def test_a_session_begins_with_get(flavour: Way, method: str) -> None:
    async with Node(roomcast.AsyncServer(), flavour) as node:
        response = await request(method, node.base, params=HANDSHAKE)
        assert response.status_code in {400, 405}


async def test_pings_come_at_the_interval_and_a_pong_keeps_the_client(way: Way) -> None:
    sio = roomcast.AsyncServer(ping_interval=0.1, ping_timeout=0.3)
    async with Node(sio, way) as node:
        client = await node.connect()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for _ in range(5):
            assert await client.receive() == "2"
            await client.send("3")
        assert 0.45 <= loop.time() - begun < 2
        assert sio.rooms(client.sid) == [client.sid]


async def test_the_grace_is_told_and_not_waited(flavour: Way) -> None:
    sio = roomcast.AsyncServer(ping_interval=(0.1, 5), ping_timeout=3)
    async with Node(sio, flavour) as node:
        client = await node.connect()
        begun = asyncio.get_running_loop().time()
        assert await client.receive() == "2"
        assert asyncio.get_running_loop().time() - begun < 2


@pytest.mark.parametrize(
    ("options", "accept", "encoding"),
    [
        ({}, "gzip, deflate", "gzip"),
        ({}, "deflate, gzip", "deflate"),
        ({}, "br, deflate", "deflate"),
        ({}, "br", None),
        ({}, "", None),
        pytest.param({}, "gzip;q=0, deflate", "deflate", marks=differs),
        pytest.param({}, "gzip;q=0", None, marks=differs),
        ({"http_compression": False}, "gzip", None),
        ({"compression_threshold": 100_000}, "gzip", None),
    ],
)
async def test_polling_responses_are_compressed(options: dict[str, Any], accept: str, encoding: str | None) -> None:
    sio = roomcast.AsyncServer(**options)
    async with Node(sio, Way()) as node:
        client = await node.polling(headers={"Accept-Encoding": accept})
        await client.connect()
        await sio.emit("e", "x" * 5000)
        async with client.http.stream("GET", client.path, params=client.parameters) as response:
            raw = b"".join([chunk async for chunk in response.aiter_raw()])
        assert response.headers.get("content-encoding") == encoding
        unpack: dict[str | None, Callable[[bytes], bytes]] = {
            "gzip": gzip.decompress,
            "deflate": zlib.decompress,
            None: bytes,
        }
        assert unpack[encoding](raw) == b'42["e","' + b"x" * 5000 + b'"]'


@AROUND
async def test_the_threshold(flavour: Way, offset: int) -> None:
    sio = roomcast.AsyncServer(compression_threshold=500)
    async with Node(sio, flavour) as node:
        client = await node.polling(headers={"Accept-Encoding": "gzip"})
        await client.connect()
        await sio.emit("e", "x" * (500 - len('42["e",""]') + offset))
        response = await client.poll()
        assert len(response.text) == 500 + offset
        assert ("content-encoding" in response.headers) == (offset >= 0)


@pytest.mark.parametrize("transports", ["polling", ["polling"], ["polling", "smoke"]])
async def test_polling_only(flavour: Way, transports: Any) -> None:
    async with Node(roomcast.AsyncServer(transports=transports), flavour) as node:
        await node.connect(transport="polling")
        with pytest.raises(InvalidStatus):
            await node.websocket()


@differs
async def test_polling_only_announces_no_upgrade(flavour: Way) -> None:
    async with Node(roomcast.AsyncServer(transports=["polling"]), flavour) as node:
        client = await node.polling()
        assert client.handshake["upgrades"] == []


@pytest.mark.parametrize("transports", ["websocket", ["websocket"]])
async def test_websocket_only(flavour: Way, transports: Any) -> None:
    async with Node(roomcast.AsyncServer(transports=transports), flavour) as node:
        await node.connect(transport="websocket")
        assert (await get(node.base, params=HANDSHAKE)).status_code == 400


async def test_an_upgrade_keeps_the_session(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    sio.on("echo", lambda sid, *args: args)
    async with Node(sio, flavour) as node:
        polling = await node.polling()
        await polling.connect()
        assert sio.transport(polling.sid) == "polling"
        await sio.emit("before", 1)
        websocket = await polling.upgrade()
        node.keep(websocket)
        await websocket.event("echo", "x", id=1)
        packets = [packet for packet in (await websocket.drain()) if packet != "6"]
        assert packets == ['42["before",1]', '431["x"]']
        assert sio.transport(polling.sid) == "websocket"
        assert (await polling.poll()).status_code == 400


@differs
async def test_without_upgrades_none_is_announced_nor_honoured(flavour: Way) -> None:
    sio = roomcast.AsyncServer(allow_upgrades=False)
    async with Node(sio, flavour) as node:
        client = await node.polling()
        assert client.handshake["upgrades"] == []
        await client.connect()
        with pytest.raises(InvalidStatus) as refused:
            await node.websocket(sid=client.engine_sid)
        assert refused.value.response.status_code == 400
        await sio.emit("e", 1)
        assert await client.drain() == ['42["e",1]']
        await node.websocket()  # a session that begins on WebSocket is no upgrade
