"""The blocking server as a WSGI application: routing, static files, both transports (python-api.md 1.9, PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roomcast.drivers.blocking import handover
from roomcast.drivers.blocking.polling import handle_http
from roomcast.drivers.blocking.requests import decoded, read_request
from roomcast.drivers.blocking.websocket import WebSocketConnection
from roomcast.engineio import response
from roomcast.static_files import resolve

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime
    from roomcast.engineio.request import Request
    from roomcast.engineio.response import Response

StartResponse = Callable[..., Any]
Body = Iterable[bytes]


class WSGIApp:
    """Serves a Socket.IO server, static files and another WSGI application, in this order.

    ``socketio_path`` is where the server answers, with or without slashes. ``static_files`` maps URLs to files.
    """

    def __init__(
        self,
        socketio_app: Any,
        wsgi_app: Any = None,
        static_files: dict[str, Any] | None = None,
        socketio_path: str = "socket.io",
    ) -> None:
        self.engineio_app = socketio_app
        self.wsgi_app = wsgi_app
        self.static_files = static_files or {}
        self.engineio_path = socketio_path
        self.path = f"/{socketio_path.strip('/')}/" if socketio_path.strip("/") else "/"

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Body:
        """The WSGI entry."""
        if any(path.startswith(self.path) or path + "/" == self.path for path in own_paths(environ)):
            body: Body = self.engineio_app.handle_request(environ, start_response)
            return body
        found = self._static(environ)
        if found is not None:
            return respond(environ, start_response, found)
        if self.wsgi_app is not None:
            other: Body = self.wsgi_app(environ, start_response)
            return other
        return respond(environ, start_response, NOT_FOUND)

    def _static(self, environ: dict[str, Any]) -> Response | None:
        if not self.static_files or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return None
        for path in own_paths(environ):
            found = resolve(path, self.static_files)
            if found is not None:
                body = Path(found.filename).read_bytes()
                return response.Response(200, found.headers(len(body)), body)
        return None


NOT_FOUND = response.Response(404, ((b"content-type", b"text/plain"), (b"content-length", b"9")), b"Not Found")


def own_paths(environ: dict[str, Any]) -> tuple[str, ...]:
    """The request's whole path and, under a mount, what is behind that."""
    path, root = decoded(environ.get("PATH_INFO", "")), decoded(environ.get("SCRIPT_NAME", ""))
    return (root + path, path) if root else (path,)


class Middleware(WSGIApp):
    """The old name of :class:`WSGIApp`."""

    def __init__(self, socketio_app: Any, wsgi_app: Any = None, socketio_path: str = "socket.io") -> None:
        super().__init__(socketio_app, wsgi_app, socketio_path=socketio_path)


def serve_request(runtime: Runtime, environ: dict[str, Any], start_response: StartResponse) -> Body:
    """Serve one request that is the server's, whatever its path."""
    runtime.awaken()
    if environ.get("wsgi.multiprocess"):
        runtime.shared.tell()
    theirs = handover.exposed(environ, start_response)
    try:
        if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
            answer = _upgrade(runtime, read_request(environ, upgrade=True), theirs)
        else:
            answer = handle_http(runtime, read_request(environ), environ, theirs)
    except handover.HandedOver:
        return handover.leave(environ, start_response)
    return respond(environ, start_response, answer)


def _upgrade(runtime: Runtime, request: Request, theirs: int | None) -> Response:
    """A WebSocket on the socket of its request, and HandedOver is raised; else the answer to one that may not come."""
    with runtime.turn:
        judged = runtime.refusals.judge_upgrade(request, runtime.engine.now)
        if isinstance(judged, response.Response):
            return judged
        outcome, answer = judged
        if theirs is None:
            runtime.counters.refused.count("websocket_handshake")
            return response.text(501, "this server shows no connection to its applications: no WebSocket can be served")
        try:
            connection = WebSocketConnection(runtime, handover.take(runtime, theirs), answer.deflate)
        except OSError:  # the process has as many descriptors as it may
            runtime.counters.refused.count("busy")
            return runtime.engine.unavailable(request)
        connection.join(request, outcome, answer)
    raise handover.HandedOver


def respond(environ: dict[str, Any], start_response: StartResponse, answer: Response) -> Body:
    """Send one whole HTTP response."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
    if "uwsgi.version" in environ:
        # It ends the connection after each answer, but says nothing: a client that keeps its connections would send the
        # next request into one that is being closed (99 of 100 sessions of python-requests, by polling, failed so).
        headers.append(("Connection", "close"))
    start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]
