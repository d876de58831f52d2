"""Moving a session from polling to a WebSocket (wire.md 1.9): the candidate, from its arrival to its end."""

from __future__ import annotations

from functools import partial
from typing import Any

from roomcast.engineio.polling import NOOP_BODY
from roomcast.engineio.session import Link, Session
from roomcast.engineio.state import EngineState
from roomcast.engineio.transitions import (
    ADOPTED,
    ARRIVED,
    CANDIDATE,
    CANDIDATE_LOST,
    CANDIDATE_PACKETS,
    CANDIDATES,
    CARRYING,
    CLOSING,
    OTHER,
    PROBED,
    SESSION,
)
from roomcast.engineio.work import CloseLink

PROBE_ANSWER = b"\x81\x063probe"


class Upgrades(EngineState):
    """The part of the engine that upgrades sessions."""

    def probe(self, session: Session, link: Link, now: float) -> Any:
        """A WebSocket has come for an existing session (wire.md 1.9); a second one is closed and changes nothing."""
        if not session.alive or session.candidate is not None or session.transport != "polling":
            return CloseLink(link)
        session.state = SESSION[session.state, CANDIDATE]
        if self.trace is not None:
            self.trace.note(session.sid, "Received request to upgrade to websocket")
        session.candidate = link
        session.candidate_state = ARRIVED
        session.deadline = self.deadlines.add(
            now + self.settings.upgrade_timeout, partial(self._candidate_late, session, link)
        )
        return None

    def receive_candidate(self, session: Session, link: Link, payload: bytes, now: float) -> Any:
        """A text message on a WebSocket that is being probed."""
        event = CANDIDATE_PACKETS.get(payload, OTHER)
        session.candidate_state = CANDIDATES[session.candidate_state, event]
        if session.candidate_state == PROBED:
            link.sink.write(PROBE_ANSWER)
            if session.polling is not None and session.polling.waiting:
                session.polling.release(NOOP_BODY)
            return None
        if session.candidate_state == CARRYING:
            return self._adopt(session, link, now)
        return self.candidate_lost(session, link, close=True)

    def candidate_lost(self, session: Session, link: Link, close: bool = False) -> Any:
        """The probe failed: polling goes on untouched, and another may be tried unless the session is closing."""
        if session.candidate is not link:
            return CloseLink(link) if close else None
        session.state = SESSION[session.state, CANDIDATE_LOST]
        self._drop_candidate(session)
        self.counts.upgrades_failed += 1
        if session.state == CLOSING:
            self._await_last_poll(session)
        return CloseLink(link) if close else None

    def _drop_candidate(self, session: Session) -> None:
        session.candidate = None
        session.candidate_state = ""
        self.deadlines.cancel(session.deadline)
        session.deadline = None

    def _candidate_late(self, session: Session, link: Link, now: float) -> Any:
        return self.candidate_lost(session, link, close=True)

    def _adopt(self, session: Session, link: Link, now: float) -> Any:
        """The client has sent ``5``: what waits leaves over the WebSocket, in order. A close that came meanwhile is
        done behind it.
        """
        session.state = SESSION[session.state, ADOPTED]
        self._drop_candidate(session)
        polling, session.polling = session.polling, None
        assert polling is not None  # candidates come for sessions that poll
        polling.outbox = None
        polling.release(NOOP_BODY)
        session.transport = "websocket"
        self.counts.upgrades += 1
        if self.trace is not None:
            self.trace.note(session.sid, "Upgrade to websocket successful")
        if session.closed:
            tail = b"".join(session.outbox.shut())
            self._forget(session)
            return CloseLink(link, *polling.farewell, tail)
        self.wheel.rearm(session, now)
        session.link = link
        session.outbox.sink = link.sink
        if link.paused:
            session.outbox.pause()
        else:
            session.outbox.resume()
        return None
