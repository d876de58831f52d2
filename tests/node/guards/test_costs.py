"""What an event, a broadcast, a connection and its end may cost: counted, so that no machine is too slow for it.

Each number here is a promise. A test that fails after a change says that the change makes every event, every
receiver or every client dearer, whatever a benchmark of that day shows.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import Any

import pytest

import roomcast
from tests.support.counting import (
    CountingCodec,
    CountingLoop,
    Crowd,
    Work,
    counted_bytecodes,
    measured_memory,
    run,
    turns,
)

EVENTS = 100
MESSAGE = {"n": 1, "text": "some words"}


def make_server(**options: Any) -> roomcast.AsyncServer:
    """A server with a handler of every kind."""
    sio = roomcast.AsyncServer(cors_allowed_origins="*", **options)

    @sio.on("plain")
    def plain(sid: str, data: Any) -> Any:
        return data

    @sio.on("prompt")
    async def prompt(sid: str, data: Any) -> Any:
        return data

    @sio.on("waiting")
    async def waiting(sid: str, data: Any) -> Any:
        await asyncio.sleep(0)
        return data

    @sio.on("pub")
    async def pub(sid: str, times: int) -> None:
        for number in range(times):
            await sio.emit("msg", {**MESSAGE, "number": number})

    @sio.on("join")
    async def join(sid: str, *rooms: str) -> None:
        for room in rooms:
            await sio.enter_room(sid, room)

    return sio


# --- one event --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "acknowledged", "tasks"),
    [
        ("plain", False, 0),
        ("plain", True, 0),
        ("prompt", False, 0),
        ("prompt", True, 0),
        ("waiting", False, 1),
        ("waiting", True, 1),
    ],
)
def test_an_event_costs_no_timer_and_no_task_unless_its_handler_waits(
    event: str, acknowledged: bool, tasks: int
) -> None:
    async def scenario(loop: CountingLoop) -> None:
        (client,) = await Crowd(make_server()).join(1)

        async def one(ack_id: int) -> None:
            client.sends(f'42{ack_id if acknowledged else ""}["{event}",{{"n":1}}]')
            await turns(6)

        await one(0)  # the first of its kind makes what the next ones use again
        client.blocks()
        with loop.counted() as costs:
            for number in range(1, EVENTS + 1):
                await one(number)
        assert costs.tasks <= tasks * EVENTS
        assert costs.timers == 0
        expected = [f'43{number}[{{"n":1}}]' for number in range(1, EVENTS + 1)] if acknowledged else []
        assert [block[2:].decode() for block in client.blocks()] == expected

    run(scenario)


def test_an_event_without_answer_asks_nothing_of_the_loop() -> None:
    async def scenario(loop: CountingLoop) -> None:
        (client,) = await Crowd(make_server()).join(1)
        client.sends('42["plain",1]', '42["prompt",1]')
        with loop.counted() as costs:
            for _ in range(EVENTS):
                client.sends('42["plain",1]', '42["prompt",1]')
        assert (costs.tasks, costs.timers, costs.callbacks) == (0, 0, 0)

    run(scenario)


def test_what_arrives_together_is_answered_by_one_write() -> None:
    async def scenario(loop: CountingLoop) -> None:
        (client,) = await Crowd(make_server()).join(1)
        client.sends(*(f'42{number}["prompt",{number}]' for number in range(16)))
        await turns()
        (block,) = client.blocks()
        assert block.count(b"[") == 16

    run(scenario)


# --- broadcasts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("receivers", [1, 10, 500])
def test_a_broadcast_is_encoded_once_and_written_once_to_each(receivers: int) -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = make_server()
        clients = await Crowd(sio).join(receivers)
        codec = CountingCodec(sio.node.codec)
        sio.node.codec = codec
        clients[0].sends('42["pub",0]')  # makes the spare task
        with loop.counted() as costs:
            clients[0].sends('42["pub",1]')
        assert codec.encoded == 1
        assert (costs.tasks, costs.timers, costs.callbacks) == (0, 0, 1)
        await turns()
        written = [client.blocks() for client in clients]
        assert [len(blocks) for blocks in written] == [1] * receivers
        assert len({id(blocks[0]) for blocks in written}) == 1, "receivers of the same unit share one object"

    run(scenario)


def test_broadcasts_of_one_turn_are_one_write_for_each_receiver() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = make_server()
        clients = await Crowd(sio).join(50)
        codec = CountingCodec(sio.node.codec)
        sio.node.codec = codec
        clients[0].sends('42["pub",0]')
        with loop.counted() as costs:
            clients[0].sends('42["pub",10]', '42["pub",10]')
        assert codec.encoded == 20
        assert costs.callbacks == 1
        await turns()
        written = [client.blocks() for client in clients]
        assert [len(blocks) for blocks in written] == [1] * 50
        assert len({id(blocks[0]) for blocks in written}) == 1, "members with the same units share one joined block"
        assert written[0][0].count(b'"number"') == 20

    run(scenario)


def test_an_emit_that_asks_for_answers_is_encoded_once() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = make_server()
        clients = await Crowd(sio).join(50)
        codec = CountingCodec(sio.node.codec)
        sio.node.codec = codec
        with loop.counted() as costs:
            await sio.emit("question", MESSAGE, callback=lambda *_: None)
        assert codec.encoded == 1
        assert (costs.tasks, costs.timers) == (0, 0)
        await turns()
        assert [len(client.blocks()) for client in clients] == [1] * 50

    run(scenario)


# --- clients ----------------------------------------------------------------------------------------------------------


def test_connecting_makes_no_task_and_no_timer_for_each_client() -> None:
    async def scenario(loop: CountingLoop) -> None:
        crowd = Crowd(make_server())
        first = await crowd.join(1)
        with loop.counted() as costs:
            others = await crowd.join(100)
        assert (costs.tasks, costs.timers) == (0, 0)
        assert len(first + others) == 101

    run(scenario)


def test_one_timer_serves_the_heartbeats_of_everybody() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = make_server()
        clients = await Crowd(sio).join(200)
        with loop.counted() as costs:
            loop.advance(sio.settings.ping_interval)
            await turns(4)
            loop.advance(0.02)  # the clock has leapt, which looks like a stall: everybody gets a moment
            await turns(4)
        assert [client.blocks() for client in clients] == [[b"\x81\x012"]] * 200
        assert costs.tasks == 0
        assert costs.timers <= 6, "the node's own: heartbeats, and the probe of the loop's lag"

    run(scenario)


# What copies a table does so every time; a thread of another test's that allocates meanwhile does not.
TRIES = 3


@pytest.mark.parametrize("handler", ["none", "plain", "prompt"])
def test_a_disconnect_costs_the_same_however_many_stay(handler: str) -> None:
    small, large = disconnecting(100, handler), disconnecting(2_000, handler)
    assert small.bytecodes > 1_000, "it is counted at all"
    assert large.bytecodes <= small.bytecodes * 1.02
    peaks = [large.peak]
    while peaks[-1] > small.peak + 2_048 and len(peaks) < TRIES:
        peaks.append(disconnecting(2_000, handler).peak)
    assert peaks[-1] <= small.peak + 2_048, peaks


def disconnecting(number: int, handler: str) -> Work:
    """The work of losing 20 of so many clients, who are all in one room, in one of ten, and in one of their own."""
    found = Work()

    async def scenario(loop: CountingLoop) -> None:
        sio = make_server()
        if handler == "plain":
            sio.on("disconnect", lambda sid, reason: None)
        elif handler == "prompt":
            sio.on("disconnect", turns_not)
        clients = await Crowd(sio).join(number)
        for index, client in enumerate(clients):
            client.sends(f'42["join","all","ten {index % 10}","own {index}"]')
        await turns(2)
        await lose(clients[:5])
        gc.disable()
        try:
            with counted_bytecodes() as work:
                await lose(clients[5:25])
            with measured_memory() as memory:
                await lose(clients[25:45])
        finally:
            gc.enable()
        found.bytecodes, found.peak = work.bytecodes, memory.peak
        assert sio.census()["sockets"] == number - 45
        assert sio.census()["rooms"] == 1 + 10 + number - 45

    run(scenario)
    return found


async def turns_not(sid: str, reason: str) -> None:
    """A coroutine that does not wait."""


async def lose(clients: list[Any]) -> None:
    for client in clients:
        client.vanishes()
        await turns(2)


def test_an_idle_client_is_small() -> None:
    """Its Python objects on the fast path, all in all, with a browser's headers; transport and kernel not counted."""
    number = 500
    sizes = []

    async def scenario(loop: CountingLoop) -> None:
        crowd = Crowd(make_server())
        await crowd.join(10)
        tracemalloc.start()
        try:
            clients = await crowd.join(number)
            gc.collect()
            taken = tracemalloc.take_snapshot()
        finally:
            tracemalloc.stop()
        ours = taken.filter_traces(
            [tracemalloc.Filter(False, "*counting.py"), tracemalloc.Filter(False, tracemalloc.__file__)]
        )
        sizes.append(sum(each.size for each in ours.statistics("filename")) / len(clients))

    run(scenario)
    assert sizes[0] <= 2_600
