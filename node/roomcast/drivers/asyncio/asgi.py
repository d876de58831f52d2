"""The server as an ASGI application: routing, static files, and both transports on any ASGI server (python-api.md
1.9).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from roomcast.drivers.asyncio.asgi_polling import handle_http
from roomcast.drivers.asyncio.asgi_websocket import handle_websocket
from roomcast.drivers.asyncio.frameworks import Framework
from roomcast.drivers.asyncio.lifespan import Callback, run_lifespan
from roomcast.engineio.request import Request
from roomcast.static_files import resolve

if TYPE_CHECKING:
    from roomcast.drivers.asyncio.runtime import Runtime

NOT_FOUND = (404, [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"9")], b"Not Found")


# Every application that was made and is still there, for those who look for the servers of a process.
served: WeakSet[ASGIApp] = WeakSet()


class ASGIApp:
    """Serves a Socket.IO (or Engine.IO) server, static files and another ASGI application, in this order.

    ``socketio_path`` is where the server answers, with or without slashes; None gives it every request.
    ``static_files`` maps URLs to files. ``on_startup`` and ``on_shutdown`` are plain or coroutine functions; the other
    application's lifespan runs as well.
    """

    def __init__(
        self,
        socketio_server: Any,
        other_asgi_app: Any = None,
        static_files: dict[str, Any] | None = None,
        socketio_path: str | None = "socket.io",
        on_startup: Callback | None = None,
        on_shutdown: Callback | None = None,
    ) -> None:
        self.engineio_server = socketio_server
        self.other_asgi_app = other_asgi_app
        self.static_files = static_files or {}
        self.engineio_path = socketio_path
        self.on_startup = on_startup
        self.on_shutdown = on_shutdown
        self.path = "/" if not (socketio_path or "").strip("/") else f"/{(socketio_path or '').strip('/')}/"
        self._everything = socketio_path is None
        self.runtime: Runtime = socketio_server.runtime
        socketio_server.mounted("asgi")
        served.add(self)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI 3 entry."""
        kind = scope["type"]
        if kind == "lifespan":
            other = None if self._everything else self.other_asgi_app
            await run_lifespan(self.engineio_server, other, self.on_startup, self.on_shutdown, scope, receive, send)
        elif self._is_ours(scope):
            await serve_request(self.runtime, scope, receive, send)
        elif kind == "http" and await self._static(scope, send):
            return
        elif self.other_asgi_app is not None:
            await self.other_asgi_app(scope, receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            await respond(send, *NOT_FOUND)

    def _is_ours(self, scope: Any) -> bool:
        """The whole path counts, as users know it, and so does what is left of it behind a mount."""
        if self._everything:
            return True
        return any(path.startswith(self.path) or path + "/" == self.path for path in own_paths(scope))

    async def _static(self, scope: Any, send: Any) -> bool:
        """Answer with a static file; False when there is none for this path."""
        if not self.static_files or scope["method"] not in ("GET", "HEAD"):
            return False
        for path in own_paths(scope):
            found = resolve(path, self.static_files)
            if found is None or not await asyncio.to_thread(Path(found.filename).is_file):
                continue
            body = await asyncio.to_thread(Path(found.filename).read_bytes)
            await respond(send, 200, found.headers(len(body)), b"" if scope["method"] == "HEAD" else body)
            return True
        return False


async def serve_request(runtime: Runtime, scope: Any, receive: Any, send: Any) -> None:
    """Serve one request or WebSocket that is the server's."""
    runtime.awaken()
    request = make_request(scope, receive, send)
    if scope["type"] == "http":
        await handle_http(runtime, request, receive, send)
    else:
        await handle_websocket(runtime, request, scope, receive, send)


async def _serve(server: Any, scope: Any, receive: Any, send: Any) -> None:
    await serve_request(server.runtime, scope, receive, send)


ASGI = Framework(_serve)


def own_paths(scope: Any) -> tuple[str, ...]:
    """The request's whole path and, under a mount, what is behind ``root_path``."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return (path, path[len(root) :]) if root and path.startswith(root + "/") else (path,)


def make_request(scope: Any, receive: Any, send: Any) -> Request:
    """The request of an ASGI scope; the application finds scope, receive and send in its environ."""
    return Request.from_pairs(
        scope.get("method", "GET"),
        scope["path"],
        scope["query_string"],
        scope["headers"],
        scheme=scope.get("scheme", "http"),
        client=tuple(scope["client"]) if scope.get("client") else None,
        server=tuple(scope["server"]) if scope.get("server") else None,
        http_version=scope.get("http_version", "1.1"),
        root_path=scope.get("root_path", ""),
        extra={"asgi.scope": scope, "asgi.receive": receive, "asgi.send": send},
    )


async def respond(send: Any, status: int, headers: Any, body: bytes) -> None:
    """Send one whole HTTP response."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})
