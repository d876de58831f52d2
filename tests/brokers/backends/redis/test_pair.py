"""A pair with a real server; breaks and renewals of whole brokers are in test_broker.py."""

from __future__ import annotations

import asyncio

import pytest

from roomcast_brokers.backends.redis.layout import Server
from roomcast_brokers.backends.redis.location import Access
from roomcast_brokers.backends.redis.pair import Manner, Pair, unreachable
from roomcast_brokers.errors import BrokerUnreachableError
from tests.support.listeners import RecordingListener
from tests.support.services import RedisServer, free_port
from tests.support.stubborn_servers import answering


class Watched:
    """A pair, and what it told."""

    def __init__(self, port: int) -> None:
        self.heard = RecordingListener()
        self.accepted = 0
        self.broken: list[BrokerUnreachableError] = []
        manner = Manner(Access(), None, sharded=False, master=False)
        self.pair = Pair(Server("127.0.0.1", port), manner, self.heard, self._accept, self._break)

    def _accept(self, pair: Pair, count: int) -> None:
        assert pair is self.pair
        self.accepted += count
        self.heard.accepted(count)

    def _break(self, pair: Pair, error: BrokerUnreachableError) -> None:
        assert pair is self.pair
        self.broken.append(error)

    async def end(self) -> None:
        ending = self.pair.drop()
        if ending:
            await asyncio.wait(ending)


async def test_nothing_is_connected_that_is_not_used() -> None:
    watched = Watched(free_port())
    await watched.pair.connected()
    await watched.pair.renew({})
    watched.pair.unsubscribe("c")
    assert watched.pair.outstanding == 0
    assert watched.pair.stop_publishing() == []
    assert watched.pair.drop() == []
    assert watched.broken == []


async def test_both_ways(shared: RedisServer) -> None:
    watched = Watched(shared.port)
    watched.pair.subscriber().subscribe("pair", 1)
    await watched.heard.until(lambda heard: heard.generations)
    watched.pair.publisher().publish("pair", b"x")
    assert watched.pair.outstanding == 1
    await watched.heard.until(lambda heard: heard.payloads("pair") and heard.accepted_count)
    assert watched.pair.outstanding == 0
    await watched.pair.renew({"pair": 2})
    assert watched.heard.generations == {"pair": 2}
    await watched.end()
    assert watched.broken == []


async def test_a_break_is_told_once() -> None:
    watched = Watched(free_port())
    watched.pair.publisher()
    watched.pair.subscriber()
    await watched.pair.connected()
    assert len(watched.broken) == 1
    assert isinstance(watched.broken[0].__cause__, ConnectionRefusedError)


async def test_dropped_while_connecting() -> None:
    with answering(b"") as port:
        watched = Watched(port)
        watched.pair.publisher()
        await asyncio.sleep(0)
        await watched.end()
        await watched.pair.connected()
    assert watched.broken == []


async def test_a_publisher_that_is_forgotten_while_it_connects(shared: RedisServer) -> None:
    watched = Watched(shared.port)
    first = watched.pair.publisher()
    watched.pair.stop_publishing()
    second = watched.pair.publisher()
    assert second is not first
    second.publish("pair", b"x")
    await watched.heard.until(lambda heard: heard.accepted_count == 1)
    await watched.pair.connected()
    await watched.end()
    assert watched.broken == []


@pytest.mark.parametrize("error", [OSError("no route"), ValueError("odd")])
def test_any_failure_is_told_as_unreachable(error: Exception) -> None:
    told = unreachable(error)
    assert str(error) in str(told)
    assert told.__cause__ is error
    assert unreachable(told) is told
