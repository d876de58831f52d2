"""Clocks that agree, and those that do not."""

from __future__ import annotations

import pytest

from roomcast.doctor.answers import Answer
from roomcast.doctor.findings import Level
from roomcast.doctor.judging.clock import judge_clock, offset

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("date", "seconds", "expected"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0, 0.5),
        ("Sun, 06 Nov 1994 08:49:36 GMT", 2.0, 0.5),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 0.0, 60.5),
        ("yesterday", 0.0, None),
    ],
)
def test_the_date_of_an_answer(date: str, seconds: float, expected: float | None) -> None:
    assert offset(Answer(200, (("date", date),), seconds=seconds), NOW) == expected


def test_no_date() -> None:
    assert offset(Answer(200), NOW) is None
    assert judge_clock(None).level is Level.SKIPPED


def test_they_agree() -> None:
    finding = judge_clock(-1.5, {"aaaa": 0.2})
    assert finding.level is Level.OK
    assert finding.text == "less than 5 s between this machine's clock and the Date of its answers and 1 node"
    assert judge_clock(-1.5).text == "less than 5 s between this machine's clock and the Date of its answers"
    assert finding.facts == {"offsets": {"the Date of its answers": -1.5, "node aaaa": 0.2}}


def test_they_do_not() -> None:
    finding = judge_clock(30.4, {"aaaa": 0.2, "bbbb": -7200.0})
    assert finding.level is Level.WARNING
    assert finding.text == (
        "by this machine's clock the Date of its answers is 30 s ahead and node bbbb is 7200 s behind"
    )
