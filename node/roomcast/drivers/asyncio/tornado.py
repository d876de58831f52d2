"""Inside Tornado: a handler for its routes, our frames on its connections.

Tornado lets go: ``detach`` gives its stream, whose socket becomes a transport of asyncio's. With TLS, whose keys only
the stream has, the stream itself is used as one (:mod:`~roomcast.drivers.asyncio.iostream`). None of Tornado's
WebSocket code is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tornado.iostream import IOStream, SSLIOStream
from tornado.web import RequestHandler, stream_request_body

from roomcast.drivers.asyncio.frameworks import Framework, asks_for_websocket
from roomcast.drivers.asyncio.iostream import READ_SIZE, IOStreamTransport
from roomcast.drivers.asyncio.polling import CutOffError, answer_http
from roomcast.drivers.asyncio.upgrade_request import address_of
from roomcast.drivers.asyncio.websocket import AdoptedConnection
from roomcast.engineio.request import Request

if TYPE_CHECKING:
    from roomcast.drivers.asyncio.runtime import Runtime
    from roomcast.engineio.response import Response

    Answering = Callable[[], Awaitable[Response | None]]


def make_handler(server: Any) -> type[RequestHandler]:
    """The class whose objects each answer one request for ``server``."""

    class Handler(SocketIOHandler):
        async def prepare(self) -> None:
            await serve(server, self)

    return Handler


async def serve(server: Any, handler: SocketIOHandler) -> None:
    """Begin to answer one request; a WebSocket goes on by itself."""
    request = read_request(handler)
    if asks_for_websocket(request):
        await _hand_over(server.runtime, request, handler)
    else:
        handler.begin(request.method == "POST", partial(answer_http, server.runtime, request, handler.incoming))


TORNADO = Framework(serve)


@stream_request_body
class SocketIOHandler(RequestHandler):
    """Answers one request; one with a body as soon as there is an answer, which may be before the body has come."""

    def initialize(self) -> None:
        self.incoming = TornadoIncoming()
        self._find: Answering | None = None
        self._answering: asyncio.Future[None] | None = None
        self._has_come = False

    def begin(self, reads: bool, find: Answering) -> None:
        """Write what ``find`` answers: it begins now if it reads the body, else when the whole request has come."""
        self._find = find
        if reads:
            self._answering = asyncio.ensure_future(self._answer())

    def data_received(self, chunk: bytes) -> None:
        if self._answering is not None and not self._answering.done():
            self.incoming.parts.put_nowait(chunk)

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.incoming.close()

    def check_xsrf_cookie(self) -> None:
        """A form cannot forge a session id: that is what the cookie would be for."""

    def check_trusted_origin(self, origin: str) -> bool:
        """The engine judges origins, by ``cors_allowed_origins``."""
        return True

    def compute_etag(self) -> None:
        """No answer is ever the same."""

    async def _rest(self, *_: Any) -> None:
        """The body has come."""
        self._has_come = True
        self.incoming.parts.put_nowait(b"")
        await (self._answer() if self._answering is None else self._answering)

    get = head = post = put = patch = delete = options = _rest

    async def _answer(self) -> None:
        answer = None if self._find is None else await self._find()
        if answer is not None and not self.incoming.closed.is_set():
            self.respond(answer)

    def respond(self, answer: Response) -> None:
        """Write a whole answer."""
        self.set_status(answer.status)
        self.clear_header("Content-Type")
        if not self._has_come:
            self.set_header("Connection", "close")  # Tornado reads no further, and closes
        for name, value in answer.headers:
            self.add_header(name.decode("latin-1"), value.decode("latin-1"))
        self.finish(answer.body or None)  # with 204 it may not be given an empty one


class TornadoIncoming:
    """What is to come of a request (:class:`~roomcast.drivers.asyncio.polling.Incoming`).

    ``parts`` never holds much: whoever reads it does nothing else, and stops at the limit.
    """

    def __init__(self) -> None:
        self.parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    def close(self) -> None:
        """The client has gone."""
        self.closed.set()
        self.parts.put_nowait(None)

    async def part(self) -> bytes | None:
        part = await self.parts.get()
        if part is None:
            raise CutOffError
        return part or None

    async def gone(self) -> None:
        await self.closed.wait()


def read_request(handler: RequestHandler) -> Request:
    """The request as the engine reads it; what ``xheaders`` has found out about the client holds."""
    theirs: Any = handler.request
    context = theirs.connection.context
    peer = address_of(context.address)
    if peer is None or peer[0] != theirs.remote_ip:
        peer = (theirs.remote_ip, 0)
    stream = theirs.connection.stream
    return Request.from_pairs(
        theirs.method,
        theirs.path,
        theirs.query.encode("latin-1", "replace"),
        [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in theirs.headers.get_all()],
        scheme=theirs.protocol,
        client=peer,
        server=address_of(stream.socket.getsockname()) if stream is not None and stream.socket is not None else None,
        http_version=theirs.version.removeprefix("HTTP/"),
        extra={"tornado.handler": handler},
    )


async def _hand_over(runtime: Runtime, request: Request, handler: SocketIOHandler) -> None:
    """Take the connection, with what Tornado has read of it."""
    connection: Any = handler.request.connection
    stream = connection.stream
    if stream.closed():
        return
    if isinstance(stream, SSLIOStream):
        IOStreamTransport(handler.detach(), AdoptedConnection(runtime, request, b"")).begin()
        return
    try:
        ours = _duplicate(stream)
    except OSError:  # the process has as many descriptors as it may
        runtime.awaken()
        runtime.counters.refused.count("busy")
        handler.respond(runtime.engine.unavailable(request))
        return
    early = _read_early(handler.detach())
    stream.close()
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(lambda: AdoptedConnection(runtime, request, early), ours)


def _duplicate(stream: IOStream) -> Any:
    """The socket once more, for closing the stream does not close that; OSError without a descriptor to spare."""
    return stream.socket.dup()


def _read_early(stream: IOStream) -> bytes:
    """What there is to read without waiting; what waits then is given up when the stream is closed."""
    parts = []
    while not stream.closed():
        reading: Any = stream.read_bytes(READ_SIZE, partial=True)
        if not reading.done() or reading.exception() is not None:
            break
        parts.append(reading.result())
    return b"".join(parts)
