"""What a connect handler is called with, whatever its shape: environ, auth, short and long forms."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

import roomcast
from tests.support.api_client import Client, Packet
from tests.support.inprocess import Node, Way

differs = pytest.mark.differs


async def answer(client: Client, namespace: str = "/", auth: Any = None) -> Packet:
    await client.ask_to_connect(namespace, auth)
    return await client.receive()


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
async def test_the_short_form_of_a_connect_handler_works_with_and_without_auth(
    flavour: Way, colour: str, auth: Any
) -> None:
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
