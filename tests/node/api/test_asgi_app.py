"""``ASGIApp``: which path goes where, static files, both lifespans, mounting, and paths that nobody serves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import fastapi
import pytest
import websockets
from starlette.applications import Starlette
from starlette.routing import Mount

import roomcast
from tests.support.api_client import HANDSHAKE, get, request
from tests.support.inprocess import Node, Way, serve

differs = pytest.mark.differs
Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


class Other:
    """Another ASGI application: answers every path, and writes down its lifespan."""

    def __init__(self) -> None:
        self.lifespan: list[str] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                self.lifespan.append(message["type"].removeprefix("lifespan."))
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": f"other {scope['path']}"})
            await send({"type": "websocket.close", "code": 1000})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": f"other {scope['path']}".encode()})


@pytest.mark.parametrize("path", ["/socket.io/", "/socket.io", "/socket.io/anything"])
async def test_the_socket_io_path(flavour: Way, path: str) -> None:
    sio = roomcast.AsyncServer()
    async with serve(roomcast.ASGIApp(sio, Other()), flavour) as base:
        response = await get(base, path, params=HANDSHAKE)
        assert response.status_code == 200
        assert response.text.startswith('0{"sid":"')


@pytest.mark.parametrize("path", ["/", "/socket.iox/", "/x/socket.io/", "/engine.io/", "/SOCKET.IO/"])
async def test_other_paths_go_to_the_other_application(flavour: Way, path: str) -> None:
    async with serve(roomcast.ASGIApp(roomcast.AsyncServer(), Other()), flavour) as base:
        response = await get(base, path, params=HANDSHAKE)
        assert response.text == f"other {path}"


@pytest.mark.parametrize("socketio_path", ["live", "/live", "live/", "/live/", "deep/er/live"])
async def test_a_path_of_ones_own(flavour: Way, socketio_path: str) -> None:
    app = roomcast.ASGIApp(roomcast.AsyncServer(), Other(), socketio_path=socketio_path)
    async with serve(app, flavour) as base:
        response = await get(base, "/" + socketio_path.strip("/") + "/", params=HANDSHAKE)
        assert response.text.startswith("0{")
        assert (await get(base, "/socket.io/", params=HANDSHAKE)).text == "other /socket.io/"


async def test_without_a_path_everything_is_socket_io(flavour: Way) -> None:
    app = roomcast.ASGIApp(roomcast.AsyncServer(), Other(), socketio_path=None)
    async with serve(app, flavour) as base:
        for path in ("/", "/anything/", "/socket.io/"):
            assert (await get(base, path, params=HANDSHAKE)).text.startswith("0{")


async def test_websockets_of_the_other_application_are_its_own(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour, app=roomcast.ASGIApp(sio, Other())) as node:
        async with websockets.connect(node.base.replace("http", "ws") + "/their/ws", proxy=None) as connection:
            assert await connection.recv() == "other /their/ws"
        await node.connect()


@differs
async def test_a_websocket_that_nobody_serves_is_refused_without_a_server_error(flavour: Way) -> None:
    async with serve(roomcast.ASGIApp(roomcast.AsyncServer()), flavour) as base:
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            async with websockets.connect(base.replace("http", "ws") + "/nothing", proxy=None):
                pytest.fail("accepted")
        assert refused.value.response.status_code in {403, 404}


async def test_a_request_that_nobody_serves_is_not_found(flavour: Way) -> None:
    async with serve(roomcast.ASGIApp(roomcast.AsyncServer()), flavour) as base:
        response = await get(base, "/nothing")
        assert (response.status_code, response.text) == (404, "Not Found")
        assert response.headers["content-type"].startswith("text/plain")


async def test_a_missing_file_is_left_to_the_other_application(flavour: Way, tmp_path: Path) -> None:
    (tmp_path / "app.js").write_text("<app.js>")
    app = roomcast.ASGIApp(roomcast.AsyncServer(), Other(), static_files={"/static": str(tmp_path)})
    async with serve(app, flavour) as base:
        assert (await get(base, "/static/app.js")).text == "<app.js>"
        assert (await get(base, "/static/missing.js")).text == "other /static/missing.js"


# ------------------------------------------------------------------------------------------------ lifespan


@pytest.mark.parametrize("colour", ["plain", "coroutine"])
async def test_start_up_and_shutdown_callbacks(flavour: Way, colour: str) -> None:
    seen: list[str] = []

    def plain(name: str) -> Callable[[], None]:
        return lambda: seen.append(name)

    def coroutine(name: str) -> Callable[[], Awaitable[None]]:
        async def callback() -> None:
            await asyncio.sleep(0)
            seen.append(name)

        return callback

    make: Callable[[str], Any] = plain if colour == "plain" else coroutine
    app = roomcast.ASGIApp(roomcast.AsyncServer(), on_startup=make("start"), on_shutdown=make("stop"))
    async with serve(app, flavour):
        assert seen == ["start"]
    assert seen == ["start", "stop"]


async def test_the_other_applications_lifespan_runs(flavour: Way) -> None:
    other = Other()
    async with serve(roomcast.ASGIApp(roomcast.AsyncServer(), other), flavour):
        assert other.lifespan == ["startup"]
    assert other.lifespan == ["startup", "shutdown"]


@differs
@pytest.mark.parametrize("given", [("on_startup",), ("on_shutdown",), ("on_startup", "on_shutdown")])
async def test_both_lifespans_run(flavour: Way, given: tuple[str, ...]) -> None:
    other = Other()
    seen: list[str] = []
    callbacks: dict[str, Any] = {name: (lambda name=name: seen.append(name)) for name in given}
    app = roomcast.ASGIApp(roomcast.AsyncServer(), other, **callbacks)
    async with serve(app, flavour):
        pass
    assert other.lifespan == ["startup", "shutdown"]
    assert seen == list(given)


@pytest.mark.parametrize("when", ["startup", "shutdown"])
async def test_an_exception_in_a_callback_fails_the_lifespan(when: str) -> None:
    def failing() -> None:
        raise LookupError("application")

    callbacks: dict[str, Any] = {f"on_{when}": failing}
    app = roomcast.ASGIApp(roomcast.AsyncServer(), **callbacks)
    sent: list[str] = []
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message["type"])

    scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
    await asyncio.wait_for(app(scope, receive, send), 5)
    assert f"lifespan.{when}.failed" in sent


async def test_an_other_application_without_lifespan_is_no_obstacle(flavour: Way) -> None:
    async def other(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    sio = roomcast.AsyncServer()
    async with Node(sio, flavour, app=roomcast.ASGIApp(sio, other), lifespan="auto") as node:
        assert (await get(node.base, "/x")).status_code == 204
        await node.connect()


# ------------------------------------------------------------------------------------------------ mounting


async def test_mounted_under_a_path_with_the_whole_path_given(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    app = Starlette(routes=[Mount("/ws", app=roomcast.ASGIApp(sio, socketio_path="/ws/socket.io"))])
    async with Node(sio, flavour, app=app) as node:
        client = await node.connect(path="/ws/socket.io/")
        await sio.emit("e", 1)
        assert await client.drain() == ['42["e",1]']
        assert (await get(node.base, "/ws/socket.io/", params=HANDSHAKE)).status_code == 200


@differs
async def test_mounted_under_a_path_without_giving_it(way: Way) -> None:
    sio = roomcast.AsyncServer()
    app = fastapi.FastAPI()
    app.mount("/ws", roomcast.ASGIApp(sio))
    async with Node(sio, way, app=app) as node:
        client = await node.connect(path="/ws/socket.io/")
        await sio.emit("e", 1)
        assert await client.drain() == ['42["e",1]']


async def test_fastapi_as_the_other_application(way: Way) -> None:
    sio = roomcast.AsyncServer()
    app = fastapi.FastAPI()

    @app.get("/hello")
    async def hello() -> dict[str, int]:
        await sio.emit("hello", 1)
        return {"a": 1}

    async with Node(sio, way, app=roomcast.ASGIApp(sio, app)) as node:
        client = await node.connect()
        assert (await get(node.base, "/hello")).json() == {"a": 1}
        assert await client.drain() == ['42["hello",1]']


async def test_behind_a_root_path(flavour: Way) -> None:
    """A proxy that strips a prefix and says so (``--root-path``)."""
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour, root_path="/api") as node:
        # uvicorn puts the prefix in front of scope["path"], as the ASGI specification wants it
        assert (await get(node.base, "/socket.io/", params=HANDSHAKE)).status_code in {200, 404}
        app = roomcast.ASGIApp(sio, socketio_path="/api/socket.io")
    async with Node(sio, flavour, app=app, root_path="/api") as node:
        await node.connect()


async def test_methods_that_are_none(flavour: Way) -> None:
    async with serve(roomcast.ASGIApp(roomcast.AsyncServer()), flavour) as base:
        for method in ("PUT", "DELETE", "PATCH"):
            response = await request(method, base, params=HANDSHAKE)
            assert response.status_code in {400, 405}
