"""Joining namespaces, on a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import roomcast
from roomcast.doctor.judging.entry import Entry
from roomcast.doctor.packets import Message, Serializer
from roomcast.doctor.probing import entering
from roomcast.doctor.probing.entering import Door, enter, read_entry
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.promptness import poll_entry, socket_entry
from roomcast.doctor.probing.websocket import WebSocketLink
from roomcast.doctor.target import parse_target
from tests.support.inprocess import Node, Way

SHORT = 0.1


def server(late: asyncio.Event | None = None, **options: Any) -> roomcast.AsyncServer:
    """With ``{"slow": true}`` clients are let in when it is ``late``."""
    late = late or asyncio.Event()
    sio = roomcast.AsyncServer(**options)
    for namespace in ("/", "/chat"):

        @sio.on("connect", namespace=namespace)
        async def connect(sid: str, environ: Any, auth: Any = None) -> None:
            if auth == {"slow": True}:
                await late.wait()
            if not auth:
                raise roomcast.exceptions.ConnectionRefusedError("who are you?")
            await sio.emit("welcome", to=sid)

    return sio


@pytest.mark.parametrize("serializer", ["default", "msgpack"])
@pytest.mark.parametrize("namespace", ["/", "/chat"])
@pytest.mark.parametrize("over", ["poll", "socket"])
async def test_let_in_and_refused(serializer: Serializer, namespace: str, over: str) -> None:
    entry_by = {"poll": poll_entry, "socket": socket_entry}[over]
    async with Node(server(serializer=serializer), Way()) as served:
        client = HttpClient(parse_target(served.base))
        entry = await entry_by(client, Door(namespace, {"token": "t"}, serializer))
        assert entry is not None
        assert (entry.namespace, entry.result) == (namespace, "in")
        entry = await entry_by(client, Door(namespace, None, serializer))
        assert entry is not None
        assert (entry.result, entry.message) == ("refused", "who are you?")
        await served.empty()


@pytest.mark.parametrize("over", ["poll", "socket"])
async def test_the_wrong_serializer(over: str) -> None:
    entry_by = {"poll": poll_entry, "socket": socket_entry}[over]
    async with Node(server(serializer="msgpack"), Way()) as served:
        entry = await entry_by(HttpClient(parse_target(served.base)), Door())
    assert entry is not None
    assert entry.result == "closed"


async def test_an_application_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entering, "REQUEST_SECONDS", SHORT)
    late = asyncio.Event()
    async with Node(server(late), Way()) as served:
        _, link = await WebSocketLink.open(HttpClient(parse_target(served.base)))
        assert link is not None
        assert await enter(link, Door("/", {"slow": True})) == (Entry("/", "silent", SHORT), None)
        late.set()
        await link.close()


def test_refusals() -> None:
    assert read_entry(Message(4, "/", {"message": "no"}), 1.0) == Entry("/", "refused", 1.0, "no")
    assert read_entry(Message(4, "/", "no"), 1.0) == Entry("/", "refused", 1.0, "no")
