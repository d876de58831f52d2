"""F01: Redis goes and comes back, again and again, under traffic: no node stays deaf, and what is lost is confessed.

Times are judged in the full run: within a second of Redis accepting connections each node has subscribed everything
again, 99 times of 100 (I9).
"""

from __future__ import annotations

import asyncio
import random
import time  # time: measures how long nodes take to come back
from typing import Any

import pytest

from tests.support.fault_cluster import FaultCluster
from tests.support.fault_results import Results, percentile
from tests.support.referee import Referee
from tests.support.services import RedisServer

FULL = 100
WITHIN = 1.0
DOWN = (0.3, 0.0, 1.0, 3.0)
"""Seconds for which Redis is away at most, one after another."""
ENDS = ("kill", "stop")
FROZEN = 5.0
"""Seconds for which Redis is frozen instead, every tenth time: long enough for nodes to find that they are deaf."""
TENTH = 10
BACK = "the broker is there"


async def restart(redis: RedisServer, end: str, down: float) -> float:
    """End Redis, and start it after ``down`` seconds. Returns when it refused a connection for the last time."""
    await asyncio.to_thread(getattr(redis, end))
    await asyncio.sleep(down)
    starting = asyncio.create_task(asyncio.to_thread(redis.start))
    refused = time.monotonic()
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", redis.port)
        except OSError:
            refused = time.monotonic()
            continue
        writer.close()
        await starting
        return refused


async def freeze(redis: RedisServer) -> None:
    redis.suspend()
    await asyncio.sleep(FROZEN)
    redis.resume()


async def returned(referee: Referee, since: float) -> list[float]:
    """Seconds after ``since`` at which each node had everything subscribed."""
    found = []
    for member in referee.members.values():
        journal: list[list[Any]] = (await member.look())["journal"]
        back = [at for at, _, text in journal if text.startswith(BACK)]
        assert len(back) > 1, journal
        found.append(back[-1] - since)
    return found


@pytest.mark.parametrize("restarts", [3, pytest.param(FULL, marks=pytest.mark.faults)])
async def test_every_node_is_back_after_each_restart(restarts: int, results: Results) -> None:
    chance = random.Random(restarts)
    took: list[float] = []
    lost = []
    async with FaultCluster(nodes=3, proxied=False).running() as cluster, Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        for number in range(restarts):
            referee.talk(asks=True)
            if number % TENTH == TENTH - 1:
                await freeze(cluster.redis)
                await referee.everybody_hears()
            else:
                down = DOWN[number % len(DOWN)] * chance.random()
                since = await restart(cluster.redis, ENDS[number % len(ENDS)], down)
                await referee.everybody_hears()
                took += await returned(referee, since)
            losses = await referee.settled()
            lost.append(sum(loss.missing for loss in losses.values()))
        sent, ends = referee.sent.total(), dict(referee.ends)
    if restarts == FULL:
        half, most, longest = (percentile(took, share) for share in (0.5, 0.99, 1.0))
        found = f"subscribed again {half * 1_000:.0f} ms after Redis accepted (p50), {most * 1_000:.0f} ms (p99), "
        found += f"{longest * 1_000:.0f} ms (longest); none deaf; {sent} messages, {lost[-1]} missed, all reported; "
        found += f"calls ended {ends}"
        results.add("F01", f"{FULL} restarts of Redis under traffic, 3 nodes", found)
        assert most <= WITHIN, sorted(took)[-TENTH:]
