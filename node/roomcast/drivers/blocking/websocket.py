"""A WebSocket on a socket that its WSGI server gave away, or that a task of its own reads."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roomcast.core.link import WebSocketLink
from roomcast.drivers.blocking.sockets import SocketConnection
from roomcast.engineio.admission import Handshake, Surplus, Upgrade
from roomcast.websocket.frames import FrameReader, close_frame, text_frame

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime
    from roomcast.engineio.deadlines import Deadline
    from roomcast.engineio.request import Request
    from roomcast.websocket.handshake import Accepted

# How long (seconds) a client may take to answer a close frame before the connection is cut.
CLOSE_PATIENCE = 2.0


class WebSocketConnection(SocketConnection):
    """The owner of a link and the sink of an outbox."""

    def __init__(self, runtime: Runtime, sock: socket.socket) -> None:
        super().__init__(runtime, sock)
        settings = runtime.engine.settings
        self.link = WebSocketLink(runtime.engine, self, self, FrameReader(settings.max_payload, settings.max_fragments))
        self._feeding: Iterator[Any] = iter(())
        self._resuming: Deadline | None = None
        self._deadline: Deadline | None = None

    def join(self, request: Request, outcome: object, answer: Accepted) -> None:
        """Answer 101, and carry a new session, or be the candidate of one that polls. In a turn."""
        engine = self.runtime.engine
        if isinstance(outcome, Handshake):
            session = self.link.session = engine.open(request, "websocket", self, self.link, engine.now)
            self.write(answer.response + text_frame(engine.open_packet(session)))
        else:
            self.write(answer.response)
            if isinstance(outcome, Upgrade):
                candidate_of: Any = outcome.session
                self.link.session = candidate_of
                self.runtime.do(engine.probe(candidate_of, self.link, engine.now))
            elif isinstance(outcome, Surplus):
                self.end(None, "", b"")
        self.begin()

    # --- reading ------------------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Frames, or pieces of them."""
        self._feeding = self.link.feed(data, self.runtime.engine.now)
        self._step()

    def _step(self, _: float = 0.0) -> None:
        """Go on with what was read until it has to wait: the client was told to be slower, or is."""
        runtime, session = self.runtime, self.link.session
        self._resuming = None
        for work in self._feeding:
            pause = runtime.do(work)
            if pause is not None:
                self._stop_reading()
                self._resuming = runtime.engine.deadlines.add(runtime.engine.now + pause, self._step)
                return
        if session is not None and runtime.is_behind(session.upper):  # type: ignore[arg-type]  # Socket.IO's upper is a Client
            self._stop_reading()
        elif not self.reading:
            self.reading = True
            self._watch()

    def _stop_reading(self) -> None:
        self.reading = False
        self._watch()

    def go_on(self) -> None:
        """The client's handlers have caught up."""
        if not self.reading and self._resuming is None:
            self._step()

    # --- writing ------------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        self.link.pause()

    def resume(self) -> None:
        self.link.resume()

    # --- the end ------------------------------------------------------------------------------------------------------

    def end(self, code: int | None, reason: str, tail: bytes) -> None:
        """Write ``tail`` and a close frame; the client has a moment to do its part, then the connection is cut."""
        if self._gone:
            return
        answered = self.link.peer_closed or self._deadline is not None
        self.link.done()
        if self._deadline is None:
            self.write(tail + close_frame(code, reason))
        if answered:
            self.close()
            return
        self.runtime.closing.add(self)
        if not self.reading:
            self.reading = True
            self._watch()
        deadlines = self.runtime.engine.deadlines
        self._deadline = deadlines.add(self.runtime.engine.now + CLOSE_PATIENCE, lambda _: self.cut())

    def lost(self) -> None:
        runtime = self.runtime
        for deadline in (self._deadline, self._resuming):
            runtime.engine.deadlines.cancel(deadline)
        runtime.closing.discard(self)
        session = self.link.carried
        if session is not None:
            session.outbox.shut()  # it takes nothing any more
        runtime.do(self.link.lost())
