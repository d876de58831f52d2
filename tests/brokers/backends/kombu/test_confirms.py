from __future__ import annotations

import random

import pytest

from roomcast_brokers.backends.kombu.confirms import Confirms

Answer = tuple[int, bool]


def confirmed(sent: int, *answers: Answer) -> list[int]:
    """What is taken after each answer."""
    confirms = Confirms()
    confirms.sent = sent
    taken = []
    for number, multiple in answers:
        confirms.confirm(number, multiple)
        taken.append(confirms.take())
    return taken


@pytest.mark.parametrize(
    ("answers", "taken"),
    [
        ([(1, False), (2, False), (3, False)], [1, 1, 1]),
        ([(3, True)], [3]),
        ([(3, False), (2, False), (1, False)], [0, 0, 3]),
        ([(2, False), (5, False), (4, True)], [0, 0, 5]),
        ([(4, False), (2, True), (3, False)], [0, 2, 2]),
        ([(2, True), (2, True), (1, False), (1, True)], [2, 0, 0, 0]),
    ],
)
def test_the_oldest_count(answers: list[Answer], taken: list[int]) -> None:
    assert confirmed(5, *answers) == taken


def test_any_order() -> None:
    chance = random.Random(7)
    for _ in range(100):
        numbers = list(range(1, 30))
        chance.shuffle(numbers)
        taken = confirmed(29, *((number, chance.random() < 0.1) for number in numbers))
        assert sum(taken) <= 29
        assert confirmed(29, *((number, False) for number in numbers))[-1] > 0
        assert sum(confirmed(29, *((number, False) for number in numbers))) == 29


def test_what_is_missing() -> None:
    confirms = Confirms()
    found = [confirms.missing]
    confirms.sent = 2
    found.append(confirms.missing)
    for number in (2, 1):
        confirms.confirm(number, False)
        found.append(confirms.missing)
    assert found == [False, True, True, False]
    assert (confirms.take(), confirms.take()) == (2, 0)
