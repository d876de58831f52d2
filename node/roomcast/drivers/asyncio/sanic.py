"""Inside Sanic: routes on its application, our frames on its transports.

Sanic's own server lets go: a request for a WebSocket takes the connection out of its protocol's hands, with what has
been read of it. Under ASGI Sanic has no connection to give; there polling works, no upgrade is announced, and a
WebSocket is answered 501: serve ``roomcast.ASGIApp(sio, other_asgi_app=app)`` instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sanic import HTTPResponse
from sanic import Request as SanicRequest
from sanic.compat import Header
from sanic.constants import HTTP_METHODS
from sanic.exceptions import SanicException

from roomcast.drivers.asyncio.frameworks import Framework, asks_for_websocket
from roomcast.drivers.asyncio.polling import CutOffError, answer_http
from roomcast.drivers.asyncio.upgrade_request import address_of
from roomcast.drivers.asyncio.websocket import adopt
from roomcast.engineio import response
from roomcast.engineio.request import Request

if TYPE_CHECKING:
    from roomcast.engineio.response import Response

logger = logging.getLogger("roomcast.server")


def attach(server: Any, app: Any, path: str) -> None:
    """Serve ``/path``, ``/path/`` and what is below; start and stop with the application."""

    async def handle(request: SanicRequest, rest: str = "") -> HTTPResponse | None:
        return await serve(server, request)

    async def start(app: Any) -> None:
        _check_timeout(app, server.settings.ping_interval)
        if _has_others(app):
            server.runtime.shared.tell()
        await server.start()

    async def stop(_: Any) -> None:
        await server.shutdown()

    handle.is_websocket = True  # type: ignore[attr-defined]  # Sanic's mark of handlers that may return no answer
    trimmed = path.strip("/")
    name = f"roomcast_{trimmed.replace('/', '_').replace('.', '_')}"
    for number, uri in enumerate((f"/{trimmed}", f"/{trimmed}/<rest:path>".replace("//", "/"))):
        app.add_route(handle, uri, methods=HTTP_METHODS, stream=True, name=f"{name}_{number}")
    app.register_listener(start, "before_server_start")
    app.register_listener(stop, "before_server_stop")


async def serve(server: Any, request: SanicRequest) -> HTTPResponse | None:
    """Answer one request; None for a WebSocket, which goes on by itself."""
    ours = read_request(request)
    bare = request.app.asgi
    if asks_for_websocket(ours):
        if bare:
            return _respond(response.text(501, "under ASGI Sanic shows no connection: no WebSocket can be served"))
        adopt(request.transport, server.runtime, ours, _take(request))  # type: ignore[arg-type]  # one of asyncio's
        return None
    return _respond(await answer_http(server.runtime, ours, SanicIncoming(request), upgradable=not bare))


SANIC = Framework(serve, attach)


def read_request(request: SanicRequest) -> Request:
    """The request as the engine reads it; what Sanic was told about proxies holds."""
    path, query = request.path, request.query_string
    client = (request.client_ip, request.port) if request.client_ip else None
    return Request.from_pairs(
        request.method,
        path,
        query.encode("latin-1", "replace"),
        [(name.encode("latin-1", "replace"), _encoded(value)) for name, value in request.headers.items()],
        scheme=request.scheme,
        client=client,
        server=address_of(request.transport.get_extra_info("sockname")),
        http_version=request.version,
        extra={"sanic.request": request},
    )


def _encoded(value: str) -> bytes:
    """As it came; Sanic decodes UTF-8 and keeps other bytes as surrogates."""
    return value.encode("utf-8", "surrogateescape")


class SanicIncoming:
    """What is to come of a request (:class:`~roomcast.drivers.asyncio.polling.Incoming`)."""

    __slots__ = ("_request",)

    def __init__(self, request: SanicRequest) -> None:
        self._request = request

    async def part(self) -> bytes | None:
        try:
            stream: Any = self._request.stream
            part: bytes | None = await stream.read() if stream.request_body else None
            return part
        except SanicException as error:
            raise CutOffError from error  # it speaks no HTTP

    async def gone(self) -> None:
        """Sanic cancels whoever answers a client that has gone."""
        await asyncio.get_running_loop().create_future()


def _take(request: SanicRequest) -> bytes:
    """Make Sanic let go of a connection; what it had read of it."""
    protocol: Any = request.protocol
    early = bytes(protocol.recv_buffer)
    protocol.recv_buffer.clear()
    protocol.connections.discard(protocol)
    protocol.transport = None  # what it has nothing to close, log and time for
    return early


def _respond(answer: Response | None) -> HTTPResponse:
    if answer is None:
        return HTTPResponse(status=400)  # nobody reads it
    headers = Header([(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers])
    return HTTPResponse(answer.body, answer.status, headers)


def _has_others(app: Any) -> bool:
    """Whether other workers of the application listen at the same port. Only a manager of workers knows any."""
    workers: Iterable[str] = getattr(getattr(app, "m", None), "workers", ())
    return [name.startswith("Sanic-Server-") for name in workers].count(True) > 1


def _check_timeout(app: Any, longest_poll: float) -> None:
    """A poll waits for the next ping at the longest; Sanic answers 503 in its place after RESPONSE_TIMEOUT."""
    if longest_poll >= app.config.RESPONSE_TIMEOUT:
        logger.warning(
            "Sanic's RESPONSE_TIMEOUT (%g s) ends polls, which wait up to ping_interval (%g s): make it longer",
            app.config.RESPONSE_TIMEOUT,
            longest_poll,
        )
