"""``get_session``, ``save_session``, ``session()``: one dict per sid, gone with it."""

from __future__ import annotations

from typing import Any

import pytest

import roomcast
from tests.support.inprocess import Node, Way, eventually

differs = pytest.mark.differs


async def test_the_session_is_one_live_dict(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        session = await sio.get_session(client.sid)
        assert session == {}
        assert await sio.get_session(client.sid) is session
        session["user"] = "ann"
        assert await sio.get_session(client.sid) == {"user": "ann"}


async def test_save_session_replaces_it(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        (await sio.get_session(client.sid))["old"] = 1
        await sio.save_session(client.sid, {"new": 2})
        assert await sio.get_session(client.sid) == {"new": 2}


async def test_the_context_manager_saves_even_after_an_exception(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        async with sio.session(client.sid) as session:
            session["a"] = 1

        async def change_and_raise() -> None:
            async with sio.session(client.sid) as session:
                session["b"] = 2
                raise LookupError("application")

        with pytest.raises(LookupError, match="application"):
            await change_and_raise()
        assert await sio.get_session(client.sid) == {"a": 1, "b": 2}


async def test_sessions_of_clients_and_namespaces_are_apart(flavour: Way) -> None:
    sio = roomcast.AsyncServer(namespaces=["/", "/chat"])
    async with Node(sio, flavour) as node:
        one, two = await node.connect(), await node.connect()
        chat = await one.connect("/chat")
        main = next(sid for sid, _ in sio.manager.get_participants("/", None) if sid != two.sid)
        await sio.save_session(main, {"in": "main"})
        await sio.save_session(chat, {"in": "chat"}, namespace="/chat")
        assert await sio.get_session(main) == {"in": "main"}
        assert await sio.get_session(chat, namespace="/chat") == {"in": "chat"}
        assert await sio.get_session(two.sid) == {}


@pytest.mark.parametrize("sid", ["unknown", "x" * 20])
async def test_an_unknown_sid_has_no_session(flavour: Way, sid: str) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        for call in (
            sio.get_session(sid),
            sio.save_session(sid, {}),
            sio.get_session(client.sid, namespace="/nowhere"),
        ):
            with pytest.raises(KeyError):
                await call
        with pytest.raises(KeyError):
            async with sio.session(sid):
                pytest.fail("entered")


async def test_a_session_is_usable_in_connect_and_disconnect_handlers(way: Way) -> None:
    sio = roomcast.AsyncServer()
    at_the_end: list[Any] = []

    @sio.event
    async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        await sio.save_session(sid, {"user": auth["user"]})

    @sio.event
    async def disconnect(sid: str, reason: str) -> None:
        at_the_end.append((await sio.get_session(sid), sio.rooms(sid), sio.get_environ(sid) is not None))

    async with Node(sio, way) as node:
        client = await node.connect(auth={"user": "ann"})
        assert await sio.get_session(client.sid) == {"user": "ann"}
        await client.send("41")
        await eventually(lambda: at_the_end)
        assert at_the_end == [({"user": "ann"}, [client.sid], True)]
        with pytest.raises(KeyError):
            await sio.get_session(client.sid)


@differs
async def test_a_session_ends_with_its_sid(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect(auth={"token": "first"})
        first = client.sid
        await sio.save_session(first, {"admin": True})
        await client.send("41")
        second = await client.connect(auth={"token": "second"})
        assert second != first
        assert await sio.get_session(second) == {}
