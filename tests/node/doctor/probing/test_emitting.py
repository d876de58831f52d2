"""Events through a broker, for clients of ours on real servers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

import roomcast
from roomcast.doctor.probing import emitting
from roomcast.doctor.probing.emitting import emit_to_clients
from roomcast.doctor.probing.entering import Door
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.links import Link
from roomcast.doctor.probing.observing import Place
from roomcast.doctor.probing.polling import PollingLink
from roomcast.doctor.probing.websocket import WebSocketLink
from roomcast.doctor.target import Target, parse_target
from tests.support.cluster_nodes import ThreadServers, new_cluster
from tests.support.patience import PATIENCE
from tests.support.services import free_port

SHORT = 0.3


class Balancing:
    """Opens links to one server after the other, as a balancer does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, urls: Sequence[str]) -> None:
        self._clients = itertools.cycle([HttpClient(parse_target(url)) for url in urls])
        monkeypatch.setattr(emitting, "_open", self.open)

    async def open(self, client: HttpClient, sockets: bool) -> Link | None:
        if sockets:
            return (await WebSocketLink.open(next(self._clients)))[1]
        return (await PollingLink.open(next(self._clients), cookies=True))[1]


def servers(cluster: str, *tags: str, **more: Any) -> ThreadServers:
    options = {"broker": f"memory://{cluster}", "cluster": cluster, "namespaces": "*", **more}
    return ThreadServers({tag: roomcast.AsyncServer(tag=tag, **options) for tag in tags})


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emitting, "ARRIVAL", PATIENCE)


@pytest.mark.parametrize("sockets", [True, False])
async def test_they_arrive_on_every_node(sockets: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = new_cluster()
    with servers(cluster, "aaaa", "bbbb") as nodes:
        Balancing(monkeypatch, [node.url for node in nodes])
        place = Place(f"memory://{cluster}", cluster)
        arrivals = await emit_to_clients(
            HttpClient(parse_target(nodes[0].url)), place, Door("/chat"), {"aaaa", "bbbb"}, sockets
        )
    assert sorted(each.tag for each in arrivals) == ["aaaa", "bbbb"]
    for each in arrivals:
        assert (each.receipt, each.seconds is not None) == ("delivered", True)


@pytest.mark.parametrize("sockets", [True, False])
async def test_without_a_balancer_one_node_is_what_there_is(sockets: bool) -> None:
    cluster = new_cluster()
    with servers(cluster, "aaaa", "bbbb") as nodes:
        client = HttpClient(parse_target(nodes[1].url))
        arrivals = await emit_to_clients(
            client, Place(f"memory://{cluster}", cluster), Door(), {"bbbb", "cccc"}, sockets
        )
        assert [each.tag for each in arrivals] == ["bbbb"]
        assert await emit_to_clients(client, Place(f"memory://{cluster}", cluster), Door(), {"cccc"}, sockets) == []


async def test_an_event_that_is_not_signed_does_not_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = new_cluster()
    with servers(cluster, "aaaa", keys=["k"]) as nodes:
        client = HttpClient(parse_target(nodes[0].url))
        monkeypatch.setattr(emitting, "ARRIVAL", SHORT)
        (arrival,) = await emit_to_clients(client, Place(f"memory://{cluster}", cluster), Door(), {"aaaa"}, True)
        assert (arrival.receipt, arrival.seconds) == ("delivered", None)
        monkeypatch.setattr(emitting, "ARRIVAL", PATIENCE)
        place = Place(f"memory://{cluster}", cluster, ("k",))
        (arrival,) = await emit_to_clients(client, place, Door(), {"aaaa"}, True)
        assert arrival.seconds is not None


async def test_an_application_that_lets_nobody_in() -> None:
    cluster = new_cluster()
    with servers(cluster, "aaaa", namespaces=None) as nodes:
        client = HttpClient(parse_target(nodes[0].url))
        place = Place(f"memory://{cluster}", cluster)
        assert await emit_to_clients(client, place, Door("/nowhere"), {"aaaa"}, True) == []


async def test_an_application_that_ends_the_session() -> None:
    """Over the request for its namespace, as a server with another serializer does."""
    cluster = new_cluster()
    with servers(cluster, "aaaa", serializer="msgpack") as nodes:
        client = HttpClient(parse_target(nodes[0].url))
        assert await emit_to_clients(client, Place(f"memory://{cluster}", cluster), Door(), {"aaaa"}, True) == []


async def test_nobody_serves() -> None:
    client = HttpClient(Target("http", "127.0.0.1", free_port()))
    assert await emit_to_clients(client, Place("memory://nobody", "socketio"), Door(), {"aaaa"}, True) == []
