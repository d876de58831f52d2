"""Limits on what a client may keep or hold up: namespaces, rooms, acknowledgements, sessions, and times."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

import roomcast
from tests.support.api_client import HANDSHAKE, SessionClosed, arguments, get
from tests.support.inprocess import Node, Way, eventually
from tests.support.limits import AROUND, Watched, survives

pytestmark = pytest.mark.differs


@AROUND
async def test_length_of_a_namespace(flavour: Way, offset: int) -> None:
    name = "/" + "x" * (255 + offset)
    async with Node(roomcast.AsyncServer(namespaces="*"), flavour) as node:
        client = await node.open()
        await client.ask_to_connect(name)
        assert str(await client.receive()).startswith("40" if offset <= 0 else "44")


@AROUND
async def test_namespaces_per_connection(flavour: Way, offset: int) -> None:
    async with Node(roomcast.AsyncServer(namespaces="*"), flavour) as node:
        client = await node.open()
        answers = []
        for number in range(32 + offset):
            await client.ask_to_connect(f"/n{number}")
            answers.append(str(await client.receive())[:2])
        assert (
            answers == ["40"] * 32
            if offset == 0
            else answers == (["40"] * (32 + min(offset, 0)) + ["44"] * max(offset, 0))
        )
        other = await node.connect("/n0")  # the limit is each connection's own
        await client.send("41/n0,")
        await client.connect("/again")
        assert other.sid


@AROUND
async def test_dynamic_namespaces_of_a_node(flavour: Way, offset: int) -> None:
    sio = roomcast.AsyncServer(namespaces="*", max_dynamic_namespaces=5)
    sio.on("e", lambda sid: None, namespace="/known")
    async with Node(sio, flavour) as node:
        client = await node.open()
        answers = []
        for number in range(5 + offset):
            await client.ask_to_connect(f"/n{number}")
            answers.append(str(await client.receive())[:2])
        assert answers == (["40"] * min(5 + offset, 5) + ["44"] * max(offset, 0))
        other = await node.connect("/known")
        await client.send("41/n0,")
        await client.drain() if offset < 0 else None
        await other.connect("/another")  # an empty one has made room


@AROUND
async def test_rooms_of_a_client(flavour: Way, offset: int) -> None:
    sio = roomcast.AsyncServer(max_rooms=5)
    async with Node(sio, flavour) as node:
        client = await node.connect()
        for number in range(5 + min(offset, 0)):
            await sio.enter_room(client.sid, number)
        if offset == 1:
            with pytest.raises(ValueError):
                await sio.enter_room(client.sid, "one more")
            await sio.enter_room(client.sid, 0)  # entered already
            await sio.leave_room(client.sid, 0)
            await sio.enter_room(client.sid, "in its place")
        assert len(sio.rooms(client.sid)) == 1 + min(5 + offset, 5)


@AROUND
async def test_events_held_while_the_connect_handler_runs(flavour: Way, offset: int) -> None:
    watched = Watched()
    go = asyncio.Event()

    @watched.sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await go.wait()

    async with Node(watched.sio, flavour) as node:
        client = await node.open()
        await client.send("40", *(f'42["e",{number}]' for number in range(64 + offset)))
        if offset <= 0:
            await client.drain()
            go.set()
            await eventually(lambda: len(watched.seen) == 64 + offset)
        else:
            await client.closed()
            go.set()
            await node.empty()
            assert watched.seen == []


@AROUND
async def test_acknowledgements_a_client_may_owe(flavour: Way, offset: int) -> None:
    """One more, and the oldest ends with an error."""
    sio = roomcast.AsyncServer(max_pending_acks=5)
    async with Node(sio, flavour) as node:
        client = await node.connect()
        calls = [asyncio.create_task(sio.call("ask", number, to=client.sid)) for number in range(5 + offset)]
        packets = [str(await client.receive()) for _ in calls]
        if offset == 1:
            with pytest.raises(roomcast.exceptions.SocketIOError):
                await asyncio.wait_for(calls[0], 3)
        for packet in packets:
            await client.send(f"43{packet[2:].split('[')[0]}{json.dumps(arguments(packet)[1:])}")
        rest = calls[1:] if offset == 1 else calls
        assert await asyncio.gather(*rest) == list(range(5 + offset))[-len(rest) :]


@pytest.mark.parametrize("does", ["nothing", "is refused"])
async def test_time_to_the_first_connect(way: Way, does: str) -> None:
    sio = roomcast.AsyncServer(connect_timeout=0.15)
    async with Node(sio, way) as node:
        client = await node.open()
        if does == "is refused":
            await client.ask_to_connect("/nowhere")
        await client.closed()
        await node.empty()


async def test_a_connected_client_may_stay(way: Way) -> None:
    sio = roomcast.AsyncServer(connect_timeout=0.1, ping_interval=0.15)
    async with Node(sio, way) as node:
        client = await node.connect()
        await client.send("41")  # the time was for the first one
        assert await client.receive() == "2"
        assert await survives(client)


@pytest.mark.parametrize("does", ["nothing", "probes"])
async def test_time_to_finish_an_upgrade(flavour: Way, does: str) -> None:
    sio = roomcast.AsyncServer(upgrade_timeout=0.15)
    async with Node(sio, flavour) as node:
        polling = await node.polling()
        await polling.connect()
        candidate = await polling.probe() if does == "probes" else await node.websocket(sid=polling.engine_sid)
        node.keep(candidate)
        await candidate.closed()
        await sio.emit("e", 1)
        assert await polling.drain() == ['42["e",1]']
        node.keep(await polling.upgrade())  # and may try again


async def test_one_upgrade_at_a_time(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        polling = await node.polling()
        await polling.connect()
        first = await polling.probe()
        node.keep(first)
        with pytest.raises((InvalidStatus, SessionClosed)):
            await (await node.websocket(sid=polling.engine_sid)).receive()
        await first.send("5")
        await sio.emit("e", 1)
        assert '42["e",1]' in await first.drain()


async def test_a_closing_polling_session_is_forgotten(flavour: Way) -> None:
    sio = roomcast.AsyncServer(closing_timeout=0.15)
    async with Node(sio, flavour) as node:
        client = await node.polling()
        await client.connect()
        await sio.disconnect(client.sid, close=True)
        await node.empty()  # although it never polled again
        assert (await client.poll()).status_code == 400


@AROUND
async def test_sessions_of_a_node(way: Way, offset: int) -> None:
    sio = roomcast.AsyncServer(max_sessions=3)
    async with Node(sio, way) as node:
        clients = [await node.connect() for _ in range(min(3 + offset, 3))]
        if offset == 1:
            response = await get(node.base, params=HANDSHAKE)
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1
            with pytest.raises(InvalidStatus) as refused:
                await node.websocket()
            assert refused.value.response.status_code == 503
            await clients[0].send("1")
            await clients[0].aclose()
            await eventually(lambda: len(sio.eio.sockets) == 2)
            await node.connect()


async def test_handshakes_per_second(flavour: Way) -> None:
    sio = roomcast.AsyncServer(max_handshakes_per_second=5)
    async with Node(sio, flavour) as node:
        responses = [await get(node.base, params=HANDSHAKE) for _ in range(20)]
        statuses = [response.status_code for response in responses]
        assert statuses[0] == 200
        assert set(statuses) == {200, 503}
        assert all("retry-after" in response.headers for response in responses if response.status_code == 503)
        assert sio.counters.refused["busy"] == statuses.count(503)


@pytest.mark.parametrize("headers", [{}, {"x-forwarded-for": "2001:db8::1"}], ids=["itself", "behind a proxy"])
async def test_handshakes_per_second_and_address(way: Way, headers: dict[str, str]) -> None:
    sio = roomcast.AsyncServer(max_handshakes_per_second_per_address=0.001)
    async with Node(sio, way) as node:
        await node.open(headers=headers)
        response = await get(node.base, params=HANDSHAKE, headers=headers)
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1
        with pytest.raises(InvalidStatus) as refused:
            await node.websocket(headers=headers)
        assert refused.value.response.status_code == 503
        assert sio.counters.refused["address_rate"] == 2
        await node.open(headers={"x-forwarded-for": "2001:db8:0:1::1"})
        assert len(sio.eio.sockets) == 2


async def test_events_per_second_pause_the_reading_and_lose_nothing(flavour: Way) -> None:
    watched = Watched(max_events_per_second=100)
    async with Node(watched.sio, flavour) as node:
        client = await node.connect()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await client.send(*(f'42["e",{number}]' for number in range(150)))
        await eventually(lambda: len(watched.seen) == 150)
        assert loop.time() - begun > 0.2
        assert watched.seen == [("e", number) for number in range(150)]
        assert watched.ended == []


@pytest.mark.parametrize("ask", ["handshake", "poll", "post", "refusal"])
async def test_headers_on_every_response(flavour: Way, ask: str) -> None:
    sio = roomcast.AsyncServer(drain_seconds=0)
    async with Node(sio, flavour) as node:
        client = await node.polling()
        asking: dict[str, Callable[[], Any]] = {
            "handshake": lambda: get(node.base, params=HANDSHAKE),
            "post": lambda: client.post("40"),
            "refusal": lambda: get(node.base),
        }
        if ask == "poll":
            await client.post("40")
            response = await client.poll()
        else:
            response = await asking[ask]()
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "origin" in response.headers["vary"].lower()
