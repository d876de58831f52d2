"""F33: tasks of a real Celery worker emit while Redis restarts and the worker is told to stop: no emit is silent.

Each one is delivered to a client on each node, or reported undelivered to the task, or confessed by the node that
missed it. Celery's own queue is on another Redis.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.celery_worker import CeleryWorker
from tests.support.fault_cluster import FaultCluster, FaultNode
from tests.support.fault_member import Fault, Member, eventually
from tests.support.fault_results import Results
from tests.support.referee import Referee
from tests.support.services import RedisServer

TASKS = "tests.faults.tasks"
FEW = 40
PAUSE = 0.05
"""Seconds that each task takes."""
LINGER = 3.5
"""Seconds that a process that emits once stays: it tells for three beats how far it is (cluster.md 7)."""
NUMBERED = {"delivered", "unconfirmed"}
"""Outcomes of what was written, and so has a number that nodes miss it by."""


class Listener:
    """A client of one node that collects what tasks emit."""

    def __init__(self, node: FaultNode, member: Member, lost: int) -> None:
        self.node = node
        self.member = member
        self.numbers: Counter[int] = Counter()
        self._lost_before = lost
        member.hear = self._hear

    @classmethod
    async def on(cls, node: FaultNode) -> Listener:
        return cls(node, await Member.join(node, ["tasks"]), await confessed(node))

    def _hear(self, message: Sequence[Any], at: float) -> None:
        if message[0] == "task":
            self.numbers[message[2]] += 1

    async def accounts_for(self, outcomes: list[str]) -> None:
        """All that was written has come once, or is confessed; nothing has come that was given up before."""
        written = {number for number, outcome in enumerate(outcomes) if outcome in NUMBERED}
        if wrong := (set(self.numbers) - written) | {n for n, count in self.numbers.items() if count > 1}:
            raise Fault(f"received though dropped, or twice: {wrong}")

        async def adds_up() -> bool:
            return len(written) - len(self.numbers) == await confessed(self.node) - self._lost_before

        await eventually(adds_up, f"of {len(written)} emits {len(self.numbers)} came, the rest is not confessed")


async def confessed(node: FaultNode) -> int:
    metrics = await node.metrics()
    return metrics["messages_lost_total"] - metrics["messages_recanted_total"]


class Work:
    """Tasks on their way through Celery, and who hears what they emit."""

    def __init__(self, listeners: list[Listener], queue: RedisServer, broker: RedisServer) -> None:
        self.listeners = listeners
        self._servers = queue, broker

    def worker(self, *options: str, concurrency: int = 2) -> CeleryWorker:
        return CeleryWorker(*self._servers, TASKS, concurrency=concurrency, options=options)

    def begin(self, worker: CeleryWorker, tasks: int, pause: float) -> asyncio.Task[list[str]]:
        calls = [[number, pause] for number in range(tasks)]
        return asyncio.create_task(asyncio.to_thread(worker.results, "tell", *calls))

    async def heard(self, count: int) -> None:
        async def has() -> bool:
            return all(len(listener.numbers) >= count for listener in self.listeners)

        await eventually(has, f"{count} emits were not heard")

    async def accounted(self, results: asyncio.Task[list[str]]) -> Counter[str]:
        outcomes = await results
        await asyncio.gather(*(listener.accounts_for(outcomes) for listener in self.listeners))
        await asyncio.gather(*(listener.member.close() for listener in self.listeners))
        return Counter(outcomes)


async def listening(cluster: FaultCluster) -> list[Listener]:
    return list(await asyncio.gather(*(Listener.on(node) for node in cluster.nodes)))


@pytest.mark.timeout(120)
async def test_tasks_emit_while_redis_restarts_and_their_worker_stops(cluster: FaultCluster) -> None:
    """The worker that goes on has a new process for each task, which flushes when it leaves."""
    async with Referee(cluster.nodes):
        with RedisServer() as queue:
            work = Work(await listening(cluster), queue, cluster.redis)
            first, second = work.worker(), work.worker("--max-tasks-per-child", "1")
            try:
                await asyncio.to_thread(first.start)
                results = work.begin(first, FEW, PAUSE)
                await work.heard(10)
                await asyncio.to_thread(cluster.redis.restart)
                await work.heard(30)
                await asyncio.to_thread(first.warm_shutdown)
                await asyncio.to_thread(second.start)
                assert (await work.accounted(results)).total() == FEW
            finally:
                await asyncio.to_thread(first.close)
                await asyncio.to_thread(second.close)


RUNS = {
    "1,000 tasks of a pool of 4 processes": (1_000, 0.06, 4, ()),
    "48 tasks, each in a process of its own": (48, LINGER, 6, ("--max-tasks-per-child", "1")),
}


@pytest.mark.faults
@pytest.mark.parametrize("name", RUNS)
async def test_no_emit_is_silent(cluster: FaultCluster, name: str, results: Results) -> None:
    """Redis is killed or stopped every two seconds, and away for up to a second."""
    tasks, pause, concurrency, options = RUNS[name]
    chance = random.Random(tasks)
    restarts = 0
    async with Referee(cluster.nodes):
        with RedisServer() as queue:
            work = Work(await listening(cluster), queue, cluster.redis)
            with work.worker(*options, concurrency=concurrency) as worker:
                running = work.begin(worker, tasks, pause)
                while not (await asyncio.wait([running], timeout=2.0))[0]:
                    await asyncio.to_thread(cluster.redis.kill if restarts % 2 else cluster.redis.stop)
                    await asyncio.sleep(chance.random())
                    await asyncio.to_thread(cluster.redis.start)
                    restarts += 1
                outcomes = await work.accounted(running)
    received = [len(listener.numbers) for listener in work.listeners]
    found = (
        f"outcomes {dict(outcomes)}; of {tasks} the three nodes received {received}, the rest confessed; none silent"
    )
    results.add("F33", f"{name}, Redis restarted every 2 s", f"{restarts} restarts; {found}")
