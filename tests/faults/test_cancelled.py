"""F30: whoever is cancelled while waiting takes nobody else's answer along: nothing that waits owns a connection."""

from __future__ import annotations

import asyncio

import pytest

from roomcast_emitter import AsyncEmitter
from tests.support.fault_cluster import FaultCluster
from tests.support.fault_member import Member, eventually
from tests.support.referee import Referee
from tests.support.tcp_proxy import TcpProxy

SLOW = 0.05
"""Seconds that each chunk of bytes is late, on each way through a proxy: long enough to be cancelled at each stage."""
STEP = 0.008
"""Seconds between two cancellations."""
CALLS = 50
FULL = 400


@pytest.mark.parametrize("calls", [CALLS, pytest.param(FULL, marks=pytest.mark.faults)])
async def test_cancelled_calls_take_no_answers_along(cluster: FaultCluster, calls: int) -> None:
    """Of calls to one client that run at once, one is cancelled after another; the rest get their own answers."""
    for node in cluster.nodes:
        assert node.proxy is not None
        node.proxy.slow(SLOW)
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        asker, answerer, third = referee.members.values()
        answerer.answer = third.answer = lambda value: ["answer", value]
        tokens = [f"token {number}" for number in range(calls)]
        step = STEP * CALLS / calls
        beside = [asyncio.create_task(asker.call("ask", third.sid, number, None)) for number in range(CALLS)]
        answers = await asker.call("ask_and_cancel", answerer.sid, tokens, step)
        assert answers[0] is None
        assert None not in answers[4::5]  # which were not cancelled
        assert all(answer in (None, ["answer", token]) for answer, token in zip(answers, tokens, strict=True))
        for number, task in enumerate(beside):
            assert (await task)[:2] == [["answer", number], None]
        entered = await asker.call("enter_and_cancel", [f"new {number}" for number in range(CALLS)], step)
        assert not all(entered)
        # Who was cancelled has entered all the same, which is heard as soon as the subscription is there.
        await heard_in_all(referee, asker, [f"new {number}" for number in range(CALLS)])
        await asker.call("leave", [f"new {number}" for number in range(CALLS)])
        await referee.settled()


async def heard_in_all(referee: Referee, member: Member, rooms: list[str]) -> None:
    speaks = referee.members[referee.nodes[1]]
    before = referee.received(referee.nodes[0], speaks.tag)

    async def subscribed() -> bool:
        looks = await referee.nodes[0].metrics()
        return looks["subscriptions"] >= len(rooms)

    await eventually(subscribed, "a room was not subscribed")
    await referee.say(referee.nodes[1], 1, rooms)

    async def heard() -> bool:
        return referee.received(referee.nodes[0], speaks.tag) == before + len(rooms)

    await eventually(heard, "a message for a room did not arrive")
    for room in rooms:  # the others have no member in there
        del referee.sent[speaks.tag, room]


async def test_cancelled_emits_are_emitted_once(cluster: FaultCluster) -> None:
    """An emitter's call may be cancelled at any point: what it emitted goes out in its place, and so do the others."""
    with TcpProxy(cluster.redis.port) as proxy:
        proxy.slow(SLOW / 5)
        async with Referee(cluster.nodes) as referee:
            emitter = AsyncEmitter(f"redis://127.0.0.1:{proxy.port}/0")
            flow = "emitter", "one"
            for number in range(1, CALLS + 1):
                referee.sent[flow] = number
                delay = number * STEP / 10
                try:
                    async with asyncio.timeout(delay):
                        receipt = await emitter.emit("m", (*flow, number, ""), to="one")
                    assert receipt.outcome == "delivered"
                except TimeoutError:
                    continue

            async def have_all() -> bool:
                return all(referee.received(node, "emitter") == CALLS for node in cluster.nodes)

            await eventually(have_all, "an emit whose caller was cancelled was lost")
            assert await emitter.close()
            await referee.settled()
