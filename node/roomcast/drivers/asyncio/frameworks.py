"""What serves an asyncio server: ASGI, or the HTTP server of a framework. Each is loaded when it is named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from roomcast.async_modes import Mode, load
from roomcast.errors import SettingsError

if TYPE_CHECKING:
    from roomcast.engineio.request import Request

DEFAULT_MODE = "asgi"

FRAMEWORKS: Mapping[str, Mode] = {
    "asgi": Mode("roomcast.drivers.asyncio.asgi:ASGI"),
    "aiohttp": Mode("roomcast.drivers.asyncio.aiohttp:AIOHTTP", "aiohttp"),
    "tornado": Mode("roomcast.drivers.asyncio.tornado:TORNADO", "tornado"),
    "sanic": Mode("roomcast.drivers.asyncio.sanic:SANIC", "sanic"),
}
FRONTS: Mapping[str, str] = {
    "asgi": "serve it with roomcast.ASGIApp(sio, other_asgi_app)",
    "aiohttp": "attach it to an application of aiohttp: sio.attach(app)",
    "tornado": "give Tornado its handler: Application([(r'/socket.io/', roomcast.get_tornado_handler(sio))])",
    "sanic": "attach it to an application of Sanic: sio.attach(app)",
}
"""What an application does instead, by mode."""


class Framework(msgspec.Struct, frozen=True):
    """``serve(server, *args)`` answers one request of its kind. ``attach(server, app, path)`` mounts and starts a
    server; None where the framework has other ways.
    """

    serve: Callable[..., Awaitable[Any]]
    attach: Callable[[Any, Any, str], None] | None = None


def attach(server: Any, app: Any, path: str) -> None:
    """Serve ``server`` from an application of aiohttp or Sanic; SettingsError for any other."""
    name = framework_of(app)
    if name is None:
        kind = f"{type(app).__module__}.{type(app).__qualname__}"
        raise SettingsError(f"attach() takes an application of aiohttp or Sanic, not {kind}: {FRONTS[DEFAULT_MODE]}")
    framework: Framework = load(name, FRAMEWORKS)
    if framework.attach is None:
        raise SettingsError(f"attach() takes an application of aiohttp or Sanic: {FRONTS[name]}")
    server.mounted(name)
    framework.attach(server, app, path)


def framework_of(app: Any) -> str | None:
    """The mode of an application by the package that its class comes from; imports nothing."""
    packages = (kind.__module__.partition(".")[0] for kind in type(app).__mro__)
    return next((package for package in packages if package in FRAMEWORKS), None)


async def serve(server: Any, *args: Any) -> Any:
    """Answer one request in the form of the server's mode: ``(scope, receive, send)``, or the framework's request."""
    framework: Framework = load(server.async_mode, FRAMEWORKS)
    return await framework.serve(server, *args)


def get_tornado_handler(server: Any) -> Any:
    """The class of handlers that serves ``server``, for ``tornado.web.Application([(r"/socket.io/", handler)])``.

    Tornado tells nobody when it starts and stops: ``await server.start()`` before it listens and
    ``await server.shutdown()`` when it has to stop are the application's. The first request starts it otherwise.
    Raises SettingsError (a ValueError) without Tornado.
    """
    load("tornado", FRAMEWORKS)
    server.mounted("tornado")
    # Nobody who has no Tornado gets here.
    from roomcast.drivers.asyncio.tornado import make_handler

    return make_handler(server)


def asks_for_websocket(request: Request) -> bool:
    """Whether a request is one for a WebSocket, which may be badly made all the same."""
    return (request.header(b"upgrade") or b"").lower() == b"websocket"
