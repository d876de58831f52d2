"""What the numbers of one origin on one channel mean: repeats, jumps, tails told by marks, where counting begins."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.core.tracker import Pending, Tracker
from roomcast_brokers.messages import Origin

REPEATS, MISSED, RECANTED = range(3)


def tracker() -> Tracker:
    return Tracker(Origin("peer", b"11111111"), 0.0)


def heard(gen: int, *numbers: int) -> Tracker:
    known = tracker()
    for number in numbers:
        known.heard(gen, number, 1)
    return known


# --- data -------------------------------------------------------------------------------------------------------------


def test_numbers_in_order_leave_nothing_to_say() -> None:
    known = tracker()
    assert known.heard(1, 1, 1) == (0, 0, 0)
    assert known.heard(1, 2, 5) == (0, 0, 0)
    assert known.heard(1, 7, 1) == (0, 0, 0)


def test_a_jump_is_that_many_missed() -> None:
    assert heard(1, 1).heard(1, 5, 2) == (0, 3, 0)


def test_at_or_below_is_a_repeat_and_of_a_batch_only_what_was_heard() -> None:
    known = heard(1, 1, 2, 3)
    assert known.heard(1, 3, 1) == (1, 0, 0)
    assert known.heard(1, 1, 2) == (2, 0, 0)
    assert known.heard(1, 2, 4) == (2, 0, 0)
    assert known.seq == 5


def test_a_later_gen_counts_from_one_and_an_earlier_one_is_a_repeat() -> None:
    known = heard(1, 1, 2, 3)
    assert known.heard(9, 1, 1) == (0, 0, 0)
    assert known.heard(1, 4, 3) == (3, 0, 0)
    assert known.heard(12, 3, 1) == (0, 2, 0)
    assert not known.open


# --- tails told by marks ----------------------------------------------------------------------------------------------


def test_a_mark_tells_the_tail_once() -> None:
    known = heard(1, 1, 2)
    assert known.marked(1, None, 2) == 0
    assert known.marked(1, None, 4) == 2
    assert known.marked(1, None, 4) == 0
    assert known.marked(1, 2, 5) == 1


def test_marks_make_no_repeats_what_comes_after_all_is_recanted() -> None:
    known = heard(1, 1, 2)
    assert known.marked(1, None, 6) == 4
    assert known.heard(1, 3, 1) == (0, 0, 1)
    assert known.heard(1, 3, 1) == (1, 0, 0)
    assert known.heard(1, 5, 4) == (0, 0, 2)  # 4 stays missed; 7 and 8 are new
    assert known.heard(1, 9, 1) == (0, 0, 0)


def test_a_jump_confesses_only_what_no_mark_told() -> None:
    known = heard(1, 1, 2)
    assert known.marked(1, None, 4) == 2
    assert known.heard(1, 7, 1) == (0, 2, 0)


def test_a_second_tail_begins_where_data_has_come() -> None:
    known = heard(1, 1)
    assert known.marked(1, None, 3) == 2
    assert known.heard(1, 4, 2) == (0, 0, 0)
    assert known.marked(1, None, 7) == 2
    assert known.heard(1, 6, 2) == (0, 0, 2)


def test_a_mark_of_a_later_gen_tells_of_all_its_numbers_and_makes_the_earlier_gen_no_repeat() -> None:
    known = heard(1, 1, 2)
    assert known.marked(8, None, 3) == 3
    assert known.marked(1, None, 9) == 0
    assert known.heard(1, 3, 1) == (0, 0, 0)
    assert known.heard(1, 4, 1) == (0, 0, 0)
    assert known.heard(8, 2, 1) == (0, 0, 1)
    assert known.heard(8, 4, 1) == (0, 0, 0)
    assert known.heard(1, 5, 1) == (1, 0, 0)


def test_a_gen_between_one_heard_and_one_told_counts_from_one() -> None:
    known = heard(1, 1, 2)
    assert known.marked(8, None, 3) == 3
    assert known.heard(5, 3, 1) == (0, 2, 0)
    assert known.marked(8, None, 4) == 1


# --- where counting begins --------------------------------------------------------------------------------------------


def test_what_was_before_a_first_message_is_open_until_a_mark_tells() -> None:
    known = heard(1, 8)
    assert known.open == 7
    assert known.marked(1, None, 8) == 0  # speaks of a time that is not ours
    assert known.marked(1, 7, 8) == 0
    assert known.marked(1, 5, 8) == 2
    assert known.marked(1, 5, 8) == 0
    assert known.marked(1, 0, 8) == 5
    assert known.open == 0


def test_what_was_before_a_first_message_is_settled_by_a_later_gen() -> None:
    known = heard(1, 8)
    known.heard(9, 1, 1)
    assert known.marked(9, 0, 1) == 0
    assert known.marked(1, 0, 8) == 0


def test_counting_begins_with_the_first_mark_that_can_tell() -> None:
    known = tracker()
    assert known.marked(1, 5, 7) == 2
    assert known.marked(1, 5, 7) == 0
    assert known.heard(1, 9, 1) == (0, 1, 0)
    assert known.marked(1, 3, 9) == 2
    assert known.marked(1, 0, 9) == 3


def test_a_mark_from_the_beginning_tells_of_what_an_earlier_mark_left_open() -> None:
    known = tracker()
    assert known.marked(1, 5, 5) == 0
    assert known.marked(1, 0, 5) == 5
    assert known.marked(1, 2, 5) == 0
    assert known.heard(1, 6, 1) == (0, 0, 0)
    assert known.open == 0


def test_data_that_marks_overtook_is_no_repeat_and_no_recanting() -> None:
    known = tracker()
    assert known.marked(1, 5, 7) == 2
    assert known.heard(1, 4, 1) == (0, 0, 0)
    assert known.open == 3
    assert known.heard(1, 5, 1) == (0, 0, 0)
    assert known.heard(1, 6, 2) == (0, 0, 2)


def test_data_that_a_mark_from_the_beginning_overtook_is_recanted() -> None:
    known = tracker()
    assert known.marked(1, 5, 7) + known.marked(1, 0, 7) == 7
    assert known.heard(1, 4, 4) == (0, 0, 4)


def test_a_later_gen_than_one_that_only_marks_told_of_counts_from_one() -> None:
    known = tracker()
    known.marked(1, 5, 5)
    assert known.heard(7, 3, 1) == (0, 2, 0)
    known = tracker()
    known.marked(1, 5, 5)
    assert known.marked(7, None, 3) == 3


def test_data_of_an_earlier_gen_than_marks_told_of_begins_where_it_is() -> None:
    known = tracker()
    known.marked(7, 0, 2)
    assert known.heard(1, 5, 1) == (0, 0, 0)
    assert known.open == 4


def test_a_mark_that_is_judged_later_is_not_due_until_somebody_says_when() -> None:
    pending = Pending(1, None, 3)
    assert (pending.gen, pending.before, pending.last, pending.due) == (1, None, 3, inf)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ((1, None, 3), (1, None, 5), (1, None, 5)),
        ((1, 2, 3), (1, None, 5), (1, 2, 5)),
        ((1, None, 3), (1, 3, 5), (1, 3, 5)),
        ((1, 2, 5), (1, 3, 4), (1, 2, 5)),
        ((1, 2, 5), (9, None, 1), (9, None, 1)),
    ],
)
def test_two_marks_become_one(
    first: tuple[int, int | None, int], second: tuple[int, int | None, int], both: tuple[int, int | None, int]
) -> None:
    pending = Pending(*first)
    pending.add(Pending(*second))
    assert (pending.gen, pending.before, pending.last) == both


# --- what is worth judging --------------------------------------------------------------------------------------------


def test_most_marks_say_nothing_new() -> None:
    known = heard(1, 1, 2)
    assert not known.is_news(1, 0, 2)
    assert known.is_news(1, None, 3)
    assert known.is_news(2, None, 1)
    assert tracker().is_news(1, 0, 0)
    begun = heard(1, 4)
    assert begun.is_news(1, 2, 4)
    assert not begun.is_news(1, 3, 4)
    assert not begun.is_news(1, None, 4)


@given(st.data())
def test_a_mark_that_is_no_news_changes_nothing(data: st.DataObject) -> None:
    known = tracker()
    numbers = st.integers(1, 9)
    for _ in range(data.draw(st.integers(0, 8))):
        gen, number = data.draw(st.integers(1, 3)), data.draw(numbers)
        if data.draw(st.booleans()):
            known.heard(gen, number, data.draw(st.integers(1, 3)))
        else:
            known.marked(gen, data.draw(st.none() | st.integers(0, number)), number)
    gen, last = data.draw(st.integers(1, 3)), data.draw(numbers)
    before = data.draw(st.none() | st.integers(0, last))
    if known.is_news(gen, before, last):
        return
    places = (known.gen, known.seq, known.open, known.told_gen, known.floor, known.told, known.plain)
    assert known.marked(gen, before, last) == 0
    assert (known.gen, known.seq, known.open, known.told_gen, known.floor, known.told, known.plain) == places


@given(st.data())
def test_the_short_way_for_the_next_number_says_what_the_long_way_says(data: st.DataObject) -> None:
    known = tracker()
    for _ in range(data.draw(st.integers(1, 12))):
        gen, number, count = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9)), data.draw(st.integers(1, 3))
        if data.draw(st.booleans()):
            known.marked(gen, data.draw(st.none() | st.integers(0, number)), number)
        elif known.plain == gen and data.draw(st.booleans()):
            assert known.heard(gen, known.seq + 1, count) == (0, 0, 0)
        else:
            known.heard(gen, number, count)
