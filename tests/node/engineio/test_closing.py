"""A client reads everything that was sent to it before a close, whatever it is doing at that moment."""

from __future__ import annotations

import pytest

from tests.support.bare_engine import empty, ends, tell
from tests.support.played import BareStage, Closing, Poller


@pytest.fixture
def stage() -> BareStage:
    return BareStage()


def closes(stage: BareStage, client: Poller, reason: str = "server disconnect") -> None:
    stage.driver.do(stage.engine.close(client.session, reason))


# --- polling ----------------------------------------------------------------------------------------------------------


def test_a_get_that_has_nothing_to_read_reads_the_close(stage: BareStage) -> None:
    client = stage.poller()
    client.polls()
    closes(stage, client)
    assert client.received() == ["1"]
    assert empty(stage)


def test_a_get_reads_what_was_sent_in_the_same_turn_and_the_next_the_close(stage: BareStage) -> None:
    client = stage.poller()
    client.polls()
    tell(client, "a", "b")
    closes(stage, client)
    assert ends(stage, client) == ["server disconnect"]
    assert client.received() == ["4a", "4b"]
    assert stage.counts.packets_out == 2
    client.polls()
    assert client.received() == ["6", "1"]
    assert empty(stage)


def test_a_get_reads_the_last_words_of_a_server_that_stops_and_no_close(stage: BareStage) -> None:
    client = stage.poller()
    client.polls()
    tell(client, "a")
    closes(stage, client, "server shutting down")
    assert client.received() == ["4a", "6"]
    assert empty(stage)


def test_who_has_nothing_to_read_of_a_server_that_stops_is_forgotten(stage: BareStage) -> None:
    client = stage.poller()
    closes(stage, client, "server shutting down")
    assert empty(stage)


def test_posts_are_taken_and_ignored_meanwhile(stage: BareStage) -> None:
    client = stage.poller()
    tell(client, "a")
    closes(stage, client)
    assert client.posts("4late", "nonsense").body == b"ok"
    assert stage.applications[client.sid].messages == []
    assert client.reads() == ["4a", "6", "1"]
    assert ends(stage, client) == ["server disconnect"]
    assert empty(stage)


@pytest.mark.parametrize("packets", [["1"], ["4late", "1", "4later"]])
def test_a_client_that_closes_too_is_forgotten(stage: BareStage, packets: list[str]) -> None:
    """socket.io-client does so when its last namespace was disconnected, and never polls again."""
    client = stage.poller()
    tell(client, "a")
    closes(stage, client)
    assert client.posts(*packets).body == b"ok"
    assert not client.known
    assert ends(stage, client) == ["server disconnect"]
    assert empty(stage)


def test_a_post_that_was_being_read_is_ignored_but_for_its_close(stage: BareStage) -> None:
    client = stage.poller()
    session = client.session
    assert stage.engine.post_begins(session, client.request) == (None, None)
    closes(stage, client)
    assert list(stage.engine.post(session, client.request, b"4late\x1e1", stage.driver.now)) == []
    assert stage.applications[client.sid].messages == []
    assert empty(stage)


# --- WebSocket, and everybody at once ---------------------------------------------------------------------------------


def test_a_websocket_is_closed_behind_what_was_sent(stage: BareStage) -> None:
    peer = stage.peer()
    session = peer.session
    tell(peer, "last words")
    stage.driver.do(stage.engine.close(session, "server disconnect"))
    assert peer.received() == ["4last words"]
    assert peer.closing == Closing(None, "")
    assert stage.engine.close(session, "server disconnect") is None
    assert empty(stage)


def test_stopping_ends_every_session(stage: BareStage) -> None:
    held, idle, owed, closing, peer = stage.poller(), stage.poller(), stage.poller(), stage.poller(), stage.peer()
    held.polls()
    tell(held, "last words")
    tell(owed, "last words")
    stage.driver.do(stage.engine.close(closing.session, "server disconnect"))
    for work in stage.engine.close_some(len(stage.engine.sessions), "server shutting down", 1012):
        stage.driver.do(work)
    assert held.received() == ["4last words", "6"]  # no close packet, after which some clients would not come back
    assert not idle.known
    assert peer.closing == Closing(1012, "server shutting down")
    assert owed.reads() == ["4last words"]
    assert not owed.known
    assert closing.reads() == ["6", "1"]
    assert empty(stage)
