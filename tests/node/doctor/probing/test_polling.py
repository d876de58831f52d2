"""Polling sessions on a real server."""

from __future__ import annotations

from typing import Any

import pytest

import roomcast
from roomcast.doctor.answers import Answer, Ending, engine_code
from roomcast.doctor.packets import NOOP, PING, PONG
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.links import LinkEndedError
from roomcast.doctor.probing.polling import PollingLink, kept
from roomcast.doctor.target import parse_target
from tests.support.inprocess import Node, Way
from tests.support.links import until_end
from tests.support.patience import PATIENCE
from tests.support.scripted_http import client_of, scripted

SHORT = 0.05


def node(**options: Any) -> Node:
    return Node(roomcast.AsyncServer(tag="wA3x", **options), Way())


async def opened(client: HttpClient, cookies: bool = True) -> PollingLink:
    outcome, link = await PollingLink.open(client, cookies=cookies)
    assert link is not None, outcome
    return link


async def test_a_session_from_beginning_to_end() -> None:
    async with node(ping_interval=0.1, cookie="io") as served:
        client = HttpClient(parse_target(served.base))
        link = await opened(client)
        assert (link.tag, link.opened.ping_interval) == ("wA3x", 0.1)
        assert link.cookies == (("Cookie", f"io={link.opened.sid}"),)
        assert isinstance(outcome := await link.post(NOOP), Answer)
        assert outcome.status == 200
        assert await link.receive(PATIENCE) == PING
        await link.send(PONG)
        await link.close()
        with pytest.raises(LinkEndedError) as caught:
            await link.send(PONG)
        assert engine_code(caught.value.ending.outcome) == 1
        with pytest.raises(LinkEndedError):
            await link.receive(PATIENCE)
        await served.empty()


async def test_who_keeps_no_cookies() -> None:
    async with node(cookie="io") as served:
        link = await opened(HttpClient(parse_target(served.base)), cookies=False)
        assert link.cookies == ()
        await link.close()


async def test_the_server_ends_it() -> None:
    async with node() as served:
        link = await opened(HttpClient(parse_target(served.base)))
        await served.sio.eio.disconnect(link.opened.sid)
        assert (await until_end(link))[1] == Ending("closed")


async def test_nothing_to_receive() -> None:
    async with node() as served:
        link = await opened(HttpClient(parse_target(served.base)))
        with pytest.raises(TimeoutError):
            await link.receive(SHORT)


async def test_no_session() -> None:
    async with scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>") as (_, port):
        outcome, link = await PollingLink.open(client_of(port), cookies=True)
    assert isinstance(outcome, Answer)
    assert link is None


async def test_a_connection_that_is_cut() -> None:
    async with node() as served:
        link = await opened(HttpClient(parse_target(served.base)))
    with pytest.raises(LinkEndedError) as caught:
        await link.receive(PATIENCE)
    assert caught.value.ending.how == "cut"


def test_cookies_that_are_kept() -> None:
    told = (("set-cookie", "a=1; Path=/; HttpOnly"), ("set-cookie", "b=2"), ("set-cookie", "broken"))
    assert kept(Answer(200, told)) == (("Cookie", "a=1; b=2"),)
    assert kept(Answer(200)) == ()
