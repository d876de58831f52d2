from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import pytest

from roomcast_brokers.backends.kafka.following import LINGER, Change, Following, Topic
from roomcast_brokers.backends.kafka.partitions import Place, slot_of

SHOP = Topic("shop", "first", 4)
AGAIN = Topic("shop", "second", 4)
GROWN = Topic("shop", "first", 6)
# Where these are: with four partitions in 1, 1, 2 and 0; with six in 1, 5, 2 and 0.
ONE, FIVE, TWO, ALL = "shop:shard:1", "shop:shard:5", "shop:shard:2", "shop:all"


class Said(msgspec.Struct):
    """A record, as far as it is looked at."""

    key: bytes | None
    value: bytes | None
    offset: int


def said(channel: str | None, offset: int, value: bytes | None = b"x") -> Said:
    return Said(None if channel is None else channel.encode(), value, offset)


def at(*numbers: int) -> set[Place]:
    return {("shop", number) for number in numbers}


def offsets(places: Iterable[Place], offset: int) -> dict[Place, int]:
    return dict.fromkeys(places, offset)


def resumed(
    following: Following, topic: Topic, *channels: str, begin: int = 0, end: int = 100, now: float = 0.0
) -> Following:
    """Through a break: ``channels`` are wanted, the partitions go from ``begin`` to ``end``."""
    following.renew([topic], dict.fromkeys(channels, 1), now)
    places = following.places()
    following.resume(offsets(places, begin), offsets(places, end))
    return following


def test_the_first_time_all_is_read_from_its_end() -> None:
    following = resumed(Following(), SHOP, ONE, TWO)
    assert following.places() == at(1, 2)
    assert following.positions == offsets(at(1, 2), 100)
    assert following.generations([ONE, TWO, ALL]) == {ONE: 1, TWO: 1}
    taken = following.take(("shop", 1), [said(ONE, 100, b"a"), said(FIVE, 101), said(None, 102), said(ONE, 103, b"b")])
    assert taken == [(ONE, b"a"), (ONE, b"b")]
    assert following.positions["shop", 1] == 104


def test_what_nobody_can_have_published_for_us_is_passed_over() -> None:
    following = resumed(Following(), SHOP, ONE)
    assert following.take(("shop", 1), [said(ONE, 100, None), said("", 101, b"")]) == []
    assert following.take(("shop", 1), []) == []
    assert following.positions["shop", 1] == 102


def test_a_channel_in_a_partition_that_is_read_is_heard_from_its_end_on() -> None:
    following = resumed(Following(), SHOP, ONE)
    following.change([Change(FIVE, 7)], 0.0)
    assert following.awaited == at(1)
    assert following.generations([FIVE]) == {}
    assert following.take(("shop", 1), [said(FIVE, 100), said(ONE, 101)]) == [(ONE, b"x")]
    assert following.begin({("shop", 1): 110}) == set()
    assert following.awaited == set()
    assert following.generations([ONE, FIVE]) == {ONE: 1, FIVE: 7}
    assert following.take(("shop", 1), [said(FIVE, 109), said(FIVE, 110)]) == [(FIVE, b"x")]


def test_a_channel_elsewhere_needs_another_partition() -> None:
    following = resumed(Following(), SHOP, ONE)
    following.change([Change(TWO, 7), Change(ALL, 8)], 0.0)
    assert following.awaited == at(2, 0)
    assert following.begin({("shop", 2): 40}) == at(2)
    assert following.generations([TWO, ALL]) == {TWO: 7}
    assert following.begin({("shop", 0): 50}) == at(0)
    assert following.positions == {("shop", 1): 100, ("shop", 2): 40, ("shop", 0): 50}


def test_who_wants_again_what_is_heard_misses_nothing() -> None:
    following = resumed(Following(), SHOP, ONE)
    following.change([Change(ONE, 9, anew=False)], 0.0)
    assert following.awaited == set()
    assert following.generations([ONE]) == {ONE: 9}
    assert following.take(("shop", 1), [said(ONE, 100)]) == [(ONE, b"x")]


def test_who_comes_back_hears_nothing_of_the_meantime() -> None:
    following = resumed(Following(), SHOP, ONE)
    following.change([Change(ONE, 9, anew=True)], 0.0)
    assert following.awaited == at(1)
    assert following.begin({("shop", 1): 105}) == set()
    assert following.take(("shop", 1), [said(ONE, 104), said(ONE, 105)]) == [(ONE, b"x")]


def test_what_is_wanted_no_longer_is_not_heard_and_its_partition_is_let_go_later() -> None:
    following = resumed(Following(), SHOP, ONE, FIVE, TWO)
    following.change([Change(ONE, None), Change("shop:shard:9", None)], 10.0)
    assert following.take(("shop", 1), [said(ONE, 100)]) == []
    following.change([Change(FIVE, None)], 20.0)
    assert following.let_go(20.0 + LINGER - 1) == set()
    assert following.places() == at(1, 2)
    assert following.let_go(20.0 + LINGER) == at(1)
    assert following.places() == at(2)
    assert following.let_go(math.inf) == set()


def test_who_comes_back_soon_needs_no_other_partition() -> None:
    following = resumed(Following(), SHOP, ONE)
    following.change([Change(ONE, None)], 10.0)
    following.change([Change(FIVE, 2)], 20.0)
    assert following.begin({("shop", 1): 103}) == set()
    assert following.positions["shop", 1] == 100
    assert following.let_go(math.inf) == set()


def test_after_a_break_it_goes_on_where_it_was() -> None:
    following = resumed(Following(), SHOP, ONE, TWO)
    following.take(("shop", 1), [said(ONE, 100)])
    resumed(following, SHOP, ONE, FIVE, ALL, end=200)
    assert following.positions == {("shop", 1): 101, ("shop", 2): 100, ("shop", 0): 200}
    taken = following.take(("shop", 1), [said(ONE, 150), said(FIVE, 199), said(FIVE, 200), said(TWO, 201)])
    assert taken == [(ONE, b"x"), (FIVE, b"x")]


@pytest.mark.parametrize(("begin", "end", "position"), [(130, 200, 130), (0, 60, 60), (0, 200, 100)])
def test_what_is_not_there_any_more_is_not_read(begin: int, end: int, position: int) -> None:
    following = resumed(Following(), SHOP, ONE)
    resumed(following, SHOP, ONE, begin=begin, end=end)
    assert following.positions == {("shop", 1): position}


def test_a_topic_that_was_made_anew_is_read_from_its_beginning() -> None:
    following = resumed(Following(), SHOP, ONE)
    resumed(following, AGAIN, ONE, TWO, begin=3, end=20)
    assert following.positions == offsets(at(1, 2), 3)
    assert following.take(("shop", 2), [said(TWO, 3)]) == [(TWO, b"x")]
    assert following.take(("shop", 1), [said(ONE, 4)]) == [(ONE, b"x")]
    assert following.grown_at == -math.inf
    following.change([Change(ALL, 1)], 0.0)
    assert following.begin({("shop", 0): 30}) == at(0)


def test_one_with_fewer_partitions_is_another() -> None:
    following = resumed(Following(), Topic("shop", None, 4), ONE)
    resumed(following, Topic("shop", None, 3), ONE, begin=0, end=9)
    assert following.positions == {("shop", 1): 0}


def test_where_partitions_come_in_channels_move_and_are_heard_in_both_places() -> None:
    following = resumed(Following(), SHOP, ONE, FIVE, TWO)
    following.take(("shop", 1), [said(FIVE, 100)])
    resumed(following, GROWN, ONE, FIVE, TWO, end=500, now=7.0)
    assert following.grown_at == 7.0
    assert following.positions == {("shop", 1): 101, ("shop", 2): 100, ("shop", 5): 0}
    assert following.take(("shop", 1), [said(FIVE, 101), said(ONE, 102)]) == [(FIVE, b"x"), (ONE, b"x")]
    assert following.take(("shop", 5), [said(FIVE, 0)]) == [(FIVE, b"x")]


def test_the_partition_that_all_have_left_is_read_for_a_while() -> None:
    following = resumed(Following(), SHOP, FIVE)
    resumed(following, GROWN, FIVE, now=7.0)
    assert following.places() == at(1, 5)
    assert following.take(("shop", 1), [said(FIVE, 100)]) == [(FIVE, b"x")]
    assert following.let_go(7.0 + LINGER) == at(1)


def test_one_that_moves_into_an_old_partition_that_is_not_read_is_heard_from_its_end() -> None:
    """By then nobody has published there: publishers wait."""
    nine = "shop:shard:9"  # from 1 to 3
    following = resumed(Following(), SHOP, nine)
    resumed(following, GROWN, nine, end=70)
    assert following.positions == {("shop", 1): 70, ("shop", 3): 70}
    assert following.take(("shop", 3), [said(nine, 70)]) == [(nine, b"x")]


def test_an_attempt_that_fails_forgets_nothing() -> None:
    following = resumed(Following(), SHOP, FIVE)
    following.renew([GROWN], {FIVE: 1}, 7.0)
    resumed(following, GROWN, FIVE, end=500, now=9.0)
    assert following.positions["shop", 5] == 0
    assert following.grown_at == 7.0
    following = resumed(Following(), SHOP, FIVE)
    following.renew([AGAIN], {FIVE: 1}, 7.0)
    resumed(following, AGAIN, FIVE, begin=2, end=500, now=9.0)
    assert following.positions == {("shop", 1): 2}


def test_a_topic_that_the_operator_names_has_all_channels() -> None:
    following = Following("fixed")
    assert following.topic_of("shop:all") == "fixed"
    resumed(following, Topic("fixed", None, 3), "shop:all", "other:shard:4")
    assert following.places() == {("fixed", 0), ("fixed", 1)}


def test_the_channels_of_these_tests_are_where_they_are_said_to_be() -> None:
    assert [slot_of(each) % 4 for each in (ONE, FIVE, TWO, ALL)] == [1, 1, 2, 0]
    assert [slot_of(each) % 6 for each in (ONE, FIVE, TWO, ALL)] == [1, 5, 2, 0]
