"""The first look at real servers."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

import roomcast
from roomcast.doctor.answers import Answer, Trouble
from roomcast.doctor.probing.reach import first_look, make_client
from roomcast.doctor.target import Target, parse_target
from tests.support.inprocess import Node, Way
from tests.support.scripted_http import client_of, scripted
from tests.support.services import free_port, write_certificate

SERVER = roomcast.AsyncServer


async def test_a_node() -> None:
    async with Node(SERVER(tag="wA3x", ping_interval=7), Way()) as served:
        look = await first_look(make_client(parse_target(served.base)))
        await served.empty()
    assert look.opened is not None
    assert (look.opened.ping_interval, look.tls, look.elsewhere) == (7, None, ())


async def test_a_node_without_polling() -> None:
    async with Node(SERVER(transports=["websocket"]), Way()) as served:
        look = await first_look(make_client(parse_target(served.base)))
        await served.empty()
    assert look.opened is not None
    assert isinstance(look.outcome, Answer)
    assert look.outcome.status == 400


async def test_neither() -> None:
    off = b'HTTP/1.1 400 Bad Request\r\nContent-Length: 10\r\n\r\n{"code":0}'
    async with scripted(off) as (_, port):
        look = await first_look(client_of(port))
    assert look.opened is None


async def test_another_path() -> None:
    sio = SERVER()
    async with Node(sio, Way(), roomcast.ASGIApp(sio, socketio_path="/ws/socket.io")) as served:
        look = await first_look(make_client(parse_target(served.base)))
        await served.empty()
    assert (look.opened, look.elsewhere) == (None, ("/ws/socket.io/",))


async def test_no_path_at_all() -> None:
    async with scripted(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as (script, port):
        look = await first_look(client_of(port))
    assert (look.opened, look.elsewhere) == (None, ())
    assert len(script.asked) > 1


async def test_no_node_behind_the_balancer() -> None:
    async with scripted(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n") as (script, port):
        assert (await first_look(client_of(port))).opened is None
    assert len(script.asked) == 1  # it would be as unavailable anywhere else


async def test_nobody() -> None:
    look = await first_look(make_client(Target("http", "127.0.0.1", free_port())))
    assert isinstance(look.outcome, Trouble)


@pytest.mark.parametrize("known", [True, False])
async def test_a_certificate(known: bool, tmp_path: Path) -> None:
    """One that is not accepted is told, and the rest is looked at all the same."""
    certificate = tmp_path / "certificate.pem"
    write_certificate(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    sio = SERVER()
    async with Node(sio, Way(), ssl_certfile=str(certificate), loop="asyncio") as served:
        target = parse_target(served.base.replace("http:", "https:"))
        look = await first_look(make_client(target, authority=certificate if known else None))
        await asyncio.sleep(0)
    assert look.opened is not None
    assert look.tls is not None
    if known:
        assert look.tls.fault is None
        assert look.tls.days is not None
        assert 0 < look.tls.days < 2
    else:
        assert look.tls.fault is not None
        assert "certificate" in look.tls.fault
