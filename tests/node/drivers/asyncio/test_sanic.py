"""What only Sanic does. What it has in common with the others is in test_frameworks.py."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sanic import Sanic

from roomcast.shared_socket import SHARED_SOCKET
from tests.support.api_client import PollingClient, Wire
from tests.support.framework_servers import InsideNode, serve_inside
from tests.support.inprocess import eventually, serve
from tests.support.raw_http import request
from tests.support.raw_websocket import FAST, RawSocket, echo_server, handshake

POLLING = "EIO=4&transport=polling"


async def test_a_response_timeout_that_cuts_polls_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "roomcast.server"):
        async with serve_inside("sanic", echo_server(drain_seconds=0), RESPONSE_TIMEOUT=25.0):
            pass
    assert "RESPONSE_TIMEOUT (25 s)" in caplog.text


class Manager:
    """What Sanic's workers see of the process that started them."""

    def __init__(self, *workers: str) -> None:
        self.workers = {name: {"state": "ACKED"} for name in ("Sanic-Main", *workers)}


@pytest.mark.parametrize("transports", [["polling", "websocket"], ["websocket"]])
@pytest.mark.parametrize("workers", [("Sanic-Server-0-0",), ("Sanic-Server-0-0", "Sanic-Server-1-0")])
async def test_several_workers_behind_one_port_are_told_of(
    transports: list[str], workers: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    sio = echo_server(drain_seconds=0, transports=transports)
    harmful = len(workers) > 1 and "polling" in transports
    async with serve_inside("sanic", sio, manager=Manager(*workers)):
        assert sio.readiness().degraded == (SHARED_SOCKET,) * harmful
        assert sio.readiness().reasons == ()
    assert [record.getMessage() for record in caplog.records if "share" in record.message] == [SHARED_SOCKET] * harmful


async def test_what_it_was_told_about_proxies_holds() -> None:
    sio = echo_server(drain_seconds=0)
    seen: list[tuple[str, str]] = []
    sio.on("connect", lambda sid, environ: seen.append((environ["REMOTE_ADDR"], environ["wsgi.url_scheme"])))
    headers = {"X_Forwarded_For": "192.0.2.7", "X_Forwarded_Proto": "https"}
    async with serve_inside("sanic", sio, PROXIES_COUNT=1) as base, RawSocket.open(base, handshake(**headers)) as raw:
        await raw.connected()
        assert seen == [("192.0.2.7", "https")]


async def test_a_body_that_is_no_http_ends_the_session() -> None:
    sio = echo_server(drain_seconds=0)
    async with InsideNode(sio, "sanic") as node:
        client = await node.polling()
        wire = await Wire.open(node.base)
        target = f"/socket.io/?{POLLING}&sid={client.engine_sid}"
        await wire.send(f"POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n4\r\n".encode())
        assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        await wire.aclose()
        await eventually(lambda: not sio.eio.sockets)


async def test_every_path() -> None:
    async with serve_inside("sanic", echo_server(drain_seconds=0), "") as base:
        for path in ("/", "/any/where"):
            assert (await request(f"{base}{path}?{POLLING}")).text.startswith("0{")


def under_asgi() -> Any:
    app: Any = Sanic("under-asgi", configure_logging=False)
    Sanic.unregister_app(app)
    app.config.TOUCHUP = False
    echo_server(drain_seconds=0).attach(app)
    return app


async def test_under_asgi_it_is_polling() -> None:
    async with serve(under_asgi(), FAST) as base:
        assert '"upgrades":[]' in (await request(f"{base}/socket.io/?{POLLING}")).text
        client = await PollingClient.open(base)
        await client.connect()
        assert await client.call("echo", "x" * 100_000, id=1) == f'431["{"x" * 100_000}"]'
        await client.aclose()
    async with serve(under_asgi(), FAST, ws="none") as base:
        wire = await Wire.open(base)
        await wire.send(handshake())
        assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 501 ")
        await wire.aclose()
