"""What leaves and arrives while a connect handler runs, and what becomes of a client that leaves meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import roomcast
from tests.support.ghosts import leaves_while_connecting
from tests.support.inprocess import Node, Way, eventually

differs = pytest.mark.differs


@differs
@pytest.mark.parametrize("target", ["sid", "room", "everybody"])
async def test_what_a_connect_handler_emits_to_its_client_comes_after_connect(way: Way, target: str) -> None:
    sio = roomcast.AsyncServer()

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await sio.enter_room(sid, "a")
        await sio.emit("hello", b"x", to={"sid": sid, "room": "a", "everybody": None}[target])

    async with Node(sio, way) as node:
        client = await node.connect()
        assert await client.drain() == ['451-["hello",{"_placeholder":true,"num":0}]', b"x"]


async def test_other_clients_are_emitted_to_at_once(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    go = asyncio.Event()

    async with Node(sio, flavour) as node:
        earlier = await node.connect()

        @sio.event
        async def connect(sid: str, environ: dict[str, Any]) -> None:
            await sio.emit("joined", skip_sid=sid)
            await go.wait()

        newcomer = await node.open()
        await newcomer.ask_to_connect()
        assert await earlier.receive() == '42["joined"]'
        go.set()
        assert str(await newcomer.receive()).startswith("40{")


@differs
async def test_events_sent_while_the_connect_handler_runs_are_held(way: Way) -> None:
    sio = roomcast.AsyncServer(drain_seconds=0)
    go = asyncio.Event()
    seen: list[Any] = []
    sio.on("e", lambda sid, number: seen.append(number))

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await go.wait()
        seen.append("connected")

    async with Node(sio, way) as node:
        client = await node.open()
        await client.send("40", '42["e",1]', '42["e",2]')
        await client.drain()
        assert seen == []
        go.set()
        await eventually(lambda: len(seen) == 3)
        assert seen == ["connected", 1, 2]


@differs
@pytest.mark.parametrize("reply", ["refuse", "raise"])
async def test_held_events_of_a_refused_client_are_forgotten(flavour: Way, reply: str) -> None:
    sio = roomcast.AsyncServer()
    go = asyncio.Event()
    seen: list[Any] = []
    sio.on("e", lambda sid, number: seen.append(number))

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> bool:
        await go.wait()
        if reply == "raise":
            raise LookupError
        return False

    async with Node(sio, flavour) as node:
        client = await node.open()
        await client.send("40", '42["e",1]')
        go.set()
        assert str(await client.receive()).startswith("44")
        assert seen == []


@differs
async def test_a_connection_that_closes_while_the_handler_runs_is_nobodys_ghost(way: Way) -> None:
    sio = roomcast.AsyncServer()
    await leaves_while_connecting(sio, way, lambda sid: sio.enter_room(sid, "a"))
