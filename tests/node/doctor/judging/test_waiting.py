"""Idle connections, and answers on the way."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.doctor.answers import Answer, Ending, Trouble
from roomcast.doctor.findings import Level
from roomcast.doctor.judging.entry import Entry
from roomcast.doctor.judging.waiting import (
    HELD_POLL,
    IDLE_WEBSOCKET,
    Promptness,
    Watch,
    judge_promptness,
    judge_watch,
    promptness,
)


def watched(**seen: Any) -> Watch:
    return Watch(**{"ping_interval": 25.0, "ping_timeout": 20.0, "lived": 51.0, "longest": 25.0, "pings": 2, **seen})


def test_it_lived() -> None:
    finding = judge_watch(IDLE_WEBSOCKET, watched())
    assert finding.level is Level.OK
    assert finding.text == "an idle WebSocket lived 51 s, 2 pings came and were answered; the longest silence was 25 s"
    once = judge_watch(HELD_POLL, watched(pings=1))
    assert once.text.startswith("a held poll lived 51 s, 1 ping came and was answered")
    busy = judge_watch(HELD_POLL, watched(longest=3.0))
    assert busy.text.endswith("it was never quiet for more than 3.0 s, so shorter time-outs are not seen")


def test_nobody_looked() -> None:
    assert judge_watch(HELD_POLL, None, "--quick").level is Level.SKIPPED


def test_it_was_not_watched_for_long_enough() -> None:
    finding = judge_watch(IDLE_WEBSOCKET, watched(ping_interval=120.0, pings=0, lived=60.0))
    assert finding.level is Level.WARNING
    assert "--wait 245" in finding.advice


@pytest.mark.parametrize(
    ("check", "watch", "text", "advice"),
    [
        (
            IDLE_WEBSOCKET,
            watched(lived=10.0, silence=10.0, pings=0, ending=Ending("cut")),
            "an idle WebSocket was cut after 10.0 s of silence; the server pings each 25 s",
            "above pingInterval + pingTimeout = 45 s",
        ),
        (
            HELD_POLL,
            watched(
                lived=1.0, silence=1.0, pings=0, ending=Ending("refused", outcome=Answer(504, (("server", "nginx"),)))
            ),
            "nginx answers 504 to a held poll after 1.0 s of silence",
            "proxy_read_timeout",
        ),
        (
            HELD_POLL,
            watched(lived=2.0, silence=2.0, pings=0, ending=Ending("cut", outcome=Trouble("cut", seconds=2.0))),
            "a held poll was cut after 2.0 s of silence",
            "timeout server",
        ),
        (
            IDLE_WEBSOCKET,
            watched(lived=30.0, silence=5.0, pings=1, ending=Ending("cut")),
            "cut after 30 s, 5.0 s after its last packet",
            "by their age",
        ),
        (
            IDLE_WEBSOCKET,
            watched(lived=45.0, silence=20.1, pings=1, ending=Ending("closed")),
            "it did not get the answer to its ping",
            "logs of the proxies",
        ),
        (
            IDLE_WEBSOCKET,
            watched(lived=12.0, silence=12.0, pings=0, ending=Ending("closed", 1012)),
            "the server closed an idle WebSocket after 12.0 s",
            "a node stopped",
        ),
    ],
)
def test_it_ended(check: str, watch: Watch, text: str, advice: str) -> None:
    finding = judge_watch(check, watch)
    assert finding.level is Level.WRONG
    assert text in finding.text
    assert advice in finding.advice
    assert finding.facts["cut_after"] == round(watch.silence, 1)


# --- buffering --------------------------------------------------------------------------------------------------------

IN, REFUSED, SILENT, CLOSED = (
    Entry("/", "in", 0.004),
    Entry("/", "refused", 0.002),
    Entry("/", "silent", 5.0),
    Entry("/", "closed"),
)


@pytest.mark.parametrize(
    ("poll", "socket", "repeated", "seen"),
    [
        (IN, REFUSED, 0, Promptness(poll=0.004, limit=0.0, socket=0.002)),
        (IN, SILENT, 0, Promptness(poll=0.004, limit=0.0)),
        (IN, None, 1, Promptness(poll=0.004, limit=0.0, repeated=1)),
        (SILENT, IN, 0, Promptness(poll=None, limit=5.0)),
        (SILENT, SILENT, 0, None),
        (CLOSED, IN, 0, None),
        (None, IN, 0, None),
        (None, IN, 2, Promptness(poll=0.0, limit=0.0, repeated=2)),
    ],
)
def test_what_two_ways_in_tell(
    poll: Entry | None, socket: Entry | None, repeated: int, seen: Promptness | None
) -> None:
    assert promptness(poll, socket, repeated) == seen


@pytest.mark.parametrize(
    ("seen", "level", "text"),
    [
        (Promptness(poll=0.004, limit=0.0, socket=0.002), Level.OK, "a held poll was answered in 4 ms"),
        (Promptness(poll=3.0, limit=0.0, socket=2.9), Level.OK, "in 3.0 s"),
        (Promptness(poll=3.0, limit=0.0, socket=0.1), Level.WARNING, "answered 3.0 s late, over a WebSocket in 0.1 s"),
        (Promptness(poll=3.0, limit=0.0), Level.WARNING, "answered 3.0 s late"),
        (Promptness(poll=None, limit=5.0), Level.WRONG, "did not come through a held poll within 5.0 s"),
        (Promptness(poll=0.0, limit=0.0, repeated=2), Level.WRONG, "2 sessions got the answer of another"),
        (None, Level.SKIPPED, "no"),
    ],
)
def test_what_is_kept_on_the_way(seen: Promptness | None, level: Level, text: str) -> None:
    finding = judge_promptness(seen, "no")
    assert finding.level is level
    assert text in finding.text
