"""Coroutines started in place behave as in a task: most scenarios run in a plain task too, which says what is right."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest

from roomcast.drivers.asyncio import tasks
from roomcast.drivers.asyncio.tasks import Starter, Suspended
from tests.support.coroutines import cleaning_up, for_ever, returning, turns
from tests.support.patience import PATIENCE
from tests.support.started import A_MOMENT, LOOPS, Started, Way, every_way, run_scenario

variable: ContextVar[str] = ContextVar("variable", default="unset")


# --- the first step ---------------------------------------------------------------------------------------------------


@every_way
async def test_the_current_task_is_the_same_in_every_step(way: Way) -> None:
    seen: list[Any] = []

    async def body() -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        await asyncio.sleep(A_MOMENT)
        seen.append(asyncio.current_task())

    caller = asyncio.current_task()
    started = await way.start(body())
    assert asyncio.current_task() is caller
    await started.result()
    assert seen == [started.task] * 3
    assert seen[0] is not caller


@pytest.mark.parametrize("loop", LOOPS)
def test_what_never_waits_returns_at_once(loop: str) -> None:
    async def scenario(way: Way) -> None:
        assert way.starter.start(returning("value")) == "value"

    run_scenario(scenario, loop)


@pytest.mark.parametrize("kind", ["fresh", "warm"])
@pytest.mark.parametrize("loop", LOOPS)
def test_what_the_first_step_raises_is_raised_at_once(loop: str, kind: str) -> None:
    async def body() -> None:
        raise LookupError("first step")

    async def scenario(way: Way) -> None:
        caller = asyncio.current_task()
        for _ in range(2):
            with pytest.raises(LookupError, match="first step"):
                await way.start(body())
            assert asyncio.current_task() is caller

    run_scenario(scenario, loop, kind)


@every_way
async def test_what_a_later_step_raises_is_its_outcome(way: Way) -> None:
    async def body() -> None:
        await asyncio.sleep(0)
        raise LookupError("later")

    started = await way.start(body())
    assert await started.error() is LookupError


@every_way
async def test_a_value_after_many_suspensions(way: Way) -> None:
    async def body() -> list[int]:
        return [await asyncio.sleep(0, number) for number in range(5)]

    assert await (await way.start(body())).result() == [0, 1, 2, 3, 4]


@every_way
async def test_a_result_that_came_before_the_coroutine_was_carried_on(way: Way) -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def body() -> str:
        return await future

    started = await way.start(body())
    future.set_result("early")
    assert await started.result() == "early"


@every_way
async def test_an_error_that_came_before_the_coroutine_was_carried_on(way: Way) -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def body() -> str:
        try:
            return await future
        except LookupError:
            return "caught"

    started = await way.start(body())
    future.set_exception(LookupError())
    assert await started.result() == "caught"


@every_way
async def test_awaiting_what_nobody_can_await_is_told_to_the_coroutine(way: Way) -> None:
    class Wrong:
        def __await__(self) -> Any:
            yield "no future"

    async def body() -> str:
        try:
            await Wrong()
        except RuntimeError as error:
            return str(error)
        return "accepted"

    assert "Task got bad yield" in await (await way.start(body())).result()


@every_way
async def test_starts_inside_starts(way: Way) -> None:
    seen: list[Any] = []

    async def inner(deep: int) -> int:
        task = asyncio.current_task()
        below = await way.start(inner(deep - 1)) if deep else None
        assert asyncio.current_task() is task
        await asyncio.sleep(0)
        assert asyncio.current_task() is task
        seen.append(task)
        return deep + (await below.result() if below else 0)

    assert await (await way.start(inner(12))).result() == sum(range(13))
    assert len(set(seen)) == 13


@pytest.mark.parametrize("loop", LOOPS)
def test_a_start_from_a_callback_has_no_task_around_it(loop: str) -> None:
    async def scenario(way: Way) -> None:
        seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def callback() -> None:
            running = way.starter.start(asyncio.sleep(0, "slept"))
            assert asyncio.current_task() is None
            running.then(lambda result, error: seen.set_result((result, error)))

        asyncio.get_running_loop().call_soon(callback)
        assert await seen == ("slept", None)

    run_scenario(scenario, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_tasks_are_made_only_for_what_waits(loop: str) -> None:
    async def scenario(way: Way) -> None:
        await way.warm()
        before = asyncio.all_tasks()
        for number in range(100):
            assert way.starter.start(returning(number)) == number
        assert asyncio.all_tasks() == before

    run_scenario(scenario, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_no_more_spares_lie_ready_than_allowed(loop: str) -> None:
    async def scenario(way: Way) -> None:
        async def nested(deep: int) -> None:
            if deep:
                way.starter.start(nested(deep - 1))

        way.starter.start(nested(3 * tasks.MAX_SPARES))
        await turns()
        assert len(asyncio.all_tasks()) == 1 + tasks.MAX_SPARES

    run_scenario(scenario, loop)


def test_where_the_loop_offers_no_hooks_every_start_is_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_enter_task", None)

    async def scenario(way: Way) -> None:
        started = Started(way.starter.start(returning("value")))
        assert started.task is not None
        assert await started.result() == "value"

    run_scenario(scenario, "asyncio")


# --- the context ------------------------------------------------------------------------------------------------------


@every_way
async def test_each_start_has_a_context_of_its_own(way: Way) -> None:
    variable.set("caller")
    seen: list[str] = []

    async def body(name: str, wait: bool) -> None:
        seen.append(variable.get())
        variable.set(name)
        if wait:
            await asyncio.sleep(0)
        seen.append(variable.get())

    for wait in (False, True):
        for name in ("one", "two"):
            await (await way.start(body(name, wait))).result()
            assert variable.get() == "caller"
    assert seen == ["caller", "one", "caller", "two"] * 2


@every_way
async def test_one_context_through_all_steps(way: Way) -> None:
    async def child() -> str:
        return variable.get()

    async def body() -> list[str]:
        token = variable.set("first step")
        seen = [await asyncio.sleep(0, variable.get())]
        variable.set("second step")
        seen += [await asyncio.ensure_future(child()), variable.get()]
        variable.reset(token)  # raises where the context is another one
        return [*seen, variable.get()]

    variable.set("caller")
    started = await way.start(body())
    variable.set("changed meanwhile")
    assert await started.result() == ["first step", "second step", "second step", "caller"]


@every_way
async def test_callbacks_of_a_coroutine_run_in_its_context(way: Way) -> None:
    async def body() -> str:
        variable.set("body")
        called: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: called.set_result(variable.get()))
        return await called

    assert await (await way.start(body())).result() == "body"


# --- cleaning up ------------------------------------------------------------------------------------------------------


@every_way
async def test_async_generators_and_context_managers_are_cleaned_up(way: Way) -> None:
    log: list[str] = []

    @contextlib.asynccontextmanager
    async def resource() -> AsyncIterator[str]:
        try:
            yield "resource"
        finally:
            await asyncio.sleep(0)
            log.append("released")

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            for number in range(10):
                yield number
                await asyncio.sleep(0)
        finally:
            log.append("generator closed")

    async def body() -> None:
        async with resource(), contextlib.aclosing(numbers()) as stream:
            async for number in stream:
                if number == 3:
                    await for_ever()

    started = await way.start(body())
    await turns(10)
    started.cancel()
    assert await started.error() is asyncio.CancelledError
    assert log == ["generator closed", "released"]


@every_way
async def test_an_async_generator_that_is_dropped_is_closed_by_the_loop(way: Way) -> None:
    closed: list[bool] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            closed.append(True)

    async def body() -> None:
        async for _ in numbers():
            break
        await asyncio.sleep(0)

    await (await way.start(body())).result()
    gc.collect()
    await turns()
    assert closed == [True]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_that_ends_cancels_what_still_runs(loop: str) -> None:
    cleaned: list[str] = []

    async def program() -> None:
        starter = Starter(asyncio.get_running_loop())
        starter.start(returning(None))
        assert type(starter.start(cleaning_up(cleaned))) is Suspended

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(program())
    gc.collect()
    assert cleaned == ["up"]


PROGRAM = """
import asyncio, sys, uvloop
from roomcast.drivers.asyncio.tasks import Starter

async def nothing(): pass
async def waiting(): await asyncio.get_running_loop().create_future()

async def main(turns):
    starter = Starter(asyncio.get_running_loop())
    starter.start(nothing())
    if sys.argv[2] == "waiting":
        starter.start(waiting())
    for _ in range(turns):
        await asyncio.sleep(0)

factory = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[sys.argv[1]]
for turns in (0, 3):
    with asyncio.Runner(loop_factory=factory, debug=True) as runner:
        runner.run(main(turns))
"""


@pytest.mark.parametrize("what", ["spares", "waiting"])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_program_that_ends_with_spares_says_nothing(loop: str, what: str) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, loop, what]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("loop", LOOPS)
def test_closing_lets_the_spares_go_and_starting_again_is_fine(loop: str) -> None:
    async def scenario(way: Way) -> None:
        await way.warm()
        way.starter.close()
        await turns()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert await Started(way.starter.start(asyncio.sleep(0, "again"))).result() == "again"

    run_scenario(scenario, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_an_outcome_that_nobody_asked_for(loop: str) -> None:
    """A pause of reading is only waited for; what it carries is not looked at."""

    async def scenario(way: Way) -> None:
        suspended = way.starter.start(asyncio.sleep(0, "value"))
        assert await suspended.task == "value"

    run_scenario(scenario, loop)
