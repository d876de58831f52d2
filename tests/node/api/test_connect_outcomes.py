"""What each end of a connect handler answers, in which order things leave, and what a refused client leaves behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Client, Packet, PollingClient
from tests.support.inprocess import Node, Way

differs = pytest.mark.differs
Refused = roomcast.exceptions.ConnectionRefusedError


def raising(error: BaseException) -> Callable[..., Any]:
    async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        raise error

    return connect


def returning(value: Any) -> Callable[..., Any]:
    return lambda sid, environ, auth: value


REFUSALS: list[Any] = [
    (returning(False), {"message": "Connection rejected by server"}),
    (raising(Refused()), {"message": "Connection rejected by server"}),
    (raising(Refused("no entry")), {"message": "no entry"}),
    (raising(Refused(404)), {"message": "404"}),
    (raising(Refused("no", {"code": 7})), {"message": "no", "data": {"code": 7}}),
    (raising(Refused("no", 1, "two", [3])), {"message": "no", "data": [1, "two", [3]]}),
    (raising(ConnectionRefusedError("builtin")), {"message": "Connection refused by server"}),
]


async def answer(client: Client, namespace: str = "/", auth: Any = None) -> Packet:
    await client.ask_to_connect(namespace, auth)
    return await client.receive()


async def nobody_is_left(sio: roomcast.AsyncServer, node: Node, client: Client) -> None:
    assert list(sio.manager.get_participants("/", None)) == [] if "/" in list(sio.manager.get_namespaces()) else True
    if isinstance(client, PollingClient):
        await client.post("1")  # nothing else tells the server that a polling client has gone
    await client.aclose()
    await node.empty()


@pytest.mark.parametrize("result", [None, True, 0, "", [], {}, "no", 1])
async def test_anything_but_false_accepts(flavour: Way, result: Any) -> None:
    sio = roomcast.AsyncServer()
    sio.on("connect", returning(result))
    async with Node(sio, flavour) as node:
        client = await node.connect()
        assert sio.rooms(client.sid) == [client.sid]


async def test_no_handler_accepts_and_the_answer_holds_only_a_sid(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.open()
        packet = await answer(client)
        assert isinstance(packet, str)
        assert list(json.loads(packet[2:])) == ["sid"]
        assert len(json.loads(packet[2:])["sid"]) == 20


@pytest.mark.parametrize("namespace", ["/", "/chat"])
@pytest.mark.parametrize(
    ("handler", "payload"), REFUSALS, ids=lambda value: json.dumps(value) if isinstance(value, dict) else ""
)
async def test_a_refusal_carries_its_payload(
    flavour: Way, namespace: str, handler: Callable[..., Any], payload: dict[str, Any]
) -> None:
    sio = roomcast.AsyncServer()
    ended: list[str] = []
    sio.on("connect", handler, namespace=namespace)
    sio.on("disconnect", lambda sid, reason: ended.append(reason), namespace=namespace)
    async with Node(sio, flavour) as node:
        client = await node.open()
        packet = await answer(client, namespace)
        head = "44" if namespace == "/" else "44/chat,"
        assert packet == head + json.dumps(payload, separators=(",", ":"))
        assert await client.drain() == []
        assert ended == []
        assert list(sio.manager.get_namespaces()) == []


async def test_a_refused_client_may_try_again_on_the_same_connection(way: Way) -> None:
    sio = roomcast.AsyncServer()
    sio.on("connect", lambda sid, environ, auth: auth == {"key": 2})
    async with Node(sio, way) as node:
        client = await node.open()
        assert str(await answer(client, auth={"key": 1})).startswith("44")
        await client.connect(auth={"key": 2})


@differs
async def test_a_refusal_after_always_connect_is_a_plain_disconnect(flavour: Way) -> None:
    sio = roomcast.AsyncServer(always_connect=True)
    sio.on("connect", raising(Refused("no")))
    async with Node(sio, flavour) as node:
        client = await node.connect()
        assert await client.drain() == ["41"]


async def test_always_connect_answers_before_the_handler_runs(flavour: Way) -> None:
    sio = roomcast.AsyncServer(always_connect=True)
    go = asyncio.Event()

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await go.wait()
        await sio.emit("late", to=sid)

    async with Node(sio, flavour) as node:
        client = await node.connect()
        go.set()
        assert await client.receive() == '42["late"]'


@differs
@pytest.mark.parametrize("error", [RuntimeError("secret"), KeyError("secret"), TypeError("secret")])
async def test_any_other_exception_is_a_refusal_too(way: Way, error: BaseException) -> None:
    sio = roomcast.AsyncServer()
    calls: list[str] = []

    @sio.event
    async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        calls.append(sid)
        await sio.enter_room(sid, "a")
        raise error

    async with Node(sio, way) as node:
        client = await node.open()
        packet = await answer(client)
        assert str(packet).startswith('44{"message":')
        assert "secret" not in str(packet)
        assert len(calls) == 1
        await nobody_is_left(sio, node, client)


async def test_a_cancelled_handler_counts_as_one_that_returned_none(way: Way) -> None:
    """An ``asyncio.CancelledError`` of its own making; its client is answered in any case."""
    sio = roomcast.AsyncServer()
    sio.on("connect", raising(asyncio.CancelledError()))
    async with Node(sio, way) as node:
        client = await node.connect()
        await sio.emit("e", 1)
        assert await client.drain() == ['42["e",1]']


@differs
async def test_disconnecting_inside_the_connect_handler_refuses(way: Way) -> None:
    sio = roomcast.AsyncServer()
    ended: list[str] = []
    sio.on("disconnect", lambda sid, reason: ended.append(reason))

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await sio.disconnect(sid)

    async with Node(sio, way) as node:
        client = await node.open()
        assert str(await answer(client)).startswith('44{"message":')
        assert await client.drain() == []
        assert ended == []
        await nobody_is_left(sio, node, client)


@differs
@pytest.mark.parametrize("namespace", ["/random", "/chat?x=1", "/CHAT"])
async def test_a_namespace_nobody_serves_is_refused_with_an_object(way: Way, namespace: str) -> None:
    sio = roomcast.AsyncServer(namespaces=["/", "/chat"])
    async with Node(sio, way) as node:
        client = await node.open()
        assert await answer(client, namespace) == f'44{namespace},{{"message":"Invalid namespace"}}'


@pytest.mark.parametrize(
    ("options", "namespace", "accepted"),
    [
        ({}, "/", True),
        ({}, "/x", False),
        ({"namespaces": ["/x"]}, "/x", True),
        ({"namespaces": ["/x"]}, "/", False),
        ({"namespaces": "*"}, "/anything", True),
        ({"namespaces": "*"}, "/", True),
        ({"namespaces": ["/x"]}, "/with-handler", True),
        ({}, "/with-class", True),
    ],
)
async def test_which_namespaces_are_accepted(
    flavour: Way, options: dict[str, Any], namespace: str, accepted: bool
) -> None:
    sio = roomcast.AsyncServer(**options)
    sio.on("e", lambda sid: None, namespace="/with-handler")
    sio.register_namespace(roomcast.AsyncNamespace("/with-class"))
    async with Node(sio, flavour) as node:
        client = await node.open()
        packet = str(await answer(client, namespace))
        assert packet.startswith("40" if accepted else "44")


async def test_the_comma_after_a_namespace_may_be_missing(flavour: Way) -> None:
    sio = roomcast.AsyncServer(namespaces=["/chat"])
    async with Node(sio, flavour) as node:
        client = await node.open()
        await client.send("40/chat")
        assert str(await client.receive()).startswith('40/chat,{"sid":"')


@differs
@pytest.mark.parametrize("during", ["after", "while connecting"])
async def test_a_second_connect_to_a_namespace_closes_the_connection(way: Way, during: str) -> None:
    sio = roomcast.AsyncServer()
    go = asyncio.Event()

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await go.wait()

    async with Node(sio, way) as node:
        client = await node.open()
        if during == "after":
            go.set()
            await client.connect()
        else:
            await client.send("40")
        await client.send("40")
        await client.closed()
        go.set()
        await node.empty()


async def test_leaving_and_connecting_again_in_one_burst_gives_a_new_sid(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        client = await node.connect()
        first = client.sid
        await client.send("41", "40")
        packet = await client.receive()
        assert str(packet).startswith('40{"sid":"')
        assert first not in str(packet)
