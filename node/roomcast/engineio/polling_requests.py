"""The GETs and POSTs of polling sessions (wire.md 1.5, 1.6): what each may do, and what it is answered."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from roomcast.engineio import compression, response
from roomcast.engineio.bodies import BodyError
from roomcast.engineio.packet import CLOSE_PACKET
from roomcast.engineio.payload import split
from roomcast.engineio.polling import NOOP_AND_CLOSE, NOOP_BODY, Polling
from roomcast.engineio.request import Request
from roomcast.engineio.response import Headers, Response
from roomcast.engineio.session import Session
from roomcast.engineio.state import EngineState
from roomcast.errors import PacketError


class PollingRequests(EngineState):
    """The part of the engine that answers polling requests."""

    def poll(self, session: Session, request: Request, answer: Callable[[Response], object]) -> Any:
        """A GET of an open session (wire.md 1.5): ``answer`` is called once, now or later. Returns work."""
        polling = session.polling
        if polling is None:
            answer(response.empty(400))
            return None
        if not session.alive:
            return self._last_poll(session, polling, request, answer)
        if polling.waiting:
            answer(response.empty(400, extra=self.policy.headers(request)))
            return self.close(session, "transport error")
        polling.hold(request, answer)
        if session.outbox.frames:
            session.outbox.paused = False
            session.outbox.taken += 1
            self.flusher.write(session.outbox)
        elif session.probed:  # before, it would poll in circles
            polling.release(NOOP_BODY)
        else:
            session.outbox.paused = False
        return None

    def _last_poll(
        self, session: Session, polling: Polling, request: Request, answer: Callable[[Response], object]
    ) -> Any:
        """A GET of a session that the server has closed: first what still waits, then the close packet (wire.md
        1.10). Where it has a candidate, the first GET may have been on its way and be the last.
        """
        polling.hold(request, answer)
        if session.outbox.frames:
            self.flusher.write(session.outbox)
            if polling.goodbye == NOOP_AND_CLOSE or session.candidate is not None:
                return None
        else:
            polling.release(polling.goodbye)
        return self._abandon(session)

    def poll_lost(self, session: Session) -> Any:
        """The connection of the GET that waited is gone."""
        if session.polling is None or not session.polling.waiting:
            return None
        session.polling.forget()
        return self.close(session, "transport error")

    def poll_over(self, session: Session) -> None:
        """The GET has waited as long as its server lets it: it is answered with nothing to say."""
        if session.polling is not None:
            session.polling.release(NOOP_BODY)

    def post_begins(self, session: Session, request: Request) -> tuple[Response | None, Any]:
        """Judge a POST before its body is read: (refusal or None to read on, work).

        While a session closes, POSTs are taken and ignored: a refusal would end the client's transport before it has
        read what waits for it.
        """
        polling = session.polling
        if polling is None:
            return response.empty(400, extra=self.policy.headers(request)), None
        if polling.posting or request.header(b"content-type") == b"application/octet-stream":
            return response.empty(400, extra=self.policy.headers(request)), self.close(session, "transport error")
        polling.posting = True
        return None, None

    def post(self, session: Session, request: Request, body: bytes, now: float) -> Generator[Any, None, Response]:
        """Process the body of a POST packet by packet; yields work, to be done before going on, and returns the
        Response.
        """
        self.now = now
        headers = self.policy.headers(request)
        self.counts.bytes_in += len(body)
        try:
            packets = split(body, self.settings.max_decode_packets)
        except PacketError as fault:
            self.counts.parse_errors.count(fault.kind)
            yield self.close(session, "parse error", at_once=True)
            return response.empty(400, extra=headers)
        for packet in packets:
            if not session.alive:
                if packet == CLOSE_PACKET and (last := self._abandon(session)) is not None:
                    yield last
                continue
            work, valid = self._polled_packet(session, packet, now)
            if work is not None:
                yield work
            if not valid:
                return response.empty(400, extra=headers)
        self.post_ends(session)
        return response.ok(extra=headers)

    def post_ends(self, session: Session) -> None:
        """A POST is over; the next may come."""
        if session.polling is not None:
            session.polling.posting = False

    def post_lost(self, session: Session) -> Any:
        """The connection of a POST went away before its body was complete."""
        return self.close(session, "transport error")

    def post_failed(self, session: Session, request: Request, error: BodyError) -> tuple[Response, Any]:
        """Its body cannot be taken: (answer, work). A body that did not come in time ends the session."""
        self.counts.refused.count(error.label)
        self.post_ends(session)
        work = self.post_lost(session) if error.status == 408 else None
        return response.empty(error.status, extra=self.policy.headers(request)), work

    def _polled_packet(self, session: Session, packet: bytes, now: float) -> tuple[Any, bool]:
        """One packet of a POST: (work, whether it was valid)."""
        self.counts.packets_in += 1
        if self.trace is not None:
            self.trace.received(session.sid, packet)
        if session.awaited:
            self.wheel.touched(session, now)
        if packet[:1] == b"4":
            return session.upper.receive_text(packet), True
        return self._control(session, packet, now)

    def _render(self, request: Request, payload: bytes) -> Response:
        return self._payload_response(request, payload, self.policy.headers(request))

    def _payload_response(self, request: Request, payload: bytes, headers: Headers) -> Response:
        encoding = None
        if self.settings.http_compression:
            accepted = request.header(b"accept-encoding")
            payload, encoding = compression.compress(payload, accepted, self.settings.compression_threshold)
        return response.poll(payload, encoding=encoding, extra=headers)
