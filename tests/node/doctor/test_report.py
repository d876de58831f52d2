"""Lines, JSON, and what never stands in them."""

from __future__ import annotations

import json

from roomcast.doctor import report
from roomcast.doctor.findings import ok, skipped, warning, wrong

FINDINGS = [
    ok("path", "/socket.io/ is Engine.IO 4", polling=True),
    skipped("emit", "no"),
    warning("clock", "slow", "use NTP"),
    wrong("broker", "away", "start it"),
]


def test_a_line_for_each_and_one_for_what_to_do() -> None:
    assert report.line(FINDINGS[0]) == "ok       path            /socket.io/ is Engine.IO 4\n"
    assert report.line(FINDINGS[1]) == "-        emit            no\n"
    assert report.line(FINDINGS[3]) == "WRONG    broker          away\n                         → start it\n"


def test_the_last_line() -> None:
    assert report.closing(FINDINGS) == "1 wrong, 1 warning, 1 ok, 1 not looked at\n"
    assert report.closing(FINDINGS[:1]) == "1 ok\n"


def test_json() -> None:
    text = report.as_json("http://x/socket.io/", FINDINGS, 2.04)
    assert text.endswith("}\n")
    assert "\n" not in text[:-1]
    found = json.loads(text)
    assert (found["url"], found["level"], found["exit"], found["seconds"]) == ("http://x/socket.io/", "wrong", 2, 2.0)
    assert found["findings"][0] == {
        "check": "path",
        "level": "ok",
        "text": "/socket.io/ is Engine.IO 4",
        "advice": "",
        "facts": {"polling": True},
    }


def test_secrets_are_struck_out_wherever_they_are() -> None:
    finding = wrong(
        "broker", "no way to :pass%40word@host", "try pass@word", where=["pass@word", 5], deep={"pass@word": 1.5}
    )
    clean = report.without(finding, ["pass@word", "pass%40word", "word", ""])
    assert clean.text == "no way to :***@host"
    assert clean.advice == "try ***"
    assert clean.facts == {"where": ["***", 5], "deep": {"***": 1.5}}
