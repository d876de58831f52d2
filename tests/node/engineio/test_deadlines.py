"""Appointments: kept once, in order, or called off."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.engineio.deadlines import COMPACT_ABOVE, Deadline, Deadlines
from tests.support.sinks import Listener


def answering(answer: Any) -> Callable[[float], Any]:
    return lambda now: answer


def saying(text: str | None) -> Callable[[float], str | None]:
    return lambda now: text


@pytest.fixture
def deadlines() -> Deadlines:
    return Deadlines()


def test_without_appointments(deadlines: Deadlines) -> None:
    assert deadlines.due() is None
    assert deadlines.run(1e9) == []
    assert len(deadlines) == 0


def test_they_are_kept_in_order_of_time_and_then_of_making(deadlines: Deadlines) -> None:
    for due, text in ((3.0, "c"), (1.0, "a"), (2.0, "b"), (1.0, "a, too")):
        deadlines.add(due, saying(text))
    assert deadlines.due() == 1.0
    assert deadlines.run(0.999) == []
    assert deadlines.run(2.0) == ["a", "a, too", "b"]
    assert deadlines.due() == 3.0
    assert deadlines.run(2.0) == []
    assert len(deadlines) == 1


def test_an_action_is_told_the_time_and_none_is_no_answer(deadlines: Deadlines) -> None:
    deadlines.add(1.0, lambda now: now)
    deadlines.add(1.0, saying(None))
    assert deadlines.run(1.5) == [1.5]


def test_one_that_was_called_off_is_not_kept(deadlines: Deadlines) -> None:
    kept, off = deadlines.add(1.0, saying("kept")), deadlines.add(1.0, saying("off"))
    deadlines.cancel(off)
    deadlines.cancel(off)
    deadlines.cancel(None)
    assert len(deadlines) == 1
    assert deadlines.run(1.0) == ["kept"]
    deadlines.cancel(kept)
    assert len(deadlines) == 0
    assert deadlines.due() is None


def test_calling_off_lets_go_at_once(deadlines: Deadlines) -> None:
    class Client:
        def late(self, now: float) -> None:
            raise AssertionError("it was called off")

    client = Client()
    gone = weakref.ref(client)
    deadline = deadlines.add(1.0, client.late)
    deadlines.cancel(deadline)
    del client
    gc.collect()
    assert gone() is None


def test_an_action_may_make_and_call_off_others(deadlines: Deadlines) -> None:
    later: list[Deadline] = []

    def act(now: float) -> str:
        deadlines.cancel(later[0])
        deadlines.add(now, saying("new"))
        deadlines.add(now + 1.0, saying("not yet"))
        return "acted"

    deadlines.add(1.0, act)
    later.append(deadlines.add(1.0, saying("off")))
    assert deadlines.run(1.0) == ["acted", "new"]
    assert len(deadlines) == 1


def test_an_action_may_call_off_so_many_that_the_heap_is_rebuilt(deadlines: Deadlines) -> None:
    others: list[Deadline] = []

    def act(now: float) -> str:
        for other in others:
            deadlines.cancel(other)
        return "acted"

    deadlines.add(1.0, act)
    others += [deadlines.add(2.0, saying("off")) for _ in range(COMPACT_ABOVE + 1)]
    deadlines.add(1.5, saying("kept"))
    assert deadlines.run(3.0) == ["acted", "kept"]
    assert deadlines.due() is None


def test_many_that_were_called_off_take_no_room(deadlines: Deadlines) -> None:
    kept = deadlines.add(2.0, saying("kept"))
    for number in range(10_000):
        deadlines.cancel(deadlines.add(1.0 + number, saying("off")))
        assert len(deadlines) == 1
        assert len(deadlines._heap) <= COMPACT_ABOVE + 2
    assert kept.action is not None
    assert deadlines.run(1e9) == ["kept"]


def test_whoever_waits_is_told_of_an_earlier_one() -> None:
    listener = Listener()
    deadlines = Deadlines(listener)
    for due in (5.0, 6.0, 4.0, 4.0):
        deadlines.add(due, saying(None))
    assert listener.calls == [(5.0,), (4.0,)]


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=200), st.lists(st.integers(0, 20)))
def test_each_is_kept_exactly_once_whenever_one_looks(made: list[tuple[int, bool]], looks: list[int]) -> None:
    deadlines = Deadlines()
    expected = []
    for number, (due, called_off) in enumerate(made):
        deadline = deadlines.add(float(due), answering((due, number)))
        if called_off:
            deadlines.cancel(deadline)
        else:
            expected.append((due, number))
    assert len(deadlines) == len(expected)
    kept = []
    for look in (*sorted(looks), 20):
        answers = deadlines.run(float(look))
        assert all(due <= look for due, _ in answers)
        kept += answers
    assert kept == sorted(expected)
    assert len(deadlines) == 0


def test_all_may_be_called_off(deadlines: Deadlines) -> None:
    kept = deadlines.add(1.0, saying("a"))
    deadlines.cancel(deadlines.add(2.0, saying("b")))
    deadlines.clear()
    assert len(deadlines) == 0
    assert deadlines.due() is None
    deadlines.cancel(kept)
    assert len(deadlines) == 0
    deadlines.add(3.0, saying("c"))
    assert deadlines.run(9.0) == ["c"]
