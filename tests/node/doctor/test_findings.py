"""What the findings come to."""

from __future__ import annotations

import pytest

from roomcast.doctor.findings import Finding, Level, exit_code, ok, skipped, warning, worst, wrong

OK, SKIPPED, WARNING, WRONG = ok("a", "fine"), skipped("b", "no"), warning("c", "so so", "do"), wrong("d", "no", "do")


def test_a_finding_says_what_it_is() -> None:
    finding = wrong("path", "404", "correct it", status=404)
    assert (finding.check, finding.level, finding.text, finding.advice) == ("path", Level.WRONG, "404", "correct it")
    assert finding.facts == {"status": 404}


@pytest.mark.parametrize(
    ("findings", "level", "code"),
    [
        ([OK], Level.OK, 0),
        ([SKIPPED, OK], Level.OK, 0),
        ([OK, WARNING, SKIPPED], Level.WARNING, 1),
        ([WRONG, WARNING, OK], Level.WRONG, 2),
        ([SKIPPED], Level.SKIPPED, 2),
        ([], Level.SKIPPED, 2),
    ],
)
def test_the_worst_one_decides(findings: list[Finding], level: Level, code: int) -> None:
    assert (worst(findings), exit_code(findings)) == (level, code)
