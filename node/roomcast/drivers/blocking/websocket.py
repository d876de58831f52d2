"""A WebSocket on a socket that its WSGI server gave away."""

from __future__ import annotations

from _socket import socket as PlainSocket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roomcast.core.link import WebSocketLink
from roomcast.drivers.blocking.sockets import SocketConnection
from roomcast.engineio.admission import Handshake, Surplus, Upgrade
from roomcast.websocket.deflate import inflate
from roomcast.websocket.deflating import DeflatingSink
from roomcast.websocket.frames import FrameReader, text_frame

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime
    from roomcast.engineio.deadlines import Deadline
    from roomcast.engineio.request import Request
    from roomcast.websocket.handshake import Accepted


class WebSocketConnection(SocketConnection):
    """The owner of a link, and the sink of an outbox. ``deflate``: permessage-deflate was agreed on."""

    def __init__(self, runtime: Runtime, sock: PlainSocket, deflate: bool = False) -> None:
        super().__init__(runtime, sock)
        settings = runtime.engine.settings
        sink = DeflatingSink(self) if deflate else self
        reader = FrameReader(settings.max_payload, settings.max_fragments, inflate if deflate else None)
        self.link = WebSocketLink(runtime.engine, self, sink, reader)
        self._feeding: Iterator[Any] = iter(())
        self._paused: Deadline | None = None

    def join(self, request: Request, outcome: object, answer: Accepted) -> None:
        """Answer 101, and carry a new session, or be the candidate of one that polls. In a turn."""
        engine, link = self.runtime.engine, self.link
        if isinstance(outcome, Handshake):
            session = link.session = engine.open(request, "websocket", link.sink, link, engine.now)
            self.write(answer.response + text_frame(engine.open_packet(session)))
        else:
            self.write(answer.response)
            if isinstance(outcome, Upgrade):
                candidate_of: Any = outcome.session
                link.session = candidate_of
                self.runtime.do(engine.probe(candidate_of, link, engine.now))
            elif isinstance(outcome, Surplus):
                self.end(None, "", b"")
        self.watch()

    # --- reading ------------------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Frames, or pieces of them."""
        self._feeding = self.link.feed(data, self.runtime.engine.now)
        self._step()

    def _step(self, _: float = 0.0) -> None:
        """Go on with what was read until it has to wait: the client was told to be slower, or its handlers are."""
        runtime, link = self.runtime, self.link
        self._paused = None
        if self._gone:
            return
        for work in self._feeding:
            pause = runtime.do(work)
            session = link.session
            if session is None:
                continue  # it has ended: what is left says whether the client has answered the close frame
            if pause is not None:
                self._read(False)
                self._paused = runtime.engine.deadlines.add(runtime.engine.now + pause, self._step)
                return
            if runtime.is_behind(session.upper):
                self._read(False)
                runtime.when_caught_up(session.upper, self._go_on)
                return
        self._read(True)

    def _read(self, reading: bool) -> None:
        if self.reading is not reading:
            self.reading = reading
            self.watch()

    def _go_on(self) -> None:
        """The client's handlers have caught up."""
        if not self.reading:
            self._step()

    # --- writing ------------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        self.link.pause()

    def resume(self) -> None:
        self.link.resume()

    # --- the end ------------------------------------------------------------------------------------------------------

    def end(self, code: int | None, reason: str, tail: bytes) -> None:
        """Write ``tail`` and a close frame; the client has a moment to do its part, then the connection is cut."""
        if self._gone or self._closing:
            return
        if self.link.part(self, code, reason, tail, self._unanswered):
            self.runtime.closing.add(self)
            self._read(True)

    def _unanswered(self, now: float) -> None:
        self.runtime.unread += 1
        self.cut()

    def lost(self) -> None:
        runtime, link = self.runtime, self.link
        runtime.engine.deadlines.cancel(self._paused)
        link.parted()
        runtime.closing.discard(self)
        session = link.carried
        if session is not None:
            session.outbox.shut()  # it takes nothing any more
        runtime.do(link.lost())
