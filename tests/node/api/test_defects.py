"""The defects found in python-socketio 5.18.1 that concern one node, by their numbers in the list of findings.

Each has one short test here that shows the defect gone; the rules behind them are tested where they belong.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
import websockets

import roomcast
from tests.support.api_client import Client, Packet
from tests.support.ghosts import leaves_while_connecting
from tests.support.inprocess import Node, Way, eventually

pytestmark = pytest.mark.differs


async def answer(client: Client, packet: Packet, values: str = "[]") -> None:
    await client.send("43" + str(packet).removeprefix("42").split("[")[0] + values)


@pytest.mark.parametrize("packet", ['42["disconnect","x"]', '42["connect",{},{}]'])
async def test_defect_01_clients_cannot_call_connect_and_disconnect_handlers(way: Way, packet: str) -> None:
    sio = roomcast.AsyncServer()
    calls: list[tuple[Any, ...]] = []
    sio.on("connect", lambda sid, environ, auth: calls.append(("connect", auth)))
    sio.on("disconnect", lambda sid, reason: calls.append(("disconnect", reason)))
    async with Node(sio, way) as node:
        client = await node.connect()
        try:
            await client.send(packet)
        except AssertionError:
            assert way.transport == "polling"  # the POST may be answered 400
        await client.closed()
        await eventually(lambda: len(calls) == 2)
        assert calls == [("connect", None), ("disconnect", "parse error")]


async def test_defect_02_a_session_does_not_pass_to_the_next_identity(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect(auth={"user": "admin"})
        await sio.save_session(client.sid, {"admin": True})
        await client.send("41")
        await client.connect(auth={"user": "guest"})
        assert await sio.get_session(client.sid) == {}


@pytest.mark.parametrize("target", ["", 0, []])
async def test_defect_03_an_empty_target_is_not_everybody(way: Way, target: Any) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()
        await sio.emit("private", to=target)
        await sio.emit("private", room=target)
        assert await client.drain() == []


async def test_defect_04_an_exception_in_a_connect_handler_is_answered_and_leaves_no_ghost(way: Way) -> None:
    sio = roomcast.AsyncServer()

    @sio.event
    async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        raise LookupError("application")

    async with Node(sio, way) as node:
        client = await node.open()
        await client.ask_to_connect(auth={"a": 1})
        assert str(await client.receive()).startswith('44{"message":')
        assert list(sio.manager.get_namespaces()) == []
        await client.send("1")
        await client.aclose()
        await node.empty()


async def test_defect_05_a_connection_that_closes_in_the_connect_handler_is_no_ghost(way: Way) -> None:
    await leaves_while_connecting(roomcast.AsyncServer(), way)


async def test_defect_06_an_exception_in_a_disconnect_handler_stops_nothing(way: Way) -> None:
    sio = roomcast.AsyncServer()
    called: list[str] = []

    def failing(namespace: str) -> Any:
        def disconnect(sid: str, reason: str) -> None:
            called.append(namespace)
            raise LookupError("application")

        return disconnect

    for namespace in ("/", "/a", "/b"):
        sio.on("disconnect", failing(namespace), namespace=namespace)
    async with Node(sio, way) as node:
        client = await node.open()
        for namespace in ("/", "/a", "/b"):
            await client.connect(namespace)
        await client.send("1")
        await client.aclose()
        await node.empty()
        assert called == ["/", "/a", "/b"]
        assert sio.environ == {}


async def test_defect_07_disconnecting_in_the_connect_handler_refuses(way: Way) -> None:
    sio = roomcast.AsyncServer()

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await sio.disconnect(sid)

    async with Node(sio, way) as node:
        client = await node.open()
        await client.ask_to_connect()
        assert str(await client.receive()).startswith('44{"message":')


async def test_defect_08_call_of_a_class_namespace_ends(flavour: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    sio = roomcast.AsyncServer()
    timeouts: list[Any] = []

    async def call(
        event: str,
        data: Any = None,
        to: Any = None,
        sid: Any = None,
        namespace: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> None:
        timeouts.append(timeout)

    chat = roomcast.AsyncNamespace("/chat")
    sio.register_namespace(chat)
    monkeypatch.setattr(sio, "call", call)
    await chat.call("ask", to="x")
    await chat.call("ask", to="x", timeout=5)
    assert timeouts == [60, 5]


async def test_defect_09_callbacks_are_freed(way: Way) -> None:
    """The half that concerns one node: those of clients that went without answering."""
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()
        for _ in range(10):
            await sio.emit("ask", to=client.sid, callback=lambda: None)
        assert node.left_over()["acks"]
        await client.send("1")
        await client.aclose()
        await node.empty()


async def test_defect_10_unserialisable_data_raises_whoever_is_there(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        for namespace in ("/", "/nowhere"):
            with pytest.raises(TypeError, match="object"):
                await sio.emit("e", object(), namespace=namespace)
        await node.connect()
        with pytest.raises(TypeError, match="object"):
            await sio.emit("e", {"a": [object()]}, to="nobody")


async def test_defect_13_an_unknown_sid_leaves_no_empty_room(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        before = set(sio.manager.rooms["/"])
        with pytest.raises(KeyError):
            await sio.enter_room("x" * 20, "a")
        assert set(sio.manager.rooms["/"]) == before == {None, client.sid}


async def test_defect_14_seventeen_packets_in_a_post_are_handled(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[int] = []
    sio.on("e", lambda sid, number: seen.append(number))
    async with Node(sio, flavour) as node:
        client = await node.polling()
        await client.connect()
        assert (await client.post("\x1e".join(f'42["e",{number}]' for number in range(17)))).text == "ok"
        await eventually(lambda: len(seen) == 17)


async def test_defect_15_intervals_below_a_second_are_told_in_milliseconds(way: Way) -> None:
    async with Node(roomcast.AsyncServer(ping_interval=0.7, ping_timeout=1.25), way) as node:
        client = await node.open()
        assert client.handshake["pingInterval"] == 700
        assert client.handshake["pingTimeout"] == 1250


async def test_defect_16_upgrades_that_are_not_allowed_are_neither_announced_nor_honoured(flavour: Way) -> None:
    for options in ({"allow_upgrades": False}, {"transports": ["polling"]}):
        async with Node(roomcast.AsyncServer(**options), flavour) as node:
            client = await node.polling()
            assert client.handshake["upgrades"] == []
            with pytest.raises(websockets.exceptions.InvalidStatus):
                await node.websocket(sid=client.engine_sid)


async def test_defect_17_a_catch_all_alone_refuses_with_an_object(flavour: Way) -> None:
    """Kept as 5.18 has it: ``namespaces='*'`` says which are acceptable, a handler for ``'*'`` does not."""
    sio = roomcast.AsyncServer()
    sio.on("e", lambda namespace, sid: None, namespace="*")
    async with Node(sio, flavour) as node:
        client = await node.open()
        await client.ask_to_connect("/dynamic")
        assert await client.receive() == '44/dynamic,{"message":"Invalid namespace"}'


async def test_defect_18_a_websocket_nobody_serves_is_no_server_error(flavour: Way) -> None:
    async with Node(roomcast.AsyncServer(), flavour) as node:
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            await websockets.connect(node.base.replace("http", "ws") + "/nothing", proxy=None)
        assert refused.value.response.status_code < 500


async def test_defect_19_shutdown_ends_the_clients(way: Way) -> None:
    sio = roomcast.AsyncServer(drain_seconds=0.1)
    ended: list[str] = []
    sio.on("disconnect", lambda sid, reason: ended.append(sid))
    async with Node(sio, way) as node:
        client = await node.connect()
        reading = asyncio.create_task(client.rest())
        await sio.shutdown()
        assert await reading == []
        assert ended == [client.sid]


async def test_defect_21_rooms_and_disconnect_do_not_look_at_other_peoples_rooms(flavour: Way) -> None:
    """Counted in steps of the interpreter: a hundred times the rooms must not cost more."""
    sio = roomcast.AsyncServer()

    async def steps(rooms: int) -> int:
        crowd = await node.connect()
        for number in range(rooms):
            await sio.enter_room(crowd.sid, number)
        client = await node.connect()
        await sio.enter_room(client.sid, "a")
        count = 0

        def trace(frame: Any, event: str, argument: Any) -> Any:
            nonlocal count
            count += 1
            return trace

        sys.settrace(trace)
        try:
            sio.rooms(client.sid)
            await sio.disconnect(client.sid)
        finally:
            sys.settrace(None)
        await client.aclose()
        await sio.disconnect(crowd.sid)
        return count

    async with Node(sio, flavour) as node:
        await steps(1)  # warm
        few, many = await steps(10), await steps(1000)
        assert many < 2 * few + 100


@pytest.mark.parametrize("packets", [['450-["e"]'], ['451-["e",{"_placeholder":true,"num":0}]', '42["e"]']])
async def test_defect_23_zero_attachments_and_text_attachments_jam_nothing(flavour: Way, packets: list[str]) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []
    sio.on("e", lambda sid, *args: seen.append(args))
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.send(*packets)
        await client.closed()
        assert seen == []
        await node.empty()


@pytest.mark.parametrize("kind", [list, tuple])
async def test_defect_24_a_list_target_takes_a_callback(flavour: Way, kind: Any) -> None:
    sio = roomcast.AsyncServer()
    got: list[Any] = []
    async with Node(sio, flavour) as node:
        one, two = await node.connect(), await node.connect()
        await sio.emit("ask", to=kind([one.sid, two.sid]), callback=got.append)
        for number, client in enumerate((one, two)):
            await answer(client, await client.receive(), f"[{number}]")
        await eventually(lambda: len(got) == 2)
        assert got == [0, 1]


async def test_defect_25_the_manager_starts_with_the_application(flavour: Way) -> None:
    started: list[Any] = []

    class Manager(roomcast.AsyncManager):
        def initialize(self) -> None:
            started.append(self)
            super().initialize()

    sio = roomcast.AsyncServer(client_manager=Manager())
    async with Node(sio, flavour):
        assert started == [sio.manager]
        assert sio.manager_initialized is True


async def test_defect_27_call_inside_an_acknowledgement_callback_is_answered(way: Way) -> None:
    sio = roomcast.AsyncServer()
    got: list[Any] = []

    async with Node(sio, way) as node:
        client = await node.connect()

        async def callback(*args: Any) -> None:
            got.append(await sio.call("second", to=client.sid, timeout=3))

        await sio.emit("first", to=client.sid, callback=callback)
        await answer(client, await client.receive())
        await answer(client, await client.receive(), "[2]")
        await eventually(lambda: got)
        assert got == [2]


@pytest.mark.parametrize("slow", ["disconnect handler", "callback"])
async def test_defect_28_slow_application_code_stalls_nobody_else(flavour: Way, slow: str) -> None:
    sio = roomcast.AsyncServer()
    begun, go = asyncio.Event(), asyncio.Event()
    sio.on("echo", lambda sid, value: value)

    async def wait(*args: Any) -> None:
        begun.set()
        await go.wait()

    async with Node(sio, flavour) as node:
        one, two = await node.connect(), await node.connect()
        if slow == "callback":
            await sio.emit("ask", to=one.sid, callback=wait)
            await answer(one, await one.receive())
        else:
            sio.on("disconnect", wait)
            await one.send("41")
        await asyncio.wait_for(begun.wait(), 3)
        assert await two.call("echo", 1) == "431[1]"
        if slow == "callback":
            assert await one.call("echo", 2) == "431[2]"
        await sio.emit("news")
        assert await two.receive() == '42["news"]'
        go.set()
