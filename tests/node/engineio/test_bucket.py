"""How often something may happen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.engineio.bucket import Bucket


def test_without_a_rate_anything_passes() -> None:
    bucket = Bucket(None)
    assert all(bucket.take(0.0) for _ in range(1_000))
    assert bucket.owe(0.0) == (0.0, 0.0)


@pytest.mark.parametrize(("rate", "at_once"), [(3.0, 3), (1.0, 1), (0.1, 1), (2.5, 2)])
def test_after_a_quiet_second_as_many_pass_at_once(rate: float, at_once: int) -> None:
    for quiet in (0.0, 100.0):
        bucket = Bucket(rate)
        assert [bucket.take(quiet) for _ in range(at_once + 1)] == [True] * at_once + [False]


def test_what_passed_comes_back_with_time() -> None:
    bucket = Bucket(2.0)
    assert bucket.take(10.0)
    assert bucket.take(10.0)
    assert not bucket.take(10.25)
    assert bucket.take(10.5)
    assert not bucket.take(10.75)
    assert bucket.take(1_000.0)


def test_it_is_full_again_when_nothing_tells_it_from_a_new_one() -> None:
    bucket = Bucket(2.0)
    assert bucket.full(10.0)
    bucket.take(10.0)
    assert not bucket.full(10.25)
    bucket.take(10.25)
    assert not bucket.full(10.75)
    assert bucket.full(11.0)
    assert Bucket(None).full(0.0)
    seldom = Bucket(0.1)
    seldom.take(10.0)
    assert [seldom.full(at) for at in (19.0, 20.5)] == [False, True]


@given(st.sampled_from([0.5, 1.0, 4.0, 10.0]), st.lists(st.integers(0, 64), max_size=200))
def test_no_second_lets_more_pass_than_the_rate_and_what_was_saved(rate: float, pauses: list[int]) -> None:
    bucket = Bucket(rate)
    now = 0.0
    passed: list[float] = []
    for pause in pauses:
        now += pause / 64
        if bucket.take(now):
            passed.append(now)
    for start in passed:
        within = [at for at in passed if start <= at <= start + 1.0]
        assert len(within) <= max(1.0, rate) + rate


def test_who_is_too_fast_is_told_how_long_to_wait_and_since_when() -> None:
    bucket = Bucket(2.0)
    assert bucket.owe(10.0) == (0.0, 0.0)
    assert bucket.owe(10.0) == (0.0, 0.0)
    assert bucket.owe(10.0) == (0.5, 0.0)
    assert bucket.owe(10.0) == (1.0, 0.0)
    assert bucket.owe(10.5) == (1.0, 0.5)


def test_who_waits_as_told_is_behind_for_ever_and_who_rests_starts_anew() -> None:
    bucket = Bucket(2.0)
    now, lasted = 10.0, 0.0
    for _ in range(10):
        wait, lasted = bucket.owe(now)
        now += wait
    assert lasted > 0.0
    now += 10.0
    assert bucket.owe(now) == (0.0, 0.0)
    assert bucket.owe(now) == (0.0, 0.0)
    assert bucket.owe(now) == (0.5, 0.0)
