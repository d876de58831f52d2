"""One connection: when it is over, and what keeps it alive. The server is played."""

from __future__ import annotations

import asyncio
import time  # time: blocks the loop, as a handler may
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pamqp.commands import Basic
from pamqp.commands import Connection as Methods

from roomcast_brokers.backends.aiopika import connection
from roomcast_brokers.backends.aiopika.connection import Connection
from roomcast_brokers.backends.aiopika.location import parse
from roomcast_brokers.backends.aiopika.session import Session
from roomcast_brokers.backends.aiopika.subscriptions import Subscriptions
from roomcast_brokers.backends.aiopika.topology import Topology
from roomcast_brokers.errors import BrokerUnreachableError
from tests.brokers.backends.aiopika.played_server import PlayedServer
from tests.support.patience import PATIENCE
from tests.support.stubborn_servers import answering

SHORT = 0.05
SILENT = 0.4


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOOK", SHORT)
    monkeypatch.setattr(connection, "SILENCE", SILENT)


class One:
    """A connection, and what its session and itself have told."""

    def __init__(self, options: str = "", timeout: float = PATIENCE) -> None:
        self.is_ready = asyncio.Event()
        self.is_halted = asyncio.Event()
        self.broken: asyncio.Future[BrokerUnreachableError] = asyncio.get_running_loop().create_future()
        self.accepted_count = 0
        self.something = asyncio.Event()
        location = parse(f"amqp://h?{options}")
        session = Session(location, Subscriptions(), Topology(location), self)
        self.connection = Connection(session, timeout, self.broken.set_result)

    def delivered(self, channel: str, payload: bytes) -> None:
        """Nothing was subscribed."""

    def confirmed(self, channel: str, generation: int) -> None:
        """Nothing was subscribed."""

    def accepted(self, count: int) -> None:
        self.accepted_count += count
        self.something.set()

    def ready(self) -> None:
        self.is_ready.set()

    def halted(self, cause: BrokerUnreachableError) -> None:
        self.is_halted.set()

    async def connect(self, port: int) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self.connection, "127.0.0.1", port)

    async def breaks(self) -> str:
        """Why, once it does."""
        async with asyncio.timeout(PATIENCE):
            return str(await self.broken)


@asynccontextmanager
async def connected(server: PlayedServer, options: str = "") -> AsyncIterator[One]:
    one = One(options)
    await one.connect(server.port)
    async with asyncio.timeout(PATIENCE):
        await one.is_ready.wait()
    try:
        yield one
    finally:
        one.connection.abandon()
        await one.connection.gone


async def heard(server: PlayedServer, name: str, count: int = 1) -> None:
    async with asyncio.timeout(PATIENCE):
        while server.heard.count(name) < count:
            server.something.clear()
            await server.something.wait()


def stall() -> None:
    time.sleep(2 * SILENT)


async def test_a_turn_is_one_write_and_one_request() -> None:
    async with PlayedServer() as server, connected(server) as one:
        fences = server.heard.count("Channel.Flow")
        for number in range(5):
            one.connection.publish("a", b"%d" % number)
        one.connection.write_soon()  # as it is already
        await heard(server, "Channel.Flow", fences + 1)
        assert server.heard.count("Basic.Publish") == 5
        one.connection.publish_batch([("a", b"5"), ("a", b"6")])
        async with asyncio.timeout(PATIENCE):
            while one.accepted_count < 7:
                one.something.clear()
                await one.something.wait()


async def test_a_server_that_is_quiet_is_asked_and_stays() -> None:
    async with PlayedServer() as server, connected(server) as one:
        before = server.heard.count("Channel.Flow")
        await heard(server, "Channel.Flow", before + 2 + int(SILENT / SHORT))
        assert not one.broken.done()


async def test_a_server_that_talks_and_is_not_talked_to_hears_that_we_live() -> None:
    async with PlayedServer() as server, connected(server):
        while not server.heard.count("Heartbeat"):
            server.say(Basic.Ack(1))
            await asyncio.sleep(SHORT / 5)


async def test_a_server_that_falls_silent_is_given_up() -> None:
    async with PlayedServer() as server, connected(server) as one:
        server.mute = True
        assert "stopped to answer" in await one.breaks()
        await one.connection.gone


async def test_a_server_that_never_says_anything_has_the_time_to_connect() -> None:
    async with PlayedServer() as server:
        server.mute = True
        one = One(timeout=3 * SHORT)
        await one.connect(server.port)
        assert "stopped to answer" in await one.breaks()


async def test_a_stall_of_our_own_is_not_the_servers() -> None:
    async with PlayedServer() as server, connected(server) as one:
        before = server.heard.count("Channel.Flow")
        stall()
        await heard(server, "Channel.Flow", before + 2)
        assert not one.broken.done()


async def test_a_server_that_takes_nothing_is_not_asked_but_has_to_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BLOCKED_HEARTBEATS", 4 * SILENT)
    async with PlayedServer() as server, connected(server, "heartbeat=1") as one:
        server.say(Methods.Blocked("low on memory"), 0)
        await one.is_halted.wait()
        asked = len(server.heard)
        why = await one.breaks()
        assert "stopped to answer" in why
        assert len(server.heard) <= asked + 1  # one may have been on its way


async def test_without_heartbeats_one_that_takes_nothing_is_waited_for() -> None:
    async with PlayedServer() as server, connected(server, "heartbeat=0") as one:
        server.say(Methods.Blocked(""), 0)
        await one.is_halted.wait()
        await asyncio.sleep(2 * SILENT)
        assert not one.broken.done()
        one.is_ready.clear()
        server.say(Methods.Unblocked(), 0)
        await one.is_ready.wait()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "closed the connection before it had let us in"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak AMQP 0-9-1"),
        (b"AMQP\x00\x00\x09\x01", "does not speak AMQP 0-9-1"),
    ],
)
async def test_what_is_no_rabbitmq(said: bytes, why: str) -> None:
    with answering(said, close=True) as port:
        one = One()
        await one.connect(port)
        assert why in await one.breaks()
        await one.connection.gone


async def test_what_is_wanted_is_written_at_the_end_of_the_turn() -> None:
    async with PlayedServer() as server, connected(server) as one:
        one.connection.session.ask()
        before = server.heard.count("Channel.Flow")
        one.connection.write_soon()
        await heard(server, "Channel.Flow", before + 1)


async def test_a_connection_that_breaks_says_how() -> None:
    one = One()
    fault = ConnectionResetError("reset by peer")
    one.connection.connection_lost(fault)
    assert "the connection broke: reset by peer" in await one.breaks()
    assert one.broken.result().__cause__ is fault


async def test_a_server_that_goes() -> None:
    server = PlayedServer()
    async with server:
        one = One()
        await one.connect(server.port)
        await one.is_ready.wait()
    assert "the connection broke" in await one.breaks() or "closed the connection" in await one.breaks()


async def test_what_is_abandoned_while_it_is_being_made_ends_at_once() -> None:
    async with PlayedServer() as server:
        one = One()
        assert not one.connection.made
        one.connection.abandon()
        await one.connect(server.port)
        await one.connection.gone
        one.connection.write()
        assert not one.broken.done()


async def test_the_end_is_said_and_awaited() -> None:
    async with PlayedServer() as server, connected(server) as one:
        one.connection.publish("a", b"last")
        one.connection.end()
        await one.connection.gone
        assert server.heard[-1] == "Connection.Close"
        assert "Basic.Publish" in server.heard
        assert not one.broken.done()
