"""Upgrades as clients do them, and in every order of what may happen meanwhile: nothing is lost or overtaken."""

from __future__ import annotations

import itertools

import pytest

from roomcast.engineio.work import CloseLink
from roomcast.websocket.frames import text_frame
from tests.support.bare_engine import empty, tell
from tests.support.played import BareStage, Closing


@pytest.fixture
def stage() -> BareStage:
    return BareStage()


# --- the candidate ----------------------------------------------------------------------------------------------------


def test_an_upgrade_as_every_client_does_it(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    session = client.session
    client.polls()
    visitor.probes(session)
    assert client.received() == []  # nothing was said yet
    visitor.sends("2probe")
    assert visitor.received() == ["3probe"]
    assert client.received() == ["6"]
    tell(client, "meanwhile")
    assert visitor.received() == []
    visitor.sends("5")
    assert visitor.received() == ["4meanwhile"]
    assert session.transport == "websocket"
    assert stage.counts.upgrades == 1
    visitor.sends("4a")
    assert stage.applications[session.sid].messages == [b"4a"]


def test_a_pong_that_is_awaited_is_awaited_anew_after_the_upgrade(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    stage.driver.advance(25.0)
    stage.driver.advance(19.0)
    visitor.probes(client.session)
    visitor.sends("5")
    stage.driver.advance(19.0)
    assert client.known
    assert visitor.received() == ["2"]
    stage.driver.advance(1.1)
    assert not client.known


@pytest.mark.parametrize("message", ["4a", "2", "3", "2probe2", "", b"\x01"])
def test_anything_else_drops_the_candidate(stage: BareStage, message: str | bytes) -> None:
    client, visitor = stage.poller(), stage.visitor()
    visitor.probes(client.session)
    visitor.sends("2probe", message)
    assert visitor.closing == Closing(None, "")
    assert client.session.transport == "polling"
    tell(client, "a")
    assert client.reads() == ["4a"]


def test_a_get_after_the_probe_is_released_at_once(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    visitor.probes(client.session)
    visitor.sends("2probe")
    client.polls()
    assert client.received() == ["6"]


def test_a_websocket_that_never_probes_leaves_polling_as_it_is(stage: BareStage) -> None:
    """A proxy that answers 101 and swallows the frames must not make its clients poll in circles."""
    client, visitor = stage.poller(), stage.visitor()
    visitor.probes(client.session)
    client.polls()
    assert client.received() == []
    tell(client, "a")
    assert client.received() == ["4a"]
    stage.driver.advance(10.0)
    assert visitor.closing == Closing(None, "")
    assert client.session.transport == "polling"
    assert stage.counts.upgrades_failed == 1
    again = stage.visitor()
    again.probes(client.session)
    again.sends("5")  # without a probe, as Node's server takes it
    assert client.session.transport == "websocket"


def test_a_held_get_is_released_by_an_upgrade_without_probe(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    client.polls()
    visitor.probes(client.session)
    visitor.sends("5")
    assert client.received() == ["6"]


def test_any_other_packet_drops_the_candidate(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    client.polls()
    visitor.probes(client.session)
    visitor.sends("2probe", "4a")
    assert client.received() == ["6"]
    assert visitor.closing == Closing(None, "")
    assert visitor.received() == ["3probe"]


def test_a_second_candidate_is_closed_and_changes_nothing(stage: BareStage) -> None:
    client, first, second = stage.poller(), stage.visitor(), stage.visitor()
    first.probes(client.session)
    second.probes(client.session)
    assert second.closing == Closing(None, "")
    first.sends("2probe", "5")
    assert client.session.transport == "websocket"
    third = stage.visitor()
    third.probes(client.session)
    assert third.closing == Closing(None, "")
    assert first.closing is None


def test_a_candidate_that_was_given_up_can_be_told_so(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    session = client.session
    assert stage.engine.candidate_lost(session, visitor.link) is None
    assert stage.engine.candidate_lost(session, visitor.link, close=True) == CloseLink(visitor.link)
    assert stage.counts.upgrades_failed == 0


def test_the_end_of_a_session_ends_its_candidate(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    visitor.probes(client.session)
    client.posts("1")
    assert visitor.closing == Closing(None, "")
    assert empty(stage)


def test_a_candidate_whose_transport_is_full_takes_nothing_yet(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    visitor.link.paused = True
    visitor.probes(client.session)
    tell(client, "a")
    visitor.sends("5")
    assert visitor.received() == []
    client.session.outbox.resume()
    assert visitor.received() == ["4a"]


# --- every order ------------------------------------------------------------------------------------------------------


class Upgrade:
    """One upgrade with everything that may happen meanwhile; each step does nothing where it cannot happen."""

    def __init__(self) -> None:
        self.stage = BareStage()
        self.client = self.stage.poller()
        self.session = self.client.session
        self.visitor = self.stage.visitor()
        self.sent: list[str] = []
        self.got: list[str] = []
        self.released = 0

    def _arrive(self) -> None:
        if self.visitor.link.session is None and self.visitor.closing is None and self.session.alive:
            self.visitor.probes(self.session)

    def hold(self) -> None:
        if self.session.polling is not None:
            self.client.polls()

    def probe(self) -> None:
        self._arrive()
        self.visitor.sends("2probe")

    def upgrade(self) -> None:
        self._arrive()
        self.visitor.sends("5")

    def emit(self) -> None:
        if self.session.alive:
            text = f"4{len(self.sent)}"
            self.session.outbox.put(text_frame(text.encode()))
            self.sent.append(text)

    def ping(self) -> None:
        alive = self.session.alive
        self.stage.driver.advance(25.0)  # the candidate is late by then, too
        if alive:
            self.sent.append("2")

    def lose(self) -> None:
        if self.session.link is None:
            self.visitor.vanishes()

    def close(self) -> None:
        self.stage.driver.do(self.stage.engine.close(self.session, "server disconnect"))

    def look(self) -> None:
        """Gather what has arrived, over both transports; polling stands behind nothing that the WebSocket carried."""
        polled, pushed = self.client.received(), [str(each) for each in self.visitor.received()]
        self.got += polled + pushed

    def play(self, steps: tuple[str, ...], eager: bool) -> None:
        for step in steps:
            getattr(self, step)()
            self.emit()
            if eager:
                self.look()
        self.look()
        self.got += self.client.reads()
        self.look()
        messages = [packet for packet in self.got if packet[0] in "42"]
        assert messages == self.sent
        assert not [packet for packet in self.got if packet not in (*self.sent, "3probe", "6", "1")]
        application = self.stage.applications[self.client.sid]
        assert len(application.ends) == (0 if self.session.alive else 1)
        if self.session.alive:
            for work in self.stage.engine.close_some(len(self.stage.engine.sessions), "server shutting down", None):
                self.stage.driver.do(work)
        else:
            assert self.visitor.closing is not None or self.visitor.link.session is None
        assert empty(self.stage)


STEPS = ("hold", "probe", "upgrade", "emit", "ping", "lose", "close")


@pytest.mark.parametrize("eager", [True, False], ids=["turn by turn", "in one turn"])
@pytest.mark.parametrize("first", STEPS)
def test_nothing_is_lost_or_reordered_however_an_upgrade_goes(first: str, eager: bool) -> None:
    rest = [step for step in STEPS if step != first]
    for steps in itertools.permutations(rest):
        order = (first, *steps)
        try:
            Upgrade().play(order, eager)
        except (AssertionError, KeyError) as error:
            raise AssertionError(f"in the order {order}") from error
