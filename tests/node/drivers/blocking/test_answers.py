"""What a task waits for that has asked somebody something."""

from __future__ import annotations

import threading

import pytest

from roomcast.drivers.blocking.answers import Answer
from tests.support.patience import PATIENCE
from tests.support.played_tasks import PlayedTasks


def test_the_answer() -> None:
    answer = Answer(threading.Event())
    waiting = threading.Thread(target=lambda: answer.settle((1, 2), None))
    waiting.start()
    assert answer.wait(PATIENCE) == (1, 2)
    assert answer.settled
    waiting.join()


def test_why_there_is_none() -> None:
    answer = Answer(threading.Event())
    answer.settle((), KeyError("gone"))
    with pytest.raises(KeyError, match="gone"):
        answer.wait()


def test_only_the_first_counts() -> None:
    answer = Answer(threading.Event())
    answer.settle((1,), None)
    answer.settle((2,), KeyError())
    assert answer.wait() == (1,)


def test_who_does_not_wait_so_long(tasks: PlayedTasks) -> None:
    answer = Answer(tasks.concurrency.make_event())
    with pytest.raises(TimeoutError):
        answer.wait(3.0)
    assert tasks.now == pytest.approx(1_003)
    assert not answer.settled
