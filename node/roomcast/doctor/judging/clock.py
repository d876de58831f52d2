"""Do the clocks agree: ours, that of whatever writes the ``Date``, those of the nodes?"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from roomcast.doctor.answers import Answer
from roomcast.doctor.findings import Finding, ok, skipped, warning
from roomcast.doctor.wording import count, duration, listed

CHECK: Final = "clock"

TOLERANCE: Final = 5.0
"""Seconds. ``Date`` has whole ones, and an answer may take one; nobody's logs or tokens suffer from so few."""


def offset(answer: Answer, received: float) -> float | None:
    """By how many seconds the ``Date`` of an answer is ahead of our clock, which said ``received`` (Unix time)."""
    date = answer.header("date")
    if date is None:
        return None
    try:
        there = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    here = received - answer.seconds / 2
    return there + 0.5 - here  # the second began half a second earlier, on average


def judge_clock(date: float | None, nodes: Mapping[str, float] | None = None) -> Finding:
    """``date`` is the offset of the ``Date`` header, ``nodes`` those in the beats of nodes. Ahead is positive."""
    known = {} if date is None else {"the Date of its answers": date}
    known |= {f"node {tag}": offset for tag, offset in (nodes or {}).items()}
    if not known:
        return skipped(CHECK, "the answers have no Date")
    facts = {"offsets": {name: round(value, 1) for name, value in known.items()}}
    far = {name: value for name, value in known.items() if abs(value) > TOLERANCE}
    if far:
        text = listed(
            f"{name} is {duration(abs(value))} {'ahead' if value > 0 else 'behind'}" for name, value in far.items()
        )
        advice = (
            "let all machines, this one too, get their time by NTP: logs, tokens and measured latencies depend on it"
        )
        return warning(CHECK, f"by this machine's clock {text}", advice, **facts)
    whose = [*([] if date is None else ["the Date of its answers"]), *([count(len(nodes), "node")] if nodes else [])]
    return ok(CHECK, f"less than {TOLERANCE:g} s between this machine's clock and {listed(whose)}", **facts)
