"""How much of what was handed over is with the server."""

from __future__ import annotations

import random

from roomcast_brokers.backends.aiopika.receipts import Receipts


def sent(count: int) -> Receipts:
    receipts = Receipts()
    receipts.sent = count
    return receipts


def test_everything_up_to_a_number_once() -> None:
    receipts = sent(10)
    assert [receipts.up_to(number) for number in (0, 3, 3, 2, 7)] == [0, 3, 0, 0, 4]
    assert receipts.outstanding == 3
    assert receipts.up_to(99) == 3
    assert receipts.outstanding == 0


def test_one_by_one_in_order_and_many_at_once() -> None:
    receipts = sent(10)
    assert receipts.confirmed(1, False) == 1
    assert receipts.confirmed(4, True) == 3
    assert receipts.confirmed(4, True) == 0
    assert receipts.confirmed(4, False) == 0
    assert receipts.confirmed(0, True) == 6, "zero means all"


def test_one_that_is_confirmed_early_waits_for_the_older_ones() -> None:
    receipts = sent(6)
    assert [receipts.confirmed(number, False) for number in (3, 2, 5, 1)] == [0, 0, 0, 3]
    assert receipts.confirmed(4, False) == 2
    assert receipts.confirmed(6, False) == 1


def test_many_at_once_overtake_some_that_came_early() -> None:
    receipts = sent(9)
    assert [receipts.confirmed(number, False) for number in (3, 6, 8)] == [0, 0, 0]
    assert receipts.confirmed(5, True) == 6
    assert receipts.outstanding == 3
    assert receipts.confirmed(7, False) == 2


def test_what_was_never_sent_is_not_confirmed() -> None:
    receipts = sent(2)
    assert receipts.confirmed(5, False) == 0
    receipts.sent = 9
    assert receipts.confirmed(4, True) == 4


def test_what_is_forgotten_is_not_told_when_it_is_confirmed_later() -> None:
    receipts = sent(5)
    assert receipts.confirmed(4, False) == 0
    receipts.forget()
    assert receipts.outstanding == 0
    receipts.sent = 7
    assert receipts.confirmed(3, False) == receipts.confirmed(5, True) == receipts.up_to(5) == 0
    assert receipts.confirmed(7, False) == 0
    assert receipts.confirmed(6, False) == 2


def test_in_whatever_order_each_counts_once() -> None:
    chance = random.Random(7)
    for _ in range(200):
        receipts = sent(30)
        told = 0
        open_ = list(range(1, 31))
        while open_:
            number = chance.choice(open_)
            multiple = chance.random() < 0.2
            told += receipts.confirmed(number, multiple)
            open_ = [each for each in open_ if each != number and not (multiple and each < number)]
            oldest = min(open_, default=31)
            assert told == oldest - 1
