"""Asks of other nodes: each ends once, whatever comes first."""

import random

from hypothesis import given
from hypothesis import strategies as st

from roomcast.core.replies import ID_BITS, Replies
from roomcast_brokers.messages import Origin

OWNER = Origin("aaaa", b"11111111")
REBORN = Origin("aaaa", b"22222222")
OTHER = Origin("bbbb", b"33333333")


def counted_from(start: int) -> Replies:
    return Replies(lambda bits: start)


def test_ids_are_counted_from_a_random_64_bit_start_and_wrap_without_0() -> None:
    asked: list[int] = []

    def bits(count: int) -> int:
        asked.append(count)
        return (1 << ID_BITS) - 2

    replies = Replies(bits)
    assert [replies.open(each, None, None) for each in "abc"] == [2**64 - 2, 2**64 - 1, 1]
    assert asked == [64]


def test_an_answer_of_the_owner_ends_the_ask_and_a_second_one_is_late() -> None:
    replies = counted_from(7)
    number = replies.open("waiter", OWNER, None)
    assert len(replies) == 1
    assert replies.answer(number, OWNER) == "waiter"
    assert len(replies) == 0
    assert replies.answer(number, OWNER) is None
    assert replies.late == 1


def test_only_the_owner_in_its_present_life_can_answer() -> None:
    replies = counted_from(7)
    number = replies.open("waiter", OWNER, None)
    assert replies.answer(number, REBORN) is None
    assert replies.answer(number, OTHER) is None
    assert replies.late == 2
    assert replies.answer(number, OWNER) == "waiter"


def test_without_an_owner_the_first_answer_counts() -> None:
    replies = counted_from(7)
    number = replies.open("waiter", None, None)
    assert replies.answer(number, OTHER) == "waiter"
    assert replies.answer(number, OWNER) is None


def test_a_deadline_ends_what_is_still_open() -> None:
    replies = counted_from(7)
    replies.open("late", OWNER, 5.0)
    answered = replies.open("answered", None, 3.0)
    replies.open("forever", OWNER, None)
    assert replies.due() == 3.0
    replies.answer(answered, OTHER)
    assert replies.expire(4.9) == []
    assert replies.expire(5.0) == ["late"]
    assert replies.due() is None
    assert len(replies) == 1


def test_a_lost_node_ends_what_it_owes_and_nothing_else() -> None:
    replies = counted_from(7)
    replies.open("one", OWNER, 5.0)
    replies.open("other", OTHER, None)
    replies.open("two", OWNER, None)
    replies.open("anybody", None, None)
    assert replies.lost(REBORN) == []
    assert replies.lost(OWNER) == ["one", "two"]
    assert replies.lost(OWNER) == []
    assert replies.expire(9.0) == []
    assert len(replies) == 2


def test_all_that_wait_can_be_seen() -> None:
    replies = counted_from(7)
    replies.open("one", OWNER, 5.0)
    number = replies.open("two", None, None)
    assert replies.all() == ["one", "two"]
    replies.withdraw(number)
    assert replies.all() == ["one"]


def test_what_is_withdrawn_ends_silently_and_only_once() -> None:
    replies = counted_from(7)
    number = replies.open("waiter", OWNER, 5.0)
    assert replies.withdraw(number) == "waiter"
    assert replies.withdraw(number) is None
    assert replies.answer(number, OWNER) is None
    assert replies.lost(OWNER) == []
    assert replies.expire(9.0) == []


@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_each_ask_ends_exactly_once_in_any_order(source: random.Random, count: int) -> None:
    replies = Replies(source.getrandbits)
    owners = [None, OWNER, OTHER]
    asks = {
        replies.open(waiter, source.choice(owners), source.choice([None, float(source.randrange(10))])): waiter
        for waiter in range(count)
    }
    ended: list[object] = []
    for step in range(200):
        number = source.choice(list(asks))
        match source.randrange(5):
            case 0 | 1:
                waiter = replies.answer(number, source.choice([OWNER, OTHER, REBORN]))
                ended += [] if waiter is None else [waiter]
            case 2:
                waiter = replies.withdraw(number)
                ended += [] if waiter is None else [waiter]
            case 3:
                ended += replies.expire(step / 20)
            case _:
                ended += replies.lost(source.choice([OWNER, REBORN])) if step % 10 == 0 else []
    ended += replies.expire(10.0) + replies.lost(OWNER) + replies.lost(OTHER)
    ended += [waiter for number in asks if (waiter := replies.withdraw(number)) is not None]
    assert sorted(str(each) for each in ended) == sorted(str(each) for each in range(count))
    assert len(replies) == 0
    assert replies._owned == {}


def test_the_deadlines_of_what_was_answered_take_no_memory() -> None:
    replies = counted_from(0)
    for _ in range(1_000):
        replies.answer(replies.open("waiter", None, 60.0), OTHER)
    assert len(replies._deadlines._heap) < 200
