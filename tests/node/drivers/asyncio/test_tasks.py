"""Coroutines started in place behave as in a task: most scenarios run in a plain task too, which says what is right."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
import uvloop

from roomcast.drivers.asyncio import tasks
from roomcast.drivers.asyncio.tasks import Body, Starter, Suspended
from tests.support.patience import PATIENCE

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
KINDS = ("task", "fresh", "warm")

variable: ContextVar[str] = ContextVar("variable", default="unset")


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


async def turns(number: int = 3) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def returning(value: Any) -> Any:
    return value


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


# --- the first step ---------------------------------------------------------------------------------------------------


@every_way
async def test_the_current_task_is_the_same_in_every_step(way: Way) -> None:
    seen: list[Any] = []

    async def body() -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        await asyncio.sleep(0.001)
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


# --- cancellation -----------------------------------------------------------------------------------------------------


@every_way
async def test_cancelled_while_it_waits(way: Way) -> None:
    cleaned: list[str] = []

    async def body() -> None:
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    started = await way.start(body())
    await turns()
    started.cancel()
    assert await started.error() is asyncio.CancelledError
    assert cleaned == ["up"]


@every_way
async def test_cancelled_before_the_loop_has_turned(way: Way) -> None:
    cleaned: list[str] = []

    async def body() -> None:
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    started = await way.start(body())
    started.cancel()
    assert await started.error() is asyncio.CancelledError
    assert cleaned == ["up"]


@every_way
async def test_cancelling_reaches_the_task_that_is_awaited(way: Way) -> None:
    inner = asyncio.ensure_future(for_ever())

    async def body() -> None:
        await inner

    started = await way.start(body())
    started.cancel()
    assert await started.error() is asyncio.CancelledError
    assert inner.cancelled()


@every_way
async def test_cancelling_ends_all_that_is_gathered(way: Way) -> None:
    children = [asyncio.ensure_future(for_ever()) for _ in range(3)]

    async def body() -> None:
        await asyncio.gather(*children)

    started = await way.start(body())
    started.cancel()
    assert await started.error() is asyncio.CancelledError
    assert all(child.cancelled() for child in children)


@every_way
async def test_what_is_shielded_goes_on(way: Way) -> None:
    inner = asyncio.ensure_future(asyncio.sleep(0.001, "finished"))

    async def body() -> None:
        await asyncio.shield(inner)

    started = await way.start(body())
    started.cancel()
    assert await started.error() is asyncio.CancelledError
    assert await inner == "finished"


@every_way
async def test_the_message_of_a_cancellation(way: Way) -> None:
    async def body() -> Any:
        try:
            await for_ever()
        except asyncio.CancelledError as error:
            return error.args

    for turned in (0, 3):
        started = await way.start(body())
        await turns(turned)
        started.cancel("why")
        assert await started.result() == ("why",)


@every_way
async def test_a_coroutine_may_refuse_to_be_cancelled(way: Way) -> None:
    async def body() -> str:
        try:
            await for_ever()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        return await asyncio.sleep(0, "stayed")

    started = await way.start(body())
    started.cancel()
    assert await started.result() == "stayed"
    assert started.task is not None
    assert started.task.cancelling() == 0


@every_way
async def test_cancelled_when_what_it_waits_for_has_just_come(way: Way) -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def body() -> str:
        return await future

    started = await way.start(body())
    future.set_result("too late")
    started.cancel()
    assert await started.error() is asyncio.CancelledError


@every_way
async def test_cancelled_in_a_bare_yield(way: Way) -> None:
    async def body() -> None:
        await asyncio.sleep(0)
        raise AssertionError("went on")

    started = await way.start(body())
    started.cancel()
    assert await started.error() is asyncio.CancelledError


@every_way
async def test_cancelling_itself_in_the_first_step_takes_effect_where_it_waits(way: Way) -> None:
    inner = asyncio.ensure_future(for_ever())
    seen: list[str] = []

    async def body() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        seen.append("goes on")
        try:
            await inner
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    started = await way.start(body())
    assert await started.error() is asyncio.CancelledError
    assert seen == ["goes on", "cancelled"]
    assert inner.cancelled()


@pytest.mark.parametrize("kind", ["fresh", "warm"])
@pytest.mark.parametrize("loop", LOOPS)
def test_cancelling_itself_and_never_waiting_hits_nobody_else(loop: str, kind: str) -> None:
    async def body() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "done"

    async def scenario(way: Way) -> None:
        assert way.starter.start(body()) == "done"
        assert await Started(way.starter.start(asyncio.sleep(0, "untouched"))).result() == "untouched"

    run_scenario(scenario, loop, kind)


@pytest.mark.parametrize("loop", LOOPS)
def test_cancelling_a_handler_that_has_ended_does_not_hit_the_next_one(loop: str) -> None:
    """Applications keep ``current_task()`` to cancel "the search before this one"; ended tasks do not mind."""

    async def scenario(way: Way) -> None:
        kept: list[asyncio.Task[Any]] = []

        async def ends_at_once() -> None:
            task = asyncio.current_task()
            assert task is not None
            kept.append(task)

        for turned in (0, 3):
            way.starter.start(ends_at_once())
            await turns(turned)
            running = Started(way.starter.start(asyncio.sleep(0.001, "untouched")))
            kept[-1].cancel()
            await turns(turned)
            assert await running.result() == "untouched"
            way.starter.start(ends_at_once())
            kept[-1].cancel()
            await turns(turned)
            assert await Started(way.starter.start(asyncio.sleep(0, "untouched"))).result() == "untouched"

    run_scenario(scenario, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_spare_that_was_cancelled_is_used_no_more(loop: str) -> None:
    """As by those who cancel all tasks of a loop."""

    async def scenario(way: Way) -> None:
        for turned in (0, 3):
            await way.warm()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await turns(turned)
            assert await Started(way.starter.start(asyncio.sleep(0, "ran"))).result() == "ran"

    run_scenario(scenario, loop)


# --- what the standard library builds on tasks ------------------------------------------------------------------------


@every_way
async def test_timeout(way: Way) -> None:
    async def body(seconds: float) -> str:
        try:
            async with asyncio.timeout(seconds):
                await for_ever()
        except TimeoutError:
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            return await asyncio.sleep(0, "timed out")
        return "?"

    for seconds in (0.005, 0, -1):
        assert await (await way.start(body(seconds))).result() == "timed out"


@every_way
async def test_a_timeout_that_does_not_strike(way: Way) -> None:
    async def body() -> str:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.sleep(0.001, "in time")

    assert await (await way.start(body())).result() == "in time"


@every_way
async def test_wait_for(way: Way) -> None:
    async def body() -> list[Any]:
        seen: list[Any] = [await asyncio.wait_for(asyncio.sleep(0, "in time"), PATIENCE)]
        try:
            await asyncio.wait_for(for_ever(), 0.001)
        except TimeoutError:
            seen.append("timed out")
        return seen

    assert await (await way.start(body())).result() == ["in time", "timed out"]


@every_way
async def test_task_group(way: Way) -> None:
    async def body() -> list[str]:
        async with asyncio.TaskGroup() as group:
            children = [group.create_task(asyncio.sleep(0, f"child {number}")) for number in range(3)]
        return [child.result() for child in children]

    assert await (await way.start(body())).result() == ["child 0", "child 1", "child 2"]


@every_way
async def test_a_task_group_whose_child_fails(way: Way) -> None:
    async def failing() -> None:
        raise LookupError

    siblings: list[asyncio.Task[Any]] = []

    async def body() -> str:
        try:
            async with asyncio.TaskGroup() as group:
                siblings.append(group.create_task(for_ever()))
                group.create_task(failing())
                await for_ever()
        except* LookupError:
            pass
        return await asyncio.sleep(0, "goes on")

    assert await (await way.start(body())).result() == "goes on"
    assert siblings[0].cancelled()


@every_way
async def test_a_task_group_that_is_cancelled_from_outside(way: Way) -> None:
    children: list[asyncio.Task[Any]] = []

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            children.append(group.create_task(for_ever()))

    started = await way.start(body())
    started.cancel()
    assert await started.error() is asyncio.CancelledError
    assert children[0].cancelled()


@every_way
async def test_gather(way: Way) -> None:
    async def body() -> list[Any]:
        return list(await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0.001, 2), returning(3)))

    assert await (await way.start(body())).result() == [1, 2, 3]


@every_way
async def test_locks_are_handed_on_in_order(way: Way) -> None:
    lock = asyncio.Lock()
    order: list[int] = []

    async def body(number: int) -> None:
        async with lock:
            await asyncio.sleep(0)
            order.append(number)

    started = [await way.start(body(number)) for number in range(5)]
    for each in started:
        await each.result()
    assert order == [0, 1, 2, 3, 4]


# --- what anyio builds on tasks ---------------------------------------------------------------------------------------


@every_way
async def test_anyio_cancel_scopes(way: Way) -> None:
    async def body() -> list[Any]:
        seen: list[Any] = []
        with anyio.move_on_after(0.001) as scope:
            await for_ever()
        seen.append(scope.cancelled_caught)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
            seen.append("unreachable")
        seen.append(scope.cancelled_caught)
        return [*seen, await asyncio.sleep(0, "goes on")]

    assert await (await way.start(body())).result() == [True, True, "goes on"]


@every_way
async def test_anyio_fail_after_in_the_first_step(way: Way) -> None:
    async def body() -> str:
        try:
            with anyio.fail_after(0):
                await for_ever()
        except TimeoutError:
            return await asyncio.sleep(0, "timed out")
        return "?"

    assert await (await way.start(body())).result() == "timed out"


@every_way
async def test_anyio_task_groups(way: Way) -> None:
    async def child(task_status: anyio.abc.TaskStatus[str]) -> None:
        task_status.started("ready")
        await anyio.sleep_forever()

    async def body() -> str:
        async with anyio.create_task_group() as group:
            ready: str = await group.start(child)
            group.cancel_scope.cancel()
        return ready

    assert await (await way.start(body())).result() == "ready"


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

    async def body() -> None:
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    async def program() -> None:
        starter = Starter(asyncio.get_running_loop())
        starter.start(returning(None))
        assert type(starter.start(body())) is Suspended

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
