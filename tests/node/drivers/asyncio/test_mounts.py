"""Whose WebSockets the fast path may take: those of servers that nothing stands in front of."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import roomcast
from roomcast.drivers.asyncio.mounts import find_routes, own_proxies
from roomcast.engineio.request import Request


def server(**options: Any) -> roomcast.ASGIApp:
    return roomcast.ASGIApp(roomcast.AsyncServer(), **options)


def config_of(app: Any, **options: Any) -> Config:
    config = Config(app, log_config=None, **options)
    config.load()
    return config


def found(app: Any, **options: Any) -> list[tuple[str, str]]:
    return [(route.path, route.root_path) for route in find_routes(config_of(app, **options))]


async def endpoint(request: Any) -> PlainTextResponse:
    raise AssertionError(request)


async def opaque(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError((scope, receive, send))


class Guard:
    """Middleware as people write it by hand."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def test_the_server_alone() -> None:
    assert found(server()) == [("/socket.io/", "")]
    assert found(server(), proxy_headers=False) == [("/socket.io/", "")]


@pytest.mark.parametrize("path", [None, "", "/"])
def test_a_server_for_every_path(path: str | None) -> None:
    assert found(server(socketio_path=path)) == [("/", "")]


def test_servers_inside_servers_are_asked_in_order() -> None:
    inner = server(socketio_path="inner")
    assert found(server(other_asgi_app=inner)) == [("/socket.io/", ""), ("/inner/", "")]


def test_an_application_without_a_server() -> None:
    assert found(opaque) == []


def test_another_application_behind_the_server_may_be_anything() -> None:
    assert found(server(other_asgi_app=opaque)) == [("/socket.io/", "")]


def test_mounts_of_starlette() -> None:
    app = Starlette(
        routes=[
            Route("/page", endpoint),
            Mount("/static", opaque),
            Mount("/chat", server()),
            Mount("/deep", routes=[Mount("/er", server(socketio_path="live"))]),
        ]
    )
    assert found(app) == [("/chat/socket.io/", "/chat"), ("/deep/er/live/", "/deep/er")]


def test_mounts_of_fastapi() -> None:
    app = FastAPI()
    app.get("/page")(endpoint)
    app.mount("/", server())
    assert found(app) == [("/socket.io/", "")]


def test_fastapi_behind_the_server_is_searched_too() -> None:
    app = FastAPI()
    app.mount("/inner", server())
    assert found(server(other_asgi_app=app)) == [("/socket.io/", ""), ("/inner/socket.io/", "/inner")]


def starlette_with_middleware() -> Any:
    return Starlette(routes=[Mount("/", server())], middleware=[Middleware(GZipMiddleware)])


def fastapi_with_middleware() -> Any:
    app = FastAPI()
    app.mount("/", server())
    app.add_middleware(GZipMiddleware)
    return app


def subclassed_starlette() -> Any:
    class Checked(Starlette):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)

    return Checked(routes=[Mount("/", server())])


def subclassed_server() -> Any:
    class Checked(roomcast.ASGIApp):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)

    return Checked(roomcast.AsyncServer())


FRONTS: dict[str, Callable[[], Any]] = {
    "a class of one's own": lambda: Guard(server()),
    "a function": lambda: lambda scope, receive, send: server()(scope, receive, send),
    "Starlette's middleware": starlette_with_middleware,
    "FastAPI's middleware": fastapi_with_middleware,
    "middleware of a mount": lambda: Starlette(
        routes=[Mount("/", server(), middleware=[Middleware(GZipMiddleware)])],
    ),
    "middleware of a router": lambda: Router(routes=[Mount("/", server())], middleware=[Middleware(GZipMiddleware)]),
    "middleware of a router inside": lambda: Starlette(
        routes=[Mount("/", Router(routes=[Mount("/", server())], middleware=[Middleware(GZipMiddleware)]))],
    ),
    "a Starlette that checks by itself": subclassed_starlette,
    "a server that checks by itself": subclassed_server,
    "proxy headers of the application's own": lambda: ProxyHeadersMiddleware(server(), trusted_hosts="*"),
    "a host": lambda: Starlette(routes=[Host("chat.example.org", server())]),
    "a path with a parameter": lambda: Starlette(routes=[Mount("/{tenant}", server())]),
}


@pytest.mark.parametrize("front", FRONTS)
def test_what_stands_in_front_keeps_the_server_off_the_fast_path(front: str) -> None:
    assert found(FRONTS[front]()) == []


def test_a_websocket_route_comes_before_what_follows_it() -> None:
    async def socket(websocket: WebSocket) -> None:
        raise AssertionError(websocket)

    first, second = Mount("/first", server()), Mount("/", server())
    route = WebSocketRoute("/{anything:path}", socket)
    assert found(Starlette(routes=[first, route, second])) == [("/first/socket.io/", "/first")]


def test_an_earlier_mount_keeps_its_paths() -> None:
    """Starlette gives a request to the first mount that matches, whatever that does with it."""
    assert found(Starlette(routes=[Mount("/", opaque), Mount("/chat", server())])) == []
    assert found(Starlette(routes=[Mount("/chat", opaque), Mount("/chat", server())])) == []
    assert found(Starlette(routes=[Mount("/chat", opaque), Mount("/", server(socketio_path="chat/io"))])) == []
    routes = [Mount("/cha", opaque), Mount("/chat", server())]
    assert found(Starlette(routes=routes)) == [("/chat/socket.io/", "/chat")]
    routes = [Mount("/chat", server(socketio_path="one")), Mount("/chat", server(socketio_path="two"))]
    assert found(Starlette(routes=routes)) == [("/chat/one/", "/chat")]


def test_dependencies_of_fastapi_do_not_reach_mounts() -> None:
    app = FastAPI(dependencies=[Depends(endpoint)])
    app.mount("/", server())
    assert found(app) == [("/socket.io/", "")]


@pytest.mark.parametrize(
    ("path", "ours"),
    [("/socket.io/", True), ("/socket.io", True), ("/socket.io/x", True), ("/socket.iox", False), ("/", False)],
)
def test_which_paths_are_the_servers(path: str, ours: bool) -> None:
    (route,) = find_routes(config_of(server()))
    assert route.matches(path) is ours


def test_the_search_is_made_once_and_forgotten_with_the_configuration() -> None:
    config = config_of(server())
    assert find_routes(config) is find_routes(config)
    kept = weakref.ref(config)
    del config
    gc.collect()
    assert kept() is None


# --- proxies ----------------------------------------------------------------------------------------------------------


def request_with(*headers: tuple[bytes, bytes], client: tuple[str, int] | None = ("127.0.0.1", 5)) -> Request:
    return Request.from_pairs("GET", "/socket.io/", b"", headers, scheme="ws", client=client)


FORWARDED = ((b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https"))


def test_a_trusted_proxy_tells_the_client_and_the_scheme() -> None:
    request = own_proxies(config_of(server()), request_with(*FORWARDED))
    assert (request.client, request.scheme) == (("203.0.113.7", 0), "wss")


@pytest.mark.parametrize(
    ("options", "client"),
    [
        ({"forwarded_allow_ips": "192.0.2.1"}, ("127.0.0.1", 5)),
        ({"proxy_headers": False}, ("127.0.0.1", 5)),
        ({}, ("198.51.100.9", 5)),
        ({}, None),
    ],
    ids=["another proxy", "switched off", "a stranger", "a Unix socket"],
)
def test_strangers_are_not_believed(options: dict[str, Any], client: tuple[str, int] | None) -> None:
    request = request_with(*FORWARDED, client=client)
    seen = own_proxies(config_of(server(), **options), request)
    assert (seen.client, seen.scheme) == (client, "ws")


def test_without_forwarded_headers_the_request_stays_the_same_object() -> None:
    request = request_with((b"host", b"example.org"))
    assert own_proxies(config_of(server()), request) is request
