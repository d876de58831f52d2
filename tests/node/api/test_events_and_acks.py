"""Events from clients: acknowledgements, order, concurrency, binary, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Packet
from tests.support.inprocess import Node, Way, eventually

differs = pytest.mark.differs
PH0 = '{"_placeholder":true,"num":0}'
PH1 = '{"_placeholder":true,"num":1}'

RESULTS: list[Any] = [
    (None, ["437[]"]),
    ((), ["437[]"]),
    ((1, "a"), ['437[1,"a"]']),
    ((None,), ["437[null]"]),
    ([1, 2], ["437[[1,2]]"]),
    ([], ["437[[]]"]),
    ({}, ["437[{}]"]),
    ({"a": 1}, ['437[{"a":1}]']),
    (False, ["437[false]"]),
    (0, ["437[0]"]),
    ("", ['437[""]']),
    (b"x", [f"461-7[{PH0}]", b"x"]),
    ((b"x", [b"y"]), [f"462-7[{PH0},[{PH1}]]", b"x", b"y"]),
]


@pytest.mark.parametrize("colour", ["plain", "coroutine"])
@pytest.mark.parametrize(("result", "packets"), RESULTS, ids=repr)
async def test_what_a_handler_returns_is_the_acknowledgement(
    flavour: Way, colour: str, result: Any, packets: list[Packet]
) -> None:
    sio = roomcast.AsyncServer()

    async def coroutine(sid: str) -> Any:
        await asyncio.sleep(0)
        return result

    sio.on("e", coroutine if colour == "coroutine" else lambda sid: result)
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.event("e", id=7)
        assert [await client.receive() for _ in packets] == packets
        assert await client.drain() == []


async def test_an_acknowledgement_in_a_namespace(way: Way) -> None:
    sio = roomcast.AsyncServer()
    sio.on("e", lambda sid, data: (data, b"z"), namespace="/chat")
    async with Node(sio, way) as node:
        client = await node.connect("/chat")
        await client.send(f'451-/chat,0["e",{PH0}]', b"in")
        assert [await client.receive() for _ in range(3)] == [f"462-/chat,0[{PH0},{PH1}]", b"in", b"z"]


async def test_without_an_id_nothing_is_acknowledged(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    sio.on("e", lambda sid: "unasked")
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.event("e")
        assert await client.drain() == []


@pytest.mark.parametrize("options", [{}, {"async_handlers": False}])
@pytest.mark.parametrize("colour", ["plain", "coroutine"])
async def test_a_handler_that_raises_sends_no_acknowledgement_and_the_client_stays(
    flavour: Way, options: dict[str, Any], colour: str
) -> None:
    sio = roomcast.AsyncServer(**options)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)

    def plain(sid: str) -> None:
        raise LookupError("application")

    async def coroutine(sid: str) -> None:
        await asyncio.sleep(0)
        raise LookupError("application")

    sio.on("e", plain if colour == "plain" else coroutine)
    sio.on("ok", lambda sid: "still here")
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.event("e", id=1)
        assert await client.call("ok", id=2) == '432["still here"]'
        assert await client.drain() == []


async def test_without_a_handler_nothing_is_acknowledged(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.event("unknown", id=1)
        assert await client.drain() == []


@differs
async def test_what_has_no_form_is_not_acknowledged_and_the_client_stays(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    sio.on("e", lambda sid: object())
    sio.on("ok", lambda sid: "still here")
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.event("e", id=1)
        assert await client.call("ok", id=2) == '432["still here"]'


async def test_events_of_one_client_run_side_by_side(way: Way) -> None:
    sio = roomcast.AsyncServer()
    go = asyncio.Event()

    @sio.event
    async def wait(sid: str) -> str:
        await go.wait()
        return "waited"

    @sio.event
    async def release(sid: str) -> str:
        go.set()
        return "released"

    async with Node(sio, way) as node:
        client = await node.connect()
        await client.event("wait", id=1)
        await client.event("release", id=2)
        assert {await client.receive(), await client.receive()} == {'431["waited"]', '432["released"]'}


async def test_they_are_started_in_order(way: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[int] = []

    @sio.event
    async def e(sid: str, number: int) -> None:
        seen.append(number)
        await asyncio.sleep(0)

    async with Node(sio, way) as node:
        client = await node.connect()
        for burst in range(0, 150, 15):
            await client.send(*(f'42["e",{number}]' for number in range(burst, burst + 15)))
        await eventually(lambda: len(seen) == 150)
        assert seen == list(range(150))


async def test_in_line_handlers_run_one_after_another(way: Way) -> None:
    sio = roomcast.AsyncServer(async_handlers=False)
    running: list[int] = []
    seen: list[int] = []

    @sio.event
    async def e(sid: str, number: int) -> None:
        running.append(number)
        for _ in range(10):  # gives every other handler the chance to begin
            await asyncio.sleep(0)
        assert len(running) == 1
        running.clear()
        seen.append(number)

    async with Node(sio, way) as node:
        client = await node.connect()
        await client.send(*(f'42["e",{number}]' for number in range(10)))
        await eventually(lambda: len(seen) == 10)
        assert seen == list(range(10))


async def test_in_line_handlers_of_two_clients_do_not_wait_for_each_other(flavour: Way) -> None:
    sio = roomcast.AsyncServer(async_handlers=False)
    go = asyncio.Event()

    @sio.event
    async def wait(sid: str) -> None:
        await go.wait()

    @sio.event
    async def release(sid: str) -> None:
        go.set()

    async with Node(sio, flavour) as node:
        one, two = await node.connect(), await node.connect()
        await one.event("wait", id=1)
        await two.event("release", id=1)
        assert await one.receive() == "431[]"


async def test_a_cancelled_handler_counts_as_none(flavour: Way) -> None:
    sio = roomcast.AsyncServer()

    @sio.event
    async def e(sid: str) -> None:
        raise asyncio.CancelledError

    async with Node(sio, flavour) as node:
        client = await node.connect()
        assert await client.call("e", id=1) == "431[]"


async def test_events_are_handled_in_the_namespace_they_name(way: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[tuple[str, str]] = []
    sio.on("e", lambda sid: seen.append(("/", sid)))
    sio.on("e", lambda sid: seen.append(("/chat", sid)), namespace="/chat")
    async with Node(sio, way) as node:
        client = await node.open()
        main, chat = await client.connect(), await client.connect("/chat")
        await client.event("e", namespace="/chat")
        await client.event("e")
        await client.drain()
        assert seen == [("/chat", chat), ("/", main)]


async def test_binary_acknowledgements_of_two_questions_do_not_mix(way: Way) -> None:
    sio = roomcast.AsyncServer()

    @sio.event
    async def echo(sid: str, *args: Any) -> Any:
        return args

    async with Node(sio, way) as node:
        client = await node.connect()
        await client.send(f'451-1["echo",{PH0}]', b"one", f'452-2["echo",{PH1},{PH0}]', b"two", b"three")
        packets = [await client.receive() for _ in range(5)]
        assert packets == [f"461-1[{PH0}]", b"one", f"462-2[{PH0},{PH1}]", b"three", b"two"]
