from __future__ import annotations

import random
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast_brokers.backoff import GROWTH, LONGEST_DELAY, SHORTEST_DELAY, delays


def test_the_bounds() -> None:
    """The first retry comes almost at once, and a broker that is back is not left alone for long."""
    assert 0 < SHORTEST_DELAY < SHORTEST_DELAY * GROWTH <= 0.05
    assert 0.5 <= LONGEST_DELAY <= 1.0


def test_without_luck_it_stays_short_and_with_all_of_it_it_grows_to_the_bound() -> None:
    assert list(islice(delays(random=lambda: 0.0), 5)) == [SHORTEST_DELAY] * 5
    grown = list(islice(delays(0.1, 1.0, random=lambda: 1.0), 5))
    assert grown == pytest.approx([0.3, 0.9, 1.0, 1.0, 1.0])


@given(st.integers())
def test_every_delay_is_within_the_bounds_and_at_most_thrice_the_one_before(seed: int) -> None:
    found = list(islice(delays(random=random.Random(seed).random), 200))
    assert all(SHORTEST_DELAY <= delay <= LONGEST_DELAY for delay in found)
    assert found[0] <= SHORTEST_DELAY * GROWTH
    assert all(after <= before * GROWTH + 1e-9 for before, after in pairwise(found))


def test_two_nodes_do_not_keep_step() -> None:
    one = list(islice(delays(random=random.Random(1).random), 50))
    other = list(islice(delays(random=random.Random(2).random), 50))
    assert not set(one) & set(other)


def test_when_the_broker_returns_little_is_left_of_the_delay_in_which_it_does() -> None:
    """At most 0.75 s in 99 of 100 cases, whenever that is; the rest of the second is for connecting."""
    chance = random.Random(20)
    left = []
    for _ in range(3_000):
        returns, now = chance.uniform(0.05, 60.0), 0.0
        for delay in delays(random=chance.random):
            now += delay
            if now >= returns:
                left.append(now - returns)
                break
    assert sorted(left)[int(len(left) * 0.99)] < 0.75
