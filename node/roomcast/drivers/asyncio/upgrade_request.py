"""The request for a WebSocket, as uvicorn hands it over: read once, and kept small while the client is there."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from roomcast.engineio.request import Request

# Queries up to this (bytes) are the plain ones that all clients send alike; longer ones may hold a token, and are not
# shared.
SHORT_QUERY = 48


def path_of(data: bytes) -> str:
    """The path of a request in wire format, which uvicorn has parsed and written again: still percent-encoded."""
    target = data.split(b" ", 2)[1]
    return target.partition(b"?")[0].decode("latin-1")


def read_request(data: bytes, transport: Any, root_path: str, mount: str) -> Request:
    """The request in ``data`` (head in wire format) that came over this transport.

    ``root_path`` is uvicorn's, which paths begin with as in ASGI; ``mount`` is the path that the server is mounted
    under, ``root_path`` included. What is the same for all idle clients is kept once.
    """
    line, _, rest = data.partition(b"\r\n")
    method, target, version = line.decode("latin-1").split(" ", 2)
    path, _, query = target.partition("?")
    peer, own = _names(transport)
    secure = transport.get_extra_info("sslcontext") is not None
    return Request(
        sys.intern(method),
        sys.intern(root_path + path),
        _shared(query.encode("latin-1")) if len(query) <= SHORT_QUERY else query.encode("latin-1"),
        b"\r\n" + rest[:-2],
        "wss" if secure else "ws",
        address_of(peer),
        _shared(address_of(own)),
        sys.intern(version.removeprefix("HTTP/")),
        mount,
    )


@lru_cache(256)
def _shared(value: Any) -> Any:
    """One object for equal values: the addresses that are listened on are few, and so are the queries of handshakes."""
    return value


def _names(transport: Any) -> tuple[Any, Any]:
    """The names of both ends.

    uvloop's socket keeps its tuples, where ``peername`` would make new ones for each client.
    """
    sock = transport.get_extra_info("socket")
    try:
        return sock.getpeername(), sock.getsockname()
    except OSError:  # the client has gone already
        return None, None


def address_of(name: Any) -> Any:
    """Host and port of a socket's name, which is the same tuple for IPv4; None for a Unix socket."""
    if not isinstance(name, tuple):
        return None
    return name if len(name) == 2 else name[:2]
