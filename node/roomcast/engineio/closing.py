"""The end of a session (wire.md 1.9, 1.10): exactly one, whatever the cause and whatever carries it at that moment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from roomcast.engineio.polling import CLOSE_BODY, NOOP_BODY, Polling
from roomcast.engineio.session import Session
from roomcast.engineio.state import EngineState
from roomcast.engineio.transitions import CLOSE_LATER, CLOSE_NOW, CLOSE_READ, CLOSING, SESSION
from roomcast.engineio.work import CloseLink, several

SERVER_CLOSE_REASONS = frozenset({"server disconnect", "parse error", "slow consumer", "server shutting down"})
# A polling client reads no close packet for these. It knows that it has closed, or it shall come back, which
# python-socketio's client does not do after a close packet: its next request fails, and then every client does.
SILENT_REASONS = frozenset({"client disconnect", "server shutting down"})


class Closing(EngineState):
    """The part of the engine that ends sessions."""

    def close(
        self, session: Session, reason: str, code: int | None = None, at_once: bool = False, detail: str = ""
    ) -> Any:
        """End a session: exactly once, whatever the cause. ``code`` is the WebSocket close code (None: empty frame).

        With a code the frame's text is ``detail``, or else ``reason``, which is what the application is told. A polling
        client that the server closes learns of it at its next GET, or over the WebSocket that it is just moving to,
        unless ``at_once``: then its sid is unknown.
        """
        if not session.alive:
            return None
        self.wheel.remove(session)
        polling = session.polling
        farewell = (code, (detail or reason) if code else "")
        if polling is None or at_once or reason not in SERVER_CLOSE_REASONS or _reads_it_now(session, polling, reason):
            work = self._end(session, polling, reason, farewell)
        else:
            work = self._linger(session, polling, reason, farewell)
        return several(work, session.upper.closed(reason))

    def _end(self, session: Session, polling: Polling | None, reason: str, farewell: tuple[int | None, str]) -> Any:
        """Forget a session at once and tell its transport."""
        work = self._give_candidate_up(session)
        session.state = SESSION[session.state, CLOSE_NOW]
        tail = session.outbox.shut()
        if polling is not None:
            polling.outbox = None
            polling.end(b"".join(tail), NOOP_BODY if reason in SILENT_REASONS else CLOSE_BODY)
        if session.link is not None:
            work = several(work, CloseLink(session.link, *farewell, b"".join(tail)))
            session.link = None
        self._forget(session)
        return work

    def _linger(self, session: Session, polling: Polling, reason: str, farewell: tuple[int | None, str]) -> Any:
        """Keep a session until its client has read what waits for it: by its next GETs, or, where it has a candidate
        that was probed, over that one.
        """
        if polling.waiting:
            self.flusher.write(session.outbox)
        if reason in SILENT_REASONS:
            polling.goodbye = NOOP_BODY
        polling.farewell = farewell
        work = None if session.probed else self._give_candidate_up(session)
        session.state = SESSION[session.state, CLOSE_LATER]
        if session.state == CLOSING:
            self._await_last_poll(session)
        return work

    def _give_candidate_up(self, session: Session) -> Any:
        return None if session.candidate is None else self.candidate_lost(session, session.candidate, close=True)

    def _await_last_poll(self, session: Session) -> None:
        """A client that polls has a while to come for what waits. Where that is nothing, not even a close packet, its
        sid is unknown at once.
        """
        if session.polling is not None and session.polling.goodbye == NOOP_BODY and not session.outbox.frames:
            self._forget(session)
            return
        due = self.now + self.settings.closing_timeout
        session.deadline = self.deadlines.add(due, lambda now: self._forget(session))

    def _abandon(self, session: Session) -> Any:
        """Forget a session that has ended, and its candidate: its client has read everything, or has closed, too."""
        work = self._give_candidate_up(session)
        self._forget(session)
        return work

    def _forget(self, session: Session) -> None:
        if session.state == CLOSING:
            session.state = SESSION[CLOSING, CLOSE_READ]
        session.outbox.shut()
        session.polling = None
        self.deadlines.cancel(session.deadline)
        session.deadline = None
        self.sessions.pop(session.sid, None)

    def close_some(self, most: int, reason: str, code: int | None) -> Iterator[Any]:
        """End ``most`` sessions; yields work."""
        for session in list(islice((each for each in self.sessions.values() if each.alive), most)):
            yield self.close(session, reason, code)


def _reads_it_now(session: Session, polling: Polling, reason: str) -> bool:
    """Whether the GET that waits can be answered with all that there is. A close packet goes alone: socket.io-client
    puts messages off by a turn, closes first, and then drops them.
    """
    return polling.waiting and (not session.outbox.frames or reason in SILENT_REASONS)
