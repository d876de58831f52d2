"""F03: Redis is not there when nodes start, or does not let them in: they serve, say so, and join when they can."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.fault_cluster import FaultCluster
from tests.support.fault_member import Member, eventually
from tests.support.referee import Referee
from tests.support.services import RedisServer

ABSENT = 0.5
FULL = 60.0


async def serves_alone(cluster: FaultCluster) -> None:
    """Each node serves its own clients and says that it is degraded, which is no reason to send nobody there."""
    for node in cluster.nodes:
        member = await Member.join(node, ["one"])
        assert await member.call("say", [["one", 1, 1, 0]]) is True
        assert (await member.look())["count"] == 1
        await member.close()
        readiness = await node.readiness()
        assert (readiness.code, readiness.status) == (200, "degraded")


@pytest.mark.parametrize("seconds", [ABSENT, pytest.param(FULL, marks=pytest.mark.faults)])
async def test_redis_appears_after_the_nodes(seconds: float) -> None:
    """And when it does, it has another password than the nodes, until that is mended."""
    redis = RedisServer(password="wrong")
    url = redis.url.replace("wrong", "right")
    cluster = FaultCluster(nodes=2, redis=redis, proxied=False, environment={"ROOMCAST_BROKER": url})
    try:
        async with cluster.running(redis=False):
            await serves_alone(cluster)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(redis.start)
            await serves_alone(cluster)
            await asyncio.to_thread(redis.config_set, "requirepass", "right")
            async with Referee(cluster.nodes) as referee:
                await referee.everybody_hears()
                await referee.settled()
    finally:
        await asyncio.to_thread(redis.close)


async def test_the_password_is_changed_under_way(cluster: FaultCluster) -> None:
    """Who is connected stays; whoever has to connect anew is not let in until the password is right again."""
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        await asyncio.to_thread(cluster.redis.config_set, "requirepass", "another")
        try:
            await asyncio.to_thread(cluster.redis.client_kill_all)

            async def degraded() -> bool:
                return all([(await node.readiness()).status == "degraded" for node in cluster.nodes])

            await eventually(degraded, "nodes that are not let in do not say that they are degraded")
            referee.talk()
            assert all([(await node.metrics())["broker_up"] == 0 for node in cluster.nodes])
        finally:
            await asyncio.to_thread(cluster.redis.config_set, "requirepass", "")
        await referee.everybody_hears()
        await referee.settled()
