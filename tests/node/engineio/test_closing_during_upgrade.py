"""The server closes a session while a WebSocket is about to take it over (wire.md 1.9): whichever way the client goes
on, it reads what was sent to it before the close, then the close, and nothing of it stays behind.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roomcast.engineio.transitions import CLOSED, CLOSING, CLOSING_UPGRADING
from roomcast.settings import Settings
from tests.support.bare_engine import empty, ends, polled, tell
from tests.support.masked import masked_frame
from tests.support.played import BareStage, Closing, Peer, Poller

EMPTY_FRAME = Closing(None, "")


@pytest.fixture
def stage() -> BareStage:
    return BareStage()


def probed(stage: BareStage) -> tuple[Poller, Peer]:
    """A client that has read ``3probe``."""
    client, visitor = stage.poller(), stage.visitor()
    visitor.probes(client.session)
    visitor.sends("2probe")
    assert visitor.received() == ["3probe"]
    return client, visitor


def is_open(visitor: Peer) -> bool:
    return visitor.closing is None


def closes(stage: BareStage, client: Poller, reason: str = "server disconnect", code: int | None = None) -> None:
    """The server ends the session."""
    stage.driver.do(stage.engine.close(client.session, reason, code))


def stops(stage: BareStage) -> None:
    """The server ends every session because it stops."""
    for work in stage.engine.close_some(len(stage.engine.sessions), "server shutting down", 1012):
        stage.driver.do(work)


# --- the client sends 5 -----------------------------------------------------------------------------------------------


def test_the_websocket_carries_what_waits_and_is_closed_behind_it(stage: BareStage) -> None:
    client, visitor = probed(stage)
    session = client.session
    tell(client, "a", "b")
    closes(stage, client)
    assert ends(stage, client) == ["server disconnect"]
    assert is_open(visitor)
    assert session.state == CLOSING_UPGRADING
    assert not session.alive
    visitor.sends("5")
    assert visitor.received() == ["4a", "4b"]
    assert visitor.closing == EMPTY_FRAME
    assert session.state == CLOSED
    assert ends(stage, client) == ["server disconnect"]
    assert (stage.counts.upgrades, stage.counts.upgrades_failed) == (1, 0)
    assert empty(stage)


def test_with_nothing_to_carry_it_is_only_closed(stage: BareStage) -> None:
    client, visitor = probed(stage)
    closes(stage, client)
    visitor.sends("2probe", "5", "4late")
    assert visitor.received() == ["3probe"]
    assert visitor.closing == EMPTY_FRAME
    assert stage.applications[client.sid].messages == []
    assert empty(stage)


def test_a_transport_that_is_full_makes_no_difference(stage: BareStage) -> None:
    client, visitor = probed(stage)
    visitor.link.paused = True
    tell(client, "a")
    closes(stage, client)
    visitor.sends("5")
    assert visitor.received() == ["4a"]
    assert visitor.closing == EMPTY_FRAME
    assert empty(stage)


def test_the_close_frame_is_the_one_that_a_websocket_would_have_got(stage: BareStage) -> None:
    slow, slow_visitor = probed(stage)
    closes(stage, slow, "slow consumer", 1013)
    named, named_visitor = probed(stage)
    stage.driver.do(stage.engine.close(named.session, "parse error", 1008, detail="too deep"))
    slow_visitor.sends("5")
    named_visitor.sends("5")
    assert slow_visitor.closing == Closing(1013, "slow consumer")
    assert named_visitor.closing == Closing(1008, "too deep")
    assert empty(stage)


@pytest.mark.parametrize("owed", [[], ["a"]], ids=["nothing waits", "something waits"])
def test_a_server_that_stops_tells_the_websocket_to_come_back(stage: BareStage, owed: list[str]) -> None:
    client, visitor = probed(stage)
    tell(client, *owed)
    stops(stage)
    assert is_open(visitor)
    visitor.sends("5")
    assert visitor.received() == [f"4{text}" for text in owed]
    assert visitor.closing == Closing(1012, "server shutting down")
    assert empty(stage)


def test_the_client_is_asked_for_no_sign_of_life() -> None:
    stage = BareStage(Settings(ping_interval=1.0, ping_timeout=1.0))
    client, visitor = probed(stage)
    closes(stage, client)
    stage.driver.advance(5.0)
    visitor.sends("5")
    assert visitor.received() == []
    assert visitor.closing == EMPTY_FRAME
    assert empty(stage)


# --- the client does not ----------------------------------------------------------------------------------------------

LOSSES: dict[str, Callable[[Peer], object]] = {
    "leaves": Peer.leaves,
    "vanishes": Peer.vanishes,
    "some packet": lambda visitor: visitor.sends("4a"),
    "binary": lambda visitor: visitor.sends(b"\x04"),
    "broken": lambda visitor: visitor.feeds(masked_frame(1, b"5", key=None)),
    "late": lambda visitor: visitor.driver.advance(10.0),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_candidate_that_is_lost_leaves_it_to_polling(stage: BareStage, loss: str) -> None:
    client, visitor = probed(stage)
    tell(client, "a")
    closes(stage, client)
    LOSSES[loss](visitor)
    assert client.session.state == CLOSING
    visitor.sends("5")
    assert visitor.received() == []
    assert (stage.counts.upgrades, stage.counts.upgrades_failed) == (0, 1)
    assert polled(client, 2) == [["4a"], ["6", "1"]]
    assert ends(stage, client) == ["server disconnect"]
    assert empty(stage)


def test_a_close_buys_the_candidate_no_time(stage: BareStage) -> None:
    client, visitor = probed(stage)
    stage.driver.advance(9.0)
    closes(stage, client)
    stage.driver.advance(0.9)
    assert is_open(visitor)
    stage.driver.advance(0.2)
    assert visitor.closing == EMPTY_FRAME
    assert client.known


def test_nobody_waits_for_ever_for_a_client_that_does_nothing(stage: BareStage) -> None:
    client, _ = probed(stage)
    tell(client, "a")
    closes(stage, client)
    stage.driver.advance(10.0)
    stage.driver.advance(29.9)
    assert client.known
    stage.driver.advance(0.2)
    assert empty(stage)


def test_a_get_reads_what_waits_and_the_next_one_the_close(stage: BareStage) -> None:
    client, visitor = probed(stage)
    tell(client, "a", "b")
    closes(stage, client)
    client.polls()
    assert client.received() == ["4a", "4b"]
    assert is_open(visitor)
    client.polls()
    assert client.received() == ["6", "1"]
    assert visitor.closing == EMPTY_FRAME
    visitor.sends("5")
    assert (stage.counts.upgrades, stage.counts.upgrades_failed) == (0, 1)
    assert empty(stage)


def test_a_get_that_was_on_its_way_is_the_last_of_a_client_that_goes_on(stage: BareStage) -> None:
    """A client that has read ``3probe`` waits for its GET, polls no more and sends ``5``."""
    client, visitor = probed(stage)
    tell(client, "a")
    closes(stage, client)
    client.polls()
    assert client.received() == ["4a"]
    visitor.sends("5")
    assert visitor.received() == []
    assert visitor.closing == EMPTY_FRAME
    assert (stage.counts.upgrades, stage.counts.upgrades_failed) == (1, 0)
    assert empty(stage)


def test_a_post_that_was_on_its_way_is_accepted_and_ignored(stage: BareStage) -> None:
    """A refusal would end the client's transport before it reads what waits for it."""
    client, visitor = probed(stage)
    tell(client, "a")
    closes(stage, client)
    for body in ("4late", "nonsense"):
        assert client.posts(body).body == b"ok"
    assert stage.applications[client.sid].messages == []
    visitor.sends("5")
    assert visitor.received() == ["4a"]
    assert visitor.closing == EMPTY_FRAME
    assert empty(stage)


def test_posts_that_no_session_may_do_are_refused(stage: BareStage) -> None:
    client, visitor = probed(stage)
    closes(stage, client)
    assert stage.engine.post_begins(client.session, client.request) == (None, None)
    refusal, work = stage.engine.post_begins(client.session, client.request)
    assert refusal is not None
    assert (refusal.status, work) == (400, None)
    stage.engine.post_ends(client.session)
    assert stage.engine.post_lost(client.session) is None
    visitor.sends("5")
    assert empty(stage)


def test_a_client_that_closes_too_is_forgotten(stage: BareStage) -> None:
    client, visitor = probed(stage)
    tell(client, "a")
    closes(stage, client)
    assert client.posts("1").body == b"ok"
    assert visitor.closing == EMPTY_FRAME
    assert ends(stage, client) == ["server disconnect"]
    assert empty(stage)


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_get_at_a_server_that_stops_reads_no_close_packet(stage: BareStage, goes_on: bool) -> None:
    client, visitor = probed(stage)
    tell(client, "a")
    stops(stage)
    client.polls()
    assert client.received() == ["4a"]
    if goes_on:
        visitor.sends("5")
        assert visitor.closing == Closing(1012, "server shutting down")
    else:
        client.polls()
        assert client.received() == ["6"]
        assert visitor.closing == EMPTY_FRAME
    assert empty(stage)


def test_a_candidate_that_is_lost_while_the_server_stops(stage: BareStage) -> None:
    """Who has nothing to read is forgotten: the next request fails, and every client comes back after that."""
    owed, owed_visitor = probed(stage)
    idle, idle_visitor = probed(stage)
    tell(owed, "a")
    stops(stage)
    owed_visitor.vanishes()
    idle_visitor.vanishes()
    assert not idle.known
    assert owed.reads() == ["4a"]
    assert empty(stage)


def test_a_server_that_has_waited_long_enough_gives_everybody_up(stage: BareStage) -> None:
    client, visitor = probed(stage)
    tell(client, "a")
    closes(stage, client)
    for work in stage.engine.deadlines.run(float("inf")):
        stage.driver.do(work)
    assert visitor.closing == EMPTY_FRAME
    assert empty(stage)


# --- what changes nothing ---------------------------------------------------------------------------------------------


def test_a_candidate_that_has_not_probed_is_given_up(stage: BareStage) -> None:
    """Its client polls on."""
    client, visitor = stage.poller(), stage.visitor()
    visitor.probes(client.session)
    tell(client, "a")
    closes(stage, client)
    assert visitor.closing == EMPTY_FRAME
    assert client.reads() == ["4a", "6", "1"]
    assert empty(stage)


@pytest.mark.parametrize("reason", ["transport error", "client disconnect", "ping timeout", "connect timeout"])
def test_ends_that_leave_nothing_to_say_end_the_candidate(stage: BareStage, reason: str) -> None:
    client, visitor = probed(stage)
    closes(stage, client, reason)
    assert visitor.closing == EMPTY_FRAME
    assert empty(stage)


def test_a_client_that_sends_no_packet_is_forgotten_at_once(stage: BareStage) -> None:
    client, visitor = probed(stage)
    assert client.posts("nonsense").status == 400
    assert visitor.closing == EMPTY_FRAME
    assert empty(stage)


def test_a_second_close_changes_nothing(stage: BareStage) -> None:
    client, visitor = probed(stage)
    tell(client, "a")
    closes(stage, client)
    assert stage.engine.close(client.session, "server shutting down", 1012) is None
    stops(stage)
    visitor.sends("5")
    assert visitor.received() == ["4a"]
    assert visitor.closing == EMPTY_FRAME
    assert ends(stage, client) == ["server disconnect"]
    assert empty(stage)


def test_a_second_websocket_changes_nothing(stage: BareStage) -> None:
    client, visitor = probed(stage)
    tell(client, "a")
    closes(stage, client)
    surplus = stage.visitor()
    surplus.probes(client.session)
    assert surplus.closing == EMPTY_FRAME
    visitor.sends("5")
    assert visitor.received() == ["4a"]
    assert empty(stage)


def test_no_other_candidate_is_taken_after_one_that_was_lost(stage: BareStage) -> None:
    client, visitor = probed(stage)
    closes(stage, client)
    visitor.vanishes()
    other = stage.visitor()
    other.probes(client.session)
    assert other.closing == EMPTY_FRAME
    assert client.reads() == ["6", "1"]
    assert empty(stage)


def test_a_probe_that_was_given_up_counts_for_nothing_later(stage: BareStage) -> None:
    """The next candidate has to probe itself."""
    client, first = probed(stage)
    first.vanishes()
    second = stage.visitor()
    second.probes(client.session)
    closes(stage, client)
    assert second.closing == EMPTY_FRAME
    assert client.reads() == ["6", "1"]
    assert empty(stage)
