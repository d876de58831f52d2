"""F07, F08, F09, F13 over RabbitMQ: it restarts, cuts everybody off, loses a queue or the exchange, takes no messages,
delivers again; nodes die by the hundred; two nodes have one name.

In the fast mode what is lost is confessed, exactly. In the durable mode nothing is lost and nothing comes twice, but
for what was in a queue that somebody deleted; that is confessed. Both hold for every break, so each test has both.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time  # time: measures how long it takes until nothing is left behind
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.support.cluster_nodes import new_cluster
from tests.support.fault_cluster import FaultCluster
from tests.support.fault_member import eventually
from tests.support.fault_results import Results
from tests.support.fault_traffic import BACK, TALKS, cluster_on, nothing_lost, settled, summary, traffic
from tests.support.rabbitmq_server import RabbitServer
from tests.support.referee import Referee

FULL = 20
DEATHS = 100
AWAY = 3.0
"""Seconds for which RabbitMQ is away at most, beside those that it takes to start."""
ALARM, LONG_ALARM = 2.0, 20.0
"""Seconds without memory: less than a node's messages wait in the fast mode, and more."""
LEFT = 60.0
"""Seconds after which nothing of dead nodes may be left on the server."""
SOME, MANY = 3.0, 60.0
"""Seconds in which nodes have things delivered again."""
RETENTION = 10
"""Seconds for which the queue of a dead node is kept in the durable mode, in the test that waits for its end."""

DURABLE = {"fast": "", "durable": "durable=true"}

fast_first = pytest.mark.parametrize("mode", ["fast", pytest.param("durable", marks=pytest.mark.long)])
"""In short runs the fast mode alone."""
both_long = pytest.mark.parametrize("mode", [pytest.param(mode, marks=pytest.mark.long) for mode in DURABLE])


@pytest.fixture(scope="module")
def rabbit() -> Iterator[RabbitServer]:
    with RabbitServer() as server:
        yield server


Standing = Callable[[str], FaultCluster]


@pytest.fixture(scope="module")
def standing(rabbit: RabbitServer) -> Iterator[Standing]:
    """Three nodes of a mode, for all tests that leave them alive."""
    with contextlib.ExitStack() as stack:

        @cache
        def start(mode: str) -> FaultCluster:
            cluster = cluster_on(address(rabbit, DURABLE[mode]))
            stack.callback(cluster.close)
            cluster.start(redis=False)
            return cluster

        yield start


def address(rabbit: RabbitServer, query: str) -> str:
    return f"{rabbit.url}?{query}"


async def queues(rabbit: RabbitServer) -> list[str]:
    return [str(queue["name"]) for queue in await asyncio.to_thread(rabbit.queues)]


# --- F07 --------------------------------------------------------------------------------------------------------------


async def restart(rabbit: RabbitServer, number: int, down: float) -> None:
    """With its Erlang alive, by kill -9, and in good order, one after another."""
    end = (rabbit.stop_app, rabbit.kill, rabbit.stop)[number % 3]
    await asyncio.to_thread(end)
    await asyncio.sleep(down)
    await asyncio.to_thread(rabbit.start)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("restarts", [1, pytest.param(FULL, marks=pytest.mark.faults)])
@fast_first
async def test_restarts(rabbit: RabbitServer, standing: Standing, mode: str, restarts: int, results: Results) -> None:
    chance = random.Random(restarts)
    async with traffic(await asyncio.to_thread(standing, mode), rabbit.start) as referee:
        for number in range(restarts):
            await restart(rabbit, number, AWAY * chance.random() if restarts == FULL else 0.0)
            await referee.everybody_hears(BACK)
        losses = await settled(referee)
        assert mode == "fast" or nothing_lost(losses), losses
        found = summary(referee, losses)
    if restarts == FULL:
        results.add("F07", f"{FULL} restarts of RabbitMQ under traffic, 3 nodes, {mode}", found)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("cuts", [2, pytest.param(FULL, marks=pytest.mark.faults)])
@fast_first
async def test_all_connections_are_closed(
    rabbit: RabbitServer, standing: Standing, mode: str, cuts: int, results: Results
) -> None:
    async with traffic(await asyncio.to_thread(standing, mode), rabbit.start) as referee:
        for _ in range(cuts):
            await asyncio.to_thread(rabbit.close_all_connections)
            await referee.everybody_hears(BACK)
        losses = await settled(referee)
        assert mode == "fast" or nothing_lost(losses), losses
        found = summary(referee, losses)
    if cuts == FULL:
        results.add("F07", f"close_all_connections {FULL} times under traffic, 3 nodes, {mode}", found)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("times", [1, pytest.param(FULL, marks=pytest.mark.faults)])
@fast_first
async def test_queues_are_deleted(
    rabbit: RabbitServer, standing: Standing, mode: str, times: int, results: Results
) -> None:
    """Behind the nodes' backs, all of them; what was in them is gone."""
    async with traffic(await asyncio.to_thread(standing, mode), rabbit.start) as referee:
        for _ in range(times):
            for name in await queues(rabbit):
                await asyncio.to_thread(rabbit.delete_queue, name)
            await referee.everybody_hears(BACK)
        losses = await settled(referee)
        found = summary(referee, losses)
    if times == FULL:
        results.add("F07", f"all queues deleted {FULL} times under traffic, 3 nodes, {mode}", found)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("times", [1, pytest.param(FULL, marks=pytest.mark.faults)])
@both_long
async def test_the_exchange_is_deleted(
    rabbit: RabbitServer, standing: Standing, mode: str, times: int, results: Results
) -> None:
    """Whoever publishes next is told; whoever finds it made again by another one hears nothing, not even itself."""
    exchange = "roomcast.durable" if mode == "durable" else "roomcast"
    async with traffic(await asyncio.to_thread(standing, mode), rabbit.start) as referee:
        for _ in range(times):
            await asyncio.to_thread(rabbit.delete_exchange, exchange)
            await asyncio.sleep(TALKS)
            await referee.everybody_hears(BACK)
        losses = await settled(referee)
        found = summary(referee, losses)
    if times == FULL:
        results.add("F07", f"the exchange deleted {FULL} times under traffic, 3 nodes, {mode}", found)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seconds", [ALARM, pytest.param(LONG_ALARM, marks=pytest.mark.faults)])
@fast_first
async def test_memory_is_low(
    rabbit: RabbitServer, standing: Standing, mode: str, seconds: float, results: Results
) -> None:
    """Nobody can publish: nodes say that they are degraded, and serve. Then everything goes on, in order."""
    async with traffic(await asyncio.to_thread(standing, mode), rabbit.start) as referee:
        await asyncio.to_thread(rabbit.raise_memory_alarm)
        try:

            async def degraded() -> bool:
                return all([(await node.readiness()).status == "degraded" for node in referee.nodes])

            await eventually(degraded, "nodes that cannot publish do not say that they are degraded")
            assert all([(await node.readiness()).code == 200 for node in referee.nodes])
            await asyncio.sleep(seconds)
        finally:
            await asyncio.to_thread(rabbit.end_memory_alarm)
        losses = await settled(referee)
        assert mode == "fast" or nothing_lost(losses), losses
        found = summary(referee, losses)
    if seconds == LONG_ALARM:
        results.add("F07", f"{LONG_ALARM:g} s of memory alarm under traffic, 3 nodes, {mode}", found)


# --- F08 --------------------------------------------------------------------------------------------------------------


async def left_behind(rabbit: RabbitServer, exchange: str) -> list[object]:
    """Queues, consumers and bindings of that exchange."""
    consumers = [str(each["queue_name"]) for each in await asyncio.to_thread(rabbit.consumers)]
    bindings = await asyncio.to_thread(rabbit.bindings)
    names = [*await queues(rabbit), *consumers]
    return [name for name in names if name.startswith(exchange)] + [each for each in bindings if exchange in each[0]]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("deaths", [1, pytest.param(DEATHS, marks=pytest.mark.faults)])
@fast_first
async def test_dead_nodes_leave_nothing_behind(rabbit: RabbitServer, mode: str, deaths: int, results: Results) -> None:
    """All nodes are killed, again and again, each time in another moment of their life."""
    await asyncio.to_thread(rabbit.start)
    chance = random.Random(deaths)
    exchange = new_cluster()
    query = f"{DURABLE[mode]}&retention={RETENTION}" if mode == "durable" else ""
    cluster = cluster_on(address(rabbit, f"exchange={exchange}&{query}"))
    async with cluster.running(redis=False):
        for number in range(deaths):
            if number:
                await asyncio.to_thread(cluster.start, redis=False)
            await asyncio.sleep(chance.random())
            if number == deaths - 1:
                assert await left_behind(rabbit, exchange)
            for node in cluster.nodes:
                node.kill()
            for node in cluster.nodes:
                await asyncio.to_thread(node.close)
        killed = time.monotonic()

        async def nothing() -> bool:
            return not await left_behind(rabbit, exchange)

        await eventually(nothing, "dead nodes have left something behind", LEFT)
        took = time.monotonic() - killed
    if deaths == DEATHS:
        found = f"no queue, consumer or binding left {took:.1f} s after the last"
        found += f", with a retention of {RETENTION} s" if mode == "durable" else ""
        results.add("F08", f"all 3 nodes killed {DEATHS} times, {mode}", found)


# --- F09 --------------------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_two_nodes_with_one_id(rabbit: RabbitServer, results: Results) -> None:
    """The id was copied: they would share one queue, and each get half. The second is refused, and says why."""
    await asyncio.to_thread(rabbit.start)
    cluster = cluster_on(address(rabbit, "durable=true&node=copied"), nodes=2)
    async with cluster.running(redis=False):

        async def states() -> list[str]:
            return [(await node.readiness()).status for node in cluster.nodes]

        async def one_refused() -> bool:
            return sorted(await states()) == ["degraded", "ready"]

        await eventually(one_refused, "not exactly one of two nodes with one id was refused")
        serving, refused = sorted(cluster.nodes, key=lambda node: "another process has the same node id" in node.log())
        assert (await refused.readiness()).status == "degraded"
        assert "another process has the same node id" in refused.log()
        async with Referee([serving]) as referee:
            await referee.everybody_hears()
            await referee.settled()
        await asyncio.to_thread(serving.kill)

        async def takes_over() -> bool:
            return (await refused.readiness()).status == "ready"

        await eventually(takes_over, "the other node was not let in when the id was free")
    results.add("F09", "two nodes with one id, durable", "the second refused, visibly; let in when the first had gone")


# --- F13 --------------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seconds", [SOME, pytest.param(MANY, marks=pytest.mark.faults)])
async def test_what_is_delivered_again_is_not_heard_again(
    rabbit: RabbitServer, seconds: float, results: Results
) -> None:
    """Nodes reject what they have dealt with, every third time, and have it put back into their queue."""
    await asyncio.to_thread(rabbit.start)
    cluster = cluster_on(address(rabbit, DURABLE["durable"]), environment={"FAULTS_REQUEUE": "3"})
    async with cluster.running(redis=False), traffic(cluster, rabbit.start) as referee:
        await asyncio.sleep(seconds)
        losses = await settled(referee)
        assert nothing_lost(losses), losses
        repeats = [(await node.metrics())["messages_duplicate_total"] for node in referee.nodes]
        assert all(repeats), repeats
        sent = referee.sent.total()
    if seconds == MANY:
        found = f"{sent} messages, {repeats} repeats dropped, none delivered"
        results.add("F13", "RabbitMQ delivers again what was rejected with requeue, 3 nodes, durable", found)
