"""F06, F25: Redis is away for a while under load: clients of the same node notice nothing, publishers keep what they
may, in order, and count what falls out; nothing is missing that is not in one of the numbers.
"""

from __future__ import annotations

import asyncio
import time  # time: says whether anything may have fallen out of a buffer

import pytest

from tests.support.fault_cluster import FaultCluster
from tests.support.fault_member import eventually
from tests.support.fault_results import Results
from tests.support.referee import Referee

OUTAGES = [0.5, *(pytest.param(seconds, marks=pytest.mark.faults) for seconds in (5.0, 20.0))]
KEPT = 5.0
"""Seconds for which buffers keep what waits."""
SMALL = {"publish_buffer_seconds": 0.3}


async def outage(cluster: FaultCluster, referee: Referee, seconds: float) -> None:
    """Take Redis away. Meanwhile, each node's member hears what its own node says."""
    await asyncio.to_thread(cluster.redis.kill)
    before = {node: referee.received(node, member.tag) for node, member in referee.members.items()}
    await asyncio.sleep(seconds)

    async def served() -> bool:
        return all(referee.received(node, referee.members[node].tag) > count for node, count in before.items())

    await eventually(served, "while Redis is away, a node's own clients get nothing")
    for node in cluster.nodes:
        readiness = await node.readiness()
        assert (readiness.code, readiness.status) == (200, "degraded")
    await asyncio.to_thread(cluster.redis.start)


@pytest.mark.parametrize("seconds", OUTAGES)
async def test_redis_is_away_under_load(cluster: FaultCluster, seconds: float, results: Results) -> None:
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        referee.talk(per_second=100)
        since = time.monotonic()
        await outage(cluster, referee, seconds)
        await referee.everybody_hears()
        took = time.monotonic() - since
        losses = await referee.settled()
        sent = referee.sent.total()
    assert took >= KEPT or not any(loss.dropped for loss in losses.values()), losses
    if seconds > 1:
        lost, dropped = sum(x.lost - x.recanted for x in losses.values()), sum(x.dropped for x in losses.values()) // 2
        found = f"of {sent} messages {dropped} fell out of buffers; {lost} times a node missed one: all reported"
        results.add("F06", f"Redis away for {seconds:g} s", found)


async def test_a_full_buffer_loses_the_oldest_and_counts_them() -> None:
    cluster = FaultCluster(nodes=2, options=SMALL, proxied=False)
    async with cluster.running(), Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        referee.talk(per_second=100)
        await outage(cluster, referee, 1.0)
        await referee.everybody_hears()
        losses = await referee.settled()
        assert all(loss.dropped > 0 for loss in losses.values()), losses
