"""What only aiohttp does. What it has in common with the others is in test_frameworks.py."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import roomcast
from roomcast.drivers.asyncio.aiohttp import Watch
from tests.support.api_client import PollingClient, Wire
from tests.support.framework_servers import InsideNode, serve_aiohttp, serve_inside
from tests.support.inprocess import eventually
from tests.support.raw_http import request
from tests.support.raw_websocket import RawSocket, echo_server, handshake

POLLING = "EIO=4&transport=polling"


async def serving(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_what_a_middleware_finds_out_about_the_client_holds() -> None:
    sio = echo_server(drain_seconds=0)
    seen: list[tuple[str, str, str]] = []

    @sio.event
    def connect(sid: str, environ: dict[str, Any]) -> None:
        seen.append((environ["REMOTE_ADDR"], environ["REMOTE_PORT"], environ["wsgi.url_scheme"]))

    @web.middleware
    async def proxied(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request.clone(remote="192.0.2.7", scheme="https"))
        return response

    app = web.Application(middlewares=[proxied])
    sio.attach(app)
    runner, base = await serving(app)
    async with RawSocket.open(base) as raw:
        await raw.connected()
    assert seen == [("192.0.2.7", "0", "https")]
    await runner.cleanup()


async def test_a_middleware_sees_websockets_and_may_refuse_them() -> None:
    sio = echo_server(drain_seconds=0)
    statuses: list[int] = []

    @web.middleware
    async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
        if "forbidden" in request.query:
            raise web.HTTPForbidden
        response: web.StreamResponse = await handler(request)
        statuses.append(response.status)
        return response

    app = web.Application(middlewares=[guard])
    sio.attach(app)
    runner, base = await serving(app)
    async with RawSocket.open(base) as raw:
        await raw.connected()
    assert statuses == [101]
    wire = await Wire.open(base)
    await wire.send(handshake("EIO=4&transport=websocket&forbidden=1"))
    assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 403 ")
    await wire.aclose()
    await runner.cleanup()


async def test_the_request_in_the_environ_still_knows_its_transport() -> None:
    sio = echo_server(drain_seconds=0)
    seen: list[web.Request] = []
    sio.on("connect", lambda sid, environ: seen.append(environ["aiohttp.request"]))
    async with InsideNode(sio, "aiohttp") as node:
        client = await node.connect(transport="websocket")
        shown: Any = seen[0].transport
        assert shown.get_extra_info("peername")[0] == "127.0.0.1"
        shown.close()
        assert not shown.is_closing()
        assert await client.call("echo", 1, id=1) == "431[1]"


async def test_paths_and_applications_inside_others() -> None:
    sio = echo_server(drain_seconds=0)
    inner, outer = web.Application(), web.Application()
    sio.attach(inner, "/live/")
    outer.add_subapp("/below/", inner)
    everything = web.Application()
    other = echo_server(drain_seconds=0)
    other.attach(everything, "")
    for app, path in ((outer, "/below/live/"), (everything, "/any/where")):
        runner, base = await serving(app)
        assert (await request(f"{base}{path}?{POLLING}")).text.startswith("0{")
        assert (await request(f"{base}/elsewhere/?{POLLING}")).status == (404 if app is outer else 200)
        await runner.cleanup()


async def test_a_unix_socket(tmp_path: Path) -> None:
    sio = echo_server(drain_seconds=0)
    app = web.Application()
    sio.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "s")).start()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
    raw = RawSocket(Wire(reader, writer))
    await raw.wire.send(handshake())
    await raw.wire.until(b"\r\n\r\n")
    await raw.connected()
    await raw.wire.aclose()
    await runner.cleanup()


async def test_a_body_that_is_no_http_ends_the_session() -> None:
    """aiohttp's parser may tell nobody, and then it is too slow."""
    sio = echo_server(drain_seconds=0, body_timeout=0.2)
    reasons: list[str] = []
    sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    async with InsideNode(sio, "aiohttp") as node:
        client = await node.polling()
        await client.connect()
        wire = await Wire.open(node.base)
        target = f"/socket.io/?{POLLING}&sid={client.engine_sid}"
        await wire.send(f"POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        session: Any = next(iter(sio.node.engine.sessions.values()))
        await eventually(lambda: session.polling.posting)
        await wire.send(b"nonsense\r\n")
        assert (await wire.until(b"\r\n\r\n")).startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 "))
        await wire.aclose()
        await eventually(lambda: len(reasons) == 1)


def test_what_transports_tell_during_a_poll_goes_through() -> None:
    told: list[str] = []

    class Theirs(asyncio.Protocol):
        def pause_writing(self) -> None:
            told.append("pause")

        def resume_writing(self) -> None:
            told.append("resume")

        def eof_received(self) -> bool:
            told.append("eof")
            return True

        def data_received(self, data: bytes) -> None:
            told.append(data.decode())

        def connection_lost(self, exc: Exception | None) -> None:
            told.append("lost")

    watch = Watch(Theirs())
    watch.pause_writing()
    watch.resume_writing()
    watch.data_received(b"data")
    assert watch.eof_received() is True
    assert not watch.lost.is_set()
    watch.connection_lost(None)
    assert watch.lost.is_set()
    assert told == ["pause", "resume", "data", "eof", "lost"]


async def test_what_comes_during_a_poll_is_aiohttps() -> None:
    """The next request on the same connection, sent before the poll is answered."""
    sio = echo_server(drain_seconds=0)
    async with InsideNode(sio, "aiohttp") as node:
        client = await node.polling()
        await client.connect()
        wire = await Wire.open(node.base)
        await wire.send(f"GET /socket.io/?{POLLING}&sid={client.engine_sid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await eventually(lambda: sio.census()["polls"])
        await wire.send(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        await sio.emit("news", 1)
        assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert (await wire.until(b"HTTP/1.1 404 ")).startswith(b'42["news",1]')
        await wire.aclose()


@pytest.mark.parametrize("cancelling", [False, True])
async def test_clients_that_go_with_and_without_cancelled_handlers(cancelling: bool) -> None:
    """``handler_cancellation`` is an option of aiohttp's: then whoever answers is cancelled when its client goes."""
    sio = echo_server(drain_seconds=0)
    async with serve_inside("aiohttp", sio, handler_cancellation=cancelling) as base:
        async with RawSocket.open(base) as raw:
            await raw.connected()
        client = await PollingClient.open(base)
        await client.connect()
        wire = await Wire.open(base)
        await wire.send(f"GET /socket.io/?{POLLING}&sid={client.engine_sid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await eventually(lambda: sio.census()["polls"])
        await wire.aclose()
        await client.aclose()
        await eventually(lambda: not any(sio.census().values()))


async def test_stopping_waits_for_no_websocket_of_ours() -> None:
    sio = roomcast.AsyncServer(drain_seconds=0)
    sock = socket.create_server(("127.0.0.1", 0))
    began = asyncio.get_running_loop().time()
    async with serve_aiohttp(sio, "socket.io", sock, None, shutdown_timeout=60):
        raw = RawSocket.open(f"http://127.0.0.1:{sock.getsockname()[1]}")
        await raw.__aenter__()
    assert asyncio.get_running_loop().time() - began < 30
    await raw.__aexit__(None, None, None)
