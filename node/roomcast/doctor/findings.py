"""What was found, one value per check, and what all of it comes to."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import msgspec


class Level(StrEnum):
    """How it stands. What could not be looked at is SKIPPED and counts for nothing."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question. ``advice`` is what to change; ``facts`` are the numbers, for programs."""

    check: str
    level: Level
    text: str
    advice: str = ""
    facts: dict[str, Any] = {}


# In the order in which they get worse.
_WORSE: Final = (Level.SKIPPED, Level.OK, Level.WARNING, Level.WRONG)
_CODES: Final = {Level.SKIPPED: 0, Level.OK: 0, Level.WARNING: 1, Level.WRONG: 2}


def ok(check: str, text: str, **facts: Any) -> Finding:
    """All is well."""
    return Finding(check=check, level=Level.OK, text=text, facts=facts)


def skipped(check: str, text: str) -> Finding:
    """Nobody looked; ``text`` says why."""
    return Finding(check=check, level=Level.SKIPPED, text=text)


def warning(check: str, text: str, advice: str, **facts: Any) -> Finding:
    """It works, for some or for now."""
    return Finding(check=check, level=Level.WARNING, text=text, advice=advice, facts=facts)


def wrong(check: str, text: str, advice: str, **facts: Any) -> Finding:
    """It does not work."""
    return Finding(check=check, level=Level.WRONG, text=text, advice=advice, facts=facts)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level; SKIPPED if there is none."""
    return max((finding.level for finding in findings), key=_WORSE.index, default=Level.SKIPPED)


def exit_code(findings: Iterable[Finding]) -> int:
    """0: all is well; 1: there are warnings; 2: something is wrong, or nothing could be looked at."""
    level = worst(findings)
    return 2 if level is Level.SKIPPED else _CODES[level]
