"""F17 and F32: rolling restarts behind nginx and HAProxy under traffic; balancers that are reloaded again and again,
and that let connections be on which nothing is said; nodes that are killed behind them.

The short versions are in tests/deploy/test_balancers.py. Here nodes and clients have the settings that they have when
nobody chooses any. Times are judged where the promise is a time: a node that was killed has lost its clients to the
others within the time-out of a ping.
"""

from __future__ import annotations

import time  # time: measures how long clients are away
from collections.abc import Iterator

import pytest

from roomcast.settings import Settings
from tests.support.fault_results import Results, percentile
from tests.support.front import Front
from tests.support.js_client import TRANSPORTS
from tests.support.rolling import WORDS, Rolling
from tests.support.verdicts import Verdict

SETTINGS = Settings()
PER_GROUP = 17
"""Clients of each transport behind each balancer: some hundred."""
CLIENTS = 2 * len(TRANSPORTS) * PER_GROUP
ROUNDS = 20
RELOADS = 50
KILLS = 10
QUIET = 120.0
"""Seconds in which nothing is said but pings."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(0)]


@pytest.fixture(scope="module")
def standing() -> Iterator[Front]:
    with Front(drain_delay=SETTINGS.drain_delay_seconds, drain_seconds=SETTINGS.drain_seconds) as front:
        yield front


@pytest.fixture
def front(standing: Front) -> Front:
    """Three nodes that run, and both balancers know."""
    standing.until_all_are_served()
    return standing


def spread(verdict: Verdict) -> str:
    """How long clients were away, for people."""
    away = verdict.away()
    return (
        f"away {percentile(away, 0.5):.2f} s (p50), {percentile(away, 0.99):.2f} s (p99), {max(away):.2f} s (longest)"
    )


def test_rolling_restarts(front: Front, results: Results) -> None:
    before = [len(balancer.answered()) for balancer in front.balancers]
    with front.traffic(PER_GROUP) as (crowd, ticker):
        rolling = Rolling(front.nodes, front.haproxy, crowd, ticker)
        for _ in range(ROUNDS):
            rolling.round()
        verdict = rolling.judge()
        moves = sum(sum(leavings.values()) for leavings in verdict.leavings())
    for balancer, count in zip(front.balancers, before, strict=True):
        assert [each for each in balancer.answered()[count:] if each[2] >= 500] == []
    results.add(
        "F17",
        f"{ROUNDS} rolling restarts of 3 nodes behind nginx and HAProxy, {CLIENTS} clients under traffic",
        f"no 5xx, no failed attempt; {moves} moves, one at most for each restart of a client's node; "
        f"{spread(verdict)}; of {ticker.number} messages a client missed {verdict.missed() / CLIENTS:.0f}, all while "
        f"it was away; the {WORDS} that waited in outboxes when a node was told to stop have all arrived",
    )


def test_reloads(front: Front, results: Results) -> None:
    with front.traffic(PER_GROUP) as (crowd, ticker):
        crowd.until_there()
        crowd.until(lambda each: each.pings >= 1, "get a ping")
        for _ in range(RELOADS):
            for balancer in front.balancers:
                balancer.reload()
                crowd.until_heard(ticker.number + 1)
                crowd.until_answered()
        verdict = Verdict(crowd.report())
        assert verdict.troubles() == []
        assert verdict.missed() == 0
    results.add(
        "F32",
        f"nginx and HAProxy reloaded {RELOADS} times each, {CLIENTS} clients under traffic",
        f"no connection lost, no request refused, none of {ticker.number} messages missed",
    )


def test_quiet_connections(front: Front, results: Results) -> None:
    with front.silence(PER_GROUP) as crowd:
        crowd.until_there()
        pings = round(QUIET / SETTINGS.ping_interval)
        crowd.until(lambda each: each.pings >= pings, f"get {pings} pings", 2 * QUIET)
        assert Verdict(crowd.report()).troubles() == []
    results.add("F32", f"nothing said but pings for {QUIET:g} s, {CLIENTS} clients", "no connection lost")


def test_killed_nodes(front: Front, results: Results) -> None:
    worst = 0.0
    with front.traffic(PER_GROUP) as (crowd, ticker):
        for number in range(KILLS):
            victim = front.nodes[number % len(front.nodes)]
            crowd.until_there()
            victim.kill()
            since = time.monotonic()
            crowd.until_there(elsewhere_than=[victim.tag])
            crowd.until_heard(ticker.number + 1)
            worst = max(worst, time.monotonic() - since)
            front.comes_back(victim)
        verdict = Verdict(crowd.report())
        assert [text for text in verdict.troubles(but="disconnect") if "while it was connected" in text] == []
    assert worst < SETTINGS.ping_timeout
    results.add(
        "F17",
        f"{KILLS} times a node of 3 killed behind nginx and HAProxy, {CLIENTS} clients under traffic",
        f"all served by the others after {worst:.1f} s at the latest; {spread(verdict)}",
    )
