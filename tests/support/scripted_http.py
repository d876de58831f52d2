"""A server in the test's own loop that answers each connection with the bytes it was told, whatever was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.target import Target


class Scripted:
    """``asked`` are the heads of the requests so far."""

    def __init__(self, parts: tuple[bytes, ...], keep: bool) -> None:
        self.asked: list[bytes] = []
        self._parts = parts
        self._keep = keep
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        except (OSError, asyncio.IncompleteReadError):
            return writer.close()
        for part in self._parts:
            writer.write(part)
            await asyncio.sleep(0)
        if not self._keep:
            writer.close()

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def scripted(
    *parts: bytes, keep: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Scripted, int]]:
    """The server and its port. It closes behind its answer unless it is to ``keep`` the connection open."""
    script = Scripted(parts, keep)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield script, server.sockets[0].getsockname()[1]
    finally:
        script.close()
        server.close()


def client_of(port: int, scheme: str = "http") -> HttpClient:
    """A doctor's client for that port."""
    return HttpClient(Target(scheme, "127.0.0.1", port))
