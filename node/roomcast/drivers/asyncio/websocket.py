"""[hot] A WebSocket on an asyncio transport that an HTTP server has let go of: bytes in, frames of ours out.

uvicorn hands them over to a protocol of ours (:mod:`~roomcast.drivers.asyncio.uvicorn`); those of aiohttp, Tornado and
Sanic are taken: :class:`AdoptedConnection`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from roomcast.core.link import WebSocketLink
from roomcast.core.work import CallHandler
from roomcast.engineio import response
from roomcast.engineio.admission import Handshake, Surplus, Upgrade
from roomcast.websocket.deflate import inflate
from roomcast.websocket.deflating import DeflatingSink
from roomcast.websocket.frames import FrameReader, text_frame

if TYPE_CHECKING:
    from roomcast.drivers.asyncio.runtime import Runtime
    from roomcast.engineio.request import Request
    from roomcast.websocket.handshake import Accepted


class WebSocketConnection(asyncio.Protocol):
    """The owner of a link. It has a runtime from the request on, and a link once that was accepted."""

    __slots__ = ("_feeding", "_link", "_runtime", "_secure", "_transport")

    def __init__(self) -> None:
        self._transport: Any = None
        self._runtime: Runtime | None = None
        self._link: WebSocketLink | None = None
        self._feeding: Any = None
        self._secure = False

    # --- asyncio ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is this object's from now on."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """WebSocket frames, or pieces of them."""
        link = self._link
        if link is None:
            self._unlinked(data)
            return
        runtime = cast("Runtime", self._runtime)
        if self._feeding is not None or runtime.stepwise:
            self._feed_in_order(data)
            return
        call_handler = runtime.call_handler
        for work in link.feed(data, runtime.time()):
            if type(work) is CallHandler:
                call_handler(work)
            else:
                runtime.do(work)

    def _unlinked(self, data: bytes) -> None:
        """Bytes before there is a link, and after a refusal: TLS may have more in its buffer."""

    def eof_received(self) -> bool | None:
        """The client will send nothing more: as for WebSockets in general, that is the end."""
        if self._runtime is None or self._link is None or self._secure:
            return None
        # libuv reports thousands of these in one turn, and closing costs ten times as much as being told.
        self._runtime.depart(self._leave)
        return True

    def _leave(self) -> None:
        if not self._transport.is_closing():
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whatever cause."""
        link, runtime = self._link, self._runtime
        if link is None or runtime is None:
            return
        if (session := link.carried) is not None:
            session.outbox.shut()  # a closed transport takes nothing any more
        runtime.depart(self._lost)

    def _lost(self) -> None:
        """What :meth:`connection_lost` left for its turn."""
        link, runtime = self._link, self._runtime
        if link is None or runtime is None:
            return
        self._link = None
        link.parted()
        runtime.closing.discard(self)
        runtime.do(link.lost())

    def pause_writing(self) -> None:
        """The transport's buffer is full: what comes now waits in the outbox."""
        if self._link is not None:
            self._link.pause()

    def resume_writing(self) -> None:
        """The transport takes more again."""
        if self._link is not None:
            self._link.resume()

    # --- the handshake ------------------------------------------------------------------------------------------------

    def admit(self, request: Request, runtime: Runtime) -> None:
        """Judge the request, first as Engine.IO does, then as a WebSocket handshake, and answer it."""
        self._runtime = runtime
        self._secure = self._transport.get_extra_info("sslcontext") is not None
        runtime.awaken()
        now = runtime.time()
        judged = runtime.refusals.judge_upgrade(request, now)
        if isinstance(judged, response.Response):
            self._transport.write(response.render(judged))
            self._transport.close()
            return
        outcome, answer = judged
        self._join(request, runtime, outcome, answer, now)

    def _join(self, request: Request, runtime: Runtime, outcome: object, answer: Accepted, now: float) -> None:
        """Answer 101, and carry a new session, or be the candidate of one that polls."""
        engine = runtime.engine
        settings = engine.settings
        sink = DeflatingSink(self._transport) if answer.deflate else self._transport
        reader = FrameReader(settings.max_payload, settings.max_fragments, inflate if answer.deflate else None)
        link = self._link = WebSocketLink(engine, self, sink, reader)
        if isinstance(outcome, Handshake):
            session = link.session = engine.open(request, "websocket", sink, link, now)
            self._transport.write(answer.response + text_frame(engine.open_packet(session)))
            return
        self._transport.write(answer.response)
        if isinstance(outcome, Upgrade):
            link.session = cast("Any", outcome.session)
            runtime.do(engine.probe(cast("Any", outcome.session), link, now))
        elif isinstance(outcome, Surplus):
            self.end(None, "", b"")

    # --- reading in order ---------------------------------------------------------------------------------------------

    def _feed_in_order(self, data: bytes) -> None:
        """While a handler is waited for, or the client is paused, nothing more is read, and what was read waits."""
        if self._feeding is None and self._link is not None and self._runtime is not None:
            self._feeding = self._link.feed(data, self._runtime.time())
            self._step()
        elif self._feeding is not None:
            self._feeding = _then(self._feeding, self, data)

    def _step(self, *_: Any) -> None:
        """Go on with what was read until a handler has to be waited for."""
        runtime, feeding = self._runtime, self._feeding
        if runtime is None or feeding is None:
            # closed meanwhile: the client's part of the closing handshake is still to be read
            if self._link is not None:
                self._transport.resume_reading()
            return
        runtime.engine.now = runtime.time()
        for work in feeding:
            running = runtime.must_wait(work, runtime.do(work))
            if running is not None:
                self._transport.pause_reading()
                running.task.add_done_callback(self._step)
                return
        self._feeding = None
        if self._link is not None:
            self._transport.resume_reading()

    # --- closing ------------------------------------------------------------------------------------------------------

    def end(self, code: int | None, reason: str, tail: bytes) -> None:
        """Write ``tail`` and a close frame; the client has a moment to do its part, then the connection is cut."""
        transport, link, runtime = self._transport, self._link, self._runtime
        if link is None or runtime is None or transport.is_closing():
            return
        self._feeding = None
        runtime.look_at_clock()
        if link.part(transport, code, reason, tail, self._cut):
            runtime.closing.add(self)

    def _cut(self, now: float) -> None:
        """The client never answered the close frame."""
        cast("Runtime", self._runtime).unread += 1
        self._transport.abort()


class AdoptedConnection(WebSocketConnection):
    """One whose request another HTTP server has read, and perhaps some of what came behind it (``early``).

    Whoever hands it over makes it the protocol of the transport and calls :meth:`connection_made`, or lets asyncio do
    both.
    """

    __slots__ = ("_handed",)

    def __init__(self, runtime: Runtime, request: Request, early: bytes) -> None:
        super().__init__()
        self._handed: tuple[Runtime, Request, bytes] | None = (runtime, request, early)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer the request; then nothing of what its server knew is kept."""
        super().connection_made(transport)
        if self._handed is None:
            return
        runtime, request, early = self._handed
        self._handed = None
        self.admit(request, runtime)
        if early and self._link is not None:
            self.data_received(early)


def adopt(transport: asyncio.Transport, runtime: Runtime, request: Request, early: bytes) -> None:
    """Take a connection over from the protocol that has it, which must not touch it any more."""
    connection = AdoptedConnection(runtime, request, early)
    transport.set_protocol(connection)
    if not transport.is_closing() and not transport.is_reading():
        transport.resume_reading()  # its server had as much of it as it wanted
    connection.connection_made(transport)


def _then(first: Any, connection: WebSocketConnection, data: bytes) -> Any:
    """What was read earlier, then what came meanwhile."""
    yield from first
    link, runtime = connection._link, connection._runtime  # a generator method of the connection in all but name
    if link is not None and runtime is not None:
        yield from link.feed(data, runtime.time())
