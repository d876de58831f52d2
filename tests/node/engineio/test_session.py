"""What is known of a session between its handshake and its end."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from roomcast.engineio.session import Session
from roomcast.engineio.transitions import CLOSED, CLOSING, OPEN, SESSION, UPGRADING
from tests.support.played import BareStage, make_request

STATES = frozenset(itertools.chain.from_iterable((before, after) for (before, _), after in SESSION.items()))


def test_a_session_begins_open() -> None:
    request = make_request()
    session = Session("sid", request, "polling")
    assert (session.sid, session.request, session.transport) == ("sid", request, "polling")
    assert session.state == OPEN
    assert session.alive
    assert not session.closed
    assert not session.upgrading


@pytest.mark.parametrize("state", sorted(STATES))
def test_what_each_state_means(state: str) -> None:
    session = Session("sid", make_request(), "polling")
    session.state = state
    assert session.alive is (state in (OPEN, UPGRADING))
    assert session.closed is (state == CLOSED)


def test_it_is_upgrading_while_it_has_a_candidate() -> None:
    stage = BareStage()
    session = stage.poller().session
    candidate: Any = stage.visitor().link
    session.candidate = candidate
    assert session.upgrading
    assert CLOSING in STATES


def test_its_candidate_is_probed_until_it_goes() -> None:
    stage = BareStage()
    session, visitor = stage.poller().session, stage.visitor()
    visitor.probes(session)
    seen = [session.probed]
    visitor.sends("2probe")
    seen.append(session.probed)
    visitor.vanishes()
    assert [*seen, session.probed] == [False, True, False]


def test_an_idle_session_is_small() -> None:
    """No dict: there are a hundred thousand of them."""
    assert not hasattr(Session("sid", make_request(), "polling"), "__dict__")
