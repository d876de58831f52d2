"""One HTTP request as a connection keeps it: its head in one ``bytes`` and a few slots, parsed where somebody asks.

A browser's fifteen headers as a list of pairs are some 3 KB of Python objects for every idle connection; the head as it
came is 600 bytes. Looking one header up in it is three ``find`` calls (0.4 µs), and few headers are ever looked up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import msgspec

# A query is as long as the HTTP server lets it be, and splitting 64 KB of "&" at every poll would be an attack.
MAX_PARAMETERS = 256

_SECURE_SCHEMES = frozenset({"https", "wss"})


class Request(msgspec.Struct, frozen=True, eq=False):
    """The request line, the head and the two ends of one HTTP request; the body travels beside it.

    ``head`` is ``CRLF`` followed by ``name: value CRLF`` for each header, names in lower case. ``query`` is the raw
    query string. ``server`` is the address it arrived at (its port is None for a Unix socket); ``root_path`` is the
    prefix under which the application is mounted; ``extra`` are keys that the driver adds to the environ.
    """

    method: str
    path: str
    query: bytes
    head: bytes = b"\r\n"
    scheme: str = "http"
    client: tuple[str, int] | None = None
    server: tuple[str, int | None] | None = None
    http_version: str = "1.1"
    root_path: str = ""
    extra: dict[str, Any] | None = None

    @classmethod
    def from_pairs(
        cls,
        method: str,
        path: str,
        query: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        scheme: str = "http",
        client: tuple[str, int] | None = None,
        server: tuple[str, int | None] | None = None,
        http_version: str = "1.1",
        root_path: str = "",
        extra: dict[str, Any] | None = None,
    ) -> Request:
        """The same from a list of headers, as ASGI servers give them; names may be in any case."""
        lines = [name.lower() + b": " + value for name, value in headers]
        head = b"\r\n".join((b"", *lines, b""))
        if head.count(b"\r\n") != len(lines) + 1:  # a line break inside a value would forge a header: made harmless
            lines = [line.replace(b"\r", b" ").replace(b"\n", b" ") for line in lines]
            head = b"\r\n".join((b"", *lines, b""))
        return cls(method, path, query, head, scheme, client, server, http_version, root_path, extra)

    def header(self, name: bytes) -> bytes | None:
        """The value of the header of that lower-case name; several of one name joined by ``", "``; None when absent."""
        head = self.head
        needle = b"\r\n" + name + b": "
        start = head.find(needle)
        if start < 0:
            return None
        start += len(needle)
        end = head.find(b"\r\n", start)
        if head.find(needle, end) < 0:
            return head[start:end]
        return b", ".join(self.values(name))

    def values(self, name: bytes) -> list[bytes]:
        """Every value of that lower-case name, in the order of arrival."""
        head = self.head
        needle = b"\r\n" + name + b": "
        values = []
        start = head.find(needle)
        while start >= 0:
            start += len(needle)
            end = head.find(b"\r\n", start)
            values.append(head[start:end])
            start = head.find(needle, end)
        return values

    def headers(self) -> list[tuple[bytes, bytes]]:
        """All headers in the order of arrival, names in lower case."""
        pairs = []
        for line in self.head[2:-2].split(b"\r\n"):
            name, separator, value = line.partition(b": ")
            if separator:
                pairs.append((name, value))
        return pairs

    def params(self) -> dict[str, str]:
        """The query, percent-decoded; of a repeated name the last value, a name without ``=`` has the value ``""``.

        Bytes that are not UTF-8 become U+FFFD. A query of more than ``MAX_PARAMETERS`` reads as empty.
        """
        if self.query.count(b"&") >= MAX_PARAMETERS:
            return {}
        query = self.query.decode("utf-8", "replace")
        if "%" in query or "+" in query:
            return dict(parse_qsl(query, keep_blank_values=True, errors="replace"))
        pairs = [part.partition("=") for part in query.split("&") if part]
        return {name: value for name, _, value in pairs}

    def param(self, name: str) -> str | None:
        """One value of :meth:`params`; None when absent."""
        return self.params().get(name)

    @property
    def url_scheme(self) -> str:
        """``http`` or ``https`` as the client used it: the first ``X-Forwarded-Proto`` where a proxy sent one."""
        forwarded = self.header(b"x-forwarded-proto")
        scheme = self.scheme if forwarded is None else forwarded.split(b",", 1)[0].strip().lower().decode("latin-1")
        return "https" if scheme in _SECURE_SCHEMES else "http"

    @property
    def secure(self) -> bool:
        """Whether the client came over TLS, as far as the connection or the proxy in front can tell."""
        return self.url_scheme == "https"
