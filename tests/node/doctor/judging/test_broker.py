"""The way through the broker."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.doctor.findings import Level
from roomcast.doctor.judging.broker import (
    MOST_HANDSHAKES,
    Arrival,
    BrokerSeen,
    Heard,
    handshakes_needed,
    judge_broker,
    judge_emit,
    judge_nodes,
)


def seen(*heard: Heard, **more: Any) -> BrokerSeen:
    return BrokerSeen(
        **{"scheme": "redis", "cluster": "socketio", "up": 0.004, "listened": 6.0, "heard": heard, **more}
    )


A, B, C = (Heard(tag, 3, 2) for tag in ("aaaa", "bbbb", "cccc"))


def test_it_is_there() -> None:
    finding = judge_broker(seen())
    assert (finding.level, finding.text) == (Level.OK, "redis:// was reached in 4 ms")


def test_it_is_away() -> None:
    finding = judge_broker(seen(up=None, cause="connection refused"))
    assert (finding.level, finding.text) == (Level.WRONG, "redis:// cannot be reached from here: connection refused")
    assert judge_broker(seen(up=None)).text.endswith("no answer")


def test_nobody_asked_for_it() -> None:
    assert judge_broker(None).level is Level.SKIPPED
    assert judge_nodes(None, (), 0).level is Level.SKIPPED
    assert judge_nodes(seen(up=None), (), 0).level is Level.SKIPPED


def test_the_same_nodes_are_in_both_places() -> None:
    finding = judge_nodes(seen(A, B), {"bbbb", "aaaa"}, 20)
    assert finding.level is Level.OK
    assert finding.text == "nodes aaaa and bbbb are behind the balancer and on the broker, with 4 clients"


def test_nodes_are_heard_and_nothing_is_known_of_a_balancer() -> None:
    finding = judge_nodes(seen(A), (), 0)
    assert (finding.level, finding.text) == (Level.OK, "node aaaa is on the broker")


def test_a_node_is_not_on_the_broker() -> None:
    finding = judge_nodes(seen(A), {"aaaa", "bbbb"}, 20)
    assert finding.level is Level.WRONG
    assert finding.text.startswith("node bbbb is behind the balancer but not on the broker")


def test_a_node_is_not_behind_the_balancer() -> None:
    finding = judge_nodes(seen(A, B, C), {"aaaa"}, 30)
    assert finding.level is Level.WARNING
    assert finding.text == "nodes bbbb and cccc are on the broker, but none of 30 sessions came to them"


def test_no_node_is_heard() -> None:
    finding = judge_nodes(seen(), {"aaaa", "bbbb"}, 20)
    assert finding.level is Level.WRONG
    assert finding.text == (
        "no node of cluster 'socketio' is heard on it within 6.0 s; behind the balancer nodes aaaa and bbbb are"
    )
    assert "ROOMCAST_CLUSTER" in finding.advice
    assert judge_nodes(seen(), (), 0).text.endswith("within 6.0 s")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("unsigned", "are not signed, and a key was given"),
        ("key", "are signed with another key"),
        ("signature", "have a wrong signature"),
        ("major", "are of a version that this roomcast cannot read"),
    ],
)
def test_they_are_heard_but_cannot_be_read(reason: str, text: str) -> None:
    finding = judge_nodes(seen(unreadable={reason: 4}), {"aaaa"}, 20)
    assert finding.level is Level.WRONG
    assert text in finding.text
    assert judge_nodes(seen(A, unreadable={reason: 1}), {"aaaa"}, 20).level is Level.OK


def test_events_arrive() -> None:
    arrivals = [Arrival("bbbb", "delivered", 0.002), Arrival("aaaa", "delivered", 0.004)]
    finding = judge_emit(arrivals, seen(A, B), lets_in=True)
    assert finding.level is Level.OK
    assert finding.text == "what was emitted through the broker reached clients on aaaa and bbbb within 4 ms"


def test_events_do_not_arrive() -> None:
    arrivals = [Arrival("bbbb", "delivered", None), Arrival("aaaa", "delivered", 0.004)]
    finding = judge_emit(arrivals, seen(A, B), lets_in=True)
    assert (finding.level, finding.facts["missing"]) == (Level.WRONG, ["bbbb"])
    assert "deaf" in finding.advice


def test_events_that_are_not_signed() -> None:
    signing = Heard("aaaa", 3, signed=True)
    arrivals = [Arrival("aaaa", "delivered", None)]
    assert "--key-file" in judge_emit(arrivals, seen(signing), lets_in=True).advice
    assert "--key-file" not in judge_emit(arrivals, seen(signing, with_keys=True), lets_in=True).advice


def test_the_broker_does_not_take_them() -> None:
    finding = judge_emit([Arrival("aaaa", "queued", None)], seen(A), lets_in=True)
    assert (finding.level, finding.text) == (Level.WRONG, "the broker did not take 1 of 1 event (queued)")


@pytest.mark.parametrize(
    ("heard", "lets_in", "text"),
    [((), True, "no node is heard"), ((A,), False, "see namespace"), ((A,), True, "no client of ours came")],
)
def test_events_that_nobody_can_get_are_not_sent(heard: tuple[Heard, ...], lets_in: bool, text: str) -> None:
    finding = judge_emit((), seen(*heard), lets_in)
    assert finding.level is Level.SKIPPED
    assert text in finding.text


@pytest.mark.parametrize(("nodes", "handshakes"), [(0, 0), (1, 0), (2, 10), (3, 18), (10, 66), (50, MOST_HANDSHAKES)])
def test_how_many_sessions_meet_every_node(nodes: int, handshakes: int) -> None:
    assert handshakes_needed(nodes) == handshakes
