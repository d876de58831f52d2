"""What a WebSocket client is told that broke the protocol: the close frame says how, whatever the link carried."""

from __future__ import annotations

import pytest

from roomcast.settings import Settings
from roomcast.websocket.frames import BINARY, TEXT
from tests.support.masked import masked_frame
from tests.support.played import BareStage, Closing

FAULTS = {
    "too big": (masked_frame(BINARY, b"x" * 101), Closing(1009, "message too big")),
    "not masked": (masked_frame(TEXT, b"4a", key=None), Closing(1002, "frame is not masked")),
    "in pieces": (
        masked_frame(TEXT, b"4", fin=False) + masked_frame(0, b"a", fin=False),
        Closing(1008, "too many fragments"),
    ),
}


@pytest.fixture
def stage() -> BareStage:
    return BareStage(Settings(max_payload=100, max_fragments=1))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_session_s_transport_is_told_how_it_broke_the_protocol(stage: BareStage, fault: str) -> None:
    data, closing = FAULTS[fault]
    peer = stage.peer()
    application = stage.applications[peer.session.sid]
    peer.feeds(data)
    assert peer.closing == closing
    assert application.ends == ["transport error"]  # the application's reasons are a fixed set


@pytest.mark.parametrize("fault", FAULTS)
def test_a_candidate_is_told_the_same(stage: BareStage, fault: str) -> None:
    data, closing = FAULTS[fault]
    client, visitor = stage.poller(), stage.visitor()
    visitor.probes(client.session)
    visitor.feeds(data)
    assert visitor.closing == closing
    assert client.session.alive


def test_a_message_that_is_never_finished_is_named(stage: BareStage) -> None:
    peer = stage.peer()
    peer.feeds(masked_frame(TEXT, b"4a", fin=False))
    stage.driver.advance(stage.engine.settings.message_timeout)
    assert peer.closing == Closing(1008, "message not finished in time")


def test_other_closes_with_a_code_say_the_application_s_reason(stage: BareStage) -> None:
    peer = stage.peer()
    stage.driver.do(stage.engine.close(peer.session, "slow consumer", 1013))
    assert peer.closing == Closing(1013, "slow consumer")


def test_a_close_without_a_code_says_nothing(stage: BareStage) -> None:
    peer = stage.peer()
    stage.driver.do(stage.engine.close(peer.session, "server disconnect", detail="a frame without a code has no text"))
    assert peer.closing == Closing(None, "")
