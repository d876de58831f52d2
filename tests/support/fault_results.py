"""What fault tests have measured, as a page: one line per test, kept until the same test is run again."""

from __future__ import annotations

import datetime
import platform
import re

import msgspec

from tests.support.tree import ROOT

PAGE = ROOT / "tests" / "faults" / "RESULTS.md"
_ROW = re.compile(r"^\| (F\d+[^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
HEAD = """# What the full fault tests have measured

Written by `make faults`: a row for each test that has something to tell, as it was when the test ran last. The short
versions, in `make test`, judge no times and write nothing here. What each fault is about stands at the top of its file
in this folder.

| fault | what was done | what came of it | when and where |
| --- | --- | --- | --- |
"""


class Row(msgspec.Struct, frozen=True):
    """One line of the page."""

    fault: str
    done: str
    found: str
    where: str


class Results:
    """Collects rows; ``write`` puts them on the page, in place of earlier ones of the same fault and doing."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def add(self, fault: str, done: str, found: str) -> None:
        """``fault`` as F01; ``done`` names the run and is the same each time; ``found`` has the figures."""
        where = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, Python {platform.python_version()}"
        self._rows.append(Row(fault, done, found, where))

    def write(self) -> None:
        if not self._rows:
            return
        old = PAGE.read_text() if PAGE.exists() else ""
        rows = {(fault, done): Row(fault, done, found, where) for fault, done, found, where in _ROW.findall(old)}
        rows |= {(row.fault, row.done): row for row in self._rows}
        lines = [f"| {r.fault} | {r.done} | {r.found} | {r.where} |" for _, r in sorted(rows.items())]
        PAGE.write_text(HEAD + "\n".join(lines) + "\n")


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1_000) * len(ordered) // 1_000) - 1))]
