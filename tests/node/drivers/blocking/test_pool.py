"""Tasks for the application's handlers: how many, in which order, and how they end."""

from __future__ import annotations

import logging
from functools import partial

import pytest

from roomcast.drivers.blocking.pool import Pool
from roomcast.drivers.blocking.threads import THREADS
from tests.support.patience import PATIENCE
from tests.support.played_tasks import PlayedTasks

# Seconds of played time.
THREE_SECONDS = 3.0
A_SECOND = 1.0


class Work:
    """Jobs that note when they begin and end; those that :meth:`wait` end when :meth:`let_go` is called."""

    def __init__(self, tasks: PlayedTasks, size: int = 3) -> None:
        self.tasks = tasks
        self.pool = Pool(tasks.concurrency, size)
        self.log: list[str] = []
        self._gate = tasks.concurrency.make_event()

    def job(self, name: str) -> None:
        self.log.append(name)

    def waiting(self, name: str) -> None:
        self.log.append(f"{name} begins")
        self._gate.wait()
        self.log.append(f"{name} ends")

    def let_go(self) -> None:
        self._gate.set()
        self.tasks.others()

    def puts(self, *names: str, key: object = None) -> None:
        for name in names:
            self.pool.put(partial(self.job, name), key)

    def waits(self, *names: str, key: object = None) -> None:
        for name in names:
            self.pool.put(partial(self.waiting, name), key)


@pytest.fixture
def work(tasks: PlayedTasks) -> Work:
    return Work(tasks)


def test_jobs_begin_in_the_order_in_which_they_come(work: Work) -> None:
    work.puts(*"abcdefgh")
    work.tasks.others()
    assert work.log == list("abcdefgh")
    assert work.pool.running == 0


def test_no_task_is_started_that_is_not_needed(work: Work) -> None:
    assert not work.tasks.tasks
    for name in "abc":
        work.puts(name)
        work.tasks.others()
    assert len(work.tasks.alive) == 1


def test_as_many_run_at_once_as_may_and_the_others_wait(work: Work) -> None:
    work.waits(*"abcde")
    work.tasks.others()
    assert work.log == ["a begins", "b begins", "c begins"]
    assert len(work.tasks.alive) == 3
    assert work.pool.running == 5
    work.let_go()
    assert sorted(work.log[3:]) == ["a ends", "b ends", "c ends", "d begins", "d ends", "e begins", "e ends"]
    assert len(work.tasks.alive) == 3
    work.puts(*"xyz")
    work.tasks.others()
    assert len(work.tasks.alive) == 3


def test_jobs_of_one_key_run_one_after_another_and_the_others_beside_them(work: Work) -> None:
    work.waits("a", key=1)
    work.puts("b", "c", key=1)
    work.puts("x", key=2)
    work.puts("y")
    work.tasks.others()
    assert work.log == ["a begins", "x", "y"]
    work.let_go()
    assert work.log[3:] == ["a ends", "b", "c"]
    work.puts("d", key=1)
    work.tasks.others()
    assert work.log[-1] == "d"


def test_a_key_takes_no_more_than_one_task(work: Work) -> None:
    work.waits(*"abcdef", key=1)
    work.tasks.others()
    assert len(work.tasks.alive) == 1


def test_a_job_that_fails_ends_nothing_else(work: Work, caplog: pytest.LogCaptureFixture) -> None:
    work.pool.put(lambda: 1 / 0, 1)
    work.puts("next", key=1)
    work.puts("other")
    work.tasks.others()
    assert sorted(work.log) == ["next", "other"]
    assert work.pool.running == 0
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_where_no_more_tasks_can_be_started_jobs_wait_for_those_that_there_are(
    work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    work.puts("first")
    work.tasks.others()
    work.tasks.refuses_tasks = True
    work.waits(*"ab")
    work.tasks.others()
    assert work.log == ["first", "a begins"]
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
    work.let_go()
    assert work.log[2:] == ["a ends", "b begins", "b ends"]
    work.tasks.refuses_tasks = False
    work.puts(*"xyz")
    work.tasks.others()
    assert work.log[-3:] == list("xyz")


def test_where_not_even_one_can_be_started_the_next_try_may(work: Work) -> None:
    work.tasks.refuses_tasks = True
    work.puts("a")
    work.tasks.refuses_tasks = False
    work.puts("b")
    work.tasks.others()
    assert work.log == ["a", "b"]


# --- the end ----------------------------------------------------------------------------------------------------------


def test_draining_waits_until_all_have_ended(work: Work) -> None:
    work.pool.put(lambda: work.tasks.sleep(THREE_SECONDS))
    assert work.pool.drain(5.0)
    assert work.tasks.now == pytest.approx(1_003, abs=0.1)


def test_draining_has_an_end(work: Work) -> None:
    work.waits("a")
    assert not work.pool.drain(2.0)
    assert work.pool.running == 1


def test_a_job_that_drains_does_not_wait_for_itself(work: Work) -> None:
    outcome: list[bool] = []
    work.pool.put(lambda: outcome.append(work.pool.drain(5.0)))
    work.pool.put(lambda: work.tasks.sleep(A_SECOND))
    assert work.pool.drain(10.0)
    assert outcome == [True]


def test_a_job_of_another_pool_does_wait(work: Work) -> None:
    other = Pool(work.tasks.concurrency, 1)
    outcome: list[bool] = []
    work.waits("a")
    other.put(lambda: outcome.append(work.pool.drain(1.0)))
    assert other.drain(5.0)
    assert outcome == [False]


def test_closing_ends_the_tasks_when_they_have_done_what_there_is(work: Work) -> None:
    work.waits(*"abcd")
    work.puts("e", key=1)
    work.pool.close()
    work.let_go()
    assert not work.tasks.alive
    assert work.pool.running == 0
    assert "e" in work.log
    assert work.log.count("d ends") == 1


def test_what_is_put_after_closing_is_done_by_others(work: Work) -> None:
    work.waits("a", key=1)
    work.tasks.others()
    work.pool.close()
    work.puts("b", key=1)
    work.puts("c")
    work.tasks.others()
    assert work.log == ["a begins", "c"]
    work.let_go()
    assert work.log[2:] == ["a ends", "b"]
    assert len(work.tasks.alive) == 1
    work.pool.close()
    work.tasks.others()
    assert not work.tasks.alive


def test_on_threads() -> None:
    pool = Pool(THREADS, 4)
    done: list[int] = []
    for number in range(200):
        pool.put(partial(done.append, number), number % 7)
    assert pool.drain(PATIENCE)
    assert sorted(done) == list(range(200))
    for key in range(7):
        assert [number for number in done if number % 7 == key] == list(range(key, 200, 7))
    pool.close()
