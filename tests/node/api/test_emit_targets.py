"""Who receives an emit: ``to``/``room``, unions, ``skip_sid``, namespaces, and that nothing falsy means everybody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Client
from tests.support.inprocess import Node, Way

EVENT = '42["e",1]'


async def three(node: Node, namespace: str = "/") -> list[Client]:
    """Three clients; the first two are in room ``a``, the last two in room ``b``."""
    clients = [await node.connect(namespace) for _ in range(3)]
    for client, rooms in zip(clients, ("a", "ab", "b"), strict=True):
        for room in rooms:
            await node.sio.enter_room(client.sid, room, namespace=namespace)
    return clients


async def receivers(clients: Iterable[Client], event: str = EVENT) -> list[int]:
    """How many of each client's packets are the event; anything else fails."""
    counts = []
    for client in clients:
        packets = await client.drain()
        assert set(packets) <= {event}
        counts.append(len(packets))
    return counts


TARGETS = [
    ({}, [1, 1, 1]),
    ({"to": None}, [1, 1, 1]),
    ({"to": "a"}, [1, 1, 0]),
    ({"room": "a"}, [1, 1, 0]),
    ({"to": ["a", "b"]}, [1, 1, 1]),
    ({"to": ("a", "b")}, [1, 1, 1]),
    ({"room": ["b"]}, [0, 1, 1]),
    ({"to": "nobody"}, [0, 0, 0]),
    ({"to": ["nobody", "b"]}, [0, 1, 1]),
]


@pytest.mark.parametrize(("target", "counts"), TARGETS)
async def test_a_target_is_a_room_or_the_union_of_several(way: Way, target: dict[str, Any], counts: list[int]) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        clients = await three(node)
        await sio.emit("e", 1, **target)
        assert await receivers(clients) == counts


@pytest.mark.differs
@pytest.mark.parametrize("option", ["to", "room"])
@pytest.mark.parametrize("target", ["", [], (), set()])
async def test_an_empty_target_reaches_nobody(flavour: Way, option: str, target: Any) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        clients = await three(node)
        await sio.emit("e", 1, **{option: target})
        assert await receivers(clients) == [0, 0, 0]


@pytest.mark.differs
async def test_rooms_named_zero_and_empty_are_rooms(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        clients = await three(node)
        await sio.enter_room(clients[0].sid, 0)
        await sio.enter_room(clients[1].sid, "")
        await sio.emit("e", 1, to=0)
        assert await receivers(clients) == [1, 0, 0]
        await sio.emit("e", 1, to="")
        assert await receivers(clients) == [0, 1, 0]


@pytest.mark.differs
@pytest.mark.parametrize("kind", [set, frozenset])
async def test_a_set_is_a_union_too(flavour: Way, kind: type) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        clients = await three(node)
        await sio.emit("e", 1, to=kind({"a", "b"}))
        assert await receivers(clients) == [1, 1, 1]


@pytest.mark.parametrize("room", [7, -1, 1.5, "a room with spaces", "ü", "*", "/"])
async def test_any_hashable_value_names_a_room(flavour: Way, room: Any) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        clients = await three(node)
        await sio.enter_room(clients[2].sid, room)
        assert room in sio.rooms(clients[2].sid)
        await sio.emit("e", 1, to=room)
        assert await receivers(clients) == [0, 0, 1]


async def test_the_number_one_and_the_string_one_are_two_rooms(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        clients = await three(node)
        await sio.enter_room(clients[0].sid, 1)
        await sio.enter_room(clients[1].sid, "1")
        await sio.emit("e", 1, to=1)
        assert await receivers(clients) == [1, 0, 0]


async def test_sids_are_rooms_and_mix_with_rooms(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        clients = await three(node)
        await sio.emit("e", 1, to=clients[0].sid)
        assert await receivers(clients) == [1, 0, 0]
        await sio.emit("e", 1, to=[clients[0].sid, "b", clients[1].sid])
        assert await receivers(clients) == [1, 1, 1]


@pytest.mark.parametrize(
    ("skip", "counts"),
    [
        (lambda sids: None, [1, 1, 1]),
        (lambda sids: sids[0], [0, 1, 1]),
        (lambda sids: sids[:2], [0, 0, 1]),
        (lambda sids: [], [1, 1, 1]),
        (lambda sids: "nobody", [1, 1, 1]),
        pytest.param(lambda sids: tuple(sids[:2]), [0, 0, 1], marks=pytest.mark.differs),
        pytest.param(lambda sids: set(sids[1:]), [1, 0, 0], marks=pytest.mark.differs),
        pytest.param(lambda sids: frozenset(sids), [0, 0, 0], marks=pytest.mark.differs),
    ],
    ids=["none", "one", "list", "empty", "unknown", "tuple", "set", "frozenset"],
)
async def test_skip_sid_leaves_out_one_or_many(flavour: Way, skip: Any, counts: list[int]) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        clients = await three(node)
        await sio.emit("e", 1, skip_sid=skip([client.sid for client in clients]))
        assert await receivers(clients) == counts


async def test_skip_sid_applies_to_a_room_too(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        clients = await three(node)
        await sio.emit("e", 1, to="a", skip_sid=clients[0].sid)
        await sio.emit("e", 1, to=clients[1].sid, skip_sid=clients[1].sid)
        assert await receivers(clients) == [0, 1, 0]


async def test_namespaces_do_not_mix(way: Way) -> None:
    sio = roomcast.AsyncServer(namespaces=["/", "/chat"])
    async with Node(sio, way) as node:
        main = await node.connect()
        chat = await node.connect("/chat")
        await sio.enter_room(main.sid, "a")
        await sio.enter_room(chat.sid, "a", namespace="/chat")
        await sio.emit("e", 1, to="a", namespace="/chat")
        assert await main.drain() == []
        assert await chat.drain() == ['42/chat,["e",1]']
        await sio.emit("e", 1)
        assert await main.drain() == [EVENT]
        assert await chat.drain() == []


@pytest.mark.parametrize(
    "options", [{"namespace": "/nowhere"}, {"to": "nobody"}, {"to": "x" * 20, "namespace": "/nowhere"}]
)
async def test_an_unknown_target_is_silent(flavour: Way, options: dict[str, Any]) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.emit("e", 1, **options)
        assert await client.drain() == []


@pytest.mark.parametrize("options", [{}, {"ignore_queue": True}, {"namespace": None}, {"namespace": "/"}])
async def test_send_is_an_emit_of_message(flavour: Way, options: dict[str, Any]) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.send({"a": 1}, **options)
        await sio.send("x", to=client.sid, **options)
        assert await client.drain() == ['42["message",{"a":1}]', '42["message","x"]']


async def test_positional_order_of_emit_and_send(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        one, two = await node.connect(), await node.connect()
        await sio.enter_room(one.sid, "a")
        await sio.enter_room(two.sid, "a")
        await sio.emit("e", 1, None, "a", two.sid, "/", None, False)
        await sio.send(2, "a", None, two.sid, "/", None, False)
        assert await one.drain() == [EVENT, '42["message",2]']
        assert await two.drain() == []


async def test_one_sender_is_heard_in_order(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()
        await sio.enter_room(client.sid, "a")
        targets: list[Any] = [None, "a", client.sid, ["a", client.sid]]
        for number in range(400):
            await sio.emit("e", number, to=targets[number % 4])
        assert await client.drain() == [f'42["e",{number}]' for number in range(400)]
