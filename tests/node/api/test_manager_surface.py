"""What programs read from ``sio.manager``."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Client
from tests.support.inprocess import Node, Way

differs = pytest.mark.differs


async def two(node: Node) -> tuple[Client, Client]:
    """Two clients; the first is in rooms ``a`` and ``b``, the second in ``b``."""
    one, other = await node.connect(), await node.connect()
    await node.sio.enter_room(one.sid, "a")
    await node.sio.enter_room(one.sid, "b")
    await node.sio.enter_room(other.sid, "b")
    return one, other


async def test_participants(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        one, other = await two(node)
        first, second = (one.sid, one.engine_sid), (other.sid, other.engine_sid)
        participants = sio.manager.get_participants
        assert inspect.isgenerator(participants("/", "a"))
        assert list(participants("/", None)) == [first, second]
        assert list(participants("/", "a")) == [first]
        assert sorted(participants("/", "b")) == sorted([first, second])
        assert sorted(participants("/", ["a", "b"])) == sorted([first, second])
        assert list(participants("/", one.sid)) == [first]
        assert list(participants("/", "nobody")) == []


async def test_the_dict_of_rooms(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        one, other = await two(node)
        rooms = sio.manager.rooms
        assert list(rooms) == ["/"]
        assert "/" in rooms
        assert "/nowhere" not in rooms
        assert rooms.get("/nowhere") is None
        assert len(rooms["/"]["b"]) == 2
        assert dict(rooms["/"]["a"]) == {one.sid: one.engine_sid}
        assert rooms["/"]["a"][one.sid] == one.engine_sid
        assert rooms["/"].get("nobody") is None
        assert rooms["/"].get("nobody", {}) == {}
        assert "a" in rooms["/"]
        assert set(rooms["/"]) == {None, "a", "b", one.sid, other.sid}
        assert set(rooms["/"][None]) == {one.sid, other.sid}
        assert dict(rooms["/"][one.sid]) == {one.sid: one.engine_sid}
        assert one.sid in rooms["/"]["a"]
        with pytest.raises(KeyError):
            rooms["/"]["nobody"]
        with pytest.raises(KeyError):
            rooms["/nowhere"]
        assert {room: len(members) for room, members in rooms["/"].items() if room in {"a", "b"}} == {"a": 1, "b": 2}


async def test_look_ups(flavour: Way) -> None:
    sio = roomcast.AsyncServer(namespaces=["/", "/chat"])
    async with Node(sio, flavour) as node:
        client = await node.connect()
        main = client.sid
        chat = await client.connect("/chat")
        manager = sio.manager
        assert sorted(manager.get_namespaces()) == ["/", "/chat"]
        assert manager.sid_from_eio_sid(client.engine_sid, "/") == main
        assert manager.sid_from_eio_sid(client.engine_sid, "/chat") == chat
        assert manager.sid_from_eio_sid("unknown", "/") is None
        assert manager.sid_from_eio_sid(client.engine_sid, "/nowhere") is None
        assert manager.eio_sid_from_sid(main, "/") == client.engine_sid
        assert manager.eio_sid_from_sid(main, "/chat") is None
        assert manager.eio_sid_from_sid("unknown", "/") is None
        assert manager.is_connected(main, "/")
        assert not manager.is_connected(main, "/chat")
        assert not manager.is_connected("unknown", "/")
        assert manager.get_rooms(main, "/") == [main]


async def test_pre_connected_means_in_the_connect_handler(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[tuple[bool, bool]] = []

    def look(sid: str) -> None:
        seen.append((bool(sio.manager.is_connected(sid, "/")), bool(sio.manager.is_pre_connected(sid, "/"))))

    sio.on("connect", lambda sid, environ: look(sid))
    sio.on("disconnect", lambda sid, reason: look(sid))
    async with Node(sio, flavour) as node:
        client = await node.connect()
        look(client.sid)
        await client.send("41")
        await client.drain()
        look(client.sid)
        assert seen == [(False, True), (True, False), (False, False), (False, False)]


async def test_rooms_through_the_manager(flavour: Way) -> None:
    """Note the order: sid, namespace, room."""
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.manager.enter_room(client.sid, "/", "a")
        assert sio.rooms(client.sid) == [client.sid, "a"]
        assert sio.manager.is_sid_room("/", client.sid)
        assert not sio.manager.is_sid_room("/", "a")
        await sio.manager.leave_room(client.sid, "/", "a")
        await sio.manager.enter_room(client.sid, "/", "b")
        await sio.manager.close_room("b", "/")
        assert sio.manager.get_rooms(client.sid, "/") == [client.sid]


async def test_emit_through_the_manager(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        one, other = await two(node)
        await sio.manager.emit("e", 1, namespace="/", room="a")
        await sio.manager.emit("e", 2, namespace="/", skip_sid=one.sid)
        await sio.manager.emit("e", 3, namespace="/", to=one.sid)
        assert await one.drain() == ['42["e",1]', '42["e",3]']
        assert await other.drain() == ['42["e",2]']


@pytest.mark.parametrize(
    "method",
    ["emit", "can_disconnect", "disconnect", "enter_room", "leave_room", "close_room", "trigger_callback"],
)
def test_coroutines(method: str) -> None:
    assert inspect.iscoroutinefunction(getattr(roomcast.AsyncManager, method))


@pytest.mark.parametrize(
    "method", ["get_participants", "get_rooms", "is_connected", "sid_from_eio_sid", "get_namespaces"]
)
def test_plain_functions(method: str) -> None:
    assert not inspect.iscoroutinefunction(getattr(roomcast.AsyncManager, method))


async def test_can_disconnect(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        assert await sio.manager.can_disconnect(client.sid, "/")
        assert not await sio.manager.can_disconnect("unknown", "/")


async def test_tables_end_with_their_members(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        one, other = await two(node)
        for client in (one, other):
            await client.send("41")
            await client.drain()
        assert list(sio.manager.get_namespaces()) == []
        assert dict(sio.manager.rooms) == {}


@differs
async def test_a_manager_starts_with_the_application(flavour: Way) -> None:
    """Not with the first client, so that a node without clients listens already."""
    calls: list[Any] = []

    class Counting(roomcast.AsyncManager):
        def initialize(self) -> None:
            calls.append(self)
            super().initialize()

    sio = roomcast.AsyncServer(client_manager=Counting())
    async with Node(sio, flavour) as node:
        assert len(calls) == 1
        await node.connect()
        await node.connect()
        assert len(calls) == 1
