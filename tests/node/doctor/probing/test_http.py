"""Requests, and every way in which there may be no answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from roomcast.doctor.answers import Answer, Trouble
from roomcast.doctor.probing import http
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.reach import make_client
from roomcast.doctor.target import Target, parse_target
from tests.support.patience import PATIENCE
from tests.support.scripted_http import client_of, scripted
from tests.support.services import free_port, write_certificate

SHORT = 0.05
"""Seconds after which silence is silence, where nothing is going to come."""


async def asked(*parts: bytes, keep: bool = False, patience: float = PATIENCE) -> Answer | Trouble:
    async with scripted(*parts, keep=keep) as (_, port):
        return await client_of(port).ask("GET", "EIO=4", patience=patience)


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",), b"ok"),
        ((b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 2\r\n\r\no", b"k"), b"ok"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",), b"ok"),
        ((b"HTTP/1.0 200 OK\r\n\r\no", b"k"), b"ok"),
    ],
)
async def test_answers(parts: tuple[bytes, ...], body: bytes) -> None:
    answer = await asked(*parts)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (200, body)
    assert answer.seconds >= 0


async def test_headers_keep_their_order_and_repeat() -> None:
    answer = await asked(b"HTTP/1.1 204 No Content\r\nX-Roomcast-Node: wA3x\r\nVary: a\r\nVARY:  b \r\n\r\n")
    assert isinstance(answer, Answer)
    assert answer.headers == (("x-roomcast-node", "wA3x"), ("vary", "a"), ("vary", "b"))


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ((), "cut"),
        ((b"HTTP/1.1 200 OK\r\n",), "cut"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",), "cut"),
        ((b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",), "garbled"),
    ],
)
async def test_no_answers(parts: tuple[bytes, ...], kind: str) -> None:
    trouble = await asked(*parts)
    assert isinstance(trouble, Trouble)
    assert trouble.kind == kind


async def test_silence() -> None:
    assert await asked(keep=True, patience=SHORT) == Trouble("silent", seconds=SHORT)


async def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_ANSWER", 10)
    trouble = await asked(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 11, keep=True)
    assert isinstance(trouble, Trouble)
    assert (trouble.kind, trouble.text) == ("garbled", "an answer without end")


async def test_nobody_listens() -> None:
    for host in ("127.0.0.1", "localhost"):
        trouble = await HttpClient(Target("http", host, free_port())).ask("GET", "")
        assert isinstance(trouble, Trouble)
        assert trouble.kind == "refused"


async def test_a_name_without_address() -> None:
    trouble = await HttpClient(Target("http", "nowhere.invalid", 80)).ask("GET", "", patience=PATIENCE)
    assert isinstance(trouble, Trouble)
    assert trouble.kind == "name"


async def test_an_address_without_a_way_there() -> None:
    trouble = await HttpClient(Target("http", "255.255.255.255", 80)).ask("GET", "")  # nobody's, and everybody's
    assert isinstance(trouble, Trouble)
    assert trouble.kind == "unreachable"
    assert trouble.text


async def test_what_is_asked() -> None:
    async with scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (script, port):
        client = HttpClient(parse_target(f"http://an:pw@127.0.0.1:{port}/x"), (("X-Key", "k"),))
        await client.ask("POST", "EIO=4", b"40", (("Cookie", "a=1"),))
        await client.ask("GET", "EIO=4", path="/y/")
    lines = script.asked[0].decode().split("\r\n")
    assert lines[0] == "POST /x/?EIO=4 HTTP/1.1"
    for line in (
        f"Host: 127.0.0.1:{port}",
        "Authorization: Basic YW46cHc=",
        "X-Key: k",
        "Cookie: a=1",
        "Connection: close",
        "Content-Type: text/plain;charset=UTF-8",
        "Content-Length: 2",
    ):
        assert line in lines
    assert script.asked[1].startswith(b"GET /y/?EIO=4 HTTP/1.1\r\n")
    assert b"Content-Length" not in script.asked[1]


async def test_another_protocol() -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with scripted(head + b"\x81\x010", keep=True) as (_, port):
        outcome, stream = await client_of(port).upgrade("", (("Connection", "Upgrade"), ("Upgrade", "websocket")))
        assert isinstance(outcome, Answer)
        assert outcome.status == 101
        assert stream is not None
        assert stream.rest == b"\x81\x010"
        stream.abort()
        # Whoever did not ask for it does not keep it.
        assert isinstance(await client_of(port).ask("GET", ""), Answer)


# --- TLS --------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def over_tls(folder: Path) -> AsyncIterator[tuple[int, Path]]:
    certificate = folder / "certificate.pem"
    write_certificate(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", tls=context) as (_, port):
        yield port, certificate


async def test_a_certificate_that_is_accepted(tmp_path: Path) -> None:
    async with over_tls(tmp_path) as (port, certificate):
        client = make_client(Target("https", "127.0.0.1", port), authority=certificate)
        answer = await client.ask("GET", "")
    assert isinstance(answer, Answer)
    assert client.tls is not None
    version, found = client.tls
    assert version.startswith("TLS")
    assert "notAfter" in found


async def test_a_certificate_that_is_not(tmp_path: Path) -> None:
    async with over_tls(tmp_path) as (port, _):
        trouble = await make_client(Target("https", "127.0.0.1", port)).ask("GET", "")
    assert isinstance(trouble, Trouble)
    assert trouble.kind == "certificate"
    assert "certificate" in trouble.text


async def test_a_port_that_does_not_speak_tls() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        trouble = await make_client(Target("https", "127.0.0.1", port)).ask("GET", "")
    assert isinstance(trouble, Trouble)
    assert (trouble.kind, trouble.text) == ("tls", "wrong version number")
