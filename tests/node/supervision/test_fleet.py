"""Who is started when, who is given up, and how it all ends: plain calls, and a time that the test makes."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.supervision.fleet import (
    END_PATIENCE,
    EXIT_CLEAN,
    EXIT_KILLED,
    EXIT_NOT_STARTED,
    EXIT_UNCLEAN,
    FAILED_STARTS,
    FAILED_STARTS_LATER,
    LONGEST_DELAY,
    SHORTEST_DELAY,
    STEADY,
    Deed,
    Fleet,
    GaveUp,
    Order,
    State,
    delay,
)

DRAIN = 5.0
KILLED = -signal.SIGKILL


def orders(fleet: Fleet, now: float) -> list[tuple[Deed, int]]:
    return [(order.deed, order.number) for order in fleet.orders(now)]


def serving(count: int = 2) -> Fleet:
    """A fleet whose nodes were started at 0 and are ready."""
    fleet = Fleet(range(1, count + 1), DRAIN, 0.0)
    assert orders(fleet, 0.0) == [(Deed.START, number) for number in range(1, count + 1)]
    for number in fleet.lives:
        fleet.serves(number)
    return fleet


def next_start(fleet: Fleet, number: int, now: float) -> float:
    """Let time pass until the node is started again; returns when."""
    due = fleet.due()
    assert due is not None
    if due > now:
        assert not fleet.orders(max(now, due - 0.01))
    assert orders(fleet, max(now, due)) == [(Deed.START, number)]
    return max(now, due)


# --- starting ---------------------------------------------------------------------------------------------------------


def test_all_are_started_at_once_and_each_once() -> None:
    fleet = Fleet([1, 2, 3], DRAIN, 10.0)
    assert fleet.due() == 10.0
    assert fleet.orders(10.0) == [Order(Deed.START, 1), Order(Deed.START, 2), Order(Deed.START, 3)]
    assert fleet.orders(10.0) == []
    assert fleet.due() is None
    assert {life.state for life in fleet.lives.values()} == {State.STARTING}
    fleet.serves(1)
    fleet.serves(1)
    assert [life.state for life in fleet.lives.values()] == [State.SERVING, State.STARTING, State.STARTING]
    assert not fleet.is_over
    assert [life.restarts for life in fleet.lives.values()] == [0, 0, 0]


# --- starting again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 3, KILLED, -signal.SIGTERM, 127])
def test_who_ends_is_started_again_however_it_ended(code: int) -> None:
    fleet = serving()
    fleet.ended(2, code, 1.0)
    life = fleet.lives[2]
    assert (life.state, life.is_alive, life.ended_with, life.restarts) == (State.DOWN, False, code, 0)
    assert next_start(fleet, 2, 1.0) == 1.0 + SHORTEST_DELAY
    assert (life.state, life.restarts) == (State.STARTING, 1)
    assert fleet.lives[1].state is State.SERVING


def test_after_a_long_life_at_once() -> None:
    fleet = serving()
    fleet.ended(1, KILLED, STEADY)
    assert next_start(fleet, 1, STEADY) == STEADY


def test_after_short_lives_later_and_later_but_for_ever() -> None:
    fleet, now, pauses = serving(1), 1.0, []
    for _ in range(20):
        fleet.ended(1, KILLED, now)
        started = next_start(fleet, 1, now)
        pauses.append(started - now)
        fleet.serves(1)
        now = started + 1.0
    assert pauses[:5] == pytest.approx([0.5, 1.0, 2.0, 4.0, 8.0])
    assert pauses[5:] == pytest.approx([LONGEST_DELAY] * 15)
    fleet.ended(1, KILLED, now + STEADY)
    assert next_start(fleet, 1, now + STEADY) == now + STEADY
    fleet.ended(1, KILLED, now + STEADY + 1)
    assert next_start(fleet, 1, now + STEADY + 1) == pytest.approx(now + STEADY + 1 + SHORTEST_DELAY)


def test_the_pauses_have_an_end() -> None:
    assert delay(0) == 0.0
    assert delay(10_000) == LONGEST_DELAY


# --- giving up --------------------------------------------------------------------------------------------------------


def fail(fleet: Fleet, number: int, now: float, times: int, code: int = 1) -> float:
    """Let the node end that often, each time as soon as it was started."""
    for time in range(times):
        fleet.ended(number, code, now)
        if time < times - 1:
            now = next_start(fleet, number, now)
    return now


def test_who_never_served_is_given_up_soon_and_the_others_drain() -> None:
    fleet = Fleet([1, 2], DRAIN, 0.0)
    fleet.orders(0.0)
    fleet.serves(2)
    now = fail(fleet, 1, 0.1, FAILED_STARTS - 1)
    assert not fleet.is_stopping
    now = next_start(fleet, 1, now)
    fleet.ended(1, 3, now)
    assert fleet.failure == GaveUp(1, FAILED_STARTS, 3)
    assert now < 3.0  # nobody wants to wait for a typing error
    assert orders(fleet, now) == [(Deed.TERMINATE, 2)]
    fleet.ended(2, 0, now)
    assert fleet.is_over
    assert fleet.exit_code == EXIT_NOT_STARTED


def test_who_has_served_is_waited_for_longer_and_given_up_all_the_same() -> None:
    fleet = serving()
    now = fail(fleet, 1, 1.0, FAILED_STARTS_LATER)
    assert fleet.failure is None
    now = next_start(fleet, 1, now)
    assert now > 60  # a database may restart meanwhile
    fleet.ended(1, 1, now)
    assert fleet.failure == GaveUp(1, FAILED_STARTS_LATER, 1)


def test_failed_starts_count_in_a_row() -> None:
    fleet, now = serving(1), 1.0
    for _ in range(3):
        now = fail(fleet, 1, now, FAILED_STARTS_LATER - 1)
        now = next_start(fleet, 1, now)
        fleet.serves(1)
        now += 1.0
    assert fleet.failure is None


def test_who_lived_long_without_being_ready_did_not_fail_to_start() -> None:
    """An application without a Socket.IO server has no metrics, and cannot say that it is ready."""
    fleet, now = Fleet([1], DRAIN, 0.0), 0.0
    for _ in range(2 * FAILED_STARTS):
        assert orders(fleet, now) == [(Deed.START, 1)]
        now += STEADY
        fleet.ended(1, 1, now)
    assert fleet.failure is None


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_stop_drains_everybody_and_is_clean() -> None:
    fleet = serving(3)
    fleet.ended(3, KILLED, 1.0)  # waits for its next start, which never comes
    fleet.stop(2.0)
    assert fleet.lives[3].state is State.STOPPED
    assert orders(fleet, 2.0) == [(Deed.TERMINATE, 1), (Deed.TERMINATE, 2)]
    assert orders(fleet, 9.0) == []
    assert fleet.lives[1].state is State.DRAINING
    fleet.ended(1, 0, 3.0)
    early = fleet.is_over
    fleet.ended(2, 0, 4.0)
    assert (early, fleet.is_over) == (False, True)
    assert (fleet.exit_code, fleet.due(), fleet.orders(99.0)) == (EXIT_CLEAN, None, [])


def test_who_starts_is_stopped_too_and_cannot_know_the_signal_yet() -> None:
    fleet = Fleet([1], DRAIN, 0.0)
    fleet.orders(0.0)
    fleet.stop(0.1)
    assert orders(fleet, 0.1) == [(Deed.TERMINATE, 1)]
    fleet.serves(1)  # a late answer to a question of before
    assert fleet.lives[1].state is State.DRAINING
    fleet.ended(1, -signal.SIGTERM, 0.2)
    assert fleet.is_over
    assert fleet.exit_code == EXIT_CLEAN


def test_a_stop_before_anybody_was_started() -> None:
    fleet = Fleet([1, 2], DRAIN, 0.0)
    fleet.stop(0.0)
    assert fleet.is_over
    assert fleet.orders(0.0) == []


def test_who_does_not_end_in_time_is_killed_and_that_is_no_clean_end() -> None:
    fleet = serving(2)
    fleet.stop(10.0)
    fleet.orders(10.0)
    fleet.ended(1, 0, 11.0)
    late = 10.0 + DRAIN + END_PATIENCE
    assert fleet.due() == late
    assert orders(fleet, late - 0.01) == []
    assert orders(fleet, late) == [(Deed.KILL, 2)]
    assert orders(fleet, late) == []
    assert fleet.due() is None
    fleet.ended(2, KILLED, late)
    assert fleet.is_over
    assert fleet.exit_code == EXIT_UNCLEAN


def test_who_ends_with_an_error_did_not_end_cleanly() -> None:
    fleet = serving(1)
    fleet.stop(1.0)
    fleet.orders(1.0)
    fleet.ended(1, 1, 1.5)
    assert fleet.exit_code == EXIT_UNCLEAN


def test_asked_twice_everybody_is_killed_at_once() -> None:
    fleet = serving(2)
    fleet.stop(1.0)
    fleet.orders(1.0)
    fleet.stop(1.5)
    assert fleet.due() == 1.5
    assert orders(fleet, 1.5) == [(Deed.KILL, 1), (Deed.KILL, 2)]
    fleet.stop(1.6)
    assert orders(fleet, 1.6) == []
    fleet.ended(1, KILLED, 1.7)
    fleet.ended(2, 0, 1.7)
    assert fleet.is_over
    assert fleet.exit_code == EXIT_KILLED


# --- whatever happens -------------------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(st.sampled_from(["serves", "ended", "stop", "wait"]), st.integers(1, 3), st.floats(0, 40)), max_size=60
)


@given(EVENTS)
def test_processes_and_lives_never_disagree(events: list[tuple[str, int, float]]) -> None:
    """Nobody is started twice, nothing is done to who is not there, and whoever is stopped gets to its end."""
    fleet, now, alive, stopped = Fleet([1, 2, 3], DRAIN, 0.0), 0.0, set[int](), False

    def carry_out() -> None:
        for order in fleet.orders(now):
            if order.deed is Deed.START:
                assert order.number not in alive
                assert not stopped
                alive.add(order.number)
            else:
                assert order.number in alive
                assert fleet.is_stopping

    for event, number, time in events:
        carry_out()
        now += time
        if event == "serves" and number in alive:
            fleet.serves(number)
        elif event == "ended" and number in alive:
            alive.discard(number)
            fleet.ended(number, 1, now)
        elif event == "stop":
            fleet.stop(now)
        stopped = fleet.is_stopping
        assert {each for each, life in fleet.lives.items() if life.is_alive} == alive
    fleet.stop(now)
    stopped = True
    carry_out()
    now += DRAIN + END_PATIENCE
    carry_out()
    assert all(fleet.lives[number].killed for number in alive)
    for number in tuple(alive):
        fleet.ended(number, KILLED, now)
    assert fleet.is_over
    assert fleet.due() is None
