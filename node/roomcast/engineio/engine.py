"""All Engine.IO sessions of a node and the rules that move them (wire.md 1), without I/O.

A driver admits a request, opens or finds its session, feeds it what arrives and does the work that comes back. Every
way
a session can end goes through :meth:`Engine.close`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import islice
from random import randrange
from typing import Any, Protocol

from roomcast.engineio import compression, cookies, response
from roomcast.engineio.admission import Outcome, admit
from roomcast.engineio.bucket import Bucket
from roomcast.engineio.cors import OriginPolicy
from roomcast.engineio.deadlines import Deadlines
from roomcast.engineio.heartbeat import Wheel
from roomcast.engineio.outbox import STUCK_AFTER, STUCK_FACTOR, FlushCounts, Flusher, Outbox, Sink
from roomcast.engineio.packet import (
    CLOSE_PACKET,
    PING,
    PONG,
    decode,
    open_packet,
    open_tail,
)
from roomcast.engineio.payload import SEPARATOR
from roomcast.engineio.polling import CLOSE_BODY, NOOP_AND_CLOSE, NOOP_BODY, Polling
from roomcast.engineio.request import Request
from roomcast.engineio.response import Headers, Response
from roomcast.engineio.session import Link, Session, Upper
from roomcast.engineio.sid import SidSource
from roomcast.engineio.trace import Trace
from roomcast.engineio.transitions import (
    ADOPTED,
    ARRIVED,
    CANDIDATE,
    CANDIDATE_LOST,
    CANDIDATE_PACKETS,
    CANDIDATES,
    CARRYING,
    CLOSE_LATER,
    CLOSE_NOW,
    CLOSE_READ,
    CLOSING,
    OTHER,
    PROBED,
    SESSION,
)
from roomcast.engineio.work import CloseLink, several
from roomcast.errors import PacketError
from roomcast.settings import Settings

PING_UNIT = b"\x81\x012"
# A client that was told to come back does so after 2 to 3 s: with jitter, so that not all come at once.
RETRY_AFTER = 2
PROBE_ANSWER = b"\x81\x063probe"

SERVER_CLOSE_REASONS = frozenset({"server disconnect", "parse error", "slow consumer", "server shutting down"})


class Labels(Protocol):
    """A counter with a fixed set of labels."""

    def count(self, label: str, amount: int = 1, /) -> None:
        """Add to one of them."""


class Counts(FlushCounts, Protocol):
    """What the engine counts; :class:`roomcast.core.counters.Counters` fits."""

    bytes_in: int
    packets_in: int
    ping_timeouts: int
    slow_consumers: int
    upgrades: int
    upgrades_failed: int

    @property
    def sessions(self) -> Labels:
        """Sessions opened, by transport."""

    @property
    def refused(self) -> Labels:
        """Requests refused, by reason."""


class Engine:
    """The sessions of one node. ``now`` is the latest time that it was told (seconds, monotonic); drivers that feed
    links set it.

    ``make_upper(session, now)`` makes the application of a new session. ``split_frames`` takes a unit apart (units
    are whole
    WebSocket frames, which this package does not know how to read). ``cookie`` is the incumbent's option.
    """

    def __init__(
        self,
        settings: Settings,
        policy: OriginPolicy,
        sids: SidSource,
        make_upper: Callable[[Session, float], Upper],
        split_frames: Callable[[bytes], list[tuple[int, bytes]]],
        counts: Counts,
        cookie: Any = None,
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.sids = sids
        self.counts = counts
        self.sessions: dict[str, Session] = {}
        self.wheel: Wheel[Session] = Wheel(settings.ping_interval, settings.ping_timeout, self._earlier)
        self.deadlines = Deadlines(self._earlier)
        self.flusher = Flusher(settings, counts, self._wake, self._too_slow, self._suspect)
        self.slow: dict[Session, None] = {}
        self.trace: Trace | None = None
        self.on_wake: Callable[[], object] = _nothing
        self.on_deadline: Callable[[float], object] = _nothing
        self.accepting = True
        self.max_sessions = settings.max_sessions
        self.now = 0.0
        self._bucket = Bucket(settings.max_handshakes_per_second)
        self._suspects: dict[Outbox, tuple[int, int]] = {}
        self._make_upper = make_upper
        self._split_frames = split_frames
        self._cookie = cookie
        self._node_header = (b"x-roomcast-node", sids.tag.encode())
        upgrades = ("websocket",) if settings.allow_upgrades and "websocket" in settings.transports else ()
        self._tail = open_tail(settings, ())
        self._tail_upgradable = open_tail(settings, upgrades)

    def set_trace(self, trace: Trace) -> None:
        """Tell of everything that passes through from now on."""
        self.trace = self.flusher.trace = trace

    # --- opening ------------------------------------------------------------------------------------------------------

    def admit(self, request: Request, upgrade: bool) -> Outcome:
        """Judge a request before any state is made (wire.md 1.4)."""
        return admit(request, lookup=self.sessions.get, policy=self.policy, settings=self.settings, upgrade=upgrade)

    def busy(self, now: float) -> Response | None:
        """The 503 for a new session that this node cannot take now (limits.md); None when it can."""
        full = self.max_sessions is not None and len(self.sessions) >= self.max_sessions
        if self.accepting and not full and self._bucket.take(now):
            return None
        self.counts.refused.count("busy")
        return response.unavailable(RETRY_AFTER + randrange(RETRY_AFTER))

    def extra_headers(self, request: Request) -> Headers:
        """The headers of the answer to a handshake that was admitted: the node's tag, and CORS."""
        return (self._node_header, *self.policy.headers(request, True))

    def open(self, request: Request, transport: str, sink: Sink | None, link: Link | None, now: float) -> Session:
        """Make a session. ``sink`` is None for polling. The open packet is not sent: see :meth:`open_packet`."""
        self.now = now
        session = Session(self.sids.new(), request, transport)
        if sink is None:
            polling = session.polling = Polling(self._render, self._split_frames)
            session.outbox = polling.outbox = Outbox(self.flusher, polling, session, paused=True)
        else:
            session.link = link
            session.outbox = Outbox(self.flusher, sink, session)
        session.upper = self._make_upper(session, now)
        self.sessions[session.sid] = session
        self.wheel.add(session, now)
        self.counts.sessions.count(transport)
        return session

    def open_packet(self, session: Session) -> bytes:
        """The first packet of a session (wire.md 1.3)."""
        packet = open_packet(session.sid, self._tail if session.polling is None else self._tail_upgradable)
        if self.trace is not None:
            self.trace.packet(session.sid, packet)
        return packet

    def open_polling(self, request: Request, now: float) -> Response:
        """Open a session by a polling handshake; the answer carries the open packet."""
        session = self.open(request, "polling", None, None, now)
        headers = self.extra_headers(request)
        cookie = cookies.render(self._cookie, session.sid, request.secure)
        if cookie is not None:
            headers = (*headers, (b"set-cookie", cookie))
        return self._payload_response(request, self.open_packet(session), headers)

    # --- polling ------------------------------------------------------------------------------------------------------

    def poll(self, session: Session, request: Request, answer: Callable[[Response], object]) -> Any:
        """A GET of an open session (wire.md 1.5): ``answer`` is called once, now or later. Returns work."""
        polling = session.polling
        if polling is None:
            answer(response.empty(400))
            return None
        if session.state == CLOSING:
            return self._last_poll(session, polling, request, answer)
        if polling.waiting:
            answer(response.empty(400, extra=self.policy.headers(request)))
            return self.close(session, "transport error")
        polling.hold(request, answer)
        if session.outbox.frames:
            session.outbox.paused = False
            session.outbox.taken += 1
            self.flusher.write(session.outbox)
        elif session.candidate is not None and session.candidate_state == PROBED:  # before, it would poll in circles
            polling.release(NOOP_BODY)
        else:
            session.outbox.paused = False
        return None

    def _last_poll(
        self, session: Session, polling: Polling, request: Request, answer: Callable[[Response], object]
    ) -> None:
        """A GET of a session that the server has closed: first what still waits, then the close packet (wire.md
        1.10).
        """
        polling.hold(request, answer)
        if session.outbox.frames:
            polling.write(b"".join(session.outbox.take()))
            return
        polling.release(NOOP_AND_CLOSE)
        self._forget(session)

    def poll_lost(self, session: Session) -> Any:
        """The connection of the GET that waited is gone."""
        if session.polling is None or not session.polling.waiting:
            return None
        session.polling.forget()
        return self.close(session, "transport error")

    def post_begins(self, session: Session, request: Request) -> tuple[Response | None, Any]:
        """Judge a POST before its body is read: (refusal or None to read on, work)."""
        polling = session.polling
        if polling is None or not session.alive:
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
        if body.count(SEPARATOR) >= self.settings.max_decode_packets:
            yield self.close(session, "parse error", at_once=True)
            return response.empty(400, extra=headers)
        for packet in body.split(SEPARATOR):
            if not session.alive:
                break
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

    def _control(self, session: Session, text: bytes, now: float) -> tuple[Any, bool]:
        """A packet that is no text message (wire.md 1.6, 1.7): (work, whether it was valid)."""
        try:
            packet = decode(text)
        except PacketError:
            return self.close(session, "parse error", at_once=True), False
        if packet.binary:
            return session.upper.receive_binary(packet.data), True
        if packet.type == PONG:
            self.wheel.pong(session, now)
        elif packet.type == PING:  # only the server asks for signs of life
            return self.close(session, "transport error"), True
        elif text == CLOSE_PACKET:
            return self.close(session, "client disconnect"), True
        return None, True

    # --- WebSocket ----------------------------------------------------------------------------------------------------

    def receive_control(self, session: Session, payload: bytes, now: float) -> Any:
        """A WebSocket text message of a session that is not a ``4`` message."""
        return self._control(session, payload, now)[0]

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
            self._adopt(session, link, now)
            return None
        return self.candidate_lost(session, link, close=True)

    def candidate_lost(self, session: Session, link: Link, close: bool = False) -> Any:
        """The probe failed: polling goes on untouched, and another may be tried."""
        if session.candidate is not link:
            return CloseLink(link) if close else None
        session.state = SESSION[session.state, CANDIDATE_LOST]
        self._drop_candidate(session)
        self.counts.upgrades_failed += 1
        return CloseLink(link) if close else None

    def _drop_candidate(self, session: Session) -> None:
        session.candidate = None
        self.deadlines.cancel(session.deadline)
        session.deadline = None

    def _candidate_late(self, session: Session, link: Link, now: float) -> Any:
        return self.candidate_lost(session, link, close=True)

    def _adopt(self, session: Session, link: Link, now: float) -> None:
        """The client has sent ``5``: what waits leaves over the WebSocket, in order."""
        session.state = SESSION[session.state, ADOPTED]
        self._drop_candidate(session)
        self.wheel.rearm(session, now)
        polling, session.polling = session.polling, None
        assert polling is not None  # candidates come for sessions that poll
        polling.outbox = None
        polling.release(NOOP_BODY)
        session.transport = "websocket"
        session.link = link
        session.outbox.sink = link.sink
        if link.paused:
            session.outbox.pause()
        else:
            session.outbox.resume()
        self.counts.upgrades += 1
        if self.trace is not None:
            self.trace.note(session.sid, "Upgrade to websocket successful")

    # --- closing ------------------------------------------------------------------------------------------------------

    def close(self, session: Session, reason: str, code: int | None = None, at_once: bool = False) -> Any:
        """End a session: exactly once, whatever the cause. ``code`` is the WebSocket close code (None: empty frame).

        A polling client that the server closes learns of it at its next GET, unless ``at_once``: then its sid is
        unknown.
        """
        if not session.alive:
            return None
        work: list[Any] = []
        if session.candidate is not None:
            work.append(self.candidate_lost(session, session.candidate, close=True))
        self.wheel.remove(session)
        polling = session.polling
        if polling is not None and reason in SERVER_CLOSE_REASONS and not polling.waiting and not at_once:
            self._linger(session)
        else:
            self._end(session, polling, reason, code, work)
        work.append(session.upper.closed(reason))
        return several(*work)

    def _end(
        self, session: Session, polling: Polling | None, reason: str, code: int | None, work: list[Any]
    ) -> None:
        """Forget a session at once and tell its transport."""
        session.state = SESSION[session.state, CLOSE_NOW]
        tail = session.outbox.shut()
        if polling is not None:
            polling.outbox = None
            polling.end(b"".join(tail), NOOP_BODY if reason == "client disconnect" else CLOSE_BODY)
        if session.link is not None:
            work.append(CloseLink(session.link, code, reason if code else "", b"".join(tail)))
            session.link = None
        self._forget(session)

    def _linger(self, session: Session) -> None:
        """A polling client that the server has closed learns of it at its next GETs (wire.md 1.10)."""
        session.state = SESSION[session.state, CLOSE_LATER]
        due = self.now + self.settings.closing_timeout
        session.deadline = self.deadlines.add(due, lambda now: self._forget(session))

    def _forget(self, session: Session) -> None:
        if session.state == CLOSING:
            session.state = SESSION[CLOSING, CLOSE_READ]
        session.outbox.shut()
        session.polling = None
        self.deadlines.cancel(session.deadline)
        session.deadline = None
        self.sessions.pop(session.sid, None)

    def close_some(self, most: int, reason: str, code: int | None) -> Iterator[Any]:
        """End ``most`` sessions; yields work. A polling client for whom something waits may still fetch it."""
        for session in list(islice((each for each in self.sessions.values() if each.alive), most)):
            yield self.close(session, reason, code, at_once=not session.outbox.frames)

    # --- time ---------------------------------------------------------------------------------------------------------

    def due(self) -> float | None:
        """When :meth:`tick` must be called next (seconds, monotonic)."""
        beat, deadline = self.wheel.due(), self.deadlines.due()
        if beat is None or deadline is None:
            return beat if deadline is None else deadline
        return min(beat, deadline)

    def tick(self, now: float) -> Iterator[Any]:
        """Send the pings that are due, end who did not answer, keep the other appointments; yields work."""
        self.now = now
        for session in self.wheel.expired(now):
            self.counts.ping_timeouts += 1
            yield self.close(session, "ping timeout")
        for session in self.wheel.ping(now):
            session.outbox.put(PING_UNIT)
        yield from self.deadlines.run(now)

    # --- slow consumers -----------------------------------------------------------------------------------------------

    def take_slow(self) -> Iterator[Any]:
        """End the sessions that were found too slow since the last call; yields work. The driver calls it after a
        flush.
        """
        while self.slow:
            session, _ = self.slow.popitem()
            if session.alive:
                self.counts.slow_consumers += 1
                session.outbox.take()
                yield self.close(session, "slow consumer", 1013)

    def _too_slow(self, session: Session) -> None:
        """Queue a session to be ended at the end of this turn; what it has queued is given up at once."""
        session.outbox.take()
        if not self.slow:
            self.on_wake()
        self.slow[session] = None

    def _suspect(self, box: Outbox) -> None:
        """It is over its bound: who takes nothing for a while, or falls behind to twice the bound meanwhile, is too
        slow.
        """
        before = self._suspects.get(box)
        if before is None:
            if not self._suspects:
                self.deadlines.add(self.now + STUCK_AFTER, self._judge_suspects)
            self._suspects[box] = (box.taken, box.sink.get_write_buffer_size())
        elif self.flusher.over(box, STUCK_FACTOR) and not _has_taken(box, before):
            self._too_slow(box.owner)

    def _judge_suspects(self, now: float) -> None:
        suspects, self._suspects = self._suspects, {}
        for box, before in suspects.items():
            if box.paused and self.flusher.over(box):
                if _has_taken(box, before):
                    self._suspect(box)
                else:
                    self._too_slow(box.owner)

    # --- responses ----------------------------------------------------------------------------------------------------

    def _render(self, request: Request, payload: bytes) -> Response:
        return self._payload_response(request, payload, self.policy.headers(request))

    def _payload_response(self, request: Request, payload: bytes, headers: Headers) -> Response:
        encoding = None
        if self.settings.http_compression:
            accepted = request.header(b"accept-encoding")
            payload, encoding = compression.compress(payload, accepted, self.settings.compression_threshold)
        return response.poll(payload, encoding=encoding, extra=headers)

    def _wake(self) -> None:
        self.on_wake()

    def _earlier(self, due: float) -> None:
        self.on_deadline(due)


def _has_taken(box: Outbox, before: tuple[int, int]) -> bool:
    """Whether a client has taken anything since ``before``: (count of takings, bytes in the transport's buffer)."""
    taken, waiting = before
    return box.taken != taken or box.sink.get_write_buffer_size() < waiting


def _nothing(*_: object) -> None:
    """Until a driver is there, nobody needs waking."""
