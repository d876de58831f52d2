"""What runs beside such a loop in its thread, seen where no greenlets are: asyncio knows of no loop while it waits."""

from __future__ import annotations

import asyncio
import selectors
import socket
from asyncio.events import _get_running_loop
from typing import Any

import pytest

from roomcast_brokers.yielding_loop import YieldingLoop, YieldingSelector

MOMENT = 0.001
"""Seconds; long enough for the loop to wait."""


class Beside(selectors.SelectSelector):
    """Looks around while the loop waits."""

    found: list[Any] = []  # noqa: RUF012  # of the class: the loop makes the selector

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.found.append(_get_running_loop())
        return super().select(timeout)


def test_it_does_not_run_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "DefaultSelector", Beside)
    monkeypatch.setattr(Beside, "found", [])

    async def waits() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(MOMENT)
        return asyncio.get_running_loop()

    with asyncio.Runner(loop_factory=YieldingLoop) as runner:
        assert runner.run(waits()) is runner.get_loop()
    assert len(Beside.found) > 1
    assert set(Beside.found) == {None}


def test_what_is_called_outside_finds_none_and_may_run_one_of_its_own() -> None:
    found: list[Any] = []

    async def other(number: int) -> None:
        await asyncio.sleep(0)
        found.append(number)

    async def calls() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, YieldingLoop)
        loop.call_outside(lambda number: asyncio.run(other(number)), 1)
        with pytest.raises(ZeroDivisionError):
            loop.call_outside(lambda: 1 / 0)
        assert asyncio.get_running_loop() is loop

    with asyncio.Runner(loop_factory=YieldingLoop) as runner:
        runner.run(calls())
    assert found == [1]


def test_the_selector_is_one_like_any_other() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, YieldingSelector() as selector:
        assert selector.register(ours, selectors.EVENT_WRITE, "ours").data == "ours"
        assert [key.data for key, _ in selector.select(0)] == ["ours"]
        selector.modify(ours, selectors.EVENT_READ)
        assert selector.select(0) == []
        assert list(selector.get_map()) == [ours.fileno()]
        assert selector.unregister(ours).fileobj is ours
        assert not selector.get_map()
