"""F14: who is counted: a node that was killed is gone from everybody's count, one that was frozen is there again."""

from __future__ import annotations

import asyncio
import time  # time: measures how soon counts are right

import pytest

from tests.support.fault_cluster import FaultCluster, FaultNode
from tests.support.fault_member import Member, eventually
from tests.support.fault_results import Results
from tests.support.referee import Referee

CLIENTS = 10
GONE_WITHIN = 5.0
FROZEN = 10.0


async def counted(members: list[Member]) -> set[int]:
    """How many clients the cluster has, by each of these members' nodes."""
    return {(await member.look())["count"] for member in members}


async def crowd(node: FaultNode, size: int) -> list[Member]:
    return list(await asyncio.gather(*(Member.join(node) for _ in range(size))))


@pytest.mark.parametrize("size", [CLIENTS, pytest.param(1_000, marks=pytest.mark.faults)])
async def test_a_killed_node_is_gone_from_all_counts(cluster: FaultCluster, size: int, results: Results) -> None:
    killed, *others = cluster.nodes
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        those = await crowd(killed, size)
        rest = [referee.members[node] for node in others]
        whole = size + len(cluster.nodes) + 1  # the referee's members, and its outsider
        left = len(others) + 1

        async def all_counted() -> bool:
            return await counted(rest) == {whole}

        await eventually(all_counted, "clients are not counted on the other nodes")
        since = time.monotonic()
        await asyncio.to_thread(killed.kill)

        async def none_counted() -> bool:
            return await counted(rest) == {left}

        await eventually(none_counted, "clients of a killed node are still counted")
        took = time.monotonic() - since
        await asyncio.gather(*(member.close() for member in those))
        await referee.leave(killed)
        await referee.everybody_hears()
        await referee.settled()
    if size > CLIENTS:
        results.add("F14", f"a node of three with {size} clients killed", f"gone from all counts after {took:.1f} s")
        assert took <= GONE_WITHIN


@pytest.mark.parametrize("seconds", [0.0, pytest.param(FROZEN, marks=pytest.mark.faults)])
async def test_a_frozen_node_is_there_again(cluster: FaultCluster, seconds: float, results: Results) -> None:
    """With its clients, under its name; what it missed, if it was cut meanwhile, is confessed."""
    frozen, *others = cluster.nodes
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        tag = referee.members[frozen].tag
        those = await crowd(frozen, CLIENTS)
        rest = [referee.members[node] for node in others]
        whole = CLIENTS + len(cluster.nodes) + 1
        referee.talk()
        since = time.monotonic()
        frozen.freeze()

        async def missed() -> bool:
            return all([tag not in (await member.look())["nodes"] for member in rest])

        await eventually(missed, "a node that is frozen is not missed")
        await asyncio.sleep(max(0.0, seconds - (time.monotonic() - since)))
        frozen.thaw()
        thawed = time.monotonic()

        async def all_counted() -> bool:
            return await counted([*rest, referee.members[frozen]]) == {whole}

        await eventually(all_counted, "clients of a node that was frozen are not counted again")
        took = time.monotonic() - thawed
        await referee.everybody_hears()
        losses = await referee.settled()
        assert (await frozen.metrics())["clients"] == CLIENTS + 1
        assert not any(member.gone.is_set() for member in those)
        await asyncio.gather(*(member.close() for member in those))
    if seconds:
        found = f"counted everywhere {took:.1f} s after it thawed, {losses[frozen].missing} missed, all reported"
        results.add("F14", f"a node of three frozen for {seconds:g} s", found)
