"""Slow readers cost a bounded amount of memory and nobody else anything; readers that read lose nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Packet, PollingClient
from tests.support.inprocess import Node, Way, eventually
from tests.support.limits import AROUND

pytestmark = pytest.mark.differs

CHUNK = "x" * 65_536
KERNEL = 64 * 1024 * 1024
"""More than both sockets' buffers of a loopback connection ever take."""


class Watched:
    def __init__(self, **options: Any) -> None:
        self.sio = roomcast.AsyncServer(**options)
        self.ended: list[tuple[str, str]] = []
        self.sio.on("disconnect", lambda sid, reason: self.ended.append((sid, reason)))


async def emit_until(watched: Watched, sid: str, **options: Any) -> int:
    """Emit to a client that does not read until it has ended, or more was emitted than any buffer takes."""
    emitted = 0
    while not watched.ended and emitted * len(CHUNK) < KERNEL:
        await watched.sio.emit("e", CHUNK, to=sid, **options)
        await watched.sio.sleep(0)
        emitted += 1
    return emitted


async def test_a_slow_reader_is_closed_and_counted(flavour: Way) -> None:
    watched = Watched()
    async with Node(watched.sio, flavour) as node:
        slow, good = await node.connect(receive_buffer=4096), await node.connect()
        await emit_until(watched, slow.sid)
        await eventually(lambda: watched.ended)
        assert watched.ended == [(slow.sid, "slow consumer")]
        assert watched.sio.counters.slow_consumers == 1
        await watched.sio.emit("e", 1)
        assert await good.drain() == ['42["e",1]']
        await slow.aclose()
        await good.aclose()
        await node.empty()


async def test_a_polling_client_that_does_not_poll_is_a_slow_reader(flavour: Way) -> None:
    watched = Watched()
    async with Node(watched.sio, flavour) as node:
        slow = await node.connect(transport="polling")
        emitted = await emit_until(watched, slow.sid)
        await eventually(lambda: watched.ended)
        assert watched.ended == [(slow.sid, "slow consumer")]
        assert emitted * len(CHUNK) < 4 * 1_048_576


async def judged(watched: Watched, beyond: bool) -> None:
    """Beyond its bound a client that takes nothing is closed soon; up to it, it stays."""
    if beyond:
        await eventually(lambda: watched.ended)
        assert watched.ended[0][1] == "slow consumer"
    else:
        with pytest.raises(TimeoutError):
            await eventually(lambda: watched.ended, within=0.8)


@AROUND
async def test_the_bound_in_packets(flavour: Way, offset: int) -> None:
    watched = Watched(max_backlog_packets=50)
    async with Node(watched.sio, flavour) as node:
        slow = await node.connect(transport="polling")
        for _ in range(50 + offset):
            await watched.sio.emit("e", to=slow.sid)
            await watched.sio.sleep(0)
        await judged(watched, offset == 1)
        if offset < 1:
            assert await slow.drain() == ['42["e"]'] * (50 + offset)


@AROUND
async def test_the_bound_in_bytes(flavour: Way, offset: int) -> None:
    """Ten packets of a thousand bytes each, but for the last one."""
    watched = Watched(max_backlog_bytes=10_000, drain_seconds=0)
    async with Node(watched.sio, flavour) as node:
        slow = await node.connect(transport="polling")
        # A packet counts as the WebSocket frame that holds it: 4 bytes of head for these.
        for number in range(10):
            size = 1000 - 4 - len('42["e",""]') + (offset if number == 9 else 0)
            await watched.sio.emit("e", "x" * size, to=slow.sid)
            await watched.sio.sleep(0)
        await judged(watched, offset == 1)


async def test_a_burst_without_pausing_closes_nobody_who_reads_and_loses_nothing(way: Way) -> None:
    watched = Watched()

    @watched.sio.event
    async def flood(sid: str) -> None:
        for number in range(10_000):
            await watched.sio.emit("e", {"n": number, "text": "x" * 200}, to="readers")

    async with Node(watched.sio, way) as node:
        clients = [await node.connect() for _ in range(3)]
        for client in clients:
            await watched.sio.enter_room(client.sid, "readers")

        async def read(client: Any) -> list[Packet]:
            return [await client.receive() for _ in range(10_000)]

        reading = [asyncio.create_task(read(client)) for client in clients]
        asker = await node.connect(transport="websocket")
        await asker.event("flood", id=1)
        expected = [f'42["e",{{"n":{number},"text":"{"x" * 200}"}}]' for number in range(10_000)]
        for packets in await asyncio.gather(*reading):
            assert packets == expected
        assert await asker.receive() == "431[]"
        assert watched.ended == []


async def test_volatile_packets_are_dropped_and_nobody_is_closed(flavour: Way) -> None:
    watched = Watched()
    async with Node(watched.sio, flavour) as node:
        slow = await node.connect(receive_buffer=4096)
        emitted = await emit_until(watched, slow.sid, volatile=True)
        assert watched.ended == []
        dropped = watched.sio.counters.volatile_dropped
        assert 0 < dropped < emitted
        await watched.sio.emit("end", to=slow.sid)
        packets = await slow.until('42["end"]')
        assert len(packets) == emitted - dropped
        await watched.sio.emit("e", 1, to=slow.sid, volatile=True)
        assert await slow.drain() == ['42["e",1]']  # once it reads again, volatile packets come again


async def test_volatile_packets_reach_clients_that_read(way: Way) -> None:
    watched = Watched()
    async with Node(watched.sio, way) as node:
        client = await node.connect()
        receiving = asyncio.create_task(client.receive())
        if isinstance(client, PollingClient):
            await eventually(lambda: watched.sio.census()["polls"] == 1)
        await watched.sio.emit("e", [1, b"x"], volatile=True)
        assert await receiving == '451-["e",[1,{"_placeholder":true,"num":0}]]'
        assert await client.receive() == b"x"
        assert watched.sio.counters.volatile_dropped == 0


async def test_a_volatile_binary_packet_is_dropped_whole(flavour: Way) -> None:
    watched = Watched()
    async with Node(watched.sio, flavour) as node:
        slow = await node.connect(transport="polling")
        data = [b"x" * 10_000] * 2
        for _ in range(20):
            await watched.sio.emit("e", data, to=slow.sid, volatile=True)
            await watched.sio.sleep(0)
        packets = await slow.drain()
        assert len(packets) % 3 == 0
        assert 0 < len(packets) < 60
        assert all(str(packet).startswith("452-") for packet in packets[::3])
        assert all(packet == b"x" * 10_000 for place, packet in enumerate(packets) if place % 3)


async def test_a_disconnected_slow_reader_leaves_nothing(flavour: Way) -> None:
    watched = Watched()
    async with Node(watched.sio, flavour) as node:
        slow = await node.connect(receive_buffer=4096)
        for _ in range(100):
            await watched.sio.emit("e", CHUNK, to=slow.sid)
            await watched.sio.sleep(0)
        await watched.sio.disconnect(slow.sid, close=True)
        await slow.aclose()
        await node.empty()
