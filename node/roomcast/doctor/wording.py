"""Numbers and lists as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

MOST_NAMES: Final = 8
"""So many names are listed; of the others only the number is told."""


def duration(seconds: float) -> str:
    """``4 ms``, ``1.0 s``, ``52 s``."""
    if seconds < 0.0995:
        return f"{max(1, round(seconds * 1000))} ms"
    return f"{seconds:.1f} s" if seconds < 19.95 else f"{seconds:.0f} s"


def count(number: int, one: str, many: str = "") -> str:
    """``1 session``, ``12 sessions``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(names: Iterable[str]) -> str:
    """``a, b and c``; of many the first, and how many more."""
    known = list(names)
    if len(known) > MOST_NAMES:
        known = [*known[: MOST_NAMES - 1], f"{len(known) - MOST_NAMES + 1} more"]
    return " and ".join(filter(None, (", ".join(known[:-1]), *known[-1:])))


def shares(numbers: Mapping[str, int]) -> str:
    """``wA3x 5, hQ0b 4``: the greatest first."""
    return listed(f"{name} {number}" for name, number in sorted(numbers.items(), key=lambda each: (-each[1], each[0])))
