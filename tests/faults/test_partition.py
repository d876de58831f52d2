"""F25, F26: one node is cut off from Redis, both ways or one way. It serves its own clients, says so, and comes back.

No node holds state that others need, so there is no split brain to heal: a sid and an answer belong to one node and one
life of it, and what was missed on either side is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.support.fault_cluster import FaultCluster
from tests.support.fault_member import eventually
from tests.support.fault_results import Results
from tests.support.referee import Referee
from tests.support.tcp_proxy import TcpProxy, Way

CUTS: dict[str, tuple[Callable[[TcpProxy], None], set[str]]] = {
    # A connection that is refused is known to be gone; one that carries nothing in one direction is found out.
    "refused": (lambda proxy: proxy.refuse(), {"degraded"}),
    "only to Redis": (lambda proxy: proxy.swallow(frozenset({Way.TO_SERVER})), {"unready", "degraded"}),
    "only from Redis": (lambda proxy: proxy.swallow(frozenset({Way.TO_CLIENT})), {"unready", "degraded"}),
}
SHORTLY = 0.5
LAST = 5
"""Messages that nothing follows."""
FULL = 60.0


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("seconds", [SHORTLY, pytest.param(FULL, marks=pytest.mark.faults)])
async def test_a_node_that_is_cut_off_goes_on_and_comes_back(
    cluster: FaultCluster, cut: str, seconds: float, results: Results
) -> None:
    cut_off, *others = cluster.nodes
    assert cut_off.proxy is not None
    sever, says = CUTS[cut]
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        tag = referee.members[cut_off].tag
        referee.talk()
        await asyncio.to_thread(sever, cut_off.proxy)

        async def says_so() -> bool:
            return (await cut_off.readiness()).status in says

        await eventually(says_so, f"a node that is cut off does not say that it is {says}")
        own = referee.received(cut_off, tag)
        await asyncio.sleep(seconds)
        await referee.everybody_hears(among=others)

        async def serves() -> bool:
            return referee.received(cut_off, tag) > own

        await eventually(serves, "a node that is cut off serves nobody")
        await asyncio.to_thread(cut_off.proxy.heal)
        await referee.everybody_hears()
        losses = await referee.settled()
        assert (await cut_off.readiness()).status == "ready"
        # It is who it was, and so are its clients.
        assert not referee.members[cut_off].gone.is_set()
        looks = [await referee.members[node].look() for node in others]
        assert all(tag in look["nodes"] for look in looks)
    if seconds == FULL:
        there, elsewhere = losses[cut_off].missing, sum(losses[node].missing for node in others)
        found = f"{there} missed there, {elsewhere} of its own missed elsewhere, all of them reported"
        results.add("F26", f"one node of three cut off for {FULL:g} s, {cut}", found)


@pytest.mark.parametrize("seconds", [0.0, pytest.param(6.0, marks=pytest.mark.faults)])
async def test_the_last_messages_are_missed_too(cluster: FaultCluster, seconds: float) -> None:
    """Nothing comes after them that would show a jump of the numbers: what others tell of theirs has to do it.

    They tell it for three beats by themselves, and after that to who asks.
    """
    cut_off, *others = cluster.nodes
    assert cut_off.proxy is not None
    async with Referee(cluster.nodes) as referee:
        referee.thorough = seconds > 0
        await referee.everybody_hears()
        await asyncio.to_thread(cut_off.proxy.refuse)
        for node in others:
            await referee.say(node, LAST)
        await referee.quiet()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(cut_off.proxy.heal)
        losses = await referee.settled()
        assert losses[cut_off].missing == losses[cut_off].lost == LAST * len(others) * len(referee.rooms)
