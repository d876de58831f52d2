"""Sessions that stay, and sessions that do not."""

from __future__ import annotations

from roomcast.doctor.answers import Answer, Outcome, Trouble
from roomcast.doctor.findings import Level
from roomcast.doctor.judging.stickiness import PolledSession, judge_stickiness, stickiness

OK: Outcome = Answer(200, (), b"ok")
LOST: Outcome = Answer(400, (), b'{"code":1,"message":"Session ID unknown"}')
BUSY: Outcome = Answer(503, (("retry-after", "2"),))


def session(tag: str = "aaaa", *, cookies: bool = False, outcomes: tuple[Outcome, ...] = (OK, OK)) -> PolledSession:
    return PolledSession(Answer(200), tag, cookies, cookies, outcomes)


def test_all_stay_and_are_spread() -> None:
    found = [session("aaaa"), session("bbbb", cookies=True), session("bbbb")]
    finding = judge_stickiness(found)
    assert finding.level is Level.OK
    assert finding.text.endswith("with and without cookies; sessions by node: bbbb 2 and aaaa 1")
    assert finding.facts == {"sessions": 3, "requests": 6, "lost": 0, "nodes": {"aaaa": 1, "bbbb": 2}}
    assert (stickiness(found).holds, stickiness(found).needs_cookies) == (True, False)


def test_all_on_one_node() -> None:
    assert "there is one node, or the balancer goes by the client's address" in judge_stickiness([session()]).text


def test_nodes_without_names() -> None:
    assert judge_stickiness([PolledSession(Answer(200), outcomes=(OK,))]).text.endswith("do not tell their names")


def test_nobody_stays() -> None:
    found = [session(outcomes=(OK, LOST)), session("bbbb", cookies=True, outcomes=(LOST, LOST)), session(cookies=True)]
    finding = judge_stickiness(found)
    assert finding.level is Level.WRONG
    assert finding.text.startswith("2 of 3 polling sessions lost their node: 3 of 6 requests came to another one")
    assert "sid=" in finding.advice
    assert not stickiness(found).holds


def test_only_those_with_cookies_stay() -> None:
    found = [session(outcomes=(OK, LOST)), session("bbbb", cookies=True)]
    finding = judge_stickiness(found)
    assert finding.level is Level.WARNING
    assert finding.text == "only sessions with cookies stay on their node: 1 of 4 requests came to another one"
    assert (stickiness(found).holds, stickiness(found).needs_cookies) == (True, True)


def test_other_failures() -> None:
    finding = judge_stickiness([session(outcomes=(OK, Trouble("cut", seconds=0.001), Answer(502), Answer(502)))])
    assert finding.level is Level.WRONG
    assert finding.text == "3 of 4 requests failed: the connection was cut after 1 ms and the server answers 502"


def test_some_are_refused() -> None:
    finding = judge_stickiness([session(), PolledSession(BUSY)])
    assert (finding.level, finding.text) == (Level.WARNING, "1 of 2 sessions were refused: the server answers 503")


def test_all_are_refused() -> None:
    finding = judge_stickiness([PolledSession(BUSY)])
    assert finding.level is Level.WRONG
    assert not stickiness([PolledSession(BUSY)]).holds


def test_no_polling() -> None:
    assert judge_stickiness([]).level is Level.SKIPPED
