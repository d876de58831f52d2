from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from roomcast_brokers.receipts import Receipts


def test_receipts_are_in_the_order_of_sending() -> None:
    receipts = Receipts()
    for server in "aabba":
        receipts.sent(server)
    assert receipts.answered("b", 2) == 0
    assert receipts.answered("a", 1) == 1
    assert receipts.answered("a", 1) == 3  # and with it what b had answered already
    assert receipts.answered("a", 1) == 1


@given(st.lists(st.sampled_from("abc"), max_size=40), st.randoms(use_true_random=False))
def test_receipts_lose_and_invent_nothing(order: list[str], random: Any) -> None:
    receipts = Receipts()
    for server in order:
        receipts.sent(server)
    answers = list(order)
    random.shuffle(answers)
    answered: list[str] = []
    accepted = 0
    for server in answers:
        accepted += receipts.answered(server, 1)
        answered.append(server)
        for each in "abc":
            assert order[:accepted].count(each) <= answered.count(each)
    assert accepted == len(order)
