"""A WebSocket as it meets a session: as its transport, as a candidate, as neither."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.link import WebSocketLink
from roomcast.core.work import CloseLink
from roomcast.settings import Settings
from roomcast.websocket.frames import BINARY, CLOSE, PING, PONG, TEXT
from tests.support.masked import masked_frame
from tests.support.played import BareStage, Closing, Peer, QuietApplication
from tests.support.sinks import RecordingTrace


@pytest.fixture
def stage() -> BareStage:
    return BareStage()


def application(stage: BareStage, peer: Peer) -> QuietApplication:
    return stage.applications[peer.session.sid]


def idle(stage: BareStage) -> bool:
    return not len(stage.engine.deadlines) and not stage.engine.sessions


# --- the transport of a session ---------------------------------------------------------------------------------------


def test_messages_in_order_whatever_the_pieces(stage: BareStage) -> None:
    data = b"".join(
        [
            masked_frame(TEXT, b"4a"),
            masked_frame(BINARY, b"b"),
            masked_frame(TEXT, b"4", fin=False),
            masked_frame(PING, b"p"),
            masked_frame(0, b"c"),
            masked_frame(PONG, b"unasked"),
        ]
    )
    for size in (1, 3, len(data)):
        peer = stage.peer()
        for at in range(0, len(data), size):
            peer.feeds(data[at : at + size])
        assert application(stage, peer).messages == [b"4a", b"b", b"4c"]
        assert peer.frames() == [(PONG, b"p")]


def test_what_arrives_is_counted(stage: BareStage) -> None:
    peer = stage.peer()
    peer.sends("4a", "4b")
    assert stage.counts.packets_in == 2
    assert stage.counts.bytes_in == 2 * 8


def test_each_work_is_done_before_the_next_packet(stage: BareStage) -> None:
    peer = stage.peer()
    application(stage, peer).work = work = CloseLink(None)
    seen = application(stage, peer)
    works = peer.link.feed(masked_frame(TEXT, b"4a") * 2, stage.driver.now)
    assert next(works) is work
    assert seen.messages == [b"4a"]
    stage.driver.do(stage.engine.close(peer.session, "server disconnect"))
    assert list(works) == []
    assert seen.messages == [b"4a"]


def test_a_packet_buys_time_while_a_pong_is_awaited(stage: BareStage) -> None:
    for deliver in (Peer.sends, hand_over):
        peer = stage.peer()
        stage.driver.advance(25.0)
        stage.driver.advance(10.0)
        deliver(peer, "4a")
        stage.driver.advance(15.0)
        assert peer.closing is None
        stage.driver.advance(6.0)
        assert peer.closing == Closing(None, "")


def hand_over(peer: Peer, text: str) -> None:
    """As a driver does that is handed whole messages."""
    peer.driver.do(peer.link.message(TEXT, text.encode(), peer.driver.now))


def test_whole_messages_are_taken_as_well(stage: BareStage) -> None:
    peer = stage.peer()
    now = stage.driver.now
    for opcode, payload in ((TEXT, b"4a"), (BINARY, b"b"), (TEXT, b"3"), (PONG, b""), (PING, b"p")):
        assert peer.link.message(opcode, payload, now) is None
    assert application(stage, peer).messages == [b"4a", b"b"]
    assert peer.frames() == [(PONG, b"p")]
    peer.link.reader = None
    assert list(peer.link.feed(b"anything", now)) == []


def test_whoever_wants_to_know_is_told_of_messages(stage: BareStage) -> None:
    peer = stage.peer()
    trace = RecordingTrace()
    stage.engine.trace = trace
    peer.feeds(masked_frame(TEXT, b"4a") + masked_frame(PING) + masked_frame(BINARY, b"b"))
    assert trace.lines == [("received", b"4a"), ("received binary", b"b")]


# --- its end ----------------------------------------------------------------------------------------------------------


def test_a_client_that_closes(stage: BareStage) -> None:
    peer = stage.peer()
    seen = application(stage, peer)
    peer.leaves()
    assert seen.ends == ["transport close"]
    assert peer.closing == Closing(None, "")
    assert peer.link.peer_closed
    assert idle(stage)


def test_a_connection_that_is_lost(stage: BareStage) -> None:
    peer = stage.peer()
    seen = application(stage, peer)
    peer.vanishes()
    peer.vanishes()
    assert seen.ends == ["transport close"]
    assert idle(stage)


def test_after_the_end_nothing_is_heard(stage: BareStage) -> None:
    peer = stage.peer()
    seen = application(stage, peer)
    peer.leaves()
    peer.sends("4a", b"b")
    assert peer.link.message(TEXT, b"4a", stage.driver.now) is None
    assert peer.link.fail(1002, "broken") is None
    assert seen.messages == []


def test_the_clients_part_of_our_closing_handshake(stage: BareStage) -> None:
    peer = stage.peer()
    stage.driver.do(stage.engine.close(peer.session, "server disconnect"))
    assert list(peer.link.feed(masked_frame(TEXT, b"4a"), stage.driver.now)) == []
    assert list(peer.link.feed(masked_frame(CLOSE), stage.driver.now)) == [CloseLink(peer.link)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked_frame(TEXT, b"4a", key=None), 1002),
        (masked_frame(TEXT, b"4a", reserved=0x40), 1002),
        (masked_frame(BINARY, b"x" * 101), 1009),
    ],
)
def test_who_breaks_the_protocol_is_told_how(data: bytes, code: int) -> None:
    stage = BareStage(Settings(max_payload=100))
    peer = stage.peer()
    seen = application(stage, peer)
    peer.feeds(masked_frame(TEXT, b"4a") + data + masked_frame(TEXT, b"4b"))
    assert seen.messages == [b"4a"]
    assert seen.ends == ["transport error"]
    assert peer.closing is not None
    assert peer.closing.code == code
    assert peer.link.peer_closed
    assert idle(stage)


# --- a candidate ------------------------------------------------------------------------------------------------------


def candidate(stage: BareStage) -> tuple[Peer, Any]:
    visitor, session = stage.visitor(), stage.poller().session
    visitor.probes(session)
    return visitor, session


def test_a_candidate_becomes_the_transport(stage: BareStage) -> None:
    visitor, session = candidate(stage)
    visitor.sends("2probe", "5", "4a")
    assert stage.applications[session.sid].messages == [b"4a"]
    visitor.vanishes()
    assert stage.applications[session.sid].ends == ["transport close"]
    assert idle(stage)


def test_a_candidate_may_ping(stage: BareStage) -> None:
    visitor, session = candidate(stage)
    visitor.feeds(masked_frame(PING, b"p") + masked_frame(PONG))
    assert visitor.frames() == [(PONG, b"p")]
    assert session.upgrading


@pytest.mark.parametrize("how", ["leaves", "vanishes", "binary", "breaks"])
def test_a_candidate_that_goes_leaves_the_session_alone(stage: BareStage, how: str) -> None:
    visitor, session = candidate(stage)
    if how == "binary":
        visitor.sends(b"\x04")
    elif how == "breaks":
        visitor.feeds(masked_frame(TEXT, b"5", key=None))
        assert visitor.closing is not None
        assert visitor.closing.code == 1002
    else:
        getattr(visitor, how)()
    assert session.alive
    assert not session.upgrading
    assert stage.counts.upgrades_failed == 1
    assert not len(stage.engine.deadlines)


def test_a_surplus_websocket_changes_nothing(stage: BareStage) -> None:
    visitor, session = candidate(stage)
    surplus = stage.visitor()
    surplus.link.session = session
    for opcode in (TEXT, BINARY, PING):
        assert surplus.link.message(opcode, b"5", stage.driver.now) is None
    assert surplus.link.fail(1002, "broken") == CloseLink(surplus.link, 1002, "broken")
    assert surplus.link.lost() == CloseLink(surplus.link)
    assert session.candidate is visitor.link


# --- messages that are never finished ---------------------------------------------------------------------------------

HALF = masked_frame(TEXT, b"4a", fin=False)


def test_a_message_must_be_finished_in_time(stage: BareStage) -> None:
    peer = stage.peer()
    seen = application(stage, peer)
    peer.feeds(HALF)
    stage.driver.advance(19.9)
    peer.feeds(masked_frame(PING))  # is no progress
    stage.driver.advance(0.2)
    assert seen.ends == ["transport error"]
    assert peer.closing is not None
    assert peer.closing.code == 1008
    assert idle(stage)


def test_each_message_has_its_own_time(stage: BareStage) -> None:
    peer = stage.peer()
    peer.feeds(HALF)
    stage.driver.advance(15.0)
    peer.feeds(masked_frame(0, b"b") + HALF)
    stage.driver.advance(15.0)
    peer.sends()
    assert peer.closing is None
    peer.feeds(masked_frame(0, b"c"))
    assert application(stage, peer).messages == [b"4ab", b"4ac"]
    stage.driver.advance(9.0)
    assert not len(stage.engine.deadlines)


def test_a_message_that_was_finished_is_forgotten(stage: BareStage) -> None:
    peer = stage.peer()
    peer.feeds(HALF)
    peer.feeds(masked_frame(0, b"b"))
    stage.driver.advance(20.0)
    assert peer.closing is None
    assert not len(stage.engine.deadlines)
    peer.feeds(HALF[:3])
    stage.driver.advance(20.0)
    assert peer.closing is not None


def test_a_link_that_is_done_has_no_deadline(stage: BareStage) -> None:
    peer = stage.peer()
    peer.feeds(HALF)
    assert len(stage.engine.deadlines) == 1
    peer.vanishes()
    assert idle(stage)


def test_a_link_is_small(stage: BareStage) -> None:
    assert not hasattr(WebSocketLink(stage.engine, None, None, None), "__dict__")
