"""[hot] A WebSocket connection as it meets a session: frames in, work out (design §3: feed, take, write, set
deadline, hand up).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from roomcast.core.work import CloseLink
from roomcast.websocket.closecodes import POLICY_VIOLATION
from roomcast.websocket.frames import CLOSE, CONTINUATION, PING, TEXT, FrameReader, close_frame, pong_frame

if TYPE_CHECKING:
    from roomcast.engineio.deadlines import Deadline
    from roomcast.engineio.engine import Engine
    from roomcast.engineio.session import Session

# How long (seconds) a client may take to answer a close frame before its connection is cut.
CLOSE_PATIENCE = 2.0

MESSAGE = 0x34  # "4", the packet type of nearly everything that arrives
CONTROL = 8  # opcodes from here on are control frames (RFC 6455 5.5)


class WebSocketLink:
    """One WebSocket: the transport of its session, or a candidate for it.

    ``owner`` is the driver's connection, ``sink`` where it writes. A driver that reads bytes calls :meth:`feed`; one
    that is handed whole messages calls :meth:`message`. It says with :meth:`pause` and :meth:`resume` whether ``sink``
    takes more.
    """

    __slots__ = (
        "_deadline",
        "_parting",
        "_since",
        "engine",
        "owner",
        "paused",
        "peer_closed",
        "reader",
        "session",
        "sink",
    )

    def __init__(self, engine: Engine, owner: Any, sink: Any, reader: FrameReader | None) -> None:
        self.engine = engine
        self.owner = owner
        self.sink = sink
        self.reader = reader
        self.paused = False
        self.peer_closed = False
        self.session: Session | None = None
        self._since: float | None = None
        self._deadline: Deadline | None = None
        self._parting: Deadline | None = None

    def feed(self, data: bytes, now: float) -> Iterator[Any]:
        """Take what was read; yields work, each piece to be done before the next is asked for."""
        session, reader, engine = self.session, self.reader, self.engine
        if reader is None:
            return
        messages = reader.receive(data)
        if session is None:
            if any(opcode == CLOSE for opcode, _ in messages):
                yield CloseLink(self)  # the client's part of a closing handshake that is ours
            return
        engine.now = now
        counts = engine.counts
        counts.bytes_in += len(data)
        counts.packets_in += len(messages)
        if engine.trace is not None:
            for opcode, payload in messages:
                if opcode < CONTROL:
                    engine.trace.received(session.sid, payload, opcode != TEXT)
        receive_text = session.upper.receive_text
        for opcode, payload in messages:
            if opcode == TEXT and session.link is self and payload and payload[0] == MESSAGE:
                if session.awaited:
                    engine.wheel.touched(session, now)
                work = receive_text(payload)
            else:
                work = self.message(opcode, payload, now)
            if work is not None:
                yield work
        if reader.failure is not None:
            yield self.fail(reader.failure.code, reader.failure.reason)
        elif reader.unfinished:
            self._watch(messages, now)
        else:
            self._since = None

    def message(self, opcode: int, payload: bytes, now: float) -> Any:
        """One whole message or control frame, whoever this link is to its session at this moment."""
        session = self.session
        if session is None:
            return None
        if opcode == CLOSE:
            self.peer_closed = True
            return self.lost("transport close")
        if session.link is self:
            return self._active(session, opcode, payload, now)
        if session.candidate is self and opcode < CONTROL:
            if opcode == TEXT:
                return self.engine.receive_candidate(session, self, payload, now)
            return self.engine.candidate_lost(session, self, close=True)
        if session.candidate is self and opcode == PING:
            self.sink.write(pong_frame(payload))
        return None

    def _active(self, session: Session, opcode: int, payload: bytes, now: float) -> Any:
        if opcode == TEXT:
            if session.awaited:
                self.engine.wheel.touched(session, now)
            if payload[:1] == b"4":
                return session.upper.receive_text(payload)
            return self.engine.receive_control(session, payload, now)
        if opcode == PING:
            session.outbox.put(pong_frame(payload))
            return None
        return session.upper.receive_binary(payload) if opcode < CONTROL else None

    def lost(self, reason: str = "transport close") -> Any:
        """The connection is gone, or the client has begun the closing handshake."""
        session = self.session
        self.done()
        if session is None:
            return None
        if session.link is self:
            return self.engine.close(session, reason)
        if session.candidate is self:
            return self.engine.candidate_lost(session, self, close=True)
        return CloseLink(self)

    @property
    def carried(self) -> Session | None:
        """The session whose transport this is; None for a candidate, and after the end."""
        session = self.session
        return session if session is not None and session.link is self else None

    def pause(self) -> None:
        """The transport takes no more for now: what comes waits in the outbox."""
        self.paused = True
        if (session := self.carried) is not None:
            session.outbox.pause()

    def resume(self) -> None:
        """The transport takes more again."""
        self.paused = False
        if (session := self.carried) is not None:
            session.outbox.resume()

    def done(self) -> None:
        """Let go of everything; what still arrives is ignored."""
        self.session = None
        self._since = None
        self.engine.deadlines.cancel(self._deadline)
        self._deadline = None

    def part(self, wire: Any, code: int | None, reason: str, tail: bytes, cut: Callable[[float], object]) -> bool:
        """End the connection: write ``tail`` and a close frame to ``wire``, and close it when the client has done its
        part. Whether that is waited for: then ``cut(now)`` is called once it has had ``CLOSE_PATIENCE``.

        Called again when the client's part has come. ``wire`` has ``write`` and ``close``, which is done when all is
        written.
        """
        waited = self._parting is not None
        self.done()
        if not waited:
            wire.write(tail + close_frame(code, reason))
            if not self.peer_closed:
                self._parting = self.engine.deadlines.add(self.engine.now + CLOSE_PATIENCE, cut)
                return True
        wire.close()
        return False

    def parted(self) -> None:
        """The connection is gone: nobody is waited for."""
        self.engine.deadlines.cancel(self._parting)
        self._parting = None

    def fail(self, code: int, reason: str) -> Any:
        """The client broke RFC 6455: tell it how, and end what this link carries."""
        session = self.session
        self.peer_closed = True  # nothing that it sends from now on can be understood
        if session is None:
            return None
        if session.link is self:
            return self.engine.close(session, "transport error", code, detail=reason)
        if session.candidate is self:
            self.engine.candidate_lost(session, self)
        return CloseLink(self, code, reason)

    def _watch(self, messages: list[tuple[int, bytes]], now: float) -> None:
        """A message has begun and is not complete: it has ``message_timeout``, from its own beginning."""
        if self._since is None or any(CONTINUATION < opcode < CONTROL for opcode, _ in messages):
            self._since = now
        if self._deadline is None:
            due = now + self.engine.settings.message_timeout
            self._deadline = self.engine.deadlines.add(due, self._message_late)

    def _message_late(self, now: float) -> Any:
        self._deadline = None
        if self._since is None:
            return None
        due = self._since + self.engine.settings.message_timeout
        if due > now:
            self._deadline = self.engine.deadlines.add(due, self._message_late)
            return None
        return self.fail(POLICY_VIOLATION, "message not finished in time")
