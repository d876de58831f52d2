"""What only Tornado does. What it has in common with the others is in test_frameworks.py."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.web import Application

import roomcast
from tests.support.api_client import Wire
from tests.support.framework_servers import InsideNode, serve_inside
from tests.support.inprocess import eventually
from tests.support.raw_http import request
from tests.support.raw_websocket import RawSocket, echo_server, handshake

POLLING = "EIO=4&transport=polling"


async def test_its_first_request_starts_it() -> None:
    sio = echo_server(drain_seconds=0)
    async with serve_inside("tornado", sio, started=False) as base:
        assert not sio.manager_initialized
        answers = await asyncio.gather(*(request(f"{base}/socket.io/?{POLLING}") for _ in range(3)))
        assert [answer.status for answer in answers] == [200] * 3
        assert sio.manager_initialized


@pytest.mark.parametrize("protection", ["xsrf_cookies", "cross_origin_protection"])
async def test_protections_of_forms_are_not_asked(protection: str) -> None:
    """A session id is the secret that they would be; origins are judged by ``cors_allowed_origins``."""
    sio = echo_server(drain_seconds=0, cors_allowed_origins=["https://app.example"])
    settings: dict[str, Any] = {protection: True}
    async with InsideNode(sio, "tornado", **settings) as node:
        client = await node.polling()
        headers = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
        assert (await client.post("40", headers=headers)).status_code == 200


async def test_connections_are_kept_and_refused_bodies_end_them() -> None:
    sio = echo_server(drain_seconds=0)
    async with InsideNode(sio, "tornado") as node:
        wire = await Wire.open(node.base)
        for _ in range(3):
            await wire.send(f"GET /socket.io/?{POLLING} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = await wire.until(b"\r\n\r\n")
            assert b"connection: close" not in head.lower()
            await wire.until(b"}")
        await wire.send(
            f"POST /socket.io/?{POLLING}&sid=nobody HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode()
        )
        head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
        assert b"connection: close" in head.lower()
        assert b"Session ID unknown" in body
        await wire.aclose()


async def test_xheaders_hold() -> None:
    sio = echo_server(drain_seconds=0)
    seen: list[tuple[str, str]] = []
    sio.on("connect", lambda sid, environ: seen.append((environ["REMOTE_ADDR"], environ["wsgi.url_scheme"])))
    listening = HTTPServer(Application([("/socket.io/", roomcast.get_tornado_handler(sio))]), xheaders=True)
    listening.listen(0, "127.0.0.1")
    (sock,) = listening._sockets.values()
    raw = handshake(X_Real_Ip="192.0.2.7", X_Scheme="https")
    async with RawSocket.open(f"http://127.0.0.1:{sock.getsockname()[1]}", raw) as client:
        await client.connected()
    assert seen == [("192.0.2.7", "https")]
    await sio.shutdown()
    listening.stop()


async def test_without_a_descriptor_to_spare_it_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    import roomcast.drivers.asyncio.tornado as module

    def none_left(_: Any) -> Any:
        raise OSError(24, "Too many open files")

    sio = echo_server(drain_seconds=0)
    async with InsideNode(sio, "tornado") as node:
        monkeypatch.setattr(module, "_duplicate", none_left)
        wire = await Wire.open(node.base)
        await wire.send(handshake())
        assert (await wire.rest()).startswith(b"HTTP/1.1 503 ")
        await wire.aclose()
        assert sio.counters.refused["busy"] == 1


async def test_a_client_that_goes_before_its_request_is_whole() -> None:
    sio = echo_server(drain_seconds=0)
    async with InsideNode(sio, "tornado") as node:
        client = await node.polling()
        for method in ("GET", "POST"):
            wire = await Wire.open(node.base)
            target = f"/socket.io/?{POLLING}&sid={client.engine_sid}"
            await wire.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n4".encode())
            await wire.aclose()
        await eventually(lambda: not sio.eio.sockets)
