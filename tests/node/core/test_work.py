"""What the node asks a driver to do."""

from __future__ import annotations

from roomcast.core import work
from roomcast.core.work import CloseLink, FirstAnswer, SettleAck, Several, given_up, several
from roomcast.engineio import work as engine_work

ERROR = RuntimeError("gone")


def test_the_works_of_the_engine_are_works_of_the_node() -> None:
    assert (CloseLink, Several, several) == (engine_work.CloseLink, engine_work.Several, engine_work.several)
    assert all(hasattr(work, name) for name in work.__all__)


def test_one_client_that_gives_up_ends_its_own_waiter() -> None:
    assert list(given_up("waiter", ERROR)) == [SettleAck("waiter", error=ERROR)]


def test_a_question_to_several_ends_with_the_last_of_them() -> None:
    first = FirstAnswer("waiter", 3)
    assert list(given_up(first, ERROR)) == []
    assert list(given_up(first, ERROR)) == []
    assert list(given_up(first, ERROR)) == [SettleAck("waiter", error=ERROR)]
