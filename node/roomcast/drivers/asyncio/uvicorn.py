"""[hot] The fast path: uvicorn stays the HTTP server and hands Socket.IO's WebSockets to a protocol of ours.

uvicorn makes an object of the class named by ``ws=`` for every upgrade request. This one looks whether the request is
for a Socket.IO server of the application; every other WebSocket goes to uvicorn's own implementation, untouched::

    uvicorn --ws roomcast.drivers.asyncio.uvicorn:SocketIOProtocol app:app

Applications that wrap the server in middleware of their own are served by the ordinary ASGI path, so nothing that they
check is ever passed by (see :mod:`roomcast.drivers.asyncio.mounts`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from roomcast.core.link import WebSocketLink
from roomcast.core.work import CallHandler
from roomcast.drivers.asyncio.mounts import Route, find_routes, own_proxies
from roomcast.drivers.asyncio.upgrade_request import path_of, read_request
from roomcast.engineio import response
from roomcast.engineio.admission import Handshake, Surplus, Upgrade
from roomcast.websocket.deflate import inflate
from roomcast.websocket.deflating import DeflatingSink
from roomcast.websocket.frames import FrameReader, text_frame
from roomcast.websocket.handshake import Accepted

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from roomcast.engineio.request import Request


class SocketIOProtocol(asyncio.Protocol):
    """One upgraded connection; made by uvicorn, once per WebSocket of the application."""

    __slots__ = ("_config", "_delegate", "_feeding", "_link", "_route", "_secure", "_state", "_transport")

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], **_: Any) -> None:
        self._config: Any = (config, app_state)
        self._state = server_state
        self._transport: Any = None
        self._route: Route | None = None
        self._link: WebSocketLink | None = None
        self._delegate: asyncio.Protocol | None = None
        self._feeding: Any = None
        self._secure = False

    # --- asyncio ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by uvicorn right after it made this object."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """The upgrade request first, as uvicorn puts it together again; then WebSocket frames."""
        link = self._link
        if link is None:
            if self._delegate is not None:
                cast("Any", self._delegate).data_received(data)
            elif self._config is not None:  # else it was refused, and TLS had more in its buffer
                self._begin(data)
            return
        runtime = cast("Route", self._route).runtime
        if self._feeding is not None or runtime.stepwise:
            self._feed_in_order(data)
            return
        call_handler = runtime.call_handler
        for work in link.feed(data, runtime.time()):
            if type(work) is CallHandler:
                call_handler(work)
            else:
                runtime.do(work)

    def eof_received(self) -> bool | None:
        """The client will send nothing more: as for WebSockets in general, that is the end."""
        if self._delegate is not None:
            return self._delegate.eof_received()
        if self._route is None or self._link is None or self._secure:
            return None
        # libuv reports thousands of these in one turn, and closing costs ten times as much as being told.
        self._route.runtime.depart(self._leave)
        return True

    def _leave(self) -> None:
        if not self._transport.is_closing():
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whatever cause."""
        self._state.connections.discard(cast("Any", self))
        if self._delegate is not None:
            self._delegate.connection_lost(exc)
        link, route = self._link, self._route
        if link is None or route is None:
            return
        if (session := link.carried) is not None:
            session.outbox.shut()  # a closed transport takes nothing any more
        route.runtime.depart(self._lost)

    def _lost(self) -> None:
        """What :meth:`connection_lost` left for its turn."""
        link, route = self._link, self._route
        if link is None or route is None:
            return
        self._link = None
        runtime = route.runtime
        link.parted()
        runtime.closing.discard(self)
        runtime.do(link.lost())

    def pause_writing(self) -> None:
        """The transport's buffer is full: what comes now waits in the outbox."""
        if self._delegate is not None:
            self._delegate.pause_writing()
        if self._link is not None:
            self._link.pause()

    def resume_writing(self) -> None:
        """The transport takes more again."""
        if self._delegate is not None:
            self._delegate.resume_writing()
        if self._link is not None:
            self._link.resume()

    def shutdown(self) -> None:
        """uvicorn stops: the session ends in a way that clients answer by connecting again."""
        link, route = self._link, self._route
        if link is None or route is None:
            return
        engine = route.runtime.engine
        if (session := link.carried) is not None:
            route.runtime.do(engine.close(session, "server shutting down", 1012))
        else:
            if link.session is not None:
                engine.candidate_lost(link.session, link)
            self.end(1012, "", b"")

    # --- the handshake ------------------------------------------------------------------------------------------------

    def _begin(self, data: bytes) -> None:
        """Read the request that asks for the upgrade, and find whose it is."""
        config, app_state = self._config
        path = path_of(data)
        for route in find_routes(config):
            if route.matches(path):
                break
        else:
            self._delegate_to_uvicorn(config, app_state, data)
            return
        transport = self._transport
        request = read_request(data, transport, config.root_path, config.root_path + route.root_path)
        self._secure = request.scheme == "wss"
        self._config = None
        self._route = route
        _release_parser(transport)
        self._state.connections.add(cast("Any", self))
        self._admit(own_proxies(config, request), route)

    def _delegate_to_uvicorn(self, config: Config, app_state: dict[str, Any], data: bytes) -> None:
        """Give the connection to uvicorn's own WebSocket implementation, for good."""
        from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

        transport = self._transport
        if AutoWebSocketsProtocol is None:
            refusal = response.empty(501)
            transport.write(response.render(refusal))
            transport.close()
            return
        made = cast("Any", AutoWebSocketsProtocol)(config=config, server_state=self._state, app_state=app_state)
        self._delegate = made
        made.connection_made(transport)
        made.data_received(data)
        # uvicorn makes this object the protocol when data_received returns; after that the other one takes its place.
        asyncio.get_running_loop().call_soon(transport.set_protocol, made)

    def _admit(self, request: Request, route: Route) -> None:
        """Judge the request, first as Engine.IO does, then as a WebSocket handshake."""
        runtime = route.runtime
        runtime.bind()
        now = runtime.time()
        judged = runtime.refusals.judge_upgrade(request, now)
        if isinstance(judged, response.Response):
            self._refuse(judged)
            return
        outcome, answer = judged
        self._join(request, route, outcome, answer, now)

    def _join(self, request: Request, route: Route, outcome: object, answer: Accepted, now: float) -> None:
        """Answer 101, and carry a new session, or be the candidate of one that polls."""
        engine = route.runtime.engine
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
            route.runtime.do(engine.probe(cast("Any", outcome.session), link, now))
        elif isinstance(outcome, Surplus):
            self.end(None, "", b"")

    def _refuse(self, answer: response.Response) -> None:
        self._transport.write(response.render(answer))
        self._transport.close()

    # --- reading in order ---------------------------------------------------------------------------------------------

    def _feed_in_order(self, data: bytes) -> None:
        """While a handler is waited for, or the client is paused, nothing more is read, and what was read waits."""
        if self._feeding is None and self._link is not None and self._route is not None:
            self._feeding = self._link.feed(data, self._route.runtime.time())
            self._step()
        elif self._feeding is not None:
            self._feeding = _then(self._feeding, self, data)

    def _step(self, *_: Any) -> None:
        """Go on with what was read until a handler has to be waited for."""
        route, feeding = self._route, self._feeding
        if route is None or feeding is None:
            # closed meanwhile: the client's part of the closing handshake is still to be read
            if self._link is not None:
                self._transport.resume_reading()
            return
        route.runtime.engine.now = route.runtime.time()
        for work in feeding:
            running = route.runtime.must_wait(work, route.runtime.do(work))
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
        transport, link, route = self._transport, self._link, self._route
        if link is None or route is None or transport.is_closing():
            return
        self._feeding = None
        route.runtime.look_at_clock()
        if link.part(transport, code, reason, tail, self._cut):
            route.runtime.closing.add(self)

    def _cut(self, now: float) -> None:
        """The client never answered the close frame."""
        cast("Route", self._route).runtime.unread += 1
        self._transport.abort()


def _release_parser(transport: Any) -> None:
    """Break the cycle between uvicorn's HTTP protocol and its parser, which both have done their work.

    Otherwise each upgrade leaves several KB to the garbage collector: 1.4 KB per client of resident memory, and a
    third of what connecting costs.
    """
    http = transport.get_protocol()
    if hasattr(http, "parser"):
        http.parser = None


def _then(first: Any, protocol: SocketIOProtocol, data: bytes) -> Any:
    """What was read earlier, then what came meanwhile."""
    yield from first
    link, route = protocol._link, protocol._route  # a generator method of the protocol in all but name
    if link is not None and route is not None:
        yield from link.feed(data, route.runtime.time())
