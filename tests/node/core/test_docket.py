"""When marks are judged, where they may overtake what they tell of."""

from __future__ import annotations

from roomcast.core.docket import MAX_PENDING, Docket
from roomcast.core.tracker import Pending, Tracker
from roomcast_brokers.messages import Origin

PEER = Origin("peer", b"11111111")
LEASE = 3.0


def judged(docket: Docket, now: float) -> list[tuple[str, int]]:
    """(channel, last) of what is judged now."""
    return [(channel, mark.last) for _, channel, mark in docket.take_due(now)]


def test_without_probes_beats_say_when() -> None:
    docket = Docket(LEASE, durable=False)
    one, other = Tracker(PEER, 0.0), Tracker(PEER, 0.0)
    docket.add(one, "a", Pending(1, None, 5))
    docket.beat(10.0)
    docket.add(other, "b", Pending(1, None, 6))
    assert judged(docket, 12.9) == []
    docket.beat(11.0)
    assert judged(docket, 13.0) == [("a", 5)]
    assert judged(docket, 14.0) == [("b", 6)]
    assert len(docket) == 0
    assert not one.pending
    assert docket.take_channels() == []


def test_with_a_durable_broker_the_channels_own_probe_says_when() -> None:
    docket = Docket(LEASE, durable=True)
    docket.add(Tracker(PEER, 0.0), "slow", Pending(1, None, 5))
    docket.add(Tracker(PEER, 0.0), "quick", Pending(1, None, 6))
    assert sorted(docket.take_channels()) == ["quick", "slow"]
    docket.beat(10.0)
    docket.probed("quick", 10.0)
    assert judged(docket, 13.0) == [("quick", 6)]
    assert judged(docket, 1_000.0) == []
    docket.probed("slow", 1_000.0)
    assert judged(docket, 1_003.0) == [("slow", 5)]


def test_what_comes_after_a_probe_waits_for_the_next_one() -> None:
    docket, tracker = Docket(LEASE, durable=True), Tracker(PEER, 0.0)
    docket.add(tracker, "a", Pending(1, None, 5))
    assert docket.take_channels() == ["a"]
    docket.add(tracker, "a", Pending(1, None, 6))
    docket.add(tracker, "a", Pending(1, 2, 7))
    assert docket.take_channels() == [], "one at a time"
    docket.probed("a", 10.0)
    assert docket.take_channels() == ["a"]
    docket.probed("a", 11.0)
    assert judged(docket, 13.0) == [("a", 5)]
    assert judged(docket, 14.0) == [("a", 7)]


def test_a_probe_that_will_not_come_back_is_sent_again() -> None:
    docket = Docket(LEASE, durable=True)
    docket.add(Tracker(PEER, 0.0), "a", Pending(1, None, 5))
    assert docket.take_channels() == ["a"]
    docket.broken()
    assert docket.take_channels() == ["a"]
    docket.probed("a", 10.0)
    docket.broken()
    assert docket.take_channels() == [], "its lease runs"
    assert judged(docket, 13.0) == [("a", 5)]


def test_a_channel_that_has_ended_is_not_judged() -> None:
    docket = Docket(LEASE, durable=True)
    docket.add(Tracker(PEER, 0.0), "a", Pending(1, None, 5))
    docket.take_channels()
    docket.end("a")
    docket.end("never there")
    docket.probed("a", 10.0)
    assert judged(docket, 20.0) == []


def test_marks_of_one_tracker_are_bounded() -> None:
    docket, tracker = Docket(LEASE, durable=True), Tracker(PEER, 0.0)
    for gen in range(3 * MAX_PENDING):
        docket.add(tracker, "a", Pending(gen, None, 1))
    assert len(docket) == MAX_PENDING
