from __future__ import annotations

import asyncio

import pytest

from roomcast_brokers.backends.redis import watching
from roomcast_brokers.backends.redis.layout import Server
from roomcast_brokers.backends.redis.location import parse
from roomcast_brokers.backends.redis.watching import Watch, new_master
from tests.support.services import RedisServer, free_port
from tests.support.stubborn_servers import answering


@pytest.mark.parametrize(
    ("payload", "master"),
    [
        (b"orders 10.0.0.1 6379 10.0.0.2 6380", Server("10.0.0.2", 6380)),
        (b"others 10.0.0.1 6379 10.0.0.2 6380", None),
        (b"orders 10.0.0.1 6379 10.0.0.2 port", None),
        (b"orders 10.0.0.2 6380", None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_what_a_sentinel_says(payload: bytes, master: Server | None) -> None:
    assert new_master(payload, "orders") == master


class Switches:
    """What a watch told. A plain server does for a Sentinel: it publishes what it is asked to."""

    def __init__(self) -> None:
        self.masters: list[Server] = []
        self._told = asyncio.Event()

    def __call__(self, master: Server) -> None:
        self.masters.append(master)
        self._told.set()

    async def until_told_by(self, server: RedisServer) -> Server:
        """Publish until it is heard: the subscription may not be there yet."""
        self._told.clear()
        while not self._told.is_set():
            await asyncio.to_thread(server.command, "PUBLISH", "+switch-master", "orders a 1 b 2")
            await asyncio.wait([asyncio.ensure_future(self._told.wait())], timeout=0.05)
        return self.masters[-1]


async def ended(watch: Watch) -> None:
    await asyncio.wait(watch.end())


async def test_a_new_master_is_told(own: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SHORTEST_DELAY", 0.01)
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{own.port}/0/orders"  # one of them is away
    told = Switches()
    watch = Watch(parse(url), None, told)
    assert await told.until_told_by(own) == Server("b", 2)
    await asyncio.to_thread(own.restart)
    assert await told.until_told_by(own) == Server("b", 2)
    await ended(watch)
    assert await asyncio.to_thread(own.clients, "pubsub") == []


async def test_ended_while_it_connects() -> None:
    with answering(b"") as port:
        watch = Watch(parse(f"redis+sentinel://127.0.0.1:{port}"), None, Switches())
        await asyncio.sleep(0)
        await ended(watch)
