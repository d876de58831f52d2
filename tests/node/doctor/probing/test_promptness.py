"""How long a held poll takes, where it is held back. (On a real server: test_entering.)"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import roomcast
from roomcast.doctor.judging.entry import Entry
from roomcast.doctor.probing import promptness
from roomcast.doctor.probing.entering import Door
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.target import parse_target
from tests.support.inprocess import Node, Way
from tests.support.scripted_http import client_of, scripted

SHORT = 0.2


async def test_no_session_no_answer() -> None:
    async with scripted(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as (_, port):
        assert await promptness.poll_entry(client_of(port), Door()) is None
        assert await promptness.socket_entry(client_of(port), Door()) is None


class HoldsBack:
    """What a proxy does that buffers: answers to polls with a sid are kept."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and b"sid=" in scope["query_string"]:

            async def keep(message: Any) -> None:
                pass

            await self._app(scope, receive, keep)
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await self._app(scope, receive, send)


async def test_a_poll_that_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promptness, "REQUEST_SECONDS", SHORT)
    sio = roomcast.AsyncServer(namespaces="*")
    async with Node(sio, Way("asgi", "asyncio"), HoldsBack(roomcast.ASGIApp(sio))) as served:
        entry = await promptness.poll_entry(HttpClient(parse_target(served.base)), Door())
    assert entry == Entry("/", "silent", SHORT)


async def test_pings_come_before_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promptness, "_HEAD_START", 2 * SHORT)
    async with Node(roomcast.AsyncServer(namespaces="*", ping_interval=SHORT), Way()) as served:
        entry = await promptness.poll_entry(HttpClient(parse_target(served.base)), Door())
        await served.empty()
    assert entry is not None
    assert entry.result == "in"


async def test_nothing_but_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promptness, "REQUEST_SECONDS", 1.5 * SHORT)
    sio = roomcast.AsyncServer(ping_interval=SHORT)
    late = asyncio.Event()

    @sio.event
    async def connect(sid: str, environ: Any) -> None:
        await late.wait()

    async with Node(sio, Way()) as served:
        entry = await promptness.poll_entry(HttpClient(parse_target(served.base)), Door())
        late.set()
    assert entry == Entry("/", "silent", 1.5 * SHORT)


async def test_a_server_that_says_anything() -> None:
    body = b'0{"sid":"x","pingInterval":1,"pingTimeout":1}'
    async with scripted(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)) as (_, port):
        assert await promptness.poll_entry(client_of(port), Door()) == Entry("/", "closed")
