"""The fast path among others: WebSockets that are left to uvicorn, mounts, proxies, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

import roomcast
from tests.support.api_client import TIMEOUT, Wire
from tests.support.inprocess import Node, Way, eventually, serve
from tests.support.raw_websocket import (
    FAST,
    LOOPS,
    RawSocket,
    echo_server,
    handshake,
)
from tests.support.tls_client import echoes_over_tls

# --- what is left to uvicorn ------------------------------------------------------------------------------------------


class OtherSockets:
    """An application with WebSockets of its own, that keeps the scopes it was given."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.ended: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket", scope["type"]
        self.scopes.append(scope)
        await receive()
        if scope["path"] == "/refused":
            await send({"type": "websocket.http.response.start", "status": 418, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"teapot"})
            return
        await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[-1]})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "close":
                await send({"type": "websocket.close", "code": 4001, "reason": "as asked"})
            else:
                await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
        self.ended.append(message)


@pytest.fixture
def other() -> OtherSockets:
    return OtherSockets()


@pytest.mark.parametrize("loop", LOOPS)
def test_other_websockets_are_uvicorns_own(loop: str, other: OtherSockets) -> None:
    async def scenario() -> None:
        app = roomcast.ASGIApp(echo_server(), other)
        async with (
            serve(app, FAST) as base,
            connect_websocket(
                base.replace("http", "ws") + "/chat?room=1",
                subprotocols=[Subprotocol("v1"), Subprotocol("v2")],
                proxy=None,
            ) as connection,
        ):
            assert connection.subprotocol == "v2"
            assert [extension.name for extension in connection.protocol.extensions] == ["permessage-deflate"]
            for message in ("text", b"bytes", "x" * 300_000):
                await connection.send(message)
                assert await connection.recv() == message
            await asyncio.wait_for(await connection.ping(), TIMEOUT)
            await connection.close(4000, "enough")
            await eventually(lambda: other.ended)
            assert other.ended[0]["code"] == 4000
            assert (other.scopes[0]["path"], other.scopes[0]["query_string"]) == ("/chat", b"room=1")

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(scenario())


async def test_an_application_closes_its_own_websocket(other: OtherSockets) -> None:
    async with (
        serve(roomcast.ASGIApp(echo_server(), other), FAST) as base,
        connect_websocket(base.replace("http", "ws") + "/", proxy=None) as connection,
    ):
        await connection.send("close")
        await connection.wait_closed()
        assert (connection.close_code, connection.close_reason) == (4001, "as asked")


async def test_an_application_refuses_its_own_websocket(other: OtherSockets) -> None:
    async with serve(roomcast.ASGIApp(echo_server(), other), FAST) as base:
        with pytest.raises(InvalidStatus) as refused:
            await connect_websocket(base.replace("http", "ws") + "/refused", proxy=None)
        assert (refused.value.response.status_code, refused.value.response.body) == (418, b"teapot")


async def test_other_websockets_side_by_side_with_ours_and_at_shutdown(other: OtherSockets) -> None:
    async with contextlib.AsyncExitStack() as clients:
        async with Node(echo_server(), FAST, app=roomcast.ASGIApp(sio := echo_server(), other)) as node:
            theirs = [
                await clients.enter_async_context(connect_websocket(node.base.replace("http", "ws") + "/", proxy=None))
                for _ in range(3)
            ]
            ours = await node.connect()
            await asyncio.gather(*(connection.send("hello") for connection in theirs))
            assert [await connection.recv() for connection in theirs] == ["hello"] * 3
            await sio.emit("e", 1)
            assert await ours.drain() == ['42["e",1]']
        assert {connection.close_code for connection in theirs} == {1012}


async def test_without_a_websocket_library_others_are_told(
    monkeypatch: pytest.MonkeyPatch, other: OtherSockets
) -> None:
    from uvicorn.protocols.websockets import auto

    monkeypatch.setattr(auto, "AutoWebSocketsProtocol", None)
    async with serve(roomcast.ASGIApp(echo_server(), other), FAST) as base:
        wire = await Wire.open(base)
        await wire.send(handshake(path="/other"))
        assert (await wire.rest()).startswith(b"HTTP/1.1 501 ")
        await wire.aclose()
        async with RawSocket.open(base) as raw:
            await raw.connected()


# --- where the server is ----------------------------------------------------------------------------------------------


async def seen_environ(
    sio: roomcast.AsyncServer, way: Way, path: str, app: Any = None, **config: Any
) -> dict[str, Any]:
    """What a connect handler sees of a WebSocket, without what cannot be compared."""
    seen: list[dict[str, Any]] = []
    sio.on("connect", lambda sid, environ: seen.append(dict(environ)))
    headers = config.pop("headers", None)
    async with Node(sio, way, app=app, **config) as node:
        await node.connect(transport="websocket", path=path, headers=headers)
    (environ,) = seen
    return {
        name: value
        for name, value in environ.items()
        if isinstance(value, str) and name not in {"REMOTE_PORT", "SERVER_PORT", "HTTP_HOST", "HTTP_SEC_WEBSOCKET_KEY"}
    }


FORWARDED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
PLACES: dict[str, tuple[Callable[[Any], Any], str, dict[str, Any]]] = {
    "plain": (roomcast.ASGIApp, "/socket.io/", {}),
    "without slash": (roomcast.ASGIApp, "/socket.io", {}),
    "mounted": (lambda sio: Starlette(routes=[Mount("/ws", roomcast.ASGIApp(sio))]), "/ws/socket.io/", {}),
    "root path": (roomcast.ASGIApp, "/socket.io/", {"root_path": "/api"}),
    "mounted under a root path": (
        lambda sio: Starlette(routes=[Mount("/ws", roomcast.ASGIApp(sio))]),
        "/ws/socket.io/",
        {"root_path": "/api"},
    ),
    "a trusted proxy": (roomcast.ASGIApp, "/socket.io/", {"headers": FORWARDED}),
    "a proxy that is not trusted": (
        roomcast.ASGIApp,
        "/socket.io/",
        {"headers": FORWARDED, "forwarded_allow_ips": "192.0.2.1"},
    ),
    "proxies switched off": (roomcast.ASGIApp, "/socket.io/", {"headers": FORWARDED, "proxy_headers": False}),
}


@pytest.mark.parametrize("place", PLACES)
async def test_both_paths_show_the_same_environ(place: str) -> None:
    make, path, config = PLACES[place]
    fast, plain = [
        await seen_environ(sio := roomcast.AsyncServer(), way, path, make(sio), **dict(config))
        for way in (FAST, Way("asgi", "uvloop"))
    ]
    assert fast == plain
    assert fast["REMOTE_ADDR"] == ("203.0.113.7" if place == "a trusted proxy" else "127.0.0.1")


def serving(sio: roomcast.AsyncServer) -> list[str]:
    """What carries the WebSockets of a server."""
    links: list[Any] = [session.link for session in sio.eio.sockets.values()]
    return [type(link.owner).__name__ for link in links]


async def test_servers_side_by_side_have_their_own_clients() -> None:
    first, second, third = echo_server(), echo_server(), echo_server()
    app = roomcast.ASGIApp(
        first,
        Starlette(routes=[Mount("/deep", roomcast.ASGIApp(third))]),
        socketio_path="one",
    )
    app = roomcast.ASGIApp(second, app, socketio_path="two")
    async with Node(first, FAST, app=app) as node:
        clients = [await node.connect(path=path) for path in ("/one/", "/two/", "/deep/socket.io/")]
        for number, sio in enumerate((first, second, third)):
            assert serving(sio) == ["SocketIOProtocol"]
            await sio.emit("you are", number)
        for number, client in enumerate(clients):
            assert await client.receive() == f'42["you are",{number}]'


async def test_what_stands_in_front_of_the_server_sees_its_websockets() -> None:
    sio = echo_server()
    server = roomcast.ASGIApp(sio)
    paths: list[str] = []

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            paths.append(scope["path"])
            if b"authorization" not in dict(scope["headers"]):
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
        await server(scope, receive, send)

    async with Node(sio, FAST, app=guard) as node:
        with pytest.raises(InvalidStatus):
            await node.websocket()
        client = await node.connect(headers={"Authorization": "yes"})
        assert await client.call("echo", 1) == "431[1]"
        assert paths == ["/socket.io/"] * 2
        assert serving(sio) == ["AsgiSocket"]


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("path", ["fast", "asgi"])
def test_over_tls(loop: str, path: str, certificate: tuple[Path, Path]) -> None:
    made, key = certificate

    async def scenario() -> None:
        sio = echo_server()
        seen: list[str] = []
        sio.on("connect", lambda sid, environ: seen.append(environ["wsgi.url_scheme"]))
        context = ssl.create_default_context(cafile=made)
        app = roomcast.ASGIApp(sio)
        async with serve(app, Way(path, loop), ssl_certfile=str(made), ssl_keyfile=str(key)) as base:
            url = await echoes_over_tls(base.replace("http", "https"), sio, context)
            assert seen == ["https"]
            with pytest.raises(InvalidStatus):
                await connect_websocket(url.replace("EIO=4", "EIO=3"), ssl=context, proxy=None)

    complaints: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
        runner.run(scenario())
    assert complaints == []
