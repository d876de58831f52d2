from __future__ import annotations

import pytest

from roomcast_brokers.backoff import LONGEST_DELAY
from roomcast_emitter.attempts import AT_ONCE, Attempts

CAUSE = ConnectionError("refused")


def test_at_first_nobody_knows() -> None:
    tries = Attempts()
    assert tries.reached is None
    assert not tries.failed(0.0)
    assert not tries.interrupted


def test_the_first_success_is_news_and_the_next_is_not() -> None:
    tries = Attempts()
    assert tries.succeed()
    assert not tries.succeed()
    assert tries.reached


@pytest.mark.parametrize(("took", "again"), [(0.0, True), (AT_ONCE, False)])
def test_a_connection_that_had_worked_is_made_anew_at_once_unless_it_took_long(took: float, again: bool) -> None:
    tries = Attempts()
    tries.succeed()
    tries.begin(10.0)
    assert tries.fail(CAUSE, 10.0 + took) is again
    assert tries.reached is (None if again else False)


def test_only_once_at_once() -> None:
    tries = Attempts()
    tries.succeed()
    tries.begin(10.0)
    assert tries.fail(CAUSE, 10.0)
    tries.begin(10.0)
    assert not tries.fail(CAUSE, 10.0)
    assert tries.failures == 1


def test_what_failed_is_due_again_after_a_while() -> None:
    tries = Attempts()
    now = 10.0
    for failures in range(1, 50):
        tries.begin(now)
        assert not tries.fail(CAUSE, now)
        assert (tries.failures, tries.cause) == (failures, CAUSE)
        assert now < tries.retry_at <= now + LONGEST_DELAY
        assert tries.failed(now)
        assert not tries.failed(tries.retry_at)
        now = tries.retry_at
    assert tries.succeed()
    assert tries.cause is None
    assert not tries.failed(now)


def test_what_was_interrupted_shows_nothing() -> None:
    tries = Attempts()
    tries.succeed()
    tries.interrupt()
    assert (tries.reached, tries.interrupted) == (None, True)
    tries.begin(10.0)
    assert not tries.interrupted
