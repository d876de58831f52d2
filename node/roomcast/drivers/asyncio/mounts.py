"""Where in a uvicorn application the Socket.IO servers are, so that the fast path can serve their WebSockets.

The search goes only through what cannot refuse or change a request: uvicorn's own proxy headers, a server's
``other_asgi_app``, and the mounts of a Starlette or FastAPI application without middleware, none of them a subclass
that is called differently. A server behind anything else is served by the ordinary ASGI path: slower, and with all
that is in front of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import msgspec
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from roomcast.drivers.asyncio.asgi import ASGIApp
from roomcast.engineio.request import Request

if TYPE_CHECKING:
    from uvicorn.config import Config

    from roomcast.drivers.asyncio.runtime import Runtime

# Who may call a router: nobody else's ``__call__`` can have checked anything first.
_ROUTING = frozenset({"starlette.applications", "starlette.routing", "fastapi.applications", "fastapi.routing"})
_FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto")


class Route(msgspec.Struct, frozen=True, eq=False):
    """A server and where it is: ``path`` begins and ends with a slash; ``root_path`` is the mount in front of it."""

    path: str
    root_path: str
    runtime: Runtime

    def matches(self, path: str) -> bool:
        """Whether a request for this path is the server's; the last slash may be missing."""
        return path.startswith(self.path) or path + "/" == self.path


_routes: WeakKeyDictionary[Any, list[Route]] = WeakKeyDictionary()


def find_routes(config: Config) -> list[Route]:
    """The servers of an application, in the order in which they are asked."""
    found = _routes.get(config)
    if found is None:
        app: Any = config.loaded_app
        if config.proxy_headers and isinstance(app, ProxyHeadersMiddleware):
            app = app.app  # uvicorn's own; see own_proxies()
        found = _routes[config] = list(_walk(app, ""))
    return found


def _walk(app: Any, root: str) -> Iterator[Route]:
    called = type(app).__call__
    if called is ASGIApp.__call__:
        yield Route(root + app.path, root, app.runtime)
        if app.other_asgi_app is not None:
            yield from _walk(app.other_asgi_app, root)
    elif getattr(called, "__module__", "") in _ROUTING and not getattr(app, "user_middleware", None):
        yield from _walk_router(getattr(app, "router", app), root)


def _walk_router(router: Any, root: str) -> Iterator[Route]:
    """The servers that are mounted; whoever was mounted earlier keeps all paths of its mount."""
    called = type(router).__call__
    if called.__module__ not in _ROUTING or getattr(router, "middleware_stack", None) != getattr(router, "app", None):
        return
    taken: tuple[str, ...] = ()
    for route in router.routes:
        if type(route).__name__ == "Mount" and "{" not in route.path:
            for found in _walk(route.app, root + route.path):
                if not found.path.startswith(taken):
                    yield found
            taken += (root + route.path + "/",)
        elif not hasattr(route, "methods"):
            return  # it may want what comes after it: a WebSocket route, a host, a path with parameters


async def _nothing(*_: Any) -> None:
    """Stands for the application behind the proxy middleware."""


def own_proxies(config: Config, request: Request) -> Request:
    """The request as uvicorn's ``--proxy-headers`` shows it: the client's address, where a trusted proxy told it."""
    if not config.proxy_headers or all(request.header(name) is None for name in _FORWARDED):
        return request
    scope: dict[str, Any] = {
        "type": "websocket",
        "client": request.client,
        "scheme": request.scheme,
        "headers": request.headers(),
    }
    middleware = ProxyHeadersMiddleware(_nothing, trusted_hosts=config.forwarded_allow_ips or "127.0.0.1")
    step = middleware(scope, None, None)  # type: ignore[arg-type]  # as above
    try:
        step.send(None)  # it never waits: what it calls is _nothing
    except StopIteration:
        pass
    return msgspec.structs.replace(request, client=scope["client"], scheme=scope["scheme"])
