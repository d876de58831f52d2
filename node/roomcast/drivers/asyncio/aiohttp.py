"""Inside aiohttp: routes on its application, our frames on its transports.

aiohttp lets go: a request for a WebSocket takes the connection out of its hands, with what has been read of it, and to
aiohttp that is a client that has gone. So none of its WebSocket code is used, and stopping it waits for no WebSocket;
that is done by ``sio.shutdown()``, which aiohttp calls at ``on_shutdown``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict

from roomcast.drivers.asyncio.frameworks import Framework, asks_for_websocket
from roomcast.drivers.asyncio.polling import CutOffError, answer_http
from roomcast.drivers.asyncio.upgrade_request import address_of
from roomcast.drivers.asyncio.websocket import adopt
from roomcast.engineio.request import Request

if TYPE_CHECKING:
    from roomcast.engineio.response import Response


def attach(server: Any, app: web.Application, path: str) -> None:
    """Serve ``/path``, ``/path/`` and what is below; start and stop with the application."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await serve(server, request)

    async def start(_: web.Application) -> None:
        await server.start()

    async def stop(_: web.Application) -> None:
        await server.shutdown()

    trimmed = path.strip("/")
    app.router.add_route("*", f"/{trimmed}{{rest:(/.*)?}}" if trimmed else "/{rest:.*}", handle)
    app.on_startup.append(start)
    app.on_shutdown.append(stop)


async def serve(server: Any, request: web.Request) -> web.StreamResponse:
    """Answer one request; a WebSocket goes on by itself."""
    ours = read_request(request)
    if asks_for_websocket(ours):
        transport = request.transport
        if transport is not None:  # else the client has gone already
            adopt(transport, server.runtime, ours, _take(request, transport))
        return HandedOver()
    return _respond(await answer_http(server.runtime, ours, AiohttpIncoming(request)))


AIOHTTP = Framework(serve, attach)


def read_request(request: web.Request) -> Request:
    """The request as the engine reads it; what a middleware has found out about the client holds."""
    transport = request.transport
    peer = address_of(transport.get_extra_info("peername")) if transport else None
    if request.remote and (peer is None or peer[0] != request.remote):
        peer = (request.remote, 0)
    return Request.from_pairs(
        request.method,
        request.path,
        request.rel_url.raw_query_string.encode("latin-1", "replace"),
        request.raw_headers,
        scheme=request.scheme,
        client=peer,
        server=address_of(transport.get_extra_info("sockname")) if transport else None,
        http_version=f"{request.version.major}.{request.version.minor}",
        extra={"aiohttp.request": request},
    )


class AiohttpIncoming:
    """What is to come of a request (:class:`~roomcast.drivers.asyncio.polling.Incoming`)."""

    __slots__ = ("_request",)

    def __init__(self, request: web.Request) -> None:
        self._request = request

    async def part(self) -> bytes | None:
        try:
            return await self._request.content.readany() or None
        except (OSError, ClientPayloadError, HttpProcessingError, web.RequestPayloadError) as error:
            raise CutOffError from error  # gone, or it speaks no HTTP

    async def gone(self) -> None:
        transport = self._request.transport
        if transport is None:
            return
        watch = Watch(transport.get_protocol())
        transport.set_protocol(watch)
        try:
            await watch.lost.wait()
        finally:
            if not watch.lost.is_set():
                transport.set_protocol(watch.theirs)


class Watch(asyncio.Protocol):
    """Notices that a client goes while its request is answered, which aiohttp tells nobody. All else goes through."""

    def __init__(self, theirs: Any) -> None:
        self.theirs = theirs
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.theirs.data_received(data)

    def eof_received(self) -> Any:
        return self.theirs.eof_received()

    def pause_writing(self) -> None:
        self.theirs.pause_writing()

    def resume_writing(self) -> None:
        self.theirs.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        self.theirs.connection_lost(exc)


class HandedOver(web.StreamResponse):
    """Stands for the answer to a request whose connection is ours now: nothing is written for it."""

    def __init__(self) -> None:
        super().__init__(status=101)

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class _Early:
    """Takes what has been read behind the request: what aiohttp calls the parser of an upgraded connection."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """It gets no more."""


def _take(request: web.Request, transport: asyncio.Transport) -> bytes:
    """Make aiohttp let go of a connection; what it had read of it."""
    protocol: Any = request.protocol
    early = _Early()
    protocol.set_parser(early)
    protocol.transport = None  # else it would close it
    protocol.connection_lost(None)
    protocol.transport = _Shown(transport)
    return early.data


class _Shown(asyncio.Transport):
    """What applications find as ``environ["aiohttp.request"].transport``: it tells, and cannot be closed by aiohttp."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._shown = transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._shown.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._shown.is_closing()

    def close(self) -> None:
        """It is not aiohttp's any more."""


def _respond(answer: Response | None) -> web.Response:
    if answer is None:
        return web.Response(status=400)  # nobody reads it
    headers = CIMultiDict((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers)
    return web.Response(status=answer.status, body=answer.body, headers=headers)
