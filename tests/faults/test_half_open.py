"""F02: a connection to Redis that looks alive and carries nothing, as behind a firewall that has forgotten it.

The node notices by its own beats, which do not come back, on whichever of its two connections it is; it makes both
anew, again and again until they carry something. The others go on.
"""

from __future__ import annotations

import asyncio
import time  # time: measures how soon it is noticed

import pytest

from tests.support.fault_cluster import FaultCluster
from tests.support.fault_member import Fault, eventually
from tests.support.fault_results import Results
from tests.support.referee import Referee

STALL = 1.0
"""Seconds that a connection may be silent and nothing follows."""
NOTICED_WITHIN = 5.0
BACK_WITHIN = 10.0
"""An attempt that began while nothing was carried is given up after 5 s; then comes the next one."""


@pytest.mark.parametrize("seconds", [0.0, pytest.param(20.0, marks=pytest.mark.faults)])
async def test_it_is_noticed_and_mended(cluster: FaultCluster, seconds: float, results: Results) -> None:
    cut_off, *others = cluster.nodes
    assert cut_off.proxy is not None
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        referee.talk()
        since = time.monotonic()
        cut_off.proxy.swallow()

        async def noticed() -> bool:
            return (await cut_off.readiness()).status != "ready"

        await eventually(noticed, "a node whose connections carry nothing says it is ready")
        took = time.monotonic() - since
        await asyncio.sleep(max(0.0, seconds - took))
        await referee.everybody_hears(among=others)
        healed = time.monotonic()
        cut_off.proxy.heal()
        await referee.everybody_hears()
        back = time.monotonic() - healed
        losses = await referee.settled()
        assert (await cut_off.readiness()).status == "ready"
    if seconds:
        lost = sum(loss.lost - loss.recanted + loss.dropped for loss in losses.values())
        found = f"noticed after {took:.1f} s, back {back:.1f} s after it healed, {lost} lost, all of them reported"
        results.add("F02", f"{seconds:g} s of half-open connections of one node of three", found)
        assert took <= NOTICED_WITHIN
        assert back <= BACK_WITHIN


async def stall_in_network(cluster: FaultCluster, seconds: float) -> None:
    proxy = cluster.nodes[0].proxy
    assert proxy is not None
    proxy.hold()
    await asyncio.sleep(seconds)
    proxy.heal()


async def stall_in_redis(cluster: FaultCluster, seconds: float) -> None:
    await asyncio.to_thread(cluster.redis.command, "CLIENT", "PAUSE", round(seconds * 1_000), "ALL")
    await asyncio.sleep(seconds)


@pytest.mark.parametrize("stall", [stall_in_network, stall_in_redis])
@pytest.mark.parametrize("seconds", [STALL, pytest.param(8.0, marks=pytest.mark.faults)])
async def test_what_stalls_and_goes_on_loses_nothing_unreported(
    cluster: FaultCluster, stall: object, seconds: float, results: Results
) -> None:
    """A second of silence is no break; of a longer one nodes make a break themselves."""
    assert callable(stall)
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        breaks = [(await node.metrics())["broker_reconnects_total"] for node in cluster.nodes]
        referee.talk()
        await stall(cluster, seconds)
        await referee.everybody_hears()
        losses = await referee.settled()
        if breaks == [(await node.metrics())["broker_reconnects_total"] for node in cluster.nodes]:
            lost = {node: loss for node, loss in losses.items() if loss.missing or loss.lost}
            if lost:
                raise Fault(f"without a break was lost: {lost}")
