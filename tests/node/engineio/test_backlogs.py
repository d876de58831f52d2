"""Clients that do not take what is sent to them: who is given time, and who is closed."""

from __future__ import annotations

import pytest

from roomcast.engineio import outbox
from tests.support.bare_engine import empty, ends, tell
from tests.support.played import BareStage, Closing, Peer, Poller

SLOW = 1_000_000  # bytes


@pytest.fixture
def stage() -> BareStage:
    return BareStage()


def fill(client: Poller | Peer, times: int) -> None:
    for _ in range(times):
        tell(client, "x" * 10_000)


def test_a_reader_that_takes_nothing_is_closed_a_moment_later(stage: BareStage) -> None:
    peer = stage.peer(waiting=SLOW)
    sid = peer.session.sid
    peer.session.outbox.pause()
    fill(peer, 6)
    stage.driver.now += 20.0  # no heartbeat has been due since
    stage.driver.flush()
    stage.driver.advance(outbox.STUCK_AFTER - 0.01)
    stage.driver.flush()
    assert stage.applications[sid].ends == []
    stage.driver.advance(0.02)
    stage.driver.flush()
    assert stage.applications[sid].ends == ["slow consumer"]
    assert peer.closing == Closing(1013, "slow consumer")
    assert stage.counts.slow_consumers == 1
    assert empty(stage)


def test_several_readers_are_looked_at_together(stage: BareStage) -> None:
    peers = [stage.peer(waiting=SLOW) for _ in range(3)]
    for peer in peers:
        peer.session.outbox.pause()
        fill(peer, 7)
    stage.driver.flush()
    assert len(stage.engine.deadlines) == 1
    peers[1].sink.waiting = 0
    stage.driver.advance(outbox.STUCK_AFTER)
    stage.driver.flush()
    assert [peer.closing is None for peer in peers] == [False, True, False]


def test_a_reader_that_takes_something_is_given_more_time(stage: BareStage) -> None:
    peer = stage.peer(waiting=2 * SLOW)
    peer.session.outbox.pause()
    fill(peer, 6)
    for _ in range(3):
        stage.driver.flush()
        peer.sink.waiting -= 1
        stage.driver.advance(outbox.STUCK_AFTER)
        stage.driver.flush()
    assert peer.closing is None
    peer.sink.waiting = 0
    stage.driver.advance(outbox.STUCK_AFTER)
    peer.session.outbox.resume()
    stage.driver.flush()
    assert peer.closing is None
    assert not len(stage.engine.deadlines)


@pytest.mark.parametrize("takes", [True, False])
def test_a_reader_that_falls_behind_twice_as_far_is_closed_unless_it_takes(stage: BareStage, takes: bool) -> None:
    peer = stage.peer(waiting=SLOW)
    box = peer.session.outbox
    box.pause()
    fill(peer, 6)
    stage.driver.flush()
    fill(peer, 1)
    peer.sink.waiting = 3 * SLOW
    if takes:
        box.taken += 1
    stage.engine.flusher.mark(box)
    stage.driver.flush()
    assert (peer.closing is None) is takes


def test_who_is_slow_twice_in_a_turn_is_closed_once(stage: BareStage) -> None:
    peer = stage.peer(waiting=20 * SLOW)
    sid = peer.session.sid
    peer.session.outbox.pause()
    for _ in range(3):
        fill(peer, 10)
    stage.driver.flush()
    assert stage.applications[sid].ends == ["slow consumer"]
    assert stage.counts.slow_consumers == 1


def test_who_ends_before_it_is_found_too_slow_has_ended(stage: BareStage) -> None:
    peer = stage.peer(waiting=20 * SLOW)
    sid = peer.session.sid
    peer.session.outbox.pause()
    fill(peer, 10)
    peer.vanishes()
    stage.driver.flush()
    assert stage.applications[sid].ends == ["transport close"]
    assert stage.counts.slow_consumers == 0


def test_a_slow_polling_client_is_told_at_its_next_get(stage: BareStage) -> None:
    client = stage.poller()
    fill(client, 2_000)
    stage.driver.flush()
    assert ends(stage, client) == ["slow consumer"]
    assert client.reads() == ["6", "1"]
