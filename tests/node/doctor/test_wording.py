"""Numbers and lists as people read them."""

from __future__ import annotations

import pytest

from roomcast.doctor.wording import count, duration, listed, shares


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1 ms"),
        (0.0041, "4 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.1 s"),
        (1, "1.0 s"),
        (9.96, "10.0 s"),
        (19.94, "19.9 s"),
        (51.7, "52 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts() -> None:
    assert [count(1, "session"), count(12, "session"), count(0, "entry", "entries"), count(1200, "ping")] == [
        "1 session",
        "12 sessions",
        "0 entries",
        "1,200 pings",
    ]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b", "c"], "a, b and c"),
        (list("abcdefgh"), "a, b, c, d, e, f, g and h"),
        (list("abcdefghij"), "a, b, c, d, e, f, g and 3 more"),
    ],
)
def test_lists(names: list[str], text: str) -> None:
    assert listed(names) == text


def test_shares_begin_with_the_greatest() -> None:
    assert shares({"bbbb": 2, "aaaa": 2, "cccc": 5}) == "cccc 5, aaaa 2 and bbbb 2"
