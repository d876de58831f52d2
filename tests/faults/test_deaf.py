"""F01, F04: a node that publishes and hears nothing: red, counted, one line in the log, and mended by itself.

The way in which it falls deaf is invisible to it: what Redis sends on its subscribing connection is swallowed.
"""

from __future__ import annotations

import time  # time: measures how soon it is noticed
from typing import Any

import pytest

from tests.support.fault_cluster import PUBLISHES, SUBSCRIBES, FaultCluster, FaultNode
from tests.support.fault_member import Member, eventually
from tests.support.fault_results import Results
from tests.support.referee import Referee
from tests.support.tcp_proxy import Way

RED_WITHIN = 5.0  # three beats, and what is left of the one before
ERROR = "this node does not hear itself"


async def errors(member: Member, since: float) -> list[str]:
    """What the node has logged as errors since then."""
    journal: list[list[Any]] = (await member.look())["journal"]
    return [text for at, level, text in journal if level == "ERROR" and at > since]


async def deaf_count(node: FaultNode) -> int:
    return (await node.metrics())["deaf_total"]


@pytest.mark.parametrize("judged", [False, pytest.param(True, marks=pytest.mark.faults)])
async def test_a_deaf_node_turns_red_and_mends_itself(cluster: FaultCluster, judged: bool, results: Results) -> None:
    """Nobody helps it: the connection stays as dead as it is until the node gives it up."""
    deaf, *others = cluster.nodes
    assert deaf.proxy is not None
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        before = await deaf_count(deaf)
        referee.talk()
        since = time.monotonic()
        deaf.proxy.forget(frozenset({Way.TO_CLIENT}), SUBSCRIBES)

        async def noticed() -> bool:
            return await deaf_count(deaf) > before

        await eventually(noticed, "a node that hears nothing does not notice")
        took = time.monotonic() - since
        await referee.everybody_hears(among=others)
        await referee.everybody_hears()
        back = time.monotonic() - since
        await referee.settled()
        found = await errors(referee.members[deaf], since)
        lines = [text for text in found if text.startswith(ERROR)]
        assert len(lines) == 1 if judged else lines, found  # a machine that stalls may make it deaf twice
        assert (await deaf.readiness()).status == "ready"
    if judged:
        found_out = f"noticed after {took:.1f} s, hears all again after {back:.1f} s"
        results.add("F04", "what Redis sends on the subscribing connection of one node of three is lost", found_out)
        assert took <= RED_WITHIN


async def test_a_deaf_node_is_unready_until_it_hears(cluster: FaultCluster) -> None:
    """The connection can be made anew; only what is published is swallowed. So it is up and red, again and again."""
    deaf = cluster.nodes[0]
    assert deaf.proxy is not None
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        deaf.proxy.swallow(frozenset({Way.TO_SERVER}), PUBLISHES)

        async def red() -> bool:
            readiness = await deaf.readiness()
            return readiness.code == 503 and "hear itself" in "".join(readiness.reasons)

        await eventually(red, "a node that cannot publish says it is ready")
        deaf.proxy.heal()

        async def green() -> bool:
            return (await deaf.readiness()).status == "ready"

        await eventually(green, "a node that hears itself again stays red")
        await referee.everybody_hears()
        await referee.settled()


async def test_what_a_dead_connection_took_is_said_again_in_order(cluster: FaultCluster) -> None:
    """The one that publishes is dead, which the node cannot see either. Those who hear miss nothing, if it is quick."""
    speaker, *others = cluster.nodes
    assert speaker.proxy is not None
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        before = (await speaker.metrics())["publish_abandoned_total"]
        speaker.proxy.forget(frozenset({Way.TO_SERVER}), PUBLISHES)
        for _ in range(5):
            await referee.say(speaker, 1, ["one", "two"] * 3)
            await referee.members[speaker].call("say", [])  # so that they go out one after another
        await referee.everybody_hears()
        await referee.settled()
        missed = [referee.missed_of(node, referee.members[speaker].tag) for node in others]
        assert not any(missed) or (await speaker.metrics())["publish_abandoned_total"] > before, missed


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
async def test_connections_killed_by_redis_are_made_anew(cluster: FaultCluster, kind: str) -> None:
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        before = [(await node.metrics())["broker_reconnects_total"] for node in cluster.nodes]
        referee.talk()
        assert cluster.redis.client_kill(kind) >= len(cluster.nodes)
        await referee.everybody_hears()
        await referee.settled()
        after = [(await node.metrics())["broker_reconnects_total"] for node in cluster.nodes]
        assert all(new > old for old, new in zip(before, after, strict=True))
