"""Real balancers with the shipped files before real nodes, and official clients that all come from one address.

These are the short versions; the long ones are in tests/faults/test_balancers.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.balancers import TAGS, Balancer
from tests.support.doctor import examined
from tests.support.front import Front
from tests.support.js_client import TRANSPORTS
from tests.support.rolling import Rolling
from tests.support.verdicts import Verdict

PINGS = {"ping_interval": 2.5, "ping_timeout": 6.0}
"""Seconds; short, so that a test may wait for two pings, and long enough for 200 clients on a busy machine."""
MANY = 200 // len(TRANSPORTS)
FEW = 8
"""Clients of each transport behind each balancer where everybody does something all the time."""
SETTLED = 3
"""Pings, 7.5 s: a process of HAProxy tells the next one what it has learned only when it has been there for 5 s, or has
itself been told.
"""
A_FAIR_SHARE = 0.2
"""Of all clients on each of three nodes."""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def standing() -> Iterator[Front]:
    """The same for all tests here: what takes longest is to start it."""
    with Front(drain_delay=2.5, drain_seconds=1.0, options=PINGS) as front:
        yield front


@pytest.fixture
def front(standing: Front) -> Front:
    """As if nothing had happened before."""
    standing.until_all_are_served()
    return standing


@pytest.mark.parametrize("name", ["haproxy", "nginx"])
def test_clients_of_one_address_spread_over_all_nodes_and_stay_while_nothing_is_said(front: Front, name: str) -> None:
    balancer: Balancer = getattr(front, name)
    before = len(balancer.answered())
    with front.silence(MANY, balancer) as crowd:
        crowd.until_there()
        crowd.until(lambda each: each.pings >= 2, "get two pings")
        verdict = Verdict(crowd.report())
        assert verdict.troubles() == []
        assert verdict.least_share() > A_FAIR_SHARE
        assert verdict.tags_by_group() == {group.name: set(TAGS) for group in front.groups(MANY, balancer)}
        assert {status for _, _, status in balancer.answered()[before:]} <= {200, 101}


@pytest.mark.parametrize("name", ["haproxy", pytest.param("nginx", marks=pytest.mark.long)])
def test_the_doctor_finds_nothing(front: Front, name: str) -> None:
    balancer: Balancer = getattr(front, name)
    report = examined(balancer.url, "--broker", front.nodes.redis.url)
    assert report.exit == 0, report
    assert report.checks("wrong", "warning", "skipped") == []
    nodes = set(report.told("stickiness")["facts"]["nodes"])
    assert nodes <= set(TAGS)
    assert len(nodes) > 1  # nginx draws lots


def test_a_reload_of_a_balancer_disturbs_nobody(front: Front) -> None:
    with front.traffic(FEW) as (crowd, ticker):
        crowd.until_there()
        crowd.until(lambda each: each.pings >= SETTLED, "get pings")
        for balancer in front.balancers:
            balancer.reload()
            crowd.until_heard(ticker.number + 1)
            crowd.until_answered()
        verdict = Verdict(crowd.report())
        assert verdict.troubles() == []
        assert verdict.missed() == 0
    nothing_secret(*front.balancers)


def test_a_node_is_killed_and_its_clients_go_on_elsewhere(front: Front) -> None:
    victim = front.nodes[1]
    with front.traffic(FEW) as (crowd, ticker):
        assert {each.tag for each in crowd.until_there()} == set(TAGS)
        victim.kill()
        crowd.until_there(elsewhere_than=[victim.tag])
        crowd.until_heard(ticker.number + 1)
        crowd.until_answered()
        verdict = Verdict(crowd.report())
        assert {tag for leavings in verdict.leavings() for tag in leavings} == {victim.tag}
        assert verdict.troubles(but="disconnect") == []
    nothing_secret(*front.balancers)


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
def test_all_nodes_are_restarted_one_after_another_under_traffic(front: Front, count: int) -> None:
    before = [len(balancer.answered()) for balancer in front.balancers]
    with front.traffic(count) as (crowd, ticker):
        rolling = Rolling(front.nodes, front.haproxy, crowd, ticker)
        rolling.round()
        rolling.judge()
    for balancer, count in zip(front.balancers, before, strict=True):
        assert [each for each in balancer.answered()[count:] if each[2] >= 500] == []


def nothing_secret(*balancers: Balancer) -> None:
    """No query string was written down, for a sid is in it."""
    for balancer in balancers:
        assert "/socket.io/" in balancer.written()
        assert "sid=" not in balancer.written()
