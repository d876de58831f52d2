"""F29, I4: what one node says to one room arrives in its order, through connections that are cut all the time.

The referee judges the order of every message; here the way to Redis is as bad as it gets: cut at random, delayed,
narrow, silent for a moment, on all nodes at once.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.support.fault_cluster import PUBLISHES, SUBSCRIBES, FaultCluster
from tests.support.fault_results import Results
from tests.support.referee import Referee
from tests.support.tcp_proxy import TcpProxy

PAUSE = 0.1
"""Seconds between two events, on average."""


async def harass(proxies: list[TcpProxy], events: int, chance: random.Random) -> None:
    """Do something bad to a connection, again and again."""
    for _ in range(events):
        proxy = chance.choice(proxies)
        match chance.randrange(6):
            case 0:
                proxy.cut()
            case 1:
                proxy.cut(PUBLISHES)
            case 2:
                proxy.cut(SUBSCRIBES)
            case 3:
                proxy.slow(delay=chance.random() / 50)
            case 4:
                proxy.slow(bytes_per_second=chance.randrange(50_000, 500_000))
            case _:
                proxy.reset_after(PUBLISHES)
        await asyncio.sleep(2 * PAUSE * chance.random())
    for proxy in proxies:
        proxy.heal()


@pytest.mark.parametrize("events", [15, pytest.param(1_500, marks=pytest.mark.faults)])
async def test_order_survives_everything(cluster: FaultCluster, events: int, results: Results) -> None:
    proxies = [node.proxy for node in cluster.nodes if node.proxy is not None]
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        referee.talk(per_second=100, asks=True)
        await harass(proxies, events, random.Random(events))
        await referee.everybody_hears()
        losses = await referee.settled()
        sent, ends = referee.sent.total(), dict(referee.ends)
    if events > 100:
        missing = sum(loss.missing for loss in losses.values())
        found = f"{sent} messages; {missing} times a node missed one, all reported; none twice, none out of order; "
        found += f"calls ended {ends}"
        results.add("F29", f"{events} cuts, delays and resets between three nodes and Redis", found)
