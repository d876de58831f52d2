"""WebSockets side by side."""

from __future__ import annotations

import roomcast
from roomcast.doctor.judging.websockets import works
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.sockets import UPGRADES, WEBSOCKETS, try_upgrades, try_websockets
from roomcast.doctor.target import parse_target
from tests.support.inprocess import Node, Way


async def test_they_open_and_take_over() -> None:
    async with Node(roomcast.AsyncServer(tag="wA3x"), Way()) as served:
        client = HttpClient(parse_target(served.base))
        direct, upgrades = await try_websockets(client), await try_upgrades(client)
        await served.empty()
    assert [(each.stage, each.tag) for each in direct] == [("open", "wA3x")] * WEBSOCKETS
    assert [(each.stage, each.tag) for each in upgrades] == [("open", "wA3x")] * UPGRADES


async def test_a_server_that_does_not_have_them() -> None:
    async with Node(roomcast.AsyncServer(transports=["polling"]), Way()) as served:
        client = HttpClient(parse_target(served.base))
        assert not works(await try_websockets(client))
        assert not works(await try_upgrades(client))
        await served.empty()


async def test_a_server_without_polling() -> None:
    async with Node(roomcast.AsyncServer(transports=["websocket"]), Way()) as served:
        client = HttpClient(parse_target(served.base))
        assert works(await try_websockets(client))
        assert not works(await try_upgrades(client))
