"""Asking as pages do, on a real server."""

from __future__ import annotations

import roomcast
from roomcast.doctor.findings import Level
from roomcast.doctor.judging.origins import judge_origin
from roomcast.doctor.probing.asking import ask_as
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.target import parse_target
from tests.support.inprocess import Node, Way

APP = "https://app.example.com"


async def test_the_origins_that_are_named_may() -> None:
    async with Node(roomcast.AsyncServer(cors_allowed_origins=[APP]), Way()) as served:
        client = HttpClient(parse_target(served.base))
        asked = await ask_as(client, APP, polling=True, sockets=True)
        other = await ask_as(client, "https://other.example.com", polling=True, sockets=True)
        await served.empty()
    assert not asked.own
    assert judge_origin(asked, needs_cookies=True).level is Level.OK
    assert judge_origin(other).level is Level.WRONG


async def test_its_own_pages_may() -> None:
    async with Node(roomcast.AsyncServer(), Way()) as served:
        client = HttpClient(parse_target(served.base))
        asked = await ask_as(client, client.target.origin, polling=True, sockets=True)
    assert (asked.own, asked.preflight) == (True, None)
    assert judge_origin(asked).level is Level.OK


async def test_what_is_not_served_is_not_asked() -> None:
    async with Node(roomcast.AsyncServer(transports=["websocket"]), Way()) as served:
        asked = await ask_as(HttpClient(parse_target(served.base)), APP, polling=False, sockets=True)
    assert (asked.polling, asked.preflight) == (None, None)
    assert asked.socket is not None
    assert asked.socket.stage == "refused"
