"""Findings as lines for people and as JSON for programs. No secret leaves through here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from roomcast.doctor.findings import Finding, Level, exit_code, worst
from roomcast.doctor.wording import count

HIDDEN: Final = "***"

_MARKS: Final = {Level.OK: "ok", Level.SKIPPED: "-", Level.WARNING: "warning", Level.WRONG: "WRONG"}
_MARK_WIDTH: Final = max(map(len, _MARKS.values()))
_CHECK_WIDTH: Final = len("idle websocket")


def without(finding: Finding, secrets: Sequence[str]) -> Finding:
    """The finding with every secret struck out of it, whoever put it there: a server may repeat what it was told."""
    return msgspec.structs.replace(
        finding,
        text=struck(finding.text, secrets),
        advice=struck(finding.advice, secrets),
        facts=_struck(finding.facts, secrets),
    )


def struck(text: str, secrets: Sequence[str]) -> str:
    """The text, without any of these."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):  # one may be a part of another
        text = text.replace(secret, HIDDEN)
    return text


def _struck(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return struck(value, secrets)
    if isinstance(value, dict):
        return {_struck(key, secrets): _struck(each, secrets) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_struck(each, secrets) for each in value]
    return value


def line(finding: Finding) -> str:
    """One line, and one more for what to do."""
    text = f"{_MARKS[finding.level]:<{_MARK_WIDTH}}  {finding.check:<{_CHECK_WIDTH}}  {finding.text}\n"
    indent = " " * (_MARK_WIDTH + _CHECK_WIDTH + 4)
    return f"{text}{indent}→ {finding.advice}\n" if finding.advice else text


def closing(findings: Sequence[Finding]) -> str:
    """The last line."""
    found = {level: sum(finding.level is level for finding in findings) for level in Level}
    parts = [
        *([f"{found[Level.WRONG]} wrong"] if found[Level.WRONG] else []),
        *([count(found[Level.WARNING], "warning")] if found[Level.WARNING] else []),
        f"{found[Level.OK]} ok",
        *([f"{found[Level.SKIPPED]} not looked at"] if found[Level.SKIPPED] else []),
    ]
    return ", ".join(parts) + "\n"


def as_json(url: str, findings: Sequence[Finding], seconds: float) -> str:
    """Everything, as one JSON object on one line."""
    report = {
        "url": url,
        "level": worst(findings),
        "exit": exit_code(findings),
        "seconds": round(seconds, 1),
        "findings": findings,
    }
    return msgspec.json.encode(report).decode() + "\n"
