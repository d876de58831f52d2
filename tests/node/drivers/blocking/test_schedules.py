"""Ten thousand random lives of a server: no deadlock, no lost acknowledgement, nothing left.

Each is played by :mod:`tests.support.schedules`; what fails says the seed, with which it fails again.
"""

from __future__ import annotations

import pytest

from tests.support.schedules import Schedule

SHORT, LONG, BATCH = 200, 10_000, 500


def play(first: int, number: int) -> None:
    for seed in range(first, first + number):
        try:
            Schedule(seed).plays()
        except BaseException as failure:
            failure.add_note(f"the schedule of seed {seed}")
            raise


@pytest.mark.timeout(300)
def test_two_hundred_schedules() -> None:
    play(0, SHORT)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("batch", range(LONG // BATCH))
def test_ten_thousand_schedules(batch: int) -> None:
    play(SHORT + batch * BATCH, BATCH)


def test_a_schedule_can_be_played_again() -> None:
    """What happens depends on the seed and on nothing else."""
    lives = []
    for _ in range(2):
        schedule = Schedule(7)
        schedule.plays()
        lives.append([(len(visitor.owed), sorted(visitor.acks)) for visitor in schedule.visitors])
    assert lives[0] == lives[1]
    assert lives[0]
