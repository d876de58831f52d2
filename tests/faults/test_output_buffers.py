"""F05: Redis cuts subscribers that do not read, all of their messages with them. Who was cut comes back and knows what
it missed.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.support.fault_cluster import FaultCluster
from tests.support.fault_member import eventually
from tests.support.fault_results import Results
from tests.support.referee import Referee

LIMIT = "pubsub 1mb 512kb 5"
USUAL = "pubsub 32mb 8mb 60"
PADDING = 10_000
BURST = 8
"""Messages to each room in one go."""
FROZEN = 10.0


@pytest.mark.parametrize("full", [False, pytest.param(True, marks=pytest.mark.faults)])
async def test_a_subscriber_that_was_cut_comes_back(cluster: FaultCluster, full: bool, results: Results) -> None:
    frozen, *others = cluster.nodes
    await asyncio.to_thread(cluster.redis.config_set, "client-output-buffer-limit", LIMIT)
    async with Referee(cluster.nodes) as referee:
        try:
            await referee.everybody_hears()
            before = len(cluster.redis.clients("pubsub"))
            referee.padding = PADDING
            frozen.freeze()
            began = asyncio.get_running_loop().time()

            async def cut() -> bool:
                """What the kernel keeps for who does not read is some megabytes; beyond that Redis has to."""
                for node in others:
                    await referee.say(node, BURST)
                    await referee.members[node].call("say", [])
                return len(cluster.redis.clients("pubsub")) < before

            await eventually(cut, "Redis cuts nobody")
            if full:
                await asyncio.sleep(max(0.0, FROZEN - (asyncio.get_running_loop().time() - began)))
            frozen.thaw()
            referee.padding = 0
            await referee.everybody_hears()
            losses = await referee.settled()
            assert losses[frozen].missing > 0
        finally:
            await asyncio.to_thread(cluster.redis.config_set, "client-output-buffer-limit", USUAL)
    if full:
        sent = referee.sent.total() * PADDING // 1_000_000
        found = f"of some {sent} MB the frozen node missed {losses[frozen].missing} messages, all of them reported"
        results.add("F05", f"limit of {LIMIT!r}, bursts, one node of three frozen for {FROZEN:g} s", found)
