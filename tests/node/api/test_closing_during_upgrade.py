"""A handler ends a connection while its client moves to WebSocket: the client reads so, whichever way the race goes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Client, PollingClient, WebSocketClient
from tests.support.inprocess import Node, Way, eventually

pytestmark = pytest.mark.differs

FAREWELL = ['42["bye"]', "41/chat,", "41"]


class Application:
    """A server that says farewell and ends the connection when a client asks for it."""

    def __init__(self, **options: Any) -> None:
        self.sio = roomcast.AsyncServer(namespaces=["/", "/chat"], closing_timeout=0.3, **options)
        self.ended: list[str] = []
        self.sio.on("leave", self.leave)
        for namespace in ("/", "/chat"):
            self.sio.on("disconnect", lambda _, reason: self.ended.append(reason), namespace=namespace)

    async def leave(self, sid: str) -> None:
        await self.sio.emit("bye", to=sid)
        await self.sio.disconnect(sid, close=True)

    async def gone(self, node: Node) -> None:
        """Nothing is left, and each namespace was told once."""
        await node.empty()
        assert self.ended == ["server disconnect"] * 2


async def connected(node: Node) -> PollingClient:
    """A client that polls, in both namespaces."""
    client = await node.polling()
    await client.connect("/chat")
    await client.connect()
    return client


async def leaving(node: Node) -> tuple[PollingClient, WebSocketClient]:
    """A client whose handler has ended the connection after its WebSocket had read ``3probe``."""
    client = await connected(node)
    candidate = await client.probe()
    node.keep(candidate)
    await client.event("leave")
    assert node.left_over()["candidates"] == 1
    return client, candidate


async def reads_farewell(client: Client) -> None:
    seen = await client.rest()
    assert sorted(map(str, seen)) == sorted(FAREWELL)
    assert seen[0] == FAREWELL[0]


async def test_the_client_goes_on_to_the_websocket(flavour: Way) -> None:
    application = Application()
    async with Node(application.sio, flavour) as node:
        _, candidate = await leaving(node)
        await candidate.send("5")
        await reads_farewell(candidate)
        await application.gone(node)


async def test_it_had_gone_on_before_the_handler_ran(flavour: Way) -> None:
    application = Application()
    async with Node(application.sio, flavour) as node:
        candidate = await (await connected(node)).upgrade()
        node.keep(candidate)
        await candidate.event("leave")
        await reads_farewell(candidate)
        await application.gone(node)


async def test_its_last_poll_was_on_the_way(flavour: Way) -> None:
    application = Application()
    async with Node(application.sio, flavour) as node:
        client, candidate = await leaving(node)
        await reads_farewell(client)
        assert await candidate.rest() == []
        await application.gone(node)


async def test_another_post_was_on_the_way(flavour: Way) -> None:
    application = Application()
    async with Node(application.sio, flavour) as node:
        client, candidate = await leaving(node)
        assert (await client.post('42["leave"]')).text == "ok"
        await candidate.send("5")
        await reads_farewell(candidate)
        await application.gone(node)


@pytest.mark.parametrize("loss", ["reset", "closed", "another packet", "late"])
async def test_the_websocket_is_lost(flavour: Way, loss: str) -> None:
    application = Application(upgrade_timeout=0.2 if loss == "late" else 10.0)
    async with Node(application.sio, flavour) as node:
        client, candidate = await leaving(node)
        if loss == "reset":
            await candidate.reset()
        elif loss == "closed":
            await candidate.close()
        elif loss == "another packet":
            await candidate.send("4")
        await eventually(lambda: node.left_over().get("candidates") is None)
        await reads_farewell(client)
        await application.gone(node)


async def test_the_client_does_nothing_more(flavour: Way) -> None:
    application = Application(upgrade_timeout=0.2)
    async with Node(application.sio, flavour) as node:
        await leaving(node)
        await application.gone(node)


async def test_everything_at_once(flavour: Way) -> None:
    """GETs, ``5`` and the event leave together: whoever is first, the farewell is read once."""
    application = Application()
    async with Node(application.sio, flavour) as node:
        for _ in range(10):
            client = await connected(node)
            candidate = await client.probe()
            node.keep(candidate)
            polled, pushed, *_ = await asyncio.gather(
                client.rest(), candidate.rest(), candidate.send("5"), leave_somehow(client, candidate)
            )
            assert sorted(map(str, polled + pushed)) == sorted(FAREWELL)
        await node.empty()


async def leave_somehow(client: PollingClient, candidate: WebSocketClient) -> None:
    """By polling, or over the WebSocket if the server has done with polling already."""
    if (await client.post('42["leave"]')).status_code != 200:
        await candidate.event("leave")
