"""After any way a client can die every table is empty."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Client, PollingClient, WebSocketClient, Wire, get, request
from tests.support.inprocess import Node, Way, eventually

pytestmark = pytest.mark.differs


class Application:
    """A server that will have state in every table: rooms, a session, unanswered questions, a running handler."""

    def __init__(self, **options: Any) -> None:
        self.sio = roomcast.AsyncServer(namespaces=["/", "/chat"], **options)
        self.ended: list[tuple[str, str]] = []
        self.go = asyncio.Event()
        for namespace in ("/", "/chat"):
            self.sio.on("disconnect", lambda sid, reason: self.ended.append((sid, reason)), namespace=namespace)
        self.sio.on("wait", self.wait)

    async def wait(self, sid: str) -> None:
        await self.go.wait()

    async def busy(self, client: Client) -> list[str]:
        """Connect the client to both namespaces and leave traces of it everywhere; its sids."""
        main, chat = await client.connect(), await client.connect("/chat")
        await self.sio.save_session(main, {"a": 1})
        await self.sio.enter_room(main, "room")
        await self.sio.enter_room(chat, "room", namespace="/chat")
        await self.sio.emit("ask", to=main, callback=lambda *args: None)
        await self.sio.emit("ask", to=chat, namespace="/chat", callback=lambda *args: None)
        await client.event("wait", id=1)
        await client.drain()
        assert {"sessions", "sockets", "rooms", "acks"} <= set(self.sio.census())
        return [main, chat]

    async def gone(self, node: Node, sids: list[str]) -> None:
        self.go.set()
        await node.empty()
        assert sorted(sid for sid, _ in self.ended) == sorted(sids)
        assert self.sio.environ == {}
        assert dict(self.sio.eio.sockets) == {}
        assert dict(self.sio.manager.rooms) == {}


async def test_a_new_server_is_empty(flavour: Way) -> None:
    application = Application()
    assert not any(application.sio.census().values())
    async with Node(application.sio, flavour) as node:
        assert node.left_over() == {}
        client = await node.open()
        await application.busy(client)
        assert {"sessions", "sockets", "rooms", "acks"} <= set(node.left_over())
        application.go.set()


async def frame(client: Any, data: bytes) -> None:
    """Raw bytes onto the WebSocket's connection."""
    client.connection.transport.write(data)


WEBSOCKET_DEATHS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "closes": lambda client: client.close(),
    "closes with a code of its own": lambda client: client.close(4000),
    "FIN": lambda client: client.hang_up(),
    "RST": lambda client: client.reset(),
    "Engine.IO close": lambda client: client.send("1"),
    "no packet": lambda client: client.send("x"),
    "no Socket.IO packet": lambda client: client.send("4abc"),
    "unexpected binary": lambda client: client.send(b"x"),
    "a reserved name": lambda client: client.send('42["disconnect"]'),
    "a second CONNECT": lambda client: client.send("40"),
    "a ping of its own": lambda client: client.send("2"),
    "too long": lambda client: client.send("4" * 1_000_001),
    "an unmasked frame": lambda client: frame(client, b"\x81\x01x"),
    "half a frame and RST": lambda client: half_a_frame(client),
    "mid-attachment": lambda client: mid_attachment(client),
}


async def half_a_frame(client: WebSocketClient) -> None:
    await frame(client, b"\x81\xfe\x00")
    await client.reset()


async def mid_attachment(client: WebSocketClient) -> None:
    await client.send('452-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', b"one")
    await client.hang_up()


@pytest.mark.parametrize("death", WEBSOCKET_DEATHS)
async def test_a_websocket_client_dies(flavour: Way, death: str) -> None:
    application = Application()
    async with Node(application.sio, flavour) as node:
        client = await node.websocket()
        sids = await application.busy(client)
        await WEBSOCKET_DEATHS[death](client)
        await application.gone(node, sids)


async def give_up_a_post(client: PollingClient) -> None:
    wire = await Wire.open(client.base)
    await wire.send(f"POST {client.target} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n42".encode())
    await wire.aclose()


POLLING_DEATHS: dict[str, Callable[[PollingClient], Awaitable[Any]]] = {
    "Engine.IO close": lambda client: client.post("1"),
    "polls twice": lambda client: asyncio.gather(client.poll(), client.poll()),
    "gives up a post": give_up_a_post,
    "no packet": lambda client: client.post("x"),
    "no Socket.IO packet": lambda client: client.post("4abc"),
    "unexpected binary": lambda client: client.post("beA=="),
    "binary body": lambda client: client.post(b"40", headers={"Content-Type": "application/octet-stream"}),
    "too many packets": lambda client: client.post("\x1e".join(["3"] * 1001)),
    "mid-attachment and close": lambda client: client.post('451-["e",{"_placeholder":true,"num":0}]\x1e1'),
}


@pytest.mark.parametrize("death", POLLING_DEATHS)
async def test_a_polling_client_dies(flavour: Way, death: str) -> None:
    application = Application(closing_timeout=0.2)
    async with Node(application.sio, flavour) as node:
        client = await node.polling()
        sids = await application.busy(client)
        await POLLING_DEATHS[death](client)
        await application.gone(node, sids)


async def test_a_polling_client_gives_up_its_poll(flavour: Way) -> None:
    application = Application()
    async with Node(application.sio, flavour) as node:
        client = await node.polling()
        sids = await application.busy(client)
        application.go.set()
        assert await client.receive() == "431[]"  # nothing is left that could answer the poll
        wire = await Wire.open(node.base)
        await wire.send(f"GET {client.target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await eventually(lambda: application.sio.census()["polls"] == 1)
        await wire.aclose()
        await application.gone(node, sids)


async def test_silence(way: Way) -> None:
    application = Application(ping_interval=0.1, ping_timeout=0.2, closing_timeout=0.2)
    async with Node(application.sio, way) as node:
        client = await node.open()
        sids = [await client.connect()]
        await application.sio.enter_room(sids[0], "room")
        await eventually(lambda: application.ended)
        await application.gone(node, sids)


async def test_silence_in_the_middle_of_attachments(flavour: Way) -> None:
    application = Application(attachments_timeout=0.1)
    async with Node(application.sio, flavour) as node:
        client = await node.open()
        sids = await application.busy(client)
        await client.send('451-["e",{"_placeholder":true,"num":0}]')
        await application.gone(node, sids)


@pytest.mark.parametrize("end", ["refused", "raised", "raised refusal", "disconnected"])
@pytest.mark.parametrize("stays", [True, False])
async def test_the_connect_handler_ends_badly(way: Way, end: str, stays: bool) -> None:
    application = Application()

    @application.sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> bool:
        await application.sio.enter_room(sid, "room")
        await application.sio.save_session(sid, {"a": 1})
        await application.sio.emit("ask", to=sid, callback=lambda: None)
        if end == "raised":
            raise LookupError
        if end == "raised refusal":
            raise roomcast.exceptions.ConnectionRefusedError("no", {"why": 1})
        if end == "disconnected":
            await application.sio.disconnect(sid)
        return end != "refused"

    async with Node(application.sio, way) as node:
        client = await node.open()
        await client.ask_to_connect()
        assert str(await client.receive()).startswith("44")
        if stays:
            assert set(node.left_over()) <= {"sessions", "heartbeats", "deadlines", "unconnected", "polls"}
        await client.send("1")
        await client.aclose()
        await application.gone(node, [])


@pytest.mark.parametrize("death", ["FIN", "RST", "close"])
async def test_dying_in_the_connect_handler(flavour: Way, death: str) -> None:
    application = Application()
    entered = asyncio.Event()

    @application.sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await application.sio.enter_room(sid, "room")
        entered.set()
        await application.go.wait()
        await application.sio.enter_room(sid, "late")
        await application.sio.emit("e", to=sid)

    async with Node(application.sio, flavour) as node:
        client = await node.websocket()
        await client.ask_to_connect()
        await entered.wait()
        await {"FIN": client.hang_up, "RST": client.reset, "close": client.close}[death]()
        application.go.set()
        await node.empty()
        assert dict(application.sio.manager.rooms) == {}


async def test_events_were_held_when_it_died(flavour: Way) -> None:
    application = Application()

    @application.sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await application.go.wait()

    async with Node(application.sio, flavour) as node:
        client = await node.websocket()
        await client.send("40", '42["wait"]', '42["wait"]')
        await client.drain()
        await client.reset()
        application.go.set()
        await node.empty()


@pytest.mark.parametrize("handler", ["event", "disconnect"])
@pytest.mark.parametrize("colour", ["plain", "coroutine"])
async def test_a_handler_raised(way: Way, handler: str, colour: str) -> None:
    application = Application()

    def plain(*args: Any) -> None:
        raise LookupError

    async def coroutine(*args: Any) -> None:
        await asyncio.sleep(0)
        raise LookupError

    application.sio.on("bad" if handler == "event" else "disconnect", plain if colour == "plain" else coroutine)
    async with Node(application.sio, way) as node:
        client = await node.connect()
        await client.event("bad", id=1)
        await client.drain()
        await client.send("1")
        await client.aclose()
        await node.empty()
        assert application.sio.environ == {}


@pytest.mark.parametrize("when", ["opened", "probed", "adopted"])
@pytest.mark.parametrize("who", ["candidate", "session"])
async def test_dying_in_an_upgrade(flavour: Way, when: str, who: str) -> None:
    application = Application(upgrade_timeout=0.3, closing_timeout=0.2)
    async with Node(application.sio, flavour) as node:
        polling = await node.polling()
        sids = await application.busy(polling)
        if when == "opened":
            candidate = await node.websocket(sid=polling.engine_sid)
        else:
            candidate = await (polling.probe() if when == "probed" else polling.upgrade())
            node.keep(candidate)
        if who == "candidate" or when == "adopted":
            await candidate.reset()
        if when != "adopted":
            await polling.post("1")
        await application.gone(node, sids)


@pytest.mark.parametrize("how", ["namespace", "close", "engine"])
async def test_the_server_ends_it(way: Way, how: str) -> None:
    application = Application(closing_timeout=0.2)
    async with Node(application.sio, way) as node:
        client = await node.open()
        sids = await application.busy(client)
        if how == "namespace":
            await application.sio.disconnect(sids[0])
            await application.sio.disconnect(sids[1], namespace="/chat")
            await client.send("1")
        elif how == "close":
            await application.sio.disconnect(sids[0], close=True)
        else:
            await application.sio.eio.disconnect(client.engine_sid)
        await client.aclose()
        await application.gone(node, sids)


async def test_the_server_shuts_down(way: Way) -> None:
    application = Application(drain_seconds=0.1, closing_timeout=0.2)
    async with Node(application.sio, way) as node:
        client = await node.open()
        sids = await application.busy(client)
        application.go.set()  # else it waits for the handler
        await application.sio.shutdown()
        await client.aclose()
        await application.gone(node, sids)


async def test_requests_that_were_refused(flavour: Way) -> None:
    application = Application()
    async with Node(application.sio, flavour) as node:
        for parameters in (
            {},
            {"EIO": "3", "transport": "polling"},
            {"EIO": "4", "transport": "polling", "sid": "x" * 20},
        ):
            await get(node.base, params=parameters)
            await request("POST", node.base, params=parameters, content="40")
        await get(node.base, params={"EIO": "4", "transport": "polling"}, headers={"Origin": "http://evil.example"})
        assert node.left_over() == {}


async def test_an_opened_session_that_never_connects(way: Way) -> None:
    application = Application(connect_timeout=0.1, closing_timeout=0.2)
    async with Node(application.sio, way) as node:
        await node.open()
        await application.gone(node, [])


async def test_a_hundred_clients_of_every_kind_at_once(flavour: Way) -> None:
    application = Application(closing_timeout=0.2)
    application.go.set()
    async with Node(application.sio, flavour) as node:
        clients = [await node.connect(transport=("websocket", "polling")[number % 2]) for number in range(100)]
        for number, client in enumerate(clients):
            await application.sio.enter_room(client.sid, number % 7)
        polls = [asyncio.create_task(client.receive()) for client in clients[1::2]]
        await eventually(lambda: application.sio.census()["polls"] == 50)
        for poll in polls:
            poll.cancel()
        for client in clients:
            await client.aclose()
        await application.gone(node, [client.sid for client in clients])
