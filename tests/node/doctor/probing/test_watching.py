"""Watching idle sessions on a real server."""

from __future__ import annotations

from typing import Any

import pytest

import roomcast
from roomcast.doctor.answers import Ending
from roomcast.doctor.probing import watching
from roomcast.doctor.probing.entering import Door
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.links import Link
from roomcast.doctor.probing.polling import PollingLink
from roomcast.doctor.probing.watching import watch
from roomcast.doctor.probing.websocket import WebSocketLink
from roomcast.doctor.target import parse_target
from tests.support.inprocess import Node, Way
from tests.support.patience import PATIENCE

PING_INTERVAL = 0.2
LONG = 8 * PING_INTERVAL


async def opened(served: Node, transport: str) -> Link:
    client = HttpClient(parse_target(served.base))
    link: Link | None
    if transport == "polling":
        _, link = await PollingLink.open(client, cookies=True)
    else:
        _, link = await WebSocketLink.open(client)
    assert link is not None
    return link


def node(**options: Any) -> Node:
    return Node(roomcast.AsyncServer(**{"ping_interval": PING_INTERVAL, "namespaces": "*", **options}), Way())


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_it_lives(transport: str) -> None:
    async with node() as served:
        entered = []
        served.sio.on("connect", lambda sid, environ: entered.append(sid))
        seen = await watch(await opened(served, transport), Door(), LONG)
        await served.empty()
    assert seen.ending is None
    assert seen.pings
    assert seen.lived > LONG - 0.01  # two clocks are compared
    assert 0 < seen.longest < LONG
    assert (seen.ping_interval, seen.ping_timeout) == (PING_INTERVAL, 20.0)
    assert len(entered) == 1  # behind the first ping, so that it is not ended for having joined nothing


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_it_ends(transport: str) -> None:
    async with node(connect_timeout=PING_INTERVAL, ping_interval=30) as served:
        seen = await watch(await opened(served, transport), Door(), PATIENCE)
    assert seen.ending is not None
    assert seen.ending.how in ("closed", "refused")
    assert (seen.pings, seen.silence > 0) == (0, True)


async def test_a_long_ping_interval_is_waited_for_inside() -> None:
    """Who has joined nothing is ended before the first ping would come."""
    async with node(ping_interval=60) as served:
        entered = []
        served.sio.on("connect", lambda sid, environ: entered.append(sid))
        seen = await watch(await opened(served, "websocket"), Door(), PING_INTERVAL)
    assert (seen.ending, seen.pings, len(entered)) == (None, 0, 1)


async def test_who_is_not_let_in_is_watched_for_as_long_as_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "UNENTERED_SECONDS", 2 * PING_INTERVAL)
    async with node(namespaces=None) as served:
        seen = await watch(await opened(served, "websocket"), Door("/nowhere"), PATIENCE)
    assert seen.ending is None
    assert seen.pings
    assert seen.lived < PATIENCE


async def test_a_connection_that_is_cut() -> None:
    async with node() as served:
        link = await opened(served, "websocket")
        assert isinstance(link, WebSocketLink)
        for session in served.sio.eio.sockets.values():
            assert session.link is not None
            owner: Any = session.link.owner  # type: ignore[attr-defined]  # the driver's
            owner._transport.abort()
        seen = await watch(link, Door(), PATIENCE)
    assert seen.ending == Ending("cut")
