"""HTTP/1.1 requests that hide nothing: one connection each, and every way in which there may be no answer, told apart.

Ordinary clients pool connections, follow redirections and go by proxies of the environment; each would hide what is to
be found out here.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterable
from typing import Any, Final

import httptools

from roomcast.doctor.answers import Answer, Outcome, Trouble
from roomcast.doctor.target import Target
from roomcast.doctor.timing import REQUEST_SECONDS

Headers = tuple[tuple[str, str], ...]

MAX_ANSWER: Final = 2_000_000
"""Bytes of an answer: twice what one polling payload may hold by default."""
_CHUNK: Final = 65_536
_SWITCHED: Final = 101


class Stream:
    """A connection after a 101, and what had come behind that already."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes) -> None:
        self.reader = reader
        self.writer = writer
        self.rest = rest

    def abort(self) -> None:
        """Let go of it at once."""
        self.writer.transport.abort()


class HttpClient:
    """Asks one deployment. ``headers`` go with every request; ``context`` is how TLS is checked."""

    def __init__(self, target: Target, headers: Headers = (), context: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.context = context
        self.tls: tuple[str, dict[str, Any]] | None = None  # version and certificate of the latest connection
        self._headers = (*_fixed(target), *headers)

    async def ask(
        self,
        method: str,
        query: str,
        body: bytes | None = None,
        headers: Headers = (),
        *,
        path: str | None = None,
        patience: float = REQUEST_SECONDS,
    ) -> Outcome:
        """The answer to one request on a connection of its own, within ``patience`` seconds; it never raises."""
        outcome, stream = await self._exchange(method, query, body, (("Connection", "close"), *headers), path, patience)
        if stream is not None:
            stream.abort()
        return outcome

    async def upgrade(self, query: str, headers: Headers) -> tuple[Outcome, Stream | None]:
        """The answer to a request that asks for another protocol, and the connection if that was agreed to."""
        return await self._exchange("GET", query, None, headers, None, REQUEST_SECONDS)

    async def _exchange(
        self, method: str, query: str, body: bytes | None, headers: Headers, path: str | None, patience: float
    ) -> tuple[Outcome, Stream | None]:
        clock = asyncio.get_running_loop().time
        begin = clock()
        writer: asyncio.StreamWriter | None = None
        stream: Stream | None = None
        try:
            async with asyncio.timeout(patience):
                reader, writer = await self._connect()
                begin = clock()
                writer.write(_request(method, f"{path or self.target.path}?{query}", (*self._headers, *headers), body))
                reading = await _read(reader)
            if reading.status == _SWITCHED:
                stream = Stream(reader, writer, reading.rest)
            return Answer(reading.status, tuple(reading.headers), bytes(reading.body), clock() - begin), stream
        except TimeoutError:
            return Trouble("silent", seconds=patience), None
        except ssl.SSLCertVerificationError as error:
            return Trouble("certificate", error.verify_message, clock() - begin), None
        except ssl.SSLError as error:
            return Trouble("tls", _spaced(error.reason or "no handshake"), clock() - begin), None
        except _GarbledError as error:
            return Trouble("garbled", str(error), clock() - begin), None
        except OSError as error:
            return _trouble(error, writer is not None, clock() - begin), None
        finally:
            if writer is not None and stream is None:
                writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = self.target
        tls = self.context if target.secure else None
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=tls, limit=_CHUNK)
        found: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        if found is not None:
            self.tls = (found.version() or "TLS", found.getpeercert() or {})
        return reader, writer


class _GarbledError(Exception):
    """What came is no answer of HTTP/1.1."""


class _CutError(OSError):
    """The connection ended before the answer was complete."""


class _Reading:
    """Collects what httptools finds."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.rest = b""
        self.has_head = False
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        self.body += body
        if len(self.body) > MAX_ANSWER:
            raise _GarbledError("an answer without end")

    def on_message_complete(self) -> None:
        self.complete = True


async def _read(reader: asyncio.StreamReader) -> _Reading:
    """One whole answer."""
    reading = _Reading()
    parser = httptools.HttpResponseParser(reading)
    while not reading.complete:
        data = await reader.read(_CHUNK)
        if not data:
            if reading.has_head and not _is_measured(reading.headers):
                break  # such a body ends with the connection
            raise _CutError("before the end of the answer")
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            reading.rest = data[upgrade.args[0] :]
            reading.complete = True
        except httptools.HttpParserError as error:
            cause = error.__context__
            raise (cause if isinstance(cause, _GarbledError) else _GarbledError("something else came")) from error
    reading.status = parser.get_status_code()
    return reading


def _is_measured(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether the head says how long the body is."""
    return any(name in ("content-length", "transfer-encoding") for name, _ in headers)


def _request(method: str, path: str, headers: Headers, body: bytes | None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        lines += ["Content-Type: text/plain;charset=UTF-8", f"Content-Length: {len(body)}"]
    return "\r\n".join((*lines, "", "")).encode("latin-1", "replace") + (body or b"")


def _fixed(target: Target) -> Headers:
    headers: Headers = (
        ("Host", target.authority),
        ("User-Agent", "roomcast-doctor"),
        ("Accept", "*/*"),
    )
    if target.login is None:
        return headers
    return (*headers, ("Authorization", f"Basic {b64encode(':'.join(target.login).encode()).decode()}"))


def _trouble(error: OSError, connected: bool, seconds: float) -> Trouble:
    if isinstance(error, socket.gaierror):
        return Trouble("name", seconds=seconds)
    if connected:
        return Trouble("cut", seconds=seconds)
    # With several addresses asyncio raises one error that names all: refused is what one of them said.
    if isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return Trouble("refused", seconds=seconds)
    return Trouble("unreachable", error.strerror or "no route", seconds)


def _spaced(reason: str) -> str:
    return reason.lower().replace("_", " ")
