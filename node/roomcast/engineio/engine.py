"""All Engine.IO sessions of a node and the rules that move them (wire.md 1), without I/O.

A driver admits a request, opens or finds its session, feeds it what arrives and does the work that comes back. Every
way a session can end goes through :meth:`Engine.close`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import randrange
from typing import Any

from roomcast.engineio import cookies, response
from roomcast.engineio.addresses import AddressLimit
from roomcast.engineio.admission import Outcome, admit
from roomcast.engineio.backlogs import Backlogs
from roomcast.engineio.bucket import Bucket
from roomcast.engineio.closing import Closing
from roomcast.engineio.cors import OriginPolicy
from roomcast.engineio.counts import Counts
from roomcast.engineio.deadlines import Deadlines
from roomcast.engineio.heartbeat import Wheel
from roomcast.engineio.outbox import Flusher, Outbox, Sink
from roomcast.engineio.packet import (
    CLOSE_PACKET,
    PING,
    PONG,
    decode,
    open_packet,
    open_tail,
)
from roomcast.engineio.polling import Polling
from roomcast.engineio.polling_requests import PollingRequests
from roomcast.engineio.request import Request
from roomcast.engineio.response import Headers, Response
from roomcast.engineio.session import Link, Session, Upper
from roomcast.engineio.sid import SidSource
from roomcast.engineio.trace import Trace
from roomcast.engineio.upgrades import Upgrades
from roomcast.errors import PacketError
from roomcast.settings import Settings

PING_UNIT = b"\x81\x012"
# A client that was told to come back does so after 2 to 3 s: with jitter, so that not all come at once.
RETRY_AFTER = 2


class Engine(PollingRequests, Upgrades, Closing, Backlogs):
    """The sessions of one node. ``now`` is the latest time that it was told (seconds, monotonic); drivers that feed
    links set it.

    ``make_upper(session, now)`` makes the application of a new session. ``split_frames`` takes a unit apart (units are
    whole WebSocket frames, which this package does not know how to read). ``cookie`` is the incumbent's option.
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
        self._addresses = AddressLimit(rate) if (rate := settings.max_handshakes_per_second_per_address) else None
        self._suspects: dict[Outbox, tuple[int, int]] = {}
        self._make_upper = make_upper
        self._split_frames = split_frames
        self._cookie = cookie
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

    def busy(self, request: Request, now: float) -> Response | None:
        """The 503 for a new session that this node cannot take now (limits.md); None when it can."""
        full = self.max_sessions is not None and len(self.sessions) >= self.max_sessions
        if self.accepting and not full:
            # the address first: one that comes too often takes nothing away from the others
            if self._addresses is not None and not self._addresses.take(request.client, now):
                self.counts.refused.count("address_rate")
                return self.unavailable(request)
            if self._bucket.take(now):
                return None
        self.counts.refused.count("busy")
        return self.unavailable(request)

    def unavailable(self, request: Request) -> Response:
        """Come back later."""
        retry_after = RETRY_AFTER + randrange(RETRY_AFTER)
        return response.unavailable(retry_after, extra=self.policy.headers(request, True))

    def extra_headers(self, request: Request) -> Headers:
        """The headers of the answer to a handshake that was admitted: the node's tag, and CORS."""
        return ((b"x-roomcast-node", self.sids.tag.encode()), *self.policy.headers(request, True))

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

    def open_packet(self, session: Session, upgradable: bool = True) -> bytes:
        """The first packet of a session (wire.md 1.3). ``upgradable`` says whether its server can carry WebSockets."""
        upgrades = upgradable and session.polling is not None
        packet = open_packet(session.sid, self._tail_upgradable if upgrades else self._tail)
        if self.trace is not None:
            self.trace.packet(session.sid, packet)
        return packet

    def open_polling(self, request: Request, now: float, upgradable: bool = True) -> Response:
        """Open a session by a polling handshake; the answer carries the open packet (:meth:`open_packet`)."""
        session = self.open(request, "polling", None, None, now)
        headers = self.extra_headers(request)
        cookie = cookies.render(self._cookie, session.sid, request.secure)
        if cookie is not None:
            headers = (*headers, (b"set-cookie", cookie))
        return self._payload_response(request, self.open_packet(session, upgradable), headers)

    def _control(self, session: Session, text: bytes, now: float) -> tuple[Any, bool]:
        """A packet that is no text message (wire.md 1.6, 1.7): (work, whether it was valid)."""
        try:
            packet = decode(text)
        except PacketError as fault:
            self.counts.parse_errors.count(fault.kind)
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

    def abandon(self) -> None:
        """Forget all sessions without a word: this is the child of a fork, and the clients are its parent's."""
        for session in self.sessions.values():
            self.wheel.remove(session)
            session.outbox.shut()
        for table in (self.sessions, self.slow, self._suspects, self.flusher.boxes, self.flusher.late):
            table.clear()
        self.deadlines.clear()

    # --- responses ----------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self.on_wake()

    def _earlier(self, due: float) -> None:
        self.on_deadline(due)


def _nothing(*_: object) -> None:
    """Until a driver is there, nobody needs waking."""
