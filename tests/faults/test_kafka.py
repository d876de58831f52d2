"""F10: Kafka goes and comes back, stands still, loses the topic, gets more partitions: no node stays deaf, and nothing
is lost or comes twice but what was in a topic that somebody deleted; that is confessed.

Nodes keep what they publish for two minutes here, and Kafka keeps what they have not read: so a break costs time alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from roomcast_brokers.backends.kafka.session import SETTLING
from tests.support.cluster_nodes import new_cluster
from tests.support.fault_cluster import FaultCluster, FaultNode
from tests.support.fault_results import Results
from tests.support.fault_traffic import BACK, TALKS, nothing_lost, settled
from tests.support.kafka_server import KafkaServer
from tests.support.referee import Loss, Referee

FULL = 20
AWAY = 3.0
"""Seconds for which Kafka is away at most, beside the three that it takes to start."""
FROZEN = 10.0
OFTEN = 5
"""How often the rest happens in the full run."""
TIMES = [pytest.param(1, marks=pytest.mark.long), pytest.param(OFTEN, marks=pytest.mark.faults)]
PARTITIONS = 4
MORE = 2
"""Partitions of an increase: of 256 shards two thirds are elsewhere after the first."""

ROOMS = ("one", "two", "three", "four", "five", None)
"""Of the members: in several partitions, before and after an increase."""


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaServer]:
    with KafkaServer() as server:
        yield server


@asynccontextmanager
async def played(kafka: KafkaServer, topic: str = "", query: str = "") -> AsyncIterator[tuple[Referee, str]]:
    """Three nodes, members in their rooms, traffic between them, and the name of their topic."""
    await asyncio.to_thread(kafka.start)
    name = topic or new_cluster()
    environment = {"ROOMCAST_BROKER": f"{kafka.url}?partitions={PARTITIONS}{query}"}
    cluster = FaultCluster(nodes=3, proxied=False, name=name, environment=environment)
    async with cluster.running(redis=False), Referee(cluster.nodes, ROOMS) as referee:
        referee.patience = BACK
        await referee.everybody_hears(BACK)
        referee.talk()
        await asyncio.sleep(TALKS)
        yield referee, name


def check_nothing_lost(losses: dict[FaultNode, Loss]) -> None:
    assert nothing_lost(losses), losses


@pytest.mark.parametrize("restarts", [1, pytest.param(FULL, marks=pytest.mark.faults)])
async def test_restarts(kafka: KafkaServer, restarts: int, results: Results) -> None:
    chance = random.Random(restarts)
    async with played(kafka) as (referee, _):
        for number in range(restarts):
            await asyncio.to_thread(kafka.kill if number % 2 else kafka.stop)
            await asyncio.sleep(AWAY * chance.random() if restarts > 1 else 0.0)
            await asyncio.to_thread(kafka.start)
            await referee.everybody_hears(BACK)
        losses = await settled(referee)
        check_nothing_lost(losses)
        sent = referee.sent.total()
    if restarts == FULL:
        found = f"none deaf; {sent} messages, none missed, none twice"
        results.add("F10", f"{FULL} restarts of Kafka under traffic, 3 nodes", found)


@pytest.mark.parametrize("times", TIMES)
async def test_it_stands_still(kafka: KafkaServer, times: int, results: Results) -> None:
    async with played(kafka) as (referee, _):
        for _ in range(times):
            kafka.suspend()
            await asyncio.sleep(FROZEN)
            kafka.resume()
            await referee.everybody_hears(BACK)
        losses = await settled(referee)
        check_nothing_lost(losses)
        sent = referee.sent.total()
    if times == OFTEN:
        done = f"{OFTEN} times Kafka frozen for {FROZEN:g} s under traffic, 3 nodes"
        results.add("F10", done, f"{sent} messages, none missed, none twice")


@pytest.mark.parametrize("times", TIMES)
async def test_the_topic_gets_more_partitions(kafka: KafkaServer, times: int, results: Results) -> None:
    async with played(kafka) as (referee, topic):
        for number in range(times):
            await asyncio.to_thread(kafka.add_partitions, topic, PARTITIONS + MORE * (number + 1))
            await asyncio.sleep(SETTLING + TALKS)
            await referee.everybody_hears(BACK)
        losses = await settled(referee)
        check_nothing_lost(losses)
        sent = referee.sent.total()
    if times == OFTEN:
        done = f"{OFTEN} times a topic of {PARTITIONS} partitions gets {MORE} more under traffic, 3 nodes"
        results.add("F10", done, f"{sent} messages, none missed, none twice")


@pytest.mark.parametrize("maker", ["who deleted it", "the nodes"])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("times", TIMES)
async def test_the_topic_is_deleted(kafka: KafkaServer, maker: str, frozen: bool, times: int, results: Results) -> None:
    """And made again, while one node stands still or all go on: what that one has not read is gone."""
    await asyncio.to_thread(kafka.start)
    topic, query = new_cluster(), ""
    if maker == "who deleted it":
        query = "&create=false"
        await asyncio.to_thread(kafka.create_topic, topic, PARTITIONS)
    missing = 0
    async with played(kafka, topic, query) as (referee, _):
        still = referee.nodes[0]
        for number in range(times):
            if number:
                referee.talk()
                await referee.everybody_hears(BACK)
            if frozen:
                still.freeze()
                await asyncio.sleep(TALKS)
            await asyncio.to_thread(kafka.delete_topic, topic)
            if maker == "who deleted it":
                await asyncio.to_thread(kafka.create_topic, topic, PARTITIONS)
            if frozen:
                await asyncio.sleep(TALKS)
                still.thaw()
            losses = await settled(referee)
            before, missing = missing, sum(loss.missing for loss in losses.values())
            assert missing > before or not frozen, losses
        sent = referee.sent.total()
    if times == OFTEN:
        who = "2 nodes and a frozen one" if frozen else "3 nodes"
        done = f"{OFTEN} times the topic deleted under traffic and made again by {maker}, {who}"
        results.add("F10", done, f"{sent} messages, {missing} missed, all reported")
