"""Clients that are let in, and those that are not."""

from __future__ import annotations

import pytest

from roomcast.doctor.findings import Level
from roomcast.doctor.judging.entry import Entry, judge_entry


@pytest.mark.parametrize(
    ("entry", "auth", "level", "text"),
    [
        (Entry("/chat", "in", 0.002), False, Level.OK, "/chat lets a client in within 2 ms"),
        (Entry("/", "refused", 0.002, "who are you?"), False, Level.WARNING, '/ refuses a client: "who are you?"'),
        (Entry("/", "refused", 0.002, "x" * 200), True, Level.WRONG, '/ refuses a client: "' + "x" * 80 + '"'),
        (Entry("/", "silent", 5.0), False, Level.WRONG, "/ did not answer within 5.0 s"),
        (Entry("/", "closed"), False, Level.WRONG, "the server ends the session over the request for /"),
        (None, False, Level.SKIPPED, "no session could be used to ask"),
    ],
)
def test_entries(entry: Entry | None, auth: bool, level: Level, text: str) -> None:
    finding = judge_entry(entry, auth)
    assert (finding.check, finding.level, finding.text) == ("namespace", level, text)
