"""``AsyncNamespace``: dispatch to ``on_…``, the methods with the namespace filled in, and registration."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

import roomcast
from tests.support.inprocess import Node, Way, eventually

differs = pytest.mark.differs


class Chat(roomcast.AsyncNamespace):
    """Writes down what it is called with."""

    def __init__(self, namespace: str | None = None) -> None:
        super().__init__(namespace)
        self.seen: list[tuple[Any, ...]] = []

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> bool:
        self.seen.append(("connect", sid, auth))
        return bool(auth != {"enter": False})

    def on_disconnect(self, sid: str, reason: str) -> None:
        self.seen.append(("disconnect", sid, reason))

    async def on_say(self, sid: str, *words: str) -> tuple[str, int]:
        self.seen.append(("say", sid, *words))
        return "said", len(words)

    def on_plain(self, sid: str) -> list[int]:
        return [1, 2]


async def test_events_reach_the_methods_named_after_them(way: Way) -> None:
    sio = roomcast.AsyncServer()
    chat = Chat("/chat")
    sio.register_namespace(chat)
    async with Node(sio, way) as node:
        client = await node.connect("/chat", {"user": "ann"})
        assert await client.call("say", "a", "b", namespace="/chat", id=1) == '43/chat,1["said",2]'
        assert await client.call("plain", namespace="/chat", id=2) == "43/chat,2[[1,2]]"
        await client.send("41/chat,")
        await client.drain()
        assert chat.seen == [
            ("connect", client.sid, {"user": "ann"}),
            ("say", client.sid, "a", "b"),
            ("disconnect", client.sid, "client disconnect"),
        ]


async def test_a_class_may_refuse(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    sio.register_namespace(Chat())
    async with Node(sio, flavour) as node:
        client = await node.open()
        await client.ask_to_connect(auth={"enter": False})
        assert await client.receive() == '44{"message":"Connection rejected by server"}'


async def test_an_event_without_method_is_acknowledged_with_nothing(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    sio.register_namespace(Chat("/chat"))
    async with Node(sio, flavour) as node:
        client = await node.connect("/chat")
        assert await client.call("unknown", namespace="/chat", id=7) == "43/chat,7[]"


async def test_a_namespace_without_methods_accepts_everybody(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    sio.register_namespace(roomcast.AsyncNamespace("/empty"))
    async with Node(sio, flavour) as node:
        client = await node.connect("/empty")
        await client.send("41/empty,")
        assert await client.drain() == []


async def test_overriding_trigger_event_sees_every_event(way: Way) -> None:
    seen: list[tuple[Any, ...]] = []

    class Everything(roomcast.AsyncNamespace):
        async def trigger_event(self, event: str, *args: Any) -> Any:
            seen.append((event, args[0], args[2]) if event == "connect" else (event, *args))
            return "ack" if event == "e" else None

    sio = roomcast.AsyncServer()
    sio.register_namespace(Everything("/all"))
    async with Node(sio, way) as node:
        client = await node.connect("/all", {"a": 1})
        assert await client.call("e", 1, namespace="/all", id=3) == '43/all,3["ack"]'
        await client.send("41/all,")
        await client.drain()
        assert seen == [
            ("connect", client.sid, {"a": 1}),
            ("e", client.sid, 1),
            ("disconnect", client.sid, "client disconnect"),
        ]


@pytest.mark.parametrize("auth", [None, pytest.param({"x": 1}, marks=differs)])
async def test_short_forms_of_connect_and_disconnect(flavour: Way, auth: Any) -> None:
    seen: list[str] = []

    class Short(roomcast.AsyncNamespace):
        async def on_connect(self, sid: str, environ: dict[str, Any]) -> None:
            seen.append("connect")

        async def on_disconnect(self, sid: str) -> None:
            seen.append("disconnect")

    sio = roomcast.AsyncServer()
    sio.register_namespace(Short())
    async with Node(sio, flavour) as node:
        client = await node.connect(auth=auth)
        await client.send("41")
        await client.drain()
        assert seen == ["connect", "disconnect"]


async def test_the_catch_all_class_gets_the_namespace_first(flavour: Way) -> None:
    seen: list[tuple[Any, ...]] = []

    class Any_(roomcast.AsyncNamespace):
        async def on_connect(self, namespace: str, sid: str, environ: dict[str, Any], auth: Any) -> None:
            seen.append(("connect", namespace, sid))

        async def on_e(self, namespace: str, sid: str, value: int) -> None:
            seen.append(("e", namespace, sid, value))

        async def on_disconnect(self, namespace: str, sid: str, reason: str) -> None:
            seen.append(("disconnect", namespace, sid, reason))

    sio = roomcast.AsyncServer(namespaces=["/dynamic"])
    sio.register_namespace(Any_("*"))
    async with Node(sio, flavour) as node:
        client = await node.connect("/dynamic")
        await client.event("e", 1, namespace="/dynamic")
        await client.send("41/dynamic,")
        await client.drain()
        assert seen == [
            ("connect", "/dynamic", client.sid),
            ("e", "/dynamic", client.sid, 1),
            ("disconnect", "/dynamic", client.sid, "client disconnect"),
        ]


async def test_methods_fill_in_the_namespace(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    chat = Chat("/chat")
    sio.register_namespace(chat)
    async with Node(sio, flavour) as node:
        client, other = await node.connect("/chat"), await node.connect("/chat")
        sid = client.sid
        await chat.enter_room(sid, "a")
        assert chat.rooms(sid) == [sid, "a"]
        await chat.emit("e", 1, to="a")
        await chat.emit("e", 2, room="a", skip_sid=other.sid)
        await chat.send("hi", to="a")
        assert await client.drain() == ['42/chat,["e",1]', '42/chat,["e",2]', '42/chat,["message","hi"]']
        assert await other.drain() == []
        await chat.leave_room(sid, "a")
        await chat.enter_room(sid, "b")
        await chat.close_room("b")
        assert chat.rooms(sid) == [sid]
        await chat.save_session(sid, {"x": 1})
        assert await chat.get_session(sid) == {"x": 1}
        async with chat.session(sid) as session:
            session["y"] = 2
        assert await sio.get_session(sid, namespace="/chat") == {"x": 1, "y": 2}
        calling = asyncio.create_task(chat.call("ask", to=sid, timeout=3))
        packet = str(await client.receive())
        await client.send(f"43/chat,{packet.removeprefix('42/chat,').split('[')[0]}[5]")
        assert await calling == 5
        await chat.disconnect(sid)
        assert await client.receive() == "41/chat,"


async def test_methods_take_another_namespace(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    chat = Chat("/chat")
    sio.register_namespace(chat)
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await chat.enter_room(client.sid, "a", namespace="/")
        await chat.emit("e", to="a", namespace="/")
        assert await client.drain() == ['42["e"]']
        assert chat.rooms(client.sid, namespace="/") == [client.sid, "a"]


@pytest.mark.parametrize("method", ["emit", "send", "call", "enter_room", "leave_room", "close_room"])
def test_methods_are_coroutine_functions(method: str) -> None:
    assert inspect.iscoroutinefunction(getattr(roomcast.AsyncNamespace, method))
    assert inspect.iscoroutinefunction(getattr(roomcast.AsyncServer, method))


@pytest.mark.parametrize("method", ["rooms", "session"])
def test_methods_that_are_plain(method: str) -> None:
    assert not inspect.iscoroutinefunction(getattr(roomcast.AsyncNamespace, method))
    assert not inspect.iscoroutinefunction(getattr(roomcast.AsyncServer, method))


@differs
def test_call_ends_by_itself_as_on_the_server() -> None:
    assert inspect.signature(roomcast.AsyncNamespace.call).parameters["timeout"].default == 60


def test_attributes() -> None:
    assert roomcast.AsyncNamespace().namespace == "/"
    assert roomcast.AsyncNamespace("/x").namespace == "/x"
    sio = roomcast.AsyncServer()
    chat = Chat("/chat")
    sio.register_namespace(chat)
    assert chat.server is sio
    assert sio.namespace_handlers == {"/chat": chat}
    second = Chat("/chat")
    sio.register_namespace(second)
    assert sio.namespace_handlers == {"/chat": second}


@pytest.mark.parametrize("wrong", [None, "/chat", object(), Chat, lambda: None])
def test_only_namespace_objects_can_be_registered(wrong: Any) -> None:
    with pytest.raises(ValueError, match="Not a namespace instance"):
        roomcast.AsyncServer().register_namespace(wrong)


async def test_one_object_serves_all_clients(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    chat = Chat()
    sio.register_namespace(chat)
    async with Node(sio, flavour) as node:
        clients = [await node.connect() for _ in range(3)]
        for client in clients:
            await client.event("say", "x")
        await eventually(lambda: len(chat.seen) == 6)
        assert {sid for _, sid, *_ in chat.seen} == {client.sid for client in clients}
