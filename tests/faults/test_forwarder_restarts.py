"""F01, F06 over the embedded broker: its forwarder is killed and comes back under traffic, as Redis does elsewhere."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.support.fault_cluster import FaultCluster
from tests.support.fault_results import Results
from tests.support.forwarders import forwarding
from tests.support.referee import Referee

FULL = 50


@pytest.mark.parametrize("restarts", [2, pytest.param(FULL, marks=pytest.mark.faults)])
async def test_every_node_is_back_after_each_restart(restarts: int, results: Results) -> None:
    chance = random.Random(restarts)
    with forwarding() as forwarder:
        cluster = FaultCluster(nodes=3, proxied=False, environment={"ROOMCAST_BROKER": forwarder.url})
        async with cluster.running(redis=False), Referee(cluster.nodes) as referee:
            await referee.everybody_hears()
            losses = {}
            for number in range(restarts):
                referee.talk()
                await asyncio.to_thread(forwarder.kill if number % 2 else forwarder.terminate)
                await asyncio.sleep(chance.random())
                await asyncio.to_thread(forwarder.start)
                await referee.everybody_hears()
                losses = await referee.settled()
            sent, missing = referee.sent.total(), sum(loss.missing for loss in losses.values())
    if restarts == FULL:
        found = f"none deaf; {sent} messages, {missing} missed, all reported"
        results.add("F01", f"{FULL} restarts of the embedded broker under traffic, 3 nodes", found)
