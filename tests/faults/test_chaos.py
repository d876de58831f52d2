"""Everything at once: rounds of random faults on nodes, connections and Redis, two at a time, under traffic.

After each round all is mended, the referee compares what is missing with what was confessed, and killed nodes are
started anew. The seed is in the name of each test; ``ROOMCAST_FAULTS_SEEDS=40-59`` plays others than usual.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable

import pytest

from tests.support.fault_cluster import PUBLISHES, SUBSCRIBES, FaultCluster, FaultNode
from tests.support.fault_results import Results
from tests.support.referee import Referee
from tests.support.services import RedisServer
from tests.support.tcp_proxy import TcpProxy, Way

FIRST, LAST = map(int, os.environ.get("ROOMCAST_FAULTS_SEEDS", "1-3").split("-"))
ROUNDS = 12
LONGEST = 4.5
"""Seconds that a round takes at most: what waits for Redis is kept for 5."""

PLAYED: Counter[str] = Counter()
"""What all seeds of this run come to."""

Chance = random.Random
ON_PROXIES: list[Callable[[TcpProxy, Chance], None]] = [
    lambda proxy, chance: proxy.cut(chance.choice([None, PUBLISHES, SUBSCRIBES])),
    lambda proxy, chance: proxy.refuse(),
    lambda proxy, chance: proxy.swallow(marker=chance.choice([None, PUBLISHES, SUBSCRIBES])),
    lambda proxy, chance: proxy.swallow(frozenset({chance.choice(list(Way))})),
    lambda proxy, chance: proxy.forget(frozenset({chance.choice(list(Way))})),
    lambda proxy, chance: proxy.hold(frozenset({chance.choice(list(Way))})),
    lambda proxy, chance: proxy.slow(delay=chance.random() / 10),
    lambda proxy, chance: proxy.slow(bytes_per_second=chance.randrange(5_000, 100_000)),
    lambda proxy, chance: proxy.reset_after(PUBLISHES, chance.randrange(1, 10)),
]
ON_REDIS: list[Callable[[RedisServer, Chance], object]] = [
    lambda redis, chance: redis.kill(),
    lambda redis, chance: redis.stop(),
    lambda redis, chance: redis.restart(),
    lambda redis, chance: redis.suspend(),
    lambda redis, chance: redis.client_kill(chance.choice(["normal", "pubsub"])),
    lambda redis, chance: redis.client_kill_all(),
    lambda redis, chance: redis.command("CLIENT", "PAUSE", chance.randrange(3_000), "ALL"),
]


async def harm(cluster: FaultCluster, chance: Chance, redis: bool) -> str:
    """Do something bad, with ``redis`` perhaps to Redis; says what, for the report of a failure."""
    node = chance.choice(cluster.nodes)
    assert node.proxy is not None
    which = chance.randrange(10)
    if which == 0 and sum(each.alive for each in cluster.nodes) > 2:
        await asyncio.to_thread(node.kill)
        return "kill a node"
    if which <= 2 and node.alive:
        node.freeze()
        return "freeze a node"
    if which <= 5 and redis:
        number = chance.randrange(len(ON_REDIS))
        await asyncio.to_thread(ON_REDIS[number], cluster.redis, chance)
        return f"Redis {number}"
    number = chance.randrange(len(ON_PROXIES))
    await asyncio.to_thread(ON_PROXIES[number], node.proxy, chance)
    return f"proxy {number}"


async def play(cluster: FaultCluster, referee: Referee, chance: Chance) -> list[str]:
    """One round: harm, wait, harm, wait, mend all but the dead."""
    referee.talk(per_second=chance.choice([20, 60, 100]))
    left = LONGEST
    done: list[str] = []
    for _ in range(2):
        # One that is down or frozen takes no commands.
        done.append(await harm(cluster, chance, redis=not any(each.startswith("Redis") for each in done)))
        pause = chance.random() * left / 2
        left -= pause
        await asyncio.sleep(pause)
    await asyncio.to_thread(cluster.mend)
    dead: list[FaultNode] = [node for node in cluster.nodes if not node.alive]
    for node in dead:
        await referee.leave(node)
    await referee.everybody_hears()
    return done


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(FIRST, LAST + 1))
async def test_whatever_happens(cluster: FaultCluster, seed: int, results: Results) -> None:
    chance = random.Random(seed)
    history: list[list[str]] = []
    missing = killed = 0
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        try:
            for _ in range(ROUNDS):
                history.append(await play(cluster, referee, chance))
                losses = await referee.settled()
                missing = sum(loss.missing for loss in losses.values())
                dead = [node for node in cluster.nodes if not node.alive]
                killed += len(dead)
                await asyncio.to_thread(cluster.repair)
                await referee.whole()
                for node in dead:
                    await referee.join(node)
                await referee.everybody_hears()
        except BaseException as failure:
            failure.add_note(f"seed {seed}: {history}")
            raise
        sent = referee.sent.total()
    PLAYED.update(seeds=1, killed=killed, sent=sent, missing=missing)
    found = (
        f"{PLAYED['seeds']} seeds, the last one {seed}; {PLAYED['killed']} nodes killed; {PLAYED['sent']} messages, "
    )
    found += f"{PLAYED['missing']} times a node missed one, all reported"
    results.add("F00", f"{ROUNDS} rounds of random faults, two at a time, for each seed", found)
