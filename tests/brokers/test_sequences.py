"""Numbers without holes, and marks that say truly how far they have come."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from roomcast_brokers.messages import Mark
from roomcast_brokers.sequences import MAX_IDLE, MIN_IDLE, Sequences


def beats(sequences: Sequences, *times: float) -> None:
    for now in times:
        sequences.roll(now)


def test_mids_count_from_one() -> None:
    sequences = Sequences()
    assert [sequences.next_mid() for _ in range(3)] == [1, 2, 3]


def test_numbers_of_a_channel_start_at_one_and_have_no_holes() -> None:
    sequences = Sequences()
    sequences.next_mid()
    gen, first = sequences.number("a", 3, 0.0)
    assert first == 1
    assert sequences.number("a", 1, 1.0) == (gen, 4)
    other, first = sequences.number("b", 1, 1.0)
    assert (other > gen, first) == (True, 1)
    assert sequences.number("a", 2, 2.0) == (gen, 5)


def test_no_two_counters_have_the_same_gen() -> None:
    """Also if nothing was made in between: what was put before the old counter may be written after it is dropped."""
    sequences = Sequences()
    gens = []
    for life in range(5):
        gens.append(sequences.number("a", 1, life * 2 * MAX_IDLE)[0])
        sequences.tick((life * 2 + 1) * MAX_IDLE)
        assert len(sequences) == 0
    assert gens == sorted(set(gens))


# -- marks


def test_a_young_counter_was_nothing_when_it_was_made() -> None:
    sequences = Sequences()
    gen, _ = sequences.number("a", 5, 10.0)
    assert sequences.marks(10.0) == [Mark("a", gen, 0, 5, 0)]
    beats(sequences, 11.0, 12.0)
    sequences.number("a", 2, 12.5)
    assert sequences.marks(12.7501) == [Mark("a", gen, 0, 7, 2_751)]


@pytest.mark.parametrize("order", ["marks, then roll", "roll, then marks"])
def test_marks_say_what_was_three_beats_ago(order: str) -> None:
    sequences = Sequences()
    gen, _ = sequences.number("a", 10, 0.5)
    beats(sequences, 1.0)
    sequences.number("a", 1, 1.5)
    beats(sequences, 2.0, 3.0)
    if order == "roll, then marks":
        beats(sequences, 4.0)
    assert sequences.marks(4.0) == [Mark("a", gen, 10, 11, 3_000)]


def test_marks_are_told_in_three_beats_after_the_last_use() -> None:
    sequences = Sequences()
    sequences.number("a", 1, 0.5)
    told = []
    for now in (1.0, 2.0, 3.0, 4.0, 5.0):
        told.append(len(sequences.marks(now)))
        sequences.roll(now)
    assert told == [1, 1, 1, 0, 0]


def test_who_asks_is_told_of_every_counter_of_these_channels() -> None:
    sequences = Sequences()
    old, _ = sequences.number("old", 7, 0.5)
    beats(sequences, 1.0, 2.0, 3.0, 4.0, 5.0)
    young, _ = sequences.number("young", 2, 5.5)
    of_old = [Mark("old", old, 0, 7, 5_500), Mark("old", old, 7, 7, 3_000), Mark("old", old, 7, 7, 0)]
    of_young = [Mark("young", young, 0, 2, 500), Mark("young", young, 2, 2, 0)]
    assert sequences.marks_of(["old", "nothing was written here"], 6.0) == of_old
    assert sequences.marks_of(["young", "young"], 6.0) == of_young
    assert sequences.marks_of(None, 6.0) == [*of_old, *of_young]
    assert sequences.marks_of([], 6.0) == []


def test_without_beats_everything_is_young() -> None:
    sequences = Sequences()
    gen, _ = sequences.number("a", 1, 0.0)
    assert sequences.marks(100.0) == [Mark("a", gen, 0, 1, 100_000)]
    assert sequences.marks_of(None, 100.0) == [Mark("a", gen, 0, 1, 100_000), Mark("a", gen, 1, 1, 0)]


def test_a_clock_that_stands_still_does_no_harm() -> None:
    sequences = Sequences()
    gen, _ = sequences.number("a", 1, 5.0)
    beats(sequences, 5.0, 5.0, 5.0, 5.0)
    assert sequences.marks_of(None, 5.0) == [Mark("a", gen, 0, 1, 0), *[Mark("a", gen, 1, 1, 0)] * 2]


# -- bounds


def test_an_idle_counter_is_dropped_after_ten_minutes() -> None:
    sequences = Sequences()
    sequences.number("a", 1, 0.0)
    sequences.number("b", 1, 1.0)
    sequences.number("a", 1, 2.0)
    sequences.tick(0.9 + MAX_IDLE)
    assert len(sequences) == 2
    sequences.tick(1.0 + MAX_IDLE)
    assert {mark.channel for mark in sequences.marks_of(None, 602.0)} == {"a"}
    assert sequences.early_evictions == 0


def test_too_many_counters_lose_the_idlest_and_that_is_counted() -> None:
    sequences = Sequences(max_counters=3)
    for number, channel in enumerate("abcdea"):
        sequences.number(channel, 1, float(number))
    sequences.tick(MIN_IDLE)
    assert (len(sequences), sequences.early_evictions) == (5, 0)  # none is ten seconds old
    sequences.tick(MIN_IDLE + 1.0)
    assert sequences.early_evictions == 1
    sequences.tick(MIN_IDLE + 5.0)
    assert [mark.channel for mark in sequences.marks(20.0)] == ["a", "d", "e"]
    assert sequences.early_evictions == 2


def test_a_dropped_counter_leaves_nothing_behind() -> None:
    sequences = Sequences()
    gen, _ = sequences.number("a", 9, 0.0)
    sequences.tick(MAX_IDLE)
    assert sequences.marks(MAX_IDLE) == sequences.marks_of(None, MAX_IDLE) == []
    later, first = sequences.number("a", 1, MAX_IDLE)
    assert (later > gen, first) == (True, 1)
    assert sequences.marks(MAX_IDLE) == [Mark("a", later, 0, 1, 0)]


class Truth(RuleBasedStateMachine):
    """Marks compared with a full history of every counter."""

    def __init__(self) -> None:
        super().__init__()
        self.sequences = Sequences()
        self.now = 0.0
        self.rolls: list[float] = []
        # Per channel: (time, number after it) of each write since its counter was made.
        self.written: dict[str, list[tuple[float, int]]] = {}

    @rule(step=st.sampled_from([0.01, 0.25, 1.0, 30.0, 700.0]))
    def wait(self, step: float) -> None:
        self.now += step

    @rule(channel=st.sampled_from("abc"), count=st.integers(1, 3))
    def write(self, channel: str, count: int) -> None:
        history = self.written.setdefault(channel, [])
        last = history[-1][1] if history else 0
        assert self.sequences.number(channel, count, self.now)[1] == last + 1
        history.append((self.now, last + count))
        self.now += 0.01  # what is written at the very moment of a beat may count to either side

    @rule()
    def beat(self) -> None:
        self.sequences.roll(self.now)
        self.rolls.append(self.now)
        self.now += 0.01

    @rule()
    def tick(self) -> None:
        self.sequences.tick(self.now)
        self.written = {
            channel: history for channel, history in self.written.items() if self.now - history[-1][0] < MAX_IDLE
        }

    def at(self, channel: str, moment: float) -> int:
        return max((last for time, last in self.written[channel] if time <= moment), default=0)

    def is_true(self, mark: Mark) -> bool:
        history = self.written[mark.channel]
        if mark.last != history[-1][1]:
            return False
        if mark.before == 0:
            return math.isclose(mark.since_ms, (self.now - history[0][0]) * 1_000, abs_tol=1.1)
        then = self.now - mark.since_ms / 1_000  # rounded to an earlier moment by up to a ms
        return self.at(mark.channel, then) <= mark.before == self.at(mark.channel, then + 0.001)

    @invariant()
    def marks_are_true(self) -> None:
        marks = self.sequences.marks(self.now)
        assert all(map(self.is_true, marks))
        began = self.rolls[-3] if len(self.rolls) >= 3 else -1.0
        used = {channel for channel, history in self.written.items() if history[-1][0] > began}
        assert [mark.channel for mark in marks if mark.channel in used] == [mark.channel for mark in marks]
        assert {mark.channel for mark in marks} == used

    @invariant()
    def whoever_asks_is_told_everything(self) -> None:
        marks = self.sequences.marks_of(None, self.now)
        assert all(map(self.is_true, marks))
        for channel in self.written:
            befores = [mark.before for mark in marks if mark.channel == channel]
            assert befores[0] == 0
            assert befores == sorted(befores)
            assert len(befores) in (2, 3)


TestTruth = Truth.TestCase
TestTruth.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 5)), max_size=60))
def test_no_number_is_given_twice(steps: list[tuple[str, float]]) -> None:
    sequences = Sequences(max_counters=1)
    now, given_out = 0.0, set()
    for channel, step in steps:
        now += step
        number = (channel, *sequences.number(channel, 1, now))
        assert number not in given_out
        given_out.add(number)
        sequences.tick(now)
        assert len(sequences) <= 1 + 4
