"""Acknowledgements from clients: callbacks of ``emit`` and ``send``, and ``call``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Client, Packet
from tests.support.inprocess import Node, Way, eventually

differs = pytest.mark.differs
Timeout = roomcast.exceptions.TimeoutError
Gone = (roomcast.exceptions.DisconnectedError, roomcast.exceptions.TimeoutError)


def ack_id(packet: Packet, namespace: str = "/") -> str:
    """The id of an event that asks for an acknowledgement."""
    assert isinstance(packet, str)
    head = packet.split("[", 1)[0]
    digits = head.removeprefix("42" if namespace == "/" else f"42{namespace},")
    assert digits.isdigit(), packet
    return digits


async def acknowledge(client: Client, values: str, namespace: str = "/") -> Packet:
    """Answer the next packet with these values; returns the packet."""
    packet = await client.receive()
    prefix = "" if namespace == "/" else f"{namespace},"
    await client.send(f"43{prefix}{ack_id(packet, namespace)}{values}")
    return packet


ANSWERS: list[Any] = [
    ("[]", (), None),
    ("[null]", (None,), None),
    ("[1]", (1,), 1),
    ("[[1,2]]", ([1, 2],), [1, 2]),
    ('[1,"two",{"3":[]}]', (1, "two", {"3": []}), (1, "two", {"3": []})),
]


@pytest.mark.parametrize(("values", "spread", "bare"), ANSWERS)
@pytest.mark.parametrize("colour", ["plain", "coroutine"])
async def test_a_callback_gets_the_values_spread(
    flavour: Way, colour: str, values: str, spread: Any, bare: Any
) -> None:
    sio = roomcast.AsyncServer()
    got: list[tuple[Any, ...]] = []

    async def coroutine(*args: Any) -> None:
        await asyncio.sleep(0)
        got.append(args)

    async with Node(sio, flavour) as node:
        client = await node.connect()
        callback = coroutine if colour == "coroutine" else lambda *args: got.append(args)
        await sio.emit("ask", 1, to=client.sid, callback=callback)
        packet = await acknowledge(client, values)
        assert str(packet).endswith('["ask",1]')
        await eventually(lambda: got)
        assert got == [spread]


@pytest.mark.parametrize(("values", "spread", "bare"), ANSWERS)
async def test_call_returns_none_the_value_or_a_tuple(way: Way, values: str, spread: Any, bare: Any) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()
        calling = asyncio.create_task(sio.call("ask", {"q": 1}, to=client.sid))
        packet = await acknowledge(client, values)
        assert str(packet).endswith('["ask",{"q":1}]')
        assert await calling == bare


@pytest.mark.parametrize("option", ["to", "sid"])
async def test_call_knows_to_and_sid(flavour: Way, option: str) -> None:
    sio = roomcast.AsyncServer(namespaces=["/chat"])
    async with Node(sio, flavour) as node:
        client = await node.connect("/chat")
        target: dict[str, Any] = {option: client.sid}
        calling = asyncio.create_task(sio.call("ask", namespace="/chat", **target))
        await acknowledge(client, "[1]", "/chat")
        assert await calling == 1


async def test_binary_answers(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()
        calling = asyncio.create_task(sio.call("ask", b"\x00", to=client.sid))
        header = str(await client.receive())
        assert header.startswith("451-")
        assert await client.receive() == b"\x00"
        number = header.removeprefix("451-").split("[")[0]
        await client.send(
            f'462-{number}[{{"_placeholder":true,"num":0}},[{{"_placeholder":true,"num":1}}]]', b"a", b"b"
        )
        assert await calling == (b"a", [b"b"])


async def test_answers_find_their_question_in_any_order(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()
        calls = [asyncio.create_task(sio.call("ask", number, to=client.sid)) for number in range(5)]
        numbers = [ack_id(await client.receive()) for _ in calls]
        assert len(set(numbers)) == 5
        await client.send(*(f"43{number}[{place}]" for place, number in reversed(list(enumerate(numbers)))))
        assert await asyncio.gather(*calls) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("target", ["room", "everybody", pytest.param("list", marks=differs)])
async def test_a_callback_of_several_recipients_runs_for_each(flavour: Way, target: str) -> None:
    sio = roomcast.AsyncServer()
    got: list[Any] = []
    async with Node(sio, flavour) as node:
        clients = [await node.connect() for _ in range(3)]
        for client in clients:
            await sio.enter_room(client.sid, "a")
        to = {"room": "a", "everybody": None, "list": ["a", clients[0].sid]}[target]
        await sio.emit("ask", to=to, callback=got.append)
        for place, client in enumerate(clients):
            await acknowledge(client, f"[{place}]")
        await eventually(lambda: len(got) == 3)
        assert sorted(got) == [0, 1, 2]


async def test_the_second_answer_to_one_question_is_ignored(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    got: list[Any] = []
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.emit("ask", to=client.sid, callback=got.append)
        number = ack_id(await client.receive())
        await client.send(f"43{number}[1]", f"43{number}[2]", "43999999[3]")
        assert await client.drain() == []
        assert got == [1]


async def test_nobody_can_answer_for_another_client(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    got: list[Any] = []
    async with Node(sio, flavour) as node:
        asked, other = await node.connect(), await node.connect()
        await sio.emit("ask", to=asked.sid, callback=got.append)
        number = ack_id(await asked.receive())
        await other.send(f'43{number}["forged"]')
        await other.drain()
        assert got == []
        await asked.send(f'43{number}["true"]')
        await eventually(lambda: got)
        assert got == ["true"]


async def test_send_takes_a_callback(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    got: list[Any] = []
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.send("hi", to=client.sid, callback=got.append)
        assert str(await acknowledge(client, "[1]")).endswith('["message","hi"]')
        await eventually(lambda: got)
        assert got == [1]


@differs
async def test_call_inside_a_callback_works(way: Way) -> None:
    sio = roomcast.AsyncServer()
    got: list[Any] = []
    async with Node(sio, way) as node:
        client = await node.connect()

        async def callback(first: int) -> None:
            got.append((first, await sio.call("second", to=client.sid, timeout=3)))

        await sio.emit("first", to=client.sid, callback=callback)
        await acknowledge(client, "[1]")
        assert str(await acknowledge(client, "[2]")).endswith('["second"]')
        await eventually(lambda: got)
        assert got == [(1, 2)]


@differs
async def test_a_slow_callback_does_not_stop_the_clients_input(way: Way) -> None:
    sio = roomcast.AsyncServer()
    go, seen = asyncio.Event(), asyncio.Event()
    sio.on("e", lambda sid: seen.set())

    async def callback() -> None:
        await go.wait()

    async with Node(sio, way) as node:
        client = await node.connect()
        await sio.emit("ask", to=client.sid, callback=callback)
        await acknowledge(client, "[]")
        await client.send('42["e"]')
        await asyncio.wait_for(seen.wait(), 3)
        go.set()


@pytest.mark.parametrize("colour", ["plain", "coroutine"])
async def test_a_callback_that_raises_hurts_nobody(flavour: Way, colour: str) -> None:
    sio = roomcast.AsyncServer()
    calls: list[int] = []

    def plain() -> None:
        calls.append(1)
        raise LookupError("application")

    async def coroutine() -> None:
        plain()

    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.emit("ask", to=client.sid, callback=plain if colour == "plain" else coroutine)
        await acknowledge(client, "[]")
        assert await client.drain() == []
        await eventually(lambda: calls)


async def test_call_inside_an_event_handler_works(way: Way) -> None:
    sio = roomcast.AsyncServer()

    @sio.event
    async def question(sid: str) -> Any:
        return await sio.call("ask", to=sid)

    async with Node(sio, way) as node:
        client = await node.connect()
        await client.event("question", id=9)
        await acknowledge(client, '["answer"]')
        assert await client.receive() == '439["answer"]'


async def test_call_to_a_room_takes_the_first_answer(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        one, two = await node.connect(), await node.connect()
        for client in (one, two):
            await sio.enter_room(client.sid, "a")
        calling = asyncio.create_task(sio.call("ask", to="a"))
        await acknowledge(two, "[2]")
        assert await calling == 2
        await acknowledge(one, "[1]")
        assert await one.drain() == []


async def test_call_ends_at_its_timeout(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        with pytest.raises(Timeout):
            await sio.call("ask", to=client.sid, timeout=0.05)
        await acknowledge(client, "[1]")  # too late, and harmless
        assert await client.drain() == []


@differs
async def test_a_call_that_timed_out_leaves_nothing(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        with pytest.raises(Timeout):
            await sio.call("ask", to=client.sid, timeout=0.05)
        assert node.left_over().get("acks", 0) == 0


@differs
@pytest.mark.parametrize("target", ["x" * 20, "no such room"])
async def test_call_to_nobody_ends_at_once(flavour: Way, target: str) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        await node.connect()
        with pytest.raises(Gone):
            await asyncio.wait_for(sio.call("ask", to=target), 2)


@differs
@pytest.mark.parametrize("end", ["namespace", "session", "server"])
@pytest.mark.parametrize("timeout", [60, None])
async def test_call_ends_with_its_client(way: Way, end: str, timeout: float | None) -> None:
    sio = roomcast.AsyncServer(drain_seconds=0)
    async with Node(sio, way) as node:
        client = await node.connect()
        calling = asyncio.create_task(sio.call("ask", to=client.sid, timeout=timeout))
        await client.receive()
        if end == "server":
            await sio.disconnect(client.sid)
        else:
            await client.send({"namespace": "41", "session": "1"}[end])
        with pytest.raises(Gone):
            await asyncio.wait_for(calling, 2)


@differs
async def test_a_callback_nobody_answered_goes_with_its_client(way: Way) -> None:
    sio = roomcast.AsyncServer()
    got: list[Any] = []
    async with Node(sio, way) as node:
        client = await node.connect()
        await sio.emit("ask", to=client.sid, callback=got.append)
        await client.send("1")
        await client.aclose()
        await node.empty()
        assert got == []


@pytest.mark.parametrize("options", [{}, {"to": None}, {"sid": None, "namespace": "/x"}])
async def test_call_cannot_broadcast(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Cannot use call\(\) to broadcast\."):
        await roomcast.AsyncServer().call("ask", **options)


async def test_call_needs_handlers_that_are_tasks() -> None:
    sio = roomcast.AsyncServer(async_handlers=False)
    with pytest.raises(RuntimeError):
        await sio.call("ask", to="x")
    with pytest.raises(ValueError, match="broadcast"):
        await sio.call("ask")


async def test_ack_ids_are_per_namespace_on_one_connection(flavour: Way) -> None:
    sio = roomcast.AsyncServer(namespaces=["/", "/chat"])
    async with Node(sio, flavour) as node:
        client = await node.connect()
        main = client.sid
        chat = await client.connect("/chat")
        one = asyncio.create_task(sio.call("ask", to=main))
        await acknowledge(client, '["main"]')
        two = asyncio.create_task(sio.call("ask", to=chat, namespace="/chat"))
        await acknowledge(client, '["chat"]', "/chat")
        assert (await one, await two) == ("main", "chat")
