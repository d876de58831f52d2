"""HTTP/1.1 requests with their edges showing: one connection each, sent and answered in two steps.

Ordinary HTTP libraries pool connections and hide when a request has gone out; the races of long polling are about that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Self
from urllib.parse import urlsplit

import msgspec

from tests.support.patience import PATIENCE

Headers = Iterable[tuple[str, str]]


class Response(msgspec.Struct, frozen=True):
    """A whole response. Header names are lower case; ``headers`` keeps repeated ones, ``header`` gives the last."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


class Exchange:
    """A request that has been written, and whose response has not been read yet."""

    def __init__(self, method: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._method = method
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begin(cls, url: str, method: str = "GET", body: bytes | str = b"", headers: Headers = ()) -> Self:
        """Connect and write the request. Returns once it has been handed to the kernel."""
        parts = urlsplit(url)
        payload = body.encode() if isinstance(body, str) else body
        lines = [
            f"{method} {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1",
            f"Host: {parts.netloc}",
        ]
        lines += [f"{name}: {value}" for name, value in headers]
        if payload or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(payload)}")
        head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(head + payload)
            await writer.drain()
        return cls(method, reader, writer)

    async def response(self) -> Response:
        """All of it. ``ConnectionError`` or ``asyncio.IncompleteReadError`` if the connection ends before."""
        try:
            async with asyncio.timeout(PATIENCE):
                status, headers = _parse_head(await self._reader.readuntil(b"\r\n\r\n"))
                return Response(status, headers, await self._body(status, dict(headers)))
        finally:
            self._writer.close()

    def abort(self) -> None:
        """Drop the connection, as a client does that has gone away."""
        self._writer.transport.abort()

    async def _body(self, status: int, headers: dict[str, str]) -> bytes:
        if self._method == "HEAD" or status in (204, 304):
            return b""
        if "chunked" in headers.get("transfer-encoding", ""):
            return await self._chunks()
        if "content-length" in headers:
            return await self._reader.readexactly(int(headers["content-length"]))
        return await self._reader.read()

    async def _chunks(self) -> bytes:
        body = bytearray()
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        return bytes(body)


def _parse_head(head: bytes) -> tuple[int, tuple[tuple[str, str], ...]]:
    status_line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(status_line.split()[1]), tuple((name.lower(), value.strip()) for name, _, value in pairs)


async def request(url: str, method: str = "GET", body: bytes | str = b"", headers: Headers = ()) -> Response:
    """Both steps at once."""
    return await (await Exchange.begin(url, method, body, headers)).response()
