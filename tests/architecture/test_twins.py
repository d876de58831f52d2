"""What stands in one driver must not stand in the other: it belongs below both."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.support.tree import ROOT, name_of, python_files

DRIVERS = ("node/roomcast/drivers/asyncio", "node/roomcast/drivers/blocking")
LONGEST = 5
"""Lines that may be the same by accident: the arguments of a method, a loop."""
IMPORTS = ("from ", "import ")
"""They say what is used, not what is done."""


def lines_of(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line and not line.startswith(IMPORTS)]


def shared(one: list[str], other: list[str]) -> Iterator[tuple[str, ...]]:
    """Runs of more lines than may be the same."""
    size = LONGEST + 1
    runs = {tuple(other[at : at + size]) for at in range(len(other) - LONGEST)}
    return (run for at in range(len(one) - LONGEST) if (run := tuple(one[at : at + size])) in runs)


def test_no_block_stands_in_both_drivers() -> None:
    one, other = ([(path, lines_of(path)) for path in python_files(folder)] for folder in DRIVERS)
    twins = [
        f"{name_of(first)} ~ {name_of(second)}:\n    " + "\n    ".join(run)
        for (first, these), (second, those) in product(one, other)
        for run in shared(these, those)
    ]
    assert not twins, "\n".join(twins)


@pytest.mark.parametrize(("length", "found"), [(LONGEST, 0), (LONGEST + 1, 1), (LONGEST + 2, 2)])
def test_the_finder_is_seen_to_find(length: int, found: int) -> None:
    block = [f"line {number}" for number in range(length)]
    assert len(list(shared(["a", *block, "b"], ["c", *block, "d"]))) == found


def test_both_drivers_are_looked_at() -> None:
    assert all(len(python_files(folder)) > 10 for folder in DRIVERS)
    assert all((ROOT / folder).is_dir() for folder in DRIVERS)
