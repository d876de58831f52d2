"""The loop, over nodes that do what the test tells them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from roomcast.supervision.fleet import EXIT_CLEAN, EXIT_KILLED, EXIT_NOT_STARTED, FAILED_STARTS
from roomcast.supervision.plans import NodePlan
from roomcast.supervision.readings import Reading
from roomcast.supervision.supervisor import LAST_LINES, Supervisor
from tests.support.patience import PATIENCE
from tests.support.played_nodes import READY, PlayedNode, PlayedNodes, ReadScreen

PLANS = [NodePlan(number, f"n00{number}", f"http://x:{number}", number, "x", 10 + number) for number in (1, 2)]


class Running:
    """A supervisor that runs as a task."""

    def __init__(self, nodes: PlayedNodes) -> None:
        self.nodes = nodes
        self.screen = ReadScreen()
        self.supervisor = Supervisor(PLANS, 5.0, self.screen, "a broker", nodes.launch, nodes.probe)
        self.task = asyncio.ensure_future(self.supervisor.run())

    async def ready(self) -> tuple[PlayedNode, PlayedNode]:
        await self.screen.until_states("starting", "starting")
        first, second = self.nodes.lives
        first.reading = second.reading = READY
        await self.screen.until_states("ready", "ready")
        return first, second

    async def result(self) -> int:
        return await asyncio.wait_for(self.task, PATIENCE)


@asynccontextmanager
async def running(nodes: PlayedNodes | None = None) -> AsyncIterator[Running]:
    run = Running(nodes or PlayedNodes())
    try:
        yield run
    finally:
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)


async def test_nodes_are_started_watched_and_drained() -> None:
    async with running() as run:
        first, second = await run.ready()
        assert (run.screen.views[0].pid, run.screen.views[1].peers) == (first.pid, 1)
        assert run.screen.footer == "a broker; Ctrl-C drains and ends"
        second.reading = Reading("degraded", ("broker away",), 7, False, 1)
        await run.screen.until_states("ready", "degraded")
        run.supervisor.stop()
        await run.screen.until_states("draining", "draining")
        assert run.screen.footer == "a broker; draining, Ctrl-C kills"
        assert [first.terminated, second.terminated] == [1, 1]
        first.end(0)
        await run.screen.until_states("stopped", "draining")
        second.end(0)
        assert await run.result() == EXIT_CLEAN
        assert (run.supervisor.failure, run.screen.closed, first.killed) == (None, True, 0)
        assert [view.state for view in run.screen.views] == ["stopped", "stopped"]


async def test_what_nodes_write_is_passed_on_to_the_last_word() -> None:
    async with running() as run:
        first, _ = await run.ready()
        first.write("one\ntw")
        first.write("o\nlast words")
        await run.screen.until_line(1, "two")
        first.end(1)
        await run.screen.until_line(1, "last words")
        assert [line for line in run.screen.lines if line[0] == 1] == [(1, "one"), (1, "two"), (1, "last words")]


async def test_who_dies_is_started_again() -> None:
    async with running() as run:
        first, second = await run.ready()
        second.end(-signal.SIGKILL)
        await run.screen.until_states("ready", "down")
        await run.screen.until_states("ready", "starting")
        again = run.nodes.lives[-1]
        assert (len(run.nodes.lives), again.plan) == (3, second.plan)
        again.reading = READY
        await run.screen.until_states("ready", "ready")
        assert [view.restarts for view in run.screen.views] == [0, 1]
        assert run.screen.views[1].pid == again.pid
        assert not first.terminated


async def test_children_of_a_node_may_hold_its_output_open() -> None:
    async with running(PlayedNodes(output_stays_open=True)) as run:
        first, _ = await run.ready()
        first.end(1)
        await run.screen.until_states("down", "ready")
        assert first.closed


async def test_stopped_twice_it_kills() -> None:
    async with running() as run:
        first, second = await run.ready()
        run.supervisor.stop()
        await run.screen.until_states("draining", "draining")
        run.supervisor.stop()
        assert await run.result() == EXIT_KILLED
        assert (first.killed, second.killed) == (1, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signals_stop_it(number: int) -> None:
    former = signal.signal(number, signal.SIG_DFL)  # whoever runs the tests may have them ignored, as nohup does
    try:
        await signal_stops_it(number)
    finally:
        signal.signal(number, former)


async def signal_stops_it(number: int) -> None:
    async with running() as run:
        nodes = await run.ready()
        os.kill(os.getpid(), number)
        await run.screen.until_states("draining", "draining")
        for node in nodes:
            node.end(0)
        assert await run.result() == EXIT_CLEAN


async def test_a_signal_that_was_ignored_stays_ignored() -> None:
    """``nohup roomcast up``."""
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        async with running() as run:
            await run.ready()
            os.kill(os.getpid(), signal.SIGHUP)
            run.nodes.lives[0].write("still there\n")
            await run.screen.until_line(1, "still there")
            assert run.screen.footer == "a broker; Ctrl-C drains and ends"
    finally:
        signal.signal(signal.SIGHUP, former)


async def test_who_cannot_be_started_ends_it_and_the_reason_is_kept() -> None:
    async with running() as run:
        await run.screen.until_states("starting", "starting")
        run.nodes.lives[1].reading = READY
        for life in range(FAILED_STARTS):
            node = [node for node in run.nodes.lives if node.plan.number == 1][-1]
            node.write("".join(f"life {life}, line {line}\n" for line in range(2 * LAST_LINES)))
            node.end(1)
            await run.screen.until_states(*(("down", "ready") if life < FAILED_STARTS - 1 else ("stopped", "draining")))
            if life < FAILED_STARTS - 1:
                await run.screen.until_states("starting", "ready")
        run.nodes.lives[1].end(0)
        assert await run.result() == EXIT_NOT_STARTED
        assert run.supervisor.failure is not None
        failure, lines = run.supervisor.failure
        assert (failure.number, failure.ended_with) == (1, 1)
        assert lines == [f"life {FAILED_STARTS - 1}, line {line}" for line in range(LAST_LINES, 2 * LAST_LINES)]


async def test_a_system_that_starts_no_process() -> None:
    async with running(PlayedNodes([OSError("no memory")] * 2 * FAILED_STARTS)) as run:
        assert await run.result() == EXIT_NOT_STARTED
        assert run.supervisor.failure is not None
        assert run.supervisor.failure[1] == ["cannot be started: no memory"]


class BrokenNodes(PlayedNodes):
    """Cannot be asked, because of a mistake of ours."""

    async def probe(self, plan: NodePlan) -> Reading:
        raise ZeroDivisionError


async def test_a_mistake_of_ours_leaves_no_node_behind() -> None:
    async with running(BrokenNodes()) as run:
        with pytest.raises(ZeroDivisionError):
            await run.result()
        assert [node.killed for node in run.nodes.lives] == [1, 1]
        assert run.screen.closed
