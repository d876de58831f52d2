"""F12, I5: every answer that is awaited across nodes ends exactly once, by an answer or an error, whatever dies.

A node that asks, the node that serves who is asked, the client itself, Redis: each goes away at each stage (asked,
answered, on the way). Afterwards no table has an entry left.
"""

from __future__ import annotations

import asyncio
import random
import time  # time: measures how soon a loss is told
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from roomcast.settings import Settings
from tests.support.fault_cluster import SUBSCRIBES, FaultCluster, FaultNode
from tests.support.fault_member import NOTHING, Member, eventually
from tests.support.fault_results import Results, percentile
from tests.support.referee import Referee
from tests.support.tcp_proxy import Way

ASKS = 10
LOST_WITHIN = 4.0
DEADLINE = 1.0
"""Seconds that are given to an answer where Redis is away meanwhile."""

Answer = tuple[Any, str | None, float]


def ask(asker: Member, who: Member, values: range, timeout: float | None = None) -> list[asyncio.Task[Answer]]:
    """Call a client once for each of the values, all at once."""
    return [asyncio.create_task(asker.call("ask", who.sid, value, timeout)) for value in values]


async def are_asked(member: Member, values: range) -> None:
    async def asked() -> bool:
        return all(member.asked[str(value)] for value in values)

    await eventually(asked, "a client was not asked")


async def tables_are_empty(member: Member) -> None:
    """Nobody waits for anything on that member's node."""

    async def empty() -> bool:
        census = (await member.look())["census"]
        return not any(census[name] for name in ("asks", "asked_by", "acks", "pledges"))

    await eventually(empty, "an answer is still awaited")


async def test_without_faults_each_call_ends_by_its_own_answer(cluster: FaultCluster) -> None:
    async with Referee(cluster.nodes) as referee:
        asker, *others = referee.members.values()
        for member in (asker, *others):
            member.answer = lambda value, tag=member.tag: [tag, value]  # type: ignore[misc]
        for member in (asker, *others):
            answers = await asyncio.gather(*ask(asker, member, range(ASKS)))
            for value, (answer, error, _) in enumerate(answers):
                assert (answer, error) == ([member.tag, value], None)
        await tables_are_empty(asker)


async def kill(node: FaultNode, member: Member) -> None:
    await asyncio.to_thread(node.kill)


async def stop(node: FaultNode, member: Member) -> None:
    await asyncio.to_thread(node.stop)


async def freeze(node: FaultNode, member: Member) -> None:
    node.freeze()


async def vanish(node: FaultNode, member: Member) -> None:
    member.vanish()


# A node that stops lets a client that owes an answer give it, as long as it has; then it closes it.
STOPPED_WITHIN = Settings().drain_seconds + LOST_WITHIN

LOSSES: list[tuple[Callable[[FaultNode, Member], Awaitable[None]], set[str], float]] = [
    (kill, {"NodeLostError"}, LOST_WITHIN),
    (stop, {"NodeLostError", "DisconnectedError"}, STOPPED_WITHIN),
    (freeze, {"NodeLostError"}, LOST_WITHIN),
    (vanish, {"DisconnectedError"}, LOST_WITHIN),
]


@pytest.mark.parametrize(("lose", "errors", "within"), LOSSES, ids=lambda each: getattr(each, "__name__", ""))
@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.faults)])
async def test_who_should_answer_is_lost(
    cluster: FaultCluster,
    lose: Callable[[FaultNode, Member], Awaitable[None]],
    errors: set[str],
    within: float,
    rounds: int,
    results: Results,
) -> None:
    """What was answered before ends by its answer, the rest by one error; nothing has a deadline of its own."""
    asking, answering, _ = cluster.nodes
    took: list[float] = []
    for _ in range(rounds):
        await asyncio.to_thread(cluster.repair)
        async with Referee(cluster.nodes) as referee:
            asker, answerer = referee.members[asking], referee.members[answering]
            answerer.answer = lambda value: value if value < 0 else NOTHING
            assert [answer[0] for answer in await asyncio.gather(*ask(asker, answerer, range(-3, 0)))] == [-3, -2, -1]
            waiting = ask(asker, answerer, range(ASKS))
            await are_asked(answerer, range(ASKS))
            since = time.monotonic()
            await lose(answering, answerer)
            ends = await asyncio.gather(*waiting)
            took.append(time.monotonic() - since)
            assert {error for _, error, _ in ends} <= errors, ends
            await tables_are_empty(asker)
            answering.thaw()
            await referee.leave(answering)
    if rounds > 1:
        found = f"all ended after {percentile(took, 0.5):.2f} s (p50), {max(took):.2f} s (longest)"
        results.add("F12", f"{rounds} × {ASKS} calls open: {lose.__name__} who should answer", found)
        assert max(took) <= within


async def test_who_asked_is_lost(cluster: FaultCluster) -> None:
    """The node that serves who was asked forgets the question, and so does the table of the client."""
    asking, answering, _ = cluster.nodes
    async with Referee(cluster.nodes) as referee:
        asker, answerer = referee.members[asking], referee.members[answering]
        answerer.answer = lambda value: NOTHING
        waiting = ask(asker, answerer, range(ASKS))
        await are_asked(answerer, range(ASKS))
        assert (await answerer.look())["census"]["asked_by"] == ASKS
        await asyncio.to_thread(asking.kill)
        await asyncio.gather(*waiting, return_exceptions=True)
        await tables_are_empty(answerer)
        await referee.leave(asking)


@pytest.mark.parametrize("rounds", [1, pytest.param(30, marks=pytest.mark.faults)])
async def test_redis_goes_while_answers_are_on_their_way(cluster: FaultCluster, rounds: int, results: Results) -> None:
    """Each call ends by its answer or at its deadline, each callback once; nobody answers for another."""
    chance = random.Random(rounds)
    ends: dict[str, int] = {}
    longest = 0.0
    async with Referee(cluster.nodes) as referee:
        asker, *others = referee.members.values()
        for number in range(rounds):
            await referee.everybody_hears()
            first = number * ASKS * 10
            waiting: dict[int, asyncio.Task[Answer]] = {}
            killing = asyncio.create_task(asyncio.to_thread(cluster.redis.kill))
            for value in range(first, first + ASKS * 5):
                for member, shift in zip(others, (0, ASKS * 5), strict=True):
                    waiting[value + shift] = ask(asker, member, range(value + shift, value + shift + 1), DEADLINE)[0]
                await asyncio.sleep(chance.random() / 1_000)
            await killing
            await asyncio.sleep(chance.random() * DEADLINE / 2)
            await asyncio.to_thread(cluster.redis.start)
            for value, task in waiting.items():
                answer, error, seconds = await task
                assert (answer, error) in ((value, None), (None, "TimeoutError")), (value, answer, error)
                ends[error or "answered"] = ends.get(error or "answered", 0) + 1
                longest = max(longest, seconds)
        await asyncio.gather(*(tables_are_empty(member) for member in referee.members.values()))
        assert all(set(member.asked.values()) <= {1} for member in others), "a client was asked twice"
    if rounds > 1:
        found = f"{ends}; the longest took {longest:.2f} s of {DEADLINE:g} s"
        results.add("F12", f"Redis killed {rounds} times while calls are open", found)
        assert longest <= DEADLINE + LOST_WITHIN


@pytest.mark.parametrize("lost", ["question", "answer"])
async def test_what_was_lost_on_the_way_is_not_awaited_for_ever(cluster: FaultCluster, lost: str) -> None:
    """A break swallows questions or answers that have no deadline; both nodes live."""
    asking, answering, _ = cluster.nodes
    writing, missing, kind = (asking, answering, "emit") if lost == "question" else (answering, asking, "answer")
    async with Referee(cluster.nodes) as referee:
        asker, answerer = referee.members[asking], referee.members[answering]
        answerer.answer = lambda value: value if value < 0 else NOTHING
        assert [answer[0] for answer in await asyncio.gather(*ask(asker, answerer, range(-3, 0)))] == [-3, -2, -1]
        before = (await writing.metrics()).of("cluster_out_total", kind)

        async def written() -> bool:
            return (await writing.metrics()).of("cluster_out_total", kind) >= before + ASKS + 1

        assert missing.proxy is not None
        if lost == "question":
            missing.proxy.swallow(frozenset({Way.TO_CLIENT}), SUBSCRIBES)
        waiting = ask(asker, answerer, range(ASKS))
        await asker.call("ask_back", answerer.sid, ASKS)
        if lost == "answer":
            await are_asked(answerer, range(ASKS + 1))
            missing.proxy.swallow(frozenset({Way.TO_CLIENT}), SUBSCRIBES)
            for value in range(ASKS + 1):
                await answerer.answers(value)
        await eventually(written, f"not every {lost} was written")
        missing.proxy.heal()
        ends = await asyncio.gather(*waiting)
        assert {(answer, error) for answer, error, _ in ends} == {(None, "NodeLostError")}
        await asyncio.gather(*(tables_are_empty(member) for member in (asker, answerer)))


async def test_a_callback_on_a_room_is_called_once(cluster: FaultCluster) -> None:
    """Whoever answers first; the node of another member dies meanwhile."""
    asking, _, silent = cluster.nodes
    async with Referee(cluster.nodes) as referee:
        asker = referee.members[asking]
        asker.answer = lambda value: NOTHING
        referee.members[silent].answer = lambda value: NOTHING
        await asyncio.to_thread(silent.kill)
        for number in range(ASKS):
            await asker.call("ask_back", "one", number)

        async def all_ended() -> bool:
            return len([each for each in (await asker.look())["ended"] if each[0] in range(ASKS)]) >= ASKS

        await eventually(all_ended, "a callback was not called")
        ended = [each[:2] for each in (await asker.look())["ended"]]
        assert sorted(ended) == [[number, [number]] for number in range(ASKS)]
        await referee.leave(silent)
