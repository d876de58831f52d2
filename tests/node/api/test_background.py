"""Background tasks, ``sleep`` and ``shutdown``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import roomcast
from tests.support.inprocess import Node, Way

differs = pytest.mark.differs


async def test_a_background_task_is_a_task(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []

    async def target(*args: Any, **options: Any) -> str:
        seen.append((args, options))
        return "done"

    task = sio.start_background_task(target, 1, 2, key=3)
    assert isinstance(task, asyncio.Task)
    assert await task == "done"
    assert seen == [((1, 2), {"key": 3})]


async def test_a_background_task_outlives_its_reference(flavour: Way) -> None:
    import gc

    sio = roomcast.AsyncServer()
    done = asyncio.Event()

    async def target() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, future.set_result, None)
        await future
        done.set()

    sio.start_background_task(target)
    gc.collect()
    await asyncio.wait_for(done.wait(), 3)


@pytest.mark.parametrize("arguments", [(), (0,), (0.001,)])
async def test_sleep_lets_others_run(flavour: Way, arguments: tuple[float, ...]) -> None:
    sio = roomcast.AsyncServer()
    seen: list[int] = []
    asyncio.get_running_loop().call_soon(seen.append, 1)
    await sio.sleep(*arguments)
    assert seen == [1]


async def test_a_background_task_may_emit(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()

        async def ticker() -> None:
            for number in range(3):
                await sio.emit("tick", number)
                await sio.sleep(0)

        await sio.start_background_task(ticker)
        assert await client.drain() == [f'42["tick",{number}]' for number in range(3)]


@differs
async def test_shutdown_ends_every_client_so_that_it_comes_back(way: Way) -> None:
    """No DISCONNECT packet: after one a client does not reconnect."""
    sio = roomcast.AsyncServer(drain_seconds=0.1)
    ended: list[tuple[str, str]] = []
    sio.on("disconnect", lambda sid, reason: ended.append((sid, reason)))
    async with Node(sio, way) as node:
        clients = [await node.connect() for _ in range(3)]
        reading = [asyncio.create_task(client.rest()) for client in clients]
        await sio.shutdown()
        for packets in await asyncio.gather(*reading):
            assert packets == []
        assert sorted(sid for sid, _ in ended) == sorted(client.sid for client in clients)
        for client in clients:
            await client.aclose()
        await node.empty()


@differs
async def test_shutdown_delivers_what_was_emitted_before(way: Way) -> None:
    sio = roomcast.AsyncServer(drain_seconds=0.1)
    async with Node(sio, way) as node:
        client = await node.connect()
        await sio.emit("last", 1)
        reading = asyncio.create_task(client.rest())
        await sio.shutdown()
        assert await reading == ['42["last",1]']


async def test_shutdown_without_clients_and_twice(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    await sio.shutdown()
    async with Node(sio, flavour):
        pass
    await sio.shutdown()


@differs
async def test_the_end_of_the_application_runs_disconnect_handlers(way: Way) -> None:
    sio = roomcast.AsyncServer(drain_seconds=0.1)
    ended: list[str] = []
    sio.on("disconnect", lambda sid, reason: ended.append(sid))
    async with Node(sio, way) as node:
        client = await node.connect()
    assert ended == [client.sid]
    assert node.left_over() == {}
