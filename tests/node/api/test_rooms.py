"""Entering and leaving rooms, ``rooms()``, and that a sid's own room belongs to nobody else."""

from __future__ import annotations

from typing import Any

import pytest

import roomcast
from tests.support.inprocess import Node, Way

differs = pytest.mark.differs


async def test_rooms_lists_the_own_sid_and_what_was_entered_in_order(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        assert sio.rooms(client.sid) == [client.sid]
        for room in ("b", "a", 3):
            await sio.enter_room(client.sid, room)
        assert sio.rooms(client.sid) == [client.sid, "b", "a", 3]
        await sio.leave_room(client.sid, "b")
        assert sio.rooms(client.sid) == [client.sid, "a", 3]
        assert isinstance(sio.rooms(client.sid), list)


async def test_entering_twice_is_entering_once(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.enter_room(client.sid, "a")
        await sio.enter_room(client.sid, "a")
        await sio.emit("e", to="a")
        assert await client.drain() == ['42["e"]']
        await sio.leave_room(client.sid, "a")
        await sio.emit("e", to="a")
        assert await client.drain() == []


@pytest.mark.parametrize("sid", ["unknown", "x" * 20, None, ""])
async def test_leaving_never_complains(flavour: Way, sid: Any) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.leave_room(client.sid, "never entered")
        await sio.leave_room(sid, "a")
        await sio.leave_room(client.sid, "a", namespace="/nowhere")
        assert sio.rooms(sid) == []
        assert sio.rooms(client.sid, namespace="/nowhere") == []


async def test_close_room_removes_every_member(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        clients = [await node.connect() for _ in range(3)]
        for client in clients:
            await sio.enter_room(client.sid, "a")
        await sio.close_room("a")
        await sio.close_room("a")
        await sio.close_room("never", namespace="/nowhere")
        await sio.emit("e", to="a")
        for client in clients:
            assert await client.drain() == []
            assert sio.rooms(client.sid) == [client.sid]


async def test_entering_in_an_unknown_namespace_is_a_value_error(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        with pytest.raises(ValueError, match="sid is not connected to requested namespace"):
            await sio.enter_room(client.sid, "a", namespace="/nowhere")


async def test_entering_with_an_unknown_sid_is_a_key_error(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        await node.connect()
        with pytest.raises(KeyError):
            await sio.enter_room("x" * 20, "a")


async def test_the_room_of_another_sid_cannot_be_entered_or_closed(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        spy, victim = await node.connect(), await node.connect()
        with pytest.raises(ValueError, match="cannot enter a sid room"):
            await sio.enter_room(spy.sid, victim.sid)
        with pytest.raises(ValueError, match="cannot close a sid room"):
            await sio.close_room(victim.sid)
        await sio.emit("e", to=victim.sid)
        assert await spy.drain() == []
        assert await victim.drain() == ['42["e"]']


@differs
async def test_nobody_waits_in_the_room_of_a_sid_to_come(flavour: Way) -> None:
    """The room named by a sid of this node is the sid alone, whoever entered a room of that name before or after."""
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        spy, victim = await node.connect(), await node.connect()
        gone = victim.sid
        await sio.disconnect(gone)
        await victim.until("41")
        try:
            await sio.enter_room(spy.sid, gone)
        except ValueError:
            return  # refusing the name is as good
        await sio.emit("e", to=victim.sid)
        assert await victim.drain() == []


async def test_rooms_can_be_entered_in_the_connect_handler(way: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[list[Any]] = []

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await sio.enter_room(sid, "a")
        seen.append(sio.rooms(sid))

    async with Node(sio, way) as node:
        client = await node.connect()
        assert seen == [[client.sid, "a"]]
        await sio.emit("e", to="a")
        assert await client.drain() == ['42["e"]']


async def test_rooms_are_per_namespace(flavour: Way) -> None:
    sio = roomcast.AsyncServer(namespaces=["/", "/chat"])
    async with Node(sio, flavour) as node:
        client = await node.open()
        main = await client.connect()
        chat = await client.connect("/chat")
        assert main != chat
        await sio.enter_room(main, "a")
        await sio.enter_room(chat, "b", namespace="/chat")
        assert sio.rooms(main) == [main, "a"]
        assert sio.rooms(chat, namespace="/chat") == [chat, "b"]
        assert sio.rooms(chat) == []


async def test_a_client_that_went_is_in_no_room(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        stays, goes = await node.connect(), await node.connect()
        for client in (stays, goes):
            await sio.enter_room(client.sid, "a")
        await goes.send("41")
        await goes.drain()
        assert sio.rooms(goes.sid) == []
        assert [sid for sid, _ in sio.manager.get_participants("/", "a")] == [stays.sid]
