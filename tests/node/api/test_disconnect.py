"""How clients end: each cause, its reason, the order, exactly one handler call, and nothing left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import roomcast
from tests.support.api_client import PollingClient, WebSocketClient
from tests.support.inprocess import Node, Way, eventually

differs = pytest.mark.differs


class Record:
    """A server whose disconnect handlers write down what they get."""

    def __init__(self, **options: Any) -> None:
        self.sio = roomcast.AsyncServer(**options)
        self.ended: list[tuple[str, str]] = []
        self.sio.on("disconnect", lambda sid, reason: self.ended.append((sid, reason)))


async def test_the_client_leaves_the_namespace(way: Way) -> None:
    record = Record()
    async with Node(record.sio, way) as node:
        client = await node.connect()
        await client.send("41")
        assert await client.drain() == []
        assert record.ended == [(client.sid, "client disconnect")]


async def test_the_client_closes_the_session(way: Way) -> None:
    record = Record()
    async with Node(record.sio, way) as node:
        client = await node.connect()
        await client.send("1")
        await eventually(lambda: record.ended)
        assert record.ended == [(client.sid, "client disconnect")]


@pytest.mark.parametrize("how", ["close", "hang_up", "reset"])
async def test_the_websocket_goes(flavour: Way, how: str) -> None:
    record = Record()
    async with Node(record.sio, flavour) as node:
        client = await node.connect()
        await getattr(client, how)()
        await eventually(lambda: record.ended)
        assert record.ended == [(client.sid, "transport close")]


@differs
async def test_a_poll_that_is_dropped_ends_the_session(flavour: Way) -> None:
    record = Record()
    async with Node(record.sio, flavour) as node:
        client = await node.connect(transport="polling")
        poll = asyncio.create_task(client.receive())
        await eventually(lambda: record.sio.census()["polls"] == 1)
        poll.cancel()
        await client.aclose()
        await eventually(lambda: record.ended)
        assert record.ended == [(client.sid, "transport error")]


async def test_silence_is_a_ping_timeout(way: Way) -> None:
    record = Record(ping_interval=0.1, ping_timeout=0.2)
    async with Node(record.sio, way) as node:
        client = await node.connect()
        await eventually(lambda: record.ended)
        assert record.ended[0][0] == client.sid
        assert record.ended[0][1] in {"ping timeout", "transport close"}


@differs
async def test_a_ping_timeout_always_says_so(way: Way) -> None:
    record = Record(ping_interval=0.1, ping_timeout=0.1)
    async with Node(record.sio, way) as node:
        client = await node.connect()
        await eventually(lambda: record.ended)
        assert record.ended == [(client.sid, "ping timeout")]


@pytest.mark.parametrize("namespace", ["/", "/chat"])
async def test_the_server_disconnects(way: Way, namespace: str) -> None:
    record = Record(namespaces=["/chat"])
    record.sio.on("disconnect", lambda sid, reason: record.ended.append((sid, reason)), namespace="/chat")
    async with Node(record.sio, way) as node:
        client = await node.connect(namespace)
        await record.sio.disconnect(client.sid, namespace=namespace)
        assert record.ended == [(client.sid, "server disconnect")]
        assert await client.receive() == ("41" if namespace == "/" else "41/chat,")
        again = await client.connect(namespace)  # the connection stays
        assert again != record.ended[0][0]


@differs
async def test_disconnect_with_close_ends_the_connection(way: Way) -> None:
    record = Record(namespaces=["/", "/chat"])
    async with Node(record.sio, way) as node:
        client = await node.connect("/chat")
        await client.connect()
        await record.sio.disconnect(client.sid, close=True)
        assert set(await client.rest()) == {"41", "41/chat,"}
        assert record.ended == [(client.sid, "server disconnect")]
        await node.empty()


@differs
async def test_closing_through_the_engine(flavour: Way) -> None:
    record = Record()
    async with Node(record.sio, flavour) as node:
        client = await node.connect()
        await record.sio.eio.disconnect(client.engine_sid)
        await client.closed()
        await eventually(lambda: record.ended)
        assert record.ended == [(client.sid, "server disconnect")]


@pytest.mark.parametrize("sid", ["unknown", "x" * 20])
@pytest.mark.parametrize("options", [{}, {"namespace": "/nowhere"}, {"ignore_queue": True}])
async def test_an_unknown_sid_is_silent(flavour: Way, sid: str, options: dict[str, Any]) -> None:
    record = Record()
    async with Node(record.sio, flavour) as node:
        client = await node.connect()
        await record.sio.disconnect(sid, **options)
        await record.sio.disconnect(client.sid, namespace="/nowhere")
        assert await client.drain() == []
        assert record.ended == []


async def test_disconnecting_twice_is_disconnecting_once(flavour: Way) -> None:
    record = Record()
    async with Node(record.sio, flavour) as node:
        client = await node.connect()
        await asyncio.gather(*(record.sio.disconnect(client.sid) for _ in range(3)))
        assert await client.drain() == ["41"]
        await client.aclose()
        assert record.ended == [(client.sid, "server disconnect")]


async def test_every_namespace_gets_its_own_event_in_order(way: Way) -> None:
    names = ["/", "/a", "/b", "/c"]
    sio = roomcast.AsyncServer()
    ended: list[tuple[str, str]] = []
    for name in names:
        sio.on("disconnect", lambda sid, reason, *, name=name: ended.append((name, sid)), namespace=name)
    async with Node(sio, way) as node:
        client = await node.open()
        sids = [await client.connect(name) for name in names]
        await client.send("1")
        await eventually(lambda: len(ended) == 4)
        assert ended == list(zip(names, sids, strict=True))


async def test_inside_the_handler_the_client_is_still_known(way: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []

    @sio.event
    async def disconnect(sid: str, reason: str) -> None:
        session = await sio.get_session(sid)
        await sio.emit("pointless", to=sid)
        environ = sio.get_environ(sid)
        seen.append((sio.rooms(sid), session, environ is not None and environ["PATH_INFO"]))

    async with Node(sio, way) as node:
        client = await node.connect()
        await sio.enter_room(client.sid, "a")
        await sio.save_session(client.sid, {"x": 1})
        await client.send("1")
        await eventually(lambda: seen)
        assert seen == [([client.sid, "a"], {"x": 1}, "/socket.io/")]


async def test_a_disconnect_is_not_acknowledged(flavour: Way) -> None:
    record = Record()
    async with Node(record.sio, flavour) as node:
        client = await node.connect()
        await client.send("41")
        assert await client.drain() == []


@pytest.mark.parametrize("form", ["two", "legacy", "star", "coroutine legacy"])
async def test_both_forms_of_handler_work(flavour: Way, form: str) -> None:
    sio = roomcast.AsyncServer()
    seen: list[tuple[str, ...]] = []

    async def coroutine_legacy(sid: str) -> None:
        seen.append((sid,))

    forms: dict[str, Any] = {
        "two": lambda sid, reason: seen.append((sid, reason)),
        "legacy": lambda sid: seen.append((sid,)),
        "star": lambda *args: seen.append(args),
        "coroutine legacy": coroutine_legacy,
    }
    sio.on("disconnect", forms[form])
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.send("41")
        await eventually(lambda: seen)
        assert seen == [(client.sid,) if "legacy" in form else (client.sid, "client disconnect")]


@differs
async def test_a_type_error_in_the_handler_does_not_call_it_again(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    calls: list[tuple[Any, ...]] = []

    @sio.event
    def disconnect(*args: Any) -> None:
        calls.append(args)
        raise TypeError("application")

    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.send("41")
        await client.drain()
        assert calls == [(client.sid, "client disconnect")]


@differs
async def test_an_exception_in_a_handler_stops_no_clean_up(way: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[str] = []

    @sio.on("disconnect", namespace="/")
    async def failing(sid: str, reason: str) -> None:
        seen.append("/")
        raise LookupError("application")

    sio.on("disconnect", lambda sid, reason: seen.append("/chat"), namespace="/chat")
    async with Node(sio, way) as node:
        client = await node.connect()
        await client.connect("/chat")
        await client.send("1")
        await eventually(lambda: seen == ["/", "/chat"])
        await client.aclose()
        await node.empty()
        assert sio.environ == {}


@differs
async def test_a_message_that_is_no_packet_ends_with_parse_error(way: Way) -> None:
    record = Record()
    async with Node(record.sio, way) as node:
        client = await node.connect()
        if isinstance(client, PollingClient):
            await client.post("4abc")
        else:
            await client.send("4abc")
        await client.closed()
        await eventually(lambda: record.ended)
        assert record.ended == [(client.sid, "parse error")]
        await node.empty()


async def test_after_the_end_the_sid_is_unknown(way: Way) -> None:
    record = Record()
    async with Node(record.sio, way) as node:
        client = await node.connect()
        assert record.sio.transport(client.sid) == way.transport
        await client.send("1")
        await eventually(lambda: record.ended)
        with pytest.raises(KeyError):
            record.sio.transport(client.sid)
        assert record.sio.get_environ(client.sid) is None
        assert record.sio.rooms(client.sid) == []


async def test_an_upgraded_client_ends_once(flavour: Way) -> None:
    record = Record()
    async with Node(record.sio, flavour) as node:
        polling = await node.polling()
        await polling.connect()
        websocket = await polling.upgrade()
        node.keep(websocket)
        assert set(await websocket.drain()) <= {"6"}
        assert record.sio.transport(polling.sid) == "websocket"
        assert isinstance(websocket, WebSocketClient)
        await websocket.hang_up()
        await eventually(lambda: record.ended)
        assert record.ended == [(polling.sid, "transport close")]


async def test_the_names_of_the_reasons() -> None:
    reason = roomcast.AsyncServer.reason
    assert reason.SERVER_DISCONNECT == "server disconnect"
    assert reason.CLIENT_DISCONNECT == "client disconnect"
    assert reason.PING_TIMEOUT == "ping timeout"
    assert reason.TRANSPORT_CLOSE == "transport close"
    assert reason.TRANSPORT_ERROR == "transport error"


@differs
@pytest.mark.parametrize("by", ["client", "server"])
async def test_the_handler_runs_after_the_last_event_handler_has_begun(flavour: Way, by: str) -> None:
    """A burst of an event and an end: the event is handled first, and never for a client that is gone."""
    sio = roomcast.AsyncServer(drain_seconds=0)
    order: list[str] = []
    sio.on("e", lambda sid: order.append("event"))
    sio.on("disconnect", lambda sid, reason: order.append("disconnect"))
    async with Node(sio, flavour) as node:
        client = await node.connect(transport="polling")
        if by == "client":
            await client.send('42["e"]', "41")
        else:
            await client.send('42["e"]')
            await sio.disconnect(client.sid)
        await eventually(lambda: len(order) == 2)
        assert order == ["event", "disconnect"]
