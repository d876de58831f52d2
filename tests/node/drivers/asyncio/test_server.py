"""``AsyncServer``: what the tests of the API leave out."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

import roomcast
from roomcast.exceptions import DisconnectedError
from roomcast.exceptions import TimeoutError as CallTimeoutError
from tests.support.counting import CountingLoop, Crowd, run, turns
from tests.support.inprocess import Node, Way, eventually

A_MOMENT = 0.01
"""Seconds that a handler takes."""


async def test_handle_request_serves_any_path(flavour: Way) -> None:
    sio = roomcast.AsyncServer()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await roomcast.ASGIApp(sio)(scope, receive, send)
        else:
            await sio.handle_request(scope, receive, send)

    async with Node(sio, flavour, app=app) as node:
        client = await node.connect(path="/anywhere/at/all")
        await sio.emit("e", 1)
        assert await client.receive() == '42["e",1]'


async def test_the_manager_is_started_once() -> None:
    started: list[int] = []

    class Counting(roomcast.AsyncManager):
        def initialize(self) -> None:
            started.append(1)

    sio = roomcast.AsyncServer(client_manager=Counting())
    assert not sio.manager_initialized
    await sio.start()
    await sio.start()
    assert started == [1]
    await sio.shutdown()


def test_a_call_that_ends_leaves_nothing_however_it_ends() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = roomcast.AsyncServer()
        (peer,) = await Crowd(sio).join(1)
        ((sid, _),) = sio.manager.get_participants("/", None)
        cancelled = asyncio.ensure_future(sio.call("e", to=sid))
        await turns(2)
        cancelled.cancel()
        await turns(2)
        assert cancelled.cancelled()
        late = asyncio.ensure_future(sio.call("e", to=sid, timeout=5))
        await turns(2)
        loop.advance(5.1)
        await turns(4)
        assert isinstance(late.exception(), CallTimeoutError)
        assert sio.census()["acks"] == 0
        left = asyncio.ensure_future(sio.call("e", to=sid, timeout=None))
        await turns(2)
        peer.vanishes()
        await turns(4)
        assert isinstance(left.exception(), DisconnectedError)
        assert sio.census()["acks"] == 0

    run(scenario)


@pytest.mark.parametrize("colour", ["plain", "coroutine"])
async def test_disconnect_returns_when_the_disconnect_handler_has_ended(flavour: Way, colour: str) -> None:
    sio = roomcast.AsyncServer()
    log: list[str] = []

    def plain(sid: str, reason: str) -> None:
        log.append(reason)

    async def coroutine(sid: str, reason: str) -> None:
        await asyncio.sleep(A_MOMENT)
        log.append(reason)

    sio.on("disconnect", plain if colour == "plain" else coroutine)
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await sio.disconnect(client.sid)
        assert log == ["server disconnect"]
        await sio.disconnect(client.sid)
        await sio.disconnect("nobody")
        assert log == ["server disconnect"]


async def test_a_disconnect_handler_may_disconnect_its_own_client(flavour: Way) -> None:
    """It would wait for itself."""
    sio = roomcast.AsyncServer()
    log: list[str] = []

    @sio.event
    async def disconnect(sid: str, reason: str) -> None:
        await asyncio.sleep(0)
        await sio.disconnect(sid)
        log.append("ended")

    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.send("41")
        await eventually(lambda: log == ["ended"])


async def test_what_a_background_task_raises_is_its_own_affair() -> None:
    sio = roomcast.AsyncServer()

    async def failing() -> None:
        raise LookupError

    task = sio.start_background_task(failing)
    with pytest.raises(LookupError):
        await task
    assert not sio.runtime.tasks


@pytest.mark.parametrize("mode", ["asgi", None])
def test_the_async_mode(mode: str | None) -> None:
    assert roomcast.AsyncServer(async_mode=mode).async_mode == "asgi"


async def test_metrics_without_the_command() -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, Way()) as node:
        listener = await sio.serve_metrics(0)
        base = f"http://127.0.0.1:{listener.port}"
        client = await node.connect()
        async with httpx.AsyncClient(trust_env=False) as http:
            assert 'roomcast_clients{transport="websocket"} 1.0' in (await http.get(f"{base}/metrics")).text
            assert (await http.get(f"{base}/readyz")).status_code == 200
            await sio.shutdown()
            assert (await http.get(f"{base}/readyz")).status_code == 503
        await client.aclose()
        await listener.close()
