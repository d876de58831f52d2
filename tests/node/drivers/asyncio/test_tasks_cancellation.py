"""Cancelling what was started in place, and what the standard library and anyio build on it."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from tests.support.coroutines import cleaning_up, for_ever, returning, turns
from tests.support.patience import PATIENCE
from tests.support.started import A_MOMENT, LOOPS, Started, Way, every_way, run_scenario

# --- cancellation -----------------------------------------------------------------------------------------------------


@every_way
async def test_cancelled_while_it_waits(way: Way) -> None:
    cleaned: list[str] = []
    started = await way.start(cleaning_up(cleaned))
    await turns()
    started.cancel()
    assert await started.error() is asyncio.CancelledError
    assert cleaned == ["up"]


@every_way
async def test_cancelled_before_the_loop_has_turned(way: Way) -> None:
    cleaned: list[str] = []
    started = await way.start(cleaning_up(cleaned))
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
    inner = asyncio.get_running_loop().create_future()

    async def body() -> None:
        await asyncio.shield(inner)

    started = await way.start(body())
    started.cancel()
    assert await started.error() is asyncio.CancelledError
    inner.set_result("finished")
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
            running = Started(way.starter.start(asyncio.sleep(A_MOMENT, "untouched")))
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
            return await asyncio.sleep(A_MOMENT, "in time")

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
        return list(await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(A_MOMENT, 2), returning(3)))

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
