"""WebSockets that come through, and those that do not."""

from __future__ import annotations

import pytest

from roomcast.doctor.answers import Answer, Outcome, Trouble
from roomcast.doctor.findings import Level
from roomcast.doctor.judging.websockets import SocketTry, judge_upgrade, judge_websocket, works

SWITCHED = Answer(101)
GOOD = SocketTry(SWITCHED, "open", "aaaa")
SILENT = SocketTry(SWITCHED, "silent")
STRIPPED: Outcome = Answer(400, (("server", "nginx/1.22.1"),), b'{"code":3,"message":"Bad request"}')
LOST: Outcome = Answer(400, (), b'{"code":1,"message":"Session ID unknown"}')


def refused(outcome: Outcome) -> SocketTry:
    return SocketTry(outcome, "refused")


def test_they_open() -> None:
    finding = judge_websocket([GOOD, GOOD, SocketTry(SWITCHED, "open", "bbbb")])
    assert (finding.level, finding.text) == (Level.OK, "3 WebSockets opened at once on aaaa 2 and bbbb 1")
    assert judge_websocket([SocketTry(SWITCHED, "open")]).text == "1 WebSocket opened at once"
    assert works([GOOD, SILENT])
    assert not works([SILENT])


@pytest.mark.parametrize(
    ("attempt", "text", "advice"),
    [
        (refused(STRIPPED), "without its Upgrade header", "proxy_set_header Upgrade"),
        (refused(Answer(426)), "without its Upgrade header", "proxy_set_header Upgrade"),
        (refused(Answer(403, (("server", "cloud"),))), "cloud lets no WebSocket through", "switch WebSockets on"),
        (refused(Answer(400)), "a proxy lets no WebSocket through", "pass the upgrade on"),
        (refused(Answer(502)), "no WebSocket can be opened: the server answers 502", "stay on polling"),
        (refused(Trouble("silent", seconds=5)), "no answer within 5.0 s", "stay on polling"),
        (SILENT, "nothing comes behind it", "tunnel"),
    ],
)
def test_they_do_not(attempt: SocketTry, text: str, advice: str) -> None:
    finding = judge_websocket([attempt, attempt])
    assert finding.level is Level.WRONG
    assert text in finding.text
    assert advice in finding.advice


def test_a_server_without_them() -> None:
    assert judge_websocket([refused(Answer(400, (), b'{"code":0}'))]).level is Level.OK


def test_some_do() -> None:
    finding = judge_websocket([GOOD, SILENT, GOOD])
    assert (finding.level, finding.text) == (Level.WRONG, "1 of 3 WebSockets failed: accepted, but nothing comes")


def test_some_are_refused_for_now() -> None:
    finding = judge_websocket([GOOD, refused(Answer(503)), refused(Answer(503))])
    assert (finding.level, finding.text) == (Level.WARNING, "2 of 3 WebSockets failed: the server answers 503")


def test_sessions_move() -> None:
    finding = judge_upgrade([GOOD, GOOD], direct=True, offered=True, sticky=True)
    assert (finding.level, finding.text) == (Level.OK, "2 polling sessions moved to WebSocket")


def test_sessions_cannot_move() -> None:
    lost = judge_upgrade([GOOD, refused(LOST)], direct=True, offered=True, sticky=True)
    assert lost.level is Level.WRONG
    assert "the same rule for both" in lost.advice
    assert judge_upgrade([SILENT], direct=True, offered=True, sticky=True).level is Level.WARNING


@pytest.mark.parametrize(
    ("direct", "offered", "sticky", "level", "text"),
    [
        (True, False, True, Level.OK, "offers no move"),
        (False, True, True, Level.SKIPPED, "no WebSocket can be opened"),
        (True, True, False, Level.SKIPPED, "see stickiness"),
    ],
)
def test_what_is_already_known_is_not_said_again(
    direct: bool, offered: bool, sticky: bool, level: Level, text: str
) -> None:
    finding = judge_upgrade([], direct, offered, sticky)
    assert finding.level is level
    assert text in finding.text
