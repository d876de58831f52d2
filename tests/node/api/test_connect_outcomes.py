"""What each end of a connect handler answers, in which order things leave, and what a refused client leaves behind."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Client, Packet
from tests.support.inprocess import Node, Way, eventually

differs = pytest.mark.differs
Refused = roomcast.exceptions.ConnectionRefusedError


def raising(error: BaseException) -> Callable[..., Any]:
    def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
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
@pytest.mark.parametrize(("handler", "payload"), REFUSALS, ids=lambda value: json.dumps(value) if isinstance(value, dict) else "")
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
@pytest.mark.parametrize("error", [RuntimeError("secret"), KeyError("secret"), TypeError("secret"), asyncio.CancelledError()])
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
@pytest.mark.parametrize("target", ["sid", "room", "everybody"])
async def test_what_a_connect_handler_emits_to_its_client_comes_after_connect(way: Way, target: str) -> None:
    sio = roomcast.AsyncServer()

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await sio.enter_room(sid, "a")
        await sio.emit("hello", b"x", to={"sid": sid, "room": "a", "everybody": None}[target])

    async with Node(sio, way) as node:
        client = await node.connect()
        assert await client.drain() == ['451-["hello",{"_placeholder":true,"num":0}]', b"x"]


async def test_other_clients_are_emitted_to_at_once(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    go = asyncio.Event()

    async with Node(sio, flavour) as node:
        earlier = await node.connect()

        @sio.event
        async def connect(sid: str, environ: dict[str, Any]) -> None:
            await sio.emit("joined", skip_sid=sid)
            await go.wait()

        newcomer = await node.open()
        await newcomer.ask_to_connect()
        assert await earlier.receive() == '42["joined"]'
        go.set()
        assert str(await newcomer.receive()).startswith("40{")


@differs
async def test_events_sent_while_the_connect_handler_runs_are_held(way: Way) -> None:
    sio = roomcast.AsyncServer()
    go = asyncio.Event()
    seen: list[Any] = []
    sio.on("e", lambda sid, number: seen.append(number))

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await go.wait()
        seen.append("connected")

    async with Node(sio, way) as node:
        client = await node.open()
        await client.send("40", '42["e",1]', '42["e",2]')
        await client.drain()
        assert seen == []
        go.set()
        await eventually(lambda: len(seen) == 3)
        assert seen == ["connected", 1, 2]


@differs
@pytest.mark.parametrize("reply", ["refuse", "raise"])
async def test_held_events_of_a_refused_client_are_forgotten(flavour: Way, reply: str) -> None:
    sio = roomcast.AsyncServer()
    go = asyncio.Event()
    seen: list[Any] = []
    sio.on("e", lambda sid, number: seen.append(number))

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> bool:
        await go.wait()
        if reply == "raise":
            raise LookupError
        return False

    async with Node(sio, flavour) as node:
        client = await node.open()
        await client.send("40", '42["e",1]')
        go.set()
        assert str(await client.receive()).startswith("44")
        assert seen == []


@differs
async def test_a_connection_that_closes_while_the_handler_runs_is_nobodys_ghost(way: Way) -> None:
    sio = roomcast.AsyncServer()
    entered, go = asyncio.Event(), asyncio.Event()

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await sio.enter_room(sid, "a")
        entered.set()
        await go.wait()

    async with Node(sio, way) as node:
        client = await node.open()
        await client.ask_to_connect()
        await entered.wait()
        await client.send("1")
        await client.aclose()
        go.set()
        await node.empty()
        assert list(sio.manager.get_namespaces()) == []


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
async def test_which_namespaces_are_accepted(flavour: Way, options: dict[str, Any], namespace: str, accepted: bool) -> None:
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


@pytest.mark.parametrize("auth", [None, {}, {"token": "x"}, {"nested": {"list": [1, None]}}])
async def test_auth_reaches_the_handler(way: Way, auth: Any) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []
    sio.on("connect", lambda sid, environ, auth: seen.append(auth))
    async with Node(sio, way) as node:
        await node.connect(auth=auth)
        assert seen == [auth or None]


class CallableObject:
    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    async def __call__(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        await asyncio.sleep(0)
        self.seen.append(auth)


async def with_prefix(prefix: list[Any], sid: str, environ: dict[str, Any], auth: Any) -> None:
    prefix.append(auth)


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    return wrapper


SHAPES: list[Any] = [
    pytest.param(lambda seen: lambda sid, environ, auth: seen.append(auth), id="three"),
    pytest.param(lambda seen: lambda *args: seen.append(args[2]), id="star", marks=differs),
    pytest.param(lambda seen: lambda sid, environ, auth=None: seen.append(auth), id="default"),
    pytest.param(lambda seen: functools.partial(with_prefix, seen), id="partial"),
    pytest.param(CallableObject, id="object", marks=differs),
    pytest.param(lambda seen: decorated(lambda sid, environ, auth: seen.append(auth)), id="decorated", marks=differs),
]


@pytest.mark.parametrize("auth", [None, {"token": "x"}])
@pytest.mark.parametrize("shape", SHAPES)
async def test_every_long_form_of_handler_gets_auth(flavour: Way, shape: Any, auth: Any) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []
    sio.on("connect", shape(seen))
    async with Node(sio, flavour) as node:
        await node.connect(auth=auth)
        assert seen == [auth]


@pytest.mark.parametrize("auth", [None, pytest.param({"token": "x"}, marks=differs)])
@pytest.mark.parametrize("colour", ["plain", "coroutine"])
async def test_the_short_form_of_a_connect_handler_works_with_and_without_auth(flavour: Way, colour: str, auth: Any) -> None:
    sio = roomcast.AsyncServer()
    seen: list[str] = []

    def plain(sid: str, environ: dict[str, Any]) -> None:
        seen.append(sid)

    async def coroutine(sid: str, environ: dict[str, Any]) -> None:
        seen.append(sid)

    sio.on("connect", plain if colour == "plain" else coroutine)
    async with Node(sio, flavour) as node:
        client = await node.connect(auth=auth)
        assert seen == [client.sid]


@differs
async def test_a_type_error_inside_a_handler_does_not_call_it_again(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    calls: list[tuple[Any, ...]] = []

    @sio.on("connect")
    def connect(*args: Any) -> None:
        calls.append(args)
        raise TypeError("application")

    async with Node(sio, flavour) as node:
        client = await node.open()
        assert str(await answer(client)).startswith("44")
        assert len(calls) == 1


async def test_connect_handlers_of_namespaces_run_per_namespace(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[tuple[str, str]] = []
    for name in ("/", "/a", "/b"):
        sio.on("connect", lambda sid, environ, *, name=name: seen.append((name, sid)), namespace=name)
    async with Node(sio, flavour) as node:
        client = await node.open()
        sids = [await client.connect(name) for name in ("/", "/a", "/b")]
        assert seen == list(zip(("/", "/a", "/b"), sids, strict=True))
        assert len({*sids, client.engine_sid}) == 4
