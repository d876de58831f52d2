"""The closing handshake of a WebSocket, whoever begins it (RFC 6455 7.1)."""

from __future__ import annotations

import pytest

from roomcast.core.link import CLOSE_PATIENCE
from roomcast.websocket.frames import CLOSE, split_frames
from tests.support.masked import masked_frame
from tests.support.played import BareStage, Peer


class Wire:
    """A connection that keeps what is written to it, and whether it was closed or cut."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = self.is_cut = False

    def write(self, block: bytes) -> None:
        assert not self.closed
        self.written += block

    def close(self) -> None:
        self.closed = True

    def cut(self, now: float) -> None:
        self.is_cut = True


class Parting:
    """A client, and the wire between it and the server; :meth:`ends` as a driver does it."""

    def __init__(self) -> None:
        self.stage = BareStage()
        self.peer: Peer = self.stage.peer()
        self.wire = Wire()

    def ends(self, code: int | None = 1012, reason: str = "restart", tail: bytes = b"") -> bool:
        return self.peer.link.part(self.wire, code, reason, tail, self.wire.cut)

    @property
    def deadlines(self) -> int:
        return len(self.stage.engine.deadlines)


@pytest.fixture
def parting() -> Parting:
    return Parting()


def test_the_server_says_why_behind_what_it_had_to_say_and_waits(parting: Parting) -> None:
    assert parting.ends(tail=b"\x81\x024a")
    assert split_frames(parting.wire.written) == [(1, b"4a"), (CLOSE, (1012).to_bytes(2, "big") + b"restart")]
    assert not parting.wire.closed


def test_the_client_has_answered(parting: Parting) -> None:
    parting.ends()
    (work,) = parting.peer.link.feed(masked_frame(CLOSE), parting.stage.driver.now)
    assert work.link is parting.peer.link
    assert not parting.ends(None, "")
    assert parting.wire.closed
    assert len(split_frames(parting.wire.written)) == 1
    parting.peer.link.parted()
    assert not parting.deadlines


def test_the_client_does_not_answer(parting: Parting) -> None:
    parting.ends()
    parting.stage.driver.advance(0.9 * CLOSE_PATIENCE)
    assert not parting.wire.is_cut
    parting.stage.driver.advance(0.2 * CLOSE_PATIENCE)
    assert parting.wire.is_cut


def test_the_client_has_begun(parting: Parting) -> None:
    link = parting.peer.link
    link.peer_closed = True
    assert not parting.ends(None, "")
    assert split_frames(parting.wire.written) == [(CLOSE, b"")]
    assert parting.wire.closed
    assert not parting.deadlines


def test_a_connection_that_is_lost_is_not_waited_for(parting: Parting) -> None:
    parting.ends()
    parting.peer.link.parted()
    parting.peer.link.parted()
    parting.stage.driver.advance(2 * CLOSE_PATIENCE)
    assert not parting.wire.is_cut
