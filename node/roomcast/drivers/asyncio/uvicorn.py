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

from roomcast.drivers.asyncio.mounts import find_routes, own_proxies
from roomcast.drivers.asyncio.upgrade_request import path_of, read_request
from roomcast.drivers.asyncio.websocket import WebSocketConnection
from roomcast.engineio import response

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState


class SocketIOProtocol(WebSocketConnection):
    """One upgraded connection; made by uvicorn, once per WebSocket of the application."""

    __slots__ = ("_config", "_delegate", "_state")

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], **_: Any) -> None:
        super().__init__()
        self._config: Any = (config, app_state)
        self._state = server_state
        self._delegate: asyncio.Protocol | None = None

    # --- asyncio ------------------------------------------------------------------------------------------------------

    def _unlinked(self, data: bytes) -> None:
        """The upgrade request, as uvicorn puts it together again; or what is uvicorn's own to read."""
        if self._delegate is not None:
            cast("Any", self._delegate).data_received(data)
        elif self._config is not None:  # else it was refused, and TLS had more in its buffer
            self._begin(data)

    def eof_received(self) -> bool | None:
        if self._delegate is not None:
            return self._delegate.eof_received()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(cast("Any", self))
        if self._delegate is not None:
            self._delegate.connection_lost(exc)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        if self._delegate is not None:
            self._delegate.pause_writing()
        super().pause_writing()

    def resume_writing(self) -> None:
        if self._delegate is not None:
            self._delegate.resume_writing()
        super().resume_writing()

    def shutdown(self) -> None:
        """uvicorn stops: the session ends in a way that clients answer by connecting again."""
        link, runtime = self._link, self._runtime
        if link is None or runtime is None:
            return
        engine = runtime.engine
        if (session := link.carried) is not None:
            runtime.do(engine.close(session, "server shutting down", 1012))
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
        self._config = None
        _release_parser(transport)
        self._state.connections.add(cast("Any", self))
        self.admit(own_proxies(config, request), route.runtime)

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


def _release_parser(transport: Any) -> None:
    """Break the cycle between uvicorn's HTTP protocol and its parser, which both have done their work.

    Otherwise each upgrade leaves several KB to the garbage collector: 1.4 KB per client of resident memory, and a
    third of what connecting costs.
    """
    http = transport.get_protocol()
    if hasattr(http, "parser"):
        http.parser = None
