"""How often one address may come, and what counts as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.engineio.addresses import LONGEST_HOST, MAX_ADDRESSES, AddressLimit, address_of
from roomcast.engineio.bucket import Bucket
from tests.support.limits import AROUND

ONE, OTHER, THIRD, FOURTH = ((f"192.0.2.{number}", 5) for number in range(1, 5))


@AROUND
@pytest.mark.parametrize("rate", [1.0, 3.0, 3.9])
def test_as_many_at_once_as_in_a_second(rate: float, offset: int) -> None:
    limit = AddressLimit(rate)
    wanted = int(rate) + offset
    assert sum(limit.take(ONE, 5.0) for _ in range(wanted)) == min(wanted, int(rate))


def test_everybody_may_come_once() -> None:
    limit = AddressLimit(0.1)
    assert [limit.take(ONE, 5.0), limit.take(ONE, 5.0)] == [True, False]
    assert not limit.take(ONE, 14.0)
    assert limit.take(ONE, 15.5)


def test_each_address_for_itself() -> None:
    limit = AddressLimit(1.0)
    assert [limit.take(client, 0.0) for client in (ONE, OTHER, ONE, OTHER)] == [True, True, False, False]


@pytest.mark.parametrize("client", [None, ("", 5)])
def test_who_has_no_address_passes(client: tuple[str, int] | None) -> None:
    """As behind a Unix socket, where everybody would be one."""
    limit = AddressLimit(1.0)
    assert all(limit.take(client, 0.0) for _ in range(5))
    assert not len(limit)


def test_who_waits_may_come_again_and_trying_costs_nothing() -> None:
    limit = AddressLimit(2.0)
    assert [limit.take(ONE, 0.0) for _ in range(9)] == [True, True] + [False] * 7
    assert not limit.take(ONE, 0.25)
    assert limit.take(ONE, 0.5)
    assert not limit.take(ONE, 0.75)
    assert limit.take(ONE, 1.0)


def test_who_may_come_as_if_never_seen_is_forgotten() -> None:
    limit = AddressLimit(2.0)
    limit.take(ONE, 0.0)
    limit.take(OTHER, 0.0)
    limit.take(OTHER, 0.0)
    assert len(limit) == 2
    limit.take(ONE, 0.5)  # gone, and here again
    assert len(limit) == 2
    limit.take(THIRD, 0.75)
    assert len(limit) == 3
    limit.take(FOURTH, 2.0)
    assert len(limit) == 1


@AROUND
def test_the_table_is_bounded_and_forgets_who_was_seen_longest_ago(offset: int) -> None:
    limit = AddressLimit(1.0)
    assert limit.take(ONE, 0.0)
    assert limit.take(OTHER, 0.0)
    assert not limit.take(ONE, 0.0)  # seen later than the other one
    for number in range(MAX_ADDRESSES - 2 + offset):
        assert limit.take((f"10.0.{number >> 8}.{number & 255}", 5), 0.0)
    assert len(limit) == min(MAX_ADDRESSES, MAX_ADDRESSES + offset)
    assert not limit.take(ONE, 0.0)
    assert limit.take(OTHER, 0.0) is (offset == 1)
    assert len(limit) <= MAX_ADDRESSES


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 64)), max_size=200))
def test_forgetting_lets_nobody_pass_who_would_not_otherwise(visits: list[tuple[int, int]]) -> None:
    limit = AddressLimit(2.0)
    buckets = [Bucket(2.0) for _ in range(4)]
    now = 0.0
    for number, (who, pause) in enumerate(visits):
        now += pause / 64
        assert limit.take((f"192.0.2.{who}", number), now) is buckets[who].take(now)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8:0:0:ffff::2", True),
        ("2001:db8::1", "2001:DB8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("not:an:address", "not:another", False),
        ("unknown", "unknown", True),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (address_of(one) == address_of(other)) is same


@pytest.mark.parametrize("text", ["x", ":", "2001:db8::"])
def test_what_a_proxy_forwards_takes_no_more_room_than_an_address(text: str) -> None:
    assert len(str(address_of(text * 10_000))) == LONGEST_HOST


@given(st.text(alphabet="0123456789abcdef:.%x", max_size=60))
def test_no_text_is_a_fault(host: str) -> None:
    address_of(host)
