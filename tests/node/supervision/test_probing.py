"""Asking real listeners: a node's, and such as are no node's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from roomcast.core.counters import Counters
from roomcast.drivers.asyncio.metrics_listener import serve_metrics
from roomcast.exposition.health import Readiness
from roomcast.supervision import probing
from roomcast.supervision.probing import get, probe
from roomcast.supervision.readings import SILENT

HOST = "127.0.0.1"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.mark.parametrize("host", [HOST, "0.0.0.0"])
async def test_a_node(host: str) -> None:
    counters = Counters()
    counters.measure_clients = lambda: {"websocket": 5}
    listener = await serve_metrics(0, host, counters=counters, readiness=lambda: Readiness(started=True))
    reading = await probe(host, listener.port)
    assert (reading.answer, reading.clients, reading.broker_up, reading.peers) == ("ready", 5, False, 0)
    await listener.close()
    assert await probe(host, listener.port) is SILENT


async def test_a_node_that_is_not_ready() -> None:
    listener = await serve_metrics(0, counters=Counters(), readiness=Readiness)
    assert (await probe(HOST, listener.port)).reasons == ("not started",)
    await listener.close()


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[int]:
    server = await asyncio.start_server(answer, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def saying(*parts: bytes) -> Answer:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0)
        writer.close()

    return answer


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([b"HTTP/1.1 200 OK\r\nA: b\r", b"\n\r\nbo", b"dy"], b"body"),
        ([b"HTTP/1.1 503 No\r\n\r\n"], b""),
        ([b"HTTP/1.1 200 OK\r\n"], None),
        ([b"220 mail\r\n\r\n"], None),
        ([], None),
    ],
)
async def test_answers(parts: list[bytes], body: bytes | None) -> None:
    async with listening(saying(*parts)) as port:
        assert await get(HOST, port, "/") == body


async def test_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "PATIENCE", 0.05)
    ending = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ending.wait()
        writer.close()

    async with listening(hold) as port:
        assert await probe(HOST, port) is SILENT
        ending.set()


async def test_who_never_stops_is_not_read_for_ever() -> None:
    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        except ConnectionError:
            pass

    async with listening(flood) as port:
        body = await get(HOST, port, "/")
    assert body is not None
    assert probing.MAX_ANSWER <= len(body) < 2 * probing.MAX_ANSWER
