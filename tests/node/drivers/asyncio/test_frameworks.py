"""What is the same inside aiohttp, Tornado and Sanic, and which of them serves what."""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tornado.web import Application

import roomcast
from roomcast.drivers.asyncio.frameworks import FRAMEWORKS, framework_of
from roomcast.engine import EngineServer
from roomcast.engine import get_tornado_handler as get_engine_handler
from roomcast.errors import SettingsError
from tests.support.api_client import Wire
from tests.support.framework_servers import SERVE, InsideNode, serve_inside
from tests.support.inprocess import eventually, serve
from tests.support.masked import masked_frame
from tests.support.raw_http import Exchange, request
from tests.support.raw_websocket import CLOSE, FAST, TEXT, RawSocket, echo_server, handshake, on_every_loop
from tests.support.tls_client import echoes_over_tls

everywhere = pytest.mark.parametrize("framework", SERVE)
POLLING = "EIO=4&transport=polling"
OWN_HEADERS = {"date", "server", "connection", "alt-svc", "content-length"}
"""What HTTP servers add, and what depends on the name of a session."""


def quick_server(**options: Any) -> roomcast.AsyncServer:
    """It echoes, and ends at once."""
    return echo_server(drain_seconds=0, **options)


def leavers(sio: roomcast.AsyncServer) -> list[str]:
    reasons: list[str] = []
    sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    return reasons


# --- conversations ----------------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_conversation(framework: str, transport: str) -> None:
    sio = quick_server()
    reasons = leavers(sio)
    async with InsideNode(sio, framework, transport) as node:
        client = await node.connect()
        assert await client.call("echo", "é", id=3) == '433["é"]'
        await sio.emit("news", b"\x01", to=client.sid)
        assert [await client.receive(), await client.receive()] == [
            '451-["news",{"_placeholder":true,"num":0}]',
            b"\x01",
        ]
        assert sio.transport(client.sid) == transport
        assert sio.async_mode == sio.eio.async_mode == framework
        await client.send("41")
        await eventually(lambda: reasons == ["client disconnect"])
        await client.send("1")
        await client.rest()
        await node.empty()


@everywhere
async def test_an_upgrade(framework: str) -> None:
    sio = quick_server()
    async with InsideNode(sio, framework) as node:
        polling = await node.polling()
        await polling.connect()
        websocket = await polling.upgrade()
        assert await websocket.call("echo", 1, id=2) == "432[1]"
        await websocket.aclose()
        await node.empty()


@everywhere
async def test_what_a_connect_handler_is_given(framework: str) -> None:
    seen: list[dict[str, Any]] = []
    sio = quick_server()
    sio.on("connect", lambda sid, environ: seen.append(environ))
    async with InsideNode(sio, framework) as node:
        await node.connect(transport="polling")
        await node.connect(transport="websocket")
        host, _, port = node.base.removeprefix("http://").partition(":")
        assert len(seen) == 2
        for environ in seen:
            assert environ[f"{framework}.{'handler' if framework == 'tornado' else 'request'}"] is not None
            assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"], environ["SERVER_PORT"]) == (host, host, port)
            assert environ["PATH_INFO"] == "/socket.io/"
            assert environ["HTTP_HOST"] == f"{host}:{port}"
            assert int(environ["REMOTE_PORT"]) > 0
            assert environ["wsgi.url_scheme"] == "http"
            assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
            assert "EIO=4" in environ["QUERY_STRING"]


@everywhere
@on_every_loop
async def test_frames_right_behind_the_request(framework: str) -> None:
    frames = masked_frame(TEXT, b"40") + masked_frame(TEXT, b'421["echo",1]')
    async with serve_inside(framework, quick_server()) as base, RawSocket.open(base, handshake() + frames) as raw:
        assert (await raw.text()).startswith("0{")
        assert (await raw.text()).startswith("40{")
        assert await raw.text() == "431[1]"


@everywhere
@on_every_loop
async def test_messages_larger_than_every_buffer(framework: str) -> None:
    async with InsideNode(quick_server(max_http_buffer_size=5_000_000), framework) as node:
        client = await node.connect()
        text = "x" * 4_000_000
        assert await client.call("echo", text, id=3) == f'433["{text}"]'


@everywhere
async def test_in_order(framework: str) -> None:
    sio = quick_server(async_handlers=False)
    ended: list[int] = []

    @sio.event
    async def work(sid: str, number: int) -> None:
        await asyncio.sleep(0)
        ended.append(number)

    async with serve_inside(framework, sio) as base:
        frames = [masked_frame(TEXT, f'42["work",{number}]'.encode()) for number in range(50)]
        async with RawSocket.open(base, b"".join((handshake(), masked_frame(TEXT, b"40"), *frames))):
            await eventually(lambda: ended == list(range(50)))


@everywhere
@on_every_loop
async def test_over_tls(framework: str, certificate: tuple[Path, Path]) -> None:
    made, key = certificate
    sio = quick_server()
    seen: list[str] = []
    sio.on("connect", lambda sid, environ: seen.append(environ["wsgi.url_scheme"]))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(made, key)
    trust = ssl.create_default_context(cafile=made)
    async with serve_inside(framework, sio, tls=tls) as base:
        await echoes_over_tls(base, sio, trust)
        assert seen == ["https"]
        await eventually(lambda: not any(sio.census().values()))


# --- ends -------------------------------------------------------------------------------------------------------------


@everywhere
@on_every_loop
async def test_every_way_in_which_a_websocket_ends(framework: str) -> None:
    sio = quick_server()
    reasons = leavers(sio)
    async with InsideNode(sio, framework) as node:
        async with RawSocket.open(node.base) as raw:
            await raw.connected()
            await raw.send(masked_frame(CLOSE, b"\x03\xe8bye"))
            assert (await raw.frame())[0] == 0x80 | CLOSE
            assert await raw.wire.rest() == b""
        await eventually(lambda: reasons == ["transport close"])
        async with RawSocket.open(node.base) as raw:
            await raw.connected()
            await sio.eio.disconnect()
            assert await raw.frame() == (0x80 | CLOSE, b"")
            await raw.send(masked_frame(CLOSE))
            assert await raw.wire.reader.read() == b""
        await eventually(lambda: reasons == ["transport close", "server disconnect"])
        async with RawSocket.open(node.base) as raw:
            await raw.connected()
            await raw.send(masked_frame(TEXT, b'42["echo","half a frame"]')[:12])
        await eventually(lambda: len(reasons) == 3)
        await node.empty()


@everywhere
async def test_stopping_tells_clients_to_come_back(framework: str) -> None:
    sio = quick_server()
    reasons = leavers(sio)
    async with InsideNode(sio, framework) as node:
        polling = await node.polling()
        await polling.connect()
        waiting = asyncio.ensure_future(polling.rest())
        raw = RawSocket.open(node.base)
        socket = await raw.__aenter__()
        await socket.connected()
        await eventually(lambda: sio.census()["polls"])
        stopping = asyncio.ensure_future(sio.shutdown())
        first, payload = await socket.frame()
        assert (first, int.from_bytes(payload[:2], "big")) == (0x80 | CLOSE, 1012)
        await socket.send(masked_frame(CLOSE, payload))
        await stopping
        await waiting
        await raw.__aexit__(None, None, None)
    assert reasons == ["server shutting down"] * 2
    assert not any(sio.census().values())


# --- requests that may not come in ------------------------------------------------------------------------------------

REQUESTS: dict[str, tuple[str, str]] = {
    "an unknown session": ("GET", f"/socket.io/?{POLLING}&sid=nobody"),
    "an old protocol": ("GET", "/socket.io/?EIO=3&transport=polling"),
    "an unknown transport": ("GET", "/socket.io/?EIO=4&transport=pigeon"),
    "a POST that opens": ("POST", f"/socket.io/?{POLLING}"),
    "another method": ("DELETE", f"/socket.io/?{POLLING}"),
    "no upgrade": ("GET", "/socket.io/?EIO=4&transport=websocket"),
    "a preflight": ("OPTIONS", f"/socket.io/?{POLLING}"),
    "a HEAD": ("HEAD", f"/socket.io/?{POLLING}"),
    "no slash": ("GET", f"/socket.io?{POLLING}"),
    "below": ("GET", f"/socket.io/x/y?{POLLING}&sid=nobody"),
}
ORIGIN = ("Origin", "https://app.example")


@everywhere
async def test_requests_are_answered_as_under_asgi(framework: str) -> None:
    options: dict[str, Any] = {"cors_allowed_origins": ["https://app.example"], "cookie": "io", "tag": "node"}
    async with (
        serve(roomcast.ASGIApp(quick_server(**options)), FAST) as asgi,
        serve_inside(framework, quick_server(**options)) as inside,
    ):
        for why, (method, target) in REQUESTS.items():
            found = []
            for base in (asgi, inside):
                answer = await request(base + target, method, headers=[ORIGIN])
                kept = [(name, value) for name, value in answer.headers if name not in {*OWN_HEADERS, "set-cookie"}]
                cookies = sum(name == "set-cookie" for name, _ in answer.headers)
                body = {} if answer.body.startswith(b"0{") else answer.body
                found.append((answer.status, sorted(kept), cookies, body))
            assert found[0] == found[1], why


@everywhere
@pytest.mark.parametrize(
    "why", [{"Sec_WebSocket_Version": "8"}, {"Origin": "https://evil.example"}, {"Connection": "close"}]
)
async def test_refused_handshakes_are_whole_answers(framework: str, why: dict[str, str]) -> None:
    sio = quick_server()
    async with InsideNode(sio, framework) as node:
        wire = await Wire.open(node.base)
        await wire.send(handshake(**why))
        head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
        await wire.aclose()
        assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 426 "))
        assert b"content-length: %d\r\n" % len(body) in head.lower() + b"\r\n"
        assert sum(sio.counters.refused.values()) == 1
        await node.empty()


# --- bodies -----------------------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize(
    ("headers", "status", "label"),
    [
        ({"Content-Length": "101"}, 413, "body_too_large"),
        ({"Content-Length": "5", "Content-Encoding": "gzip"}, 415, "content_encoding"),
        ({"Content-Length": "5"}, 408, "body_too_slow"),
        ({"Transfer-Encoding": "chunked"}, 413, "body_too_large"),
    ],
)
async def test_bodies_that_are_not_taken(framework: str, headers: dict[str, str], status: int, label: str) -> None:
    sio = quick_server(max_http_buffer_size=100, body_timeout=0.2)
    async with InsideNode(sio, framework) as node:
        client = await node.polling()
        wire = await Wire.open(node.base)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        target = f"/socket.io/?{POLLING}&sid={client.engine_sid}"
        await wire.send(f"POST {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        if "Transfer-Encoding" in headers:
            await wire.send(b"40\r\n" + b"x" * 64 + b"\r\n40\r\n" + b"x" * 64 + b"\r\n")
        assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 %d " % status)
        await wire.aclose()
        assert sio.counters.refused[label] == 1


@everywhere
async def test_a_body_that_is_cut_off_ends_the_session(framework: str) -> None:
    sio = quick_server()
    reasons = leavers(sio)
    async with InsideNode(sio, framework) as node:
        client = await node.polling()
        await client.connect()
        wire = await Wire.open(node.base)
        target = f"/socket.io/?{POLLING}&sid={client.engine_sid}"
        await wire.send(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n4".encode())
        session: Any = next(iter(sio.node.engine.sessions.values()))
        await eventually(lambda: session.polling.posting)
        await wire.aclose()
        await eventually(lambda: reasons == ["transport error"] or reasons == ["transport close"])
        await node.empty()


@everywhere
async def test_a_poll_whose_client_goes_ends_the_session(framework: str) -> None:
    sio = quick_server()
    reasons = leavers(sio)
    async with InsideNode(sio, framework) as node:
        client = await node.polling()
        await client.connect()
        exchange = await Exchange.begin(f"{node.base}/socket.io/?{POLLING}&sid={client.engine_sid}")
        await eventually(lambda: sio.census()["polls"])
        exchange.abort()
        await eventually(lambda: len(reasons) == 1)
        await node.empty()


# --- which serves what ------------------------------------------------------------------------------------------------


def test_what_an_application_is_of() -> None:
    assert framework_of(web.Application()) == "aiohttp"
    assert framework_of(Application()) == "tornado"
    assert framework_of(object()) is None


def test_what_cannot_be_attached_to() -> None:
    sio = roomcast.AsyncServer()
    with pytest.raises(ValueError, match="get_tornado_handler"):
        sio.attach(Application())
    with pytest.raises(ValueError, match=r"not builtins\.object.*ASGIApp"):
        sio.attach(object())


def hide(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were not installed."""
    for name in [library, *(name for name in sys.modules if name.startswith(f"{library}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"roomcast.drivers.asyncio.{library}", raising=False)


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name != "asgi"])
def test_a_missing_library_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(name, monkeypatch)
    with pytest.raises(SettingsError, match=rf"pip install 'roomcast\[{name}\]'"):
        roomcast.AsyncServer(async_mode=name)


def test_get_tornado_handler_without_tornado(monkeypatch: pytest.MonkeyPatch) -> None:
    sio = roomcast.AsyncServer()
    hide("tornado", monkeypatch)
    with pytest.raises(ValueError, match=r"roomcast\[tornado\]"):
        roomcast.get_tornado_handler(sio)


def test_a_mode_that_contradicts_what_serves_it() -> None:
    with pytest.raises(ValueError, match=r"'aiohttp' was asked for, but 'asgi' is what serves it.*attach"):
        roomcast.ASGIApp(roomcast.AsyncServer(async_mode="aiohttp"))
    with pytest.raises(ValueError, match=r"'asgi' was asked for, but 'aiohttp' .*ASGIApp"):
        roomcast.AsyncServer(async_mode="asgi").attach(web.Application())
    with pytest.raises(ValueError, match="'sanic' was asked for, but 'tornado'"):
        roomcast.get_tornado_handler(roomcast.AsyncServer(async_mode="sanic"))
    agreeing = roomcast.AsyncServer(async_mode="aiohttp")
    agreeing.attach(web.Application())
    assert agreeing.async_mode == "aiohttp"


async def test_requests_by_hand() -> None:
    """``handle_request`` takes what the mode gives, as python-socketio's does."""
    sio = quick_server(async_mode="aiohttp")
    app = web.Application()
    app.router.add_route("*", "/here/", sio.handle_request)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    answer = await request(f"http://{host}:{port}/here/?{POLLING}")
    assert answer.text.startswith("0{")
    await sio.shutdown()
    await runner.cleanup()


@everywhere
async def test_bare_engine_io(framework: str) -> None:
    eio = EngineServer(drain_seconds=0)
    heard: list[str | bytes] = []
    eio.on("message", lambda sid, data: heard.append(data))
    async with (
        serve_inside(framework, eio, "engine.io") as base,
        RawSocket.open(base, handshake(path="/engine.io/")) as raw,
    ):
        assert (await raw.text()).startswith("0{")
        await raw.texts("4hello")
        await eventually(lambda: heard == ["hello"])
    assert get_engine_handler is roomcast.get_tornado_handler
