"""Starting coroutines in place and as tasks, side by side: the second says what is right for the first."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from roomcast.drivers.asyncio.tasks import Body, Starter, Suspended
from tests.support.coroutines import returning, turns
from tests.support.patience import PATIENCE

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
KINDS = ("task", "fresh", "warm")
A_MOMENT = 0.001
"""Seconds: long enough for the loop to have waited."""


class Started:
    """A coroutine on its way; ``task`` is None when it has ended in its first step."""

    def __init__(self, running: Any) -> None:
        self.task: asyncio.Task[Any] | None = None
        self._outcome: asyncio.Future[tuple[Any, BaseException | None]] = asyncio.get_running_loop().create_future()
        if type(running) is Suspended:
            self.task = running.task
            running.then(lambda result, error: self._outcome.set_result((result, error)))
        else:
            self._outcome.set_result((running, None))

    async def outcome(self) -> tuple[Any, BaseException | None]:
        """(result, error)."""
        return await asyncio.wait_for(self._outcome, PATIENCE)

    async def result(self) -> Any:
        result, error = await self.outcome()
        assert error is None, repr(error)
        return result

    async def error(self) -> type[BaseException]:
        _, error = await self.outcome()
        assert error is not None
        return type(error)

    def cancel(self, message: str | None = None) -> None:
        assert self.task is not None
        self.task.cancel(message)


class Way:
    """How coroutines are started: as a task, on a new spare, or on one that has been waiting."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.starter = Starter(asyncio.get_running_loop())

    async def start(self, body: Body) -> Started:
        """Returns when the first step is done, and (but for plain tasks) before the loop has turned."""
        if self.kind == "task":
            task = asyncio.ensure_future(body)
            await asyncio.sleep(0)
            return Started(Suspended(task))
        if self.kind == "warm":
            await self.warm()
        return Started(self.starter.start(body))

    async def warm(self) -> None:
        assert self.starter.start(returning("warm")) == "warm"
        await turns()


Scenario = Callable[[Way], Coroutine[Any, Any, None]]


def every_way(scenario: Scenario) -> Callable[[str, str], None]:
    """Run a scenario on every loop in every way; afterwards nothing is left and nothing went unseen."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("loop", LOOPS)
    def run(loop: str, kind: str) -> None:
        run_scenario(scenario, loop, kind)

    run.__doc__ = scenario.__doc__
    return run


def run_scenario(scenario: Scenario, loop: str, kind: str = "fresh") -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(watched(scenario, kind))


async def watched(scenario: Scenario, kind: str) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    way = Way(kind)
    async with asyncio.timeout(PATIENCE):  # no task of its own, as wait_for has
        await scenario(way)
    way.starter.close()
    await turns()
    gc.collect()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert complaints == []
