"""F01, F07, F08 over kombu, on RabbitMQ and on Redis: it restarts, cuts everybody off, loses a queue or the exchange,
takes no messages; nodes die by the hundred.

Nobody stays deaf, what is lost is confessed, exactly, and dead nodes leave nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time  # time: measures how long it takes until nothing is left behind
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.support.fault_cluster import FaultCluster
from tests.support.fault_member import eventually
from tests.support.fault_results import Results
from tests.support.fault_traffic import BACK, TALKS, cluster_on, settled, summary, traffic
from tests.support.rabbitmq_server import RabbitServer, shared_server
from tests.support.services import RedisServer

FULL = 20
DEATHS = 100
AWAY = 3.0
"""Seconds for which the server is away at most, beside those that it takes to start."""
ALARM, LONG_ALARM = 2.0, 20.0
"""Seconds without memory: less than a node's messages wait, and more."""
LEFT = 60.0
"""Seconds after which nothing of dead nodes may be left on the server."""

always = pytest.mark.timeout(180)
long = [pytest.mark.long, pytest.mark.timeout(180)]
faults = [pytest.mark.faults, pytest.mark.timeout(0)]
"""By hand, with the results recorded."""


@pytest.fixture(scope="module")
def rabbit() -> RabbitServer:
    return shared_server()


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


Standing = Callable[[RabbitServer | RedisServer], FaultCluster]


@pytest.fixture(scope="module")
def standing() -> Iterator[Standing]:
    """Three nodes on a server, for all tests that leave them alive."""
    with contextlib.ExitStack() as stack:

        @cache
        def start(server: RabbitServer | RedisServer) -> FaultCluster:
            server.start()
            cluster = cluster_on(f"kombu+{server.url}")
            stack.callback(cluster.close)
            cluster.start(redis=False)
            return cluster

        yield start


# --- F01, F07 ---------------------------------------------------------------------------------------------------------


async def restart_rabbit(rabbit: RabbitServer, number: int, down: float) -> None:
    """With its Erlang alive, by kill -9, and in good order, one after another."""
    await asyncio.to_thread((rabbit.stop_app, rabbit.kill, rabbit.stop)[number % 3])
    await asyncio.sleep(down)
    await asyncio.to_thread(rabbit.start)


async def restart_redis(redis: RedisServer, number: int, down: float) -> None:
    await asyncio.to_thread((redis.kill, redis.stop)[number % 2])
    await asyncio.sleep(down)
    await asyncio.to_thread(redis.start)


@pytest.mark.parametrize("restarts", [pytest.param(1, marks=always), pytest.param(FULL, marks=faults)])
@pytest.mark.parametrize("scheme", ["amqp", "redis"])
async def test_restarts(
    rabbit: RabbitServer, redis: RedisServer, standing: Standing, scheme: str, restarts: int, results: Results
) -> None:
    chance = random.Random(restarts)
    server = rabbit if scheme == "amqp" else redis
    async with traffic(await asyncio.to_thread(standing, server), server.start) as referee:
        for number in range(restarts):
            down = AWAY * chance.random() if restarts == FULL else 0.0
            if scheme == "amqp":
                await restart_rabbit(rabbit, number, down)
            else:
                await restart_redis(redis, number, down)
            await referee.everybody_hears(BACK)
        found = summary(referee, await settled(referee))
    if restarts == FULL:
        name = "RabbitMQ" if scheme == "amqp" else "Redis"
        results.add("F07", f"{FULL} restarts of {name} under traffic, 3 nodes, by kombu", found)


@pytest.mark.parametrize("cuts", [pytest.param(2, marks=long), pytest.param(FULL, marks=faults)])
@pytest.mark.parametrize("scheme", ["amqp", "redis"])
async def test_all_connections_are_closed(
    rabbit: RabbitServer, redis: RedisServer, standing: Standing, scheme: str, cuts: int, results: Results
) -> None:
    server = rabbit if scheme == "amqp" else redis
    cut = rabbit.close_all_connections if scheme == "amqp" else redis.client_kill_all
    async with traffic(await asyncio.to_thread(standing, server), server.start) as referee:
        for _ in range(cuts):
            await asyncio.to_thread(cut)
            await referee.everybody_hears(BACK)
        found = summary(referee, await settled(referee))
    if cuts == FULL:
        what = "close_all_connections" if scheme == "amqp" else "CLIENT KILL of all connections"
        results.add("F07", f"{what} {FULL} times under traffic, 3 nodes, by kombu", found)


@pytest.mark.parametrize("times", [pytest.param(1, marks=long), pytest.param(FULL, marks=faults)])
async def test_queues_are_deleted(rabbit: RabbitServer, standing: Standing, times: int, results: Results) -> None:
    """Behind the nodes' backs, all of them; what was in them is gone."""
    async with traffic(await asyncio.to_thread(standing, rabbit), rabbit.start) as referee:
        for _ in range(times):
            for queue in await asyncio.to_thread(rabbit.queues):
                await asyncio.to_thread(rabbit.delete_queue, str(queue["name"]))
            await referee.everybody_hears(BACK)
        found = summary(referee, await settled(referee))
    if times == FULL:
        results.add("F07", f"all queues deleted {FULL} times under traffic, 3 nodes, by kombu", found)


@pytest.mark.parametrize("times", [pytest.param(1, marks=long), pytest.param(FULL, marks=faults)])
async def test_the_exchange_is_deleted(rabbit: RabbitServer, standing: Standing, times: int, results: Results) -> None:
    """Whoever publishes next is told; whoever finds it made again by another one hears nothing, not even itself."""
    async with traffic(await asyncio.to_thread(standing, rabbit), rabbit.start) as referee:
        for _ in range(times):
            await asyncio.to_thread(rabbit.delete_exchange, "roomcast")
            await asyncio.sleep(TALKS)
            await referee.everybody_hears(BACK)
        found = summary(referee, await settled(referee))
    if times == FULL:
        results.add("F07", f"the exchange deleted {FULL} times under traffic, 3 nodes, by kombu", found)


@pytest.mark.parametrize("seconds", [pytest.param(ALARM, marks=long), pytest.param(LONG_ALARM, marks=faults)])
async def test_memory_is_low(rabbit: RabbitServer, standing: Standing, seconds: float, results: Results) -> None:
    """Nobody can publish: nodes say that they are degraded, and serve. Then everything goes on, in order."""
    async with traffic(await asyncio.to_thread(standing, rabbit), rabbit.start) as referee:
        await asyncio.to_thread(rabbit.raise_memory_alarm)
        try:

            async def degraded() -> bool:
                return all([(await node.readiness()).status == "degraded" for node in referee.nodes])

            await eventually(degraded, "nodes that cannot publish do not say that they are degraded")
            assert all([(await node.readiness()).code == 200 for node in referee.nodes])
            await asyncio.sleep(seconds)
        finally:
            await asyncio.to_thread(rabbit.end_memory_alarm)
        found = summary(referee, await settled(referee))
    if seconds == LONG_ALARM:
        results.add("F07", f"{LONG_ALARM:g} s of memory alarm under traffic, 3 nodes, by kombu", found)


# --- F08 --------------------------------------------------------------------------------------------------------------


def left_on_rabbit(rabbit: RabbitServer) -> list[object]:
    """Queues, consumers and bindings."""
    return [*rabbit.queues(), *rabbit.consumers(), *rabbit.bindings()]


def left_on_redis(redis: RedisServer) -> list[object]:
    """Keys, and topics that somebody hears."""
    return [*redis.command("KEYS", "*"), *redis.command("PUBSUB", "CHANNELS")]


@pytest.mark.parametrize("deaths", [pytest.param(1, marks=long), pytest.param(DEATHS, marks=faults)])
@pytest.mark.parametrize("scheme", ["amqp", "redis"])
async def test_dead_nodes_leave_nothing_behind(scheme: str, deaths: int, results: Results) -> None:
    """All nodes are killed, again and again, each time in another moment of their life."""
    chance = random.Random(deaths)
    server = RabbitServer() if scheme == "amqp" else RedisServer()
    with server:
        look = (lambda: left_on_rabbit(server)) if isinstance(server, RabbitServer) else (lambda: left_on_redis(server))
        cluster = cluster_on(f"kombu+{server.url}")
        async with cluster.running(redis=False):
            for number in range(deaths):
                if number:
                    await asyncio.to_thread(cluster.start, redis=False)
                await asyncio.sleep(chance.random())
                if number == deaths - 1:
                    assert await asyncio.to_thread(look)
                for node in cluster.nodes:
                    node.kill()
                for node in cluster.nodes:
                    await asyncio.to_thread(node.close)
            killed = time.monotonic()

            async def nothing() -> bool:
                return not await asyncio.to_thread(look)

            await eventually(nothing, "dead nodes have left something behind", LEFT)
            took = time.monotonic() - killed
    if deaths == DEATHS:
        what = "queue, consumer or binding" if scheme == "amqp" else "key or topic"
        name = "RabbitMQ" if scheme == "amqp" else "Redis"
        found = f"no {what} left {took:.1f} s after the last"
        results.add("F08", f"all 3 nodes killed {DEATHS} times, {name} by kombu", found)
