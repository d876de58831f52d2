"""The request that a WSGI environ describes (PEP 3333)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from roomcast.engineio.request import Request

_UNPREFIXED = {"CONTENT_TYPE": b"content-type", "CONTENT_LENGTH": b"content-length"}
# What the request itself holds: the rest of the environ is the server's, and stays with the session.
_KNOWN = frozenset(
    {"REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SCRIPT_NAME", "SERVER_PROTOCOL", "wsgi.url_scheme", "wsgi.input"}
    | {"REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "wsgi.file_wrapper", "wsgi.errors", "RAW_URI"}
    | _UNPREFIXED.keys()
)


def read_request(environ: dict[str, Any], *, upgrade: bool = False) -> Request:
    """The request of an environ; its body, and the server's socket, are not in it."""
    scheme = environ.get("wsgi.url_scheme", "http")
    if upgrade:
        scheme = "wss" if scheme == "https" else "ws"
    root = decoded(environ.get("SCRIPT_NAME", ""))
    return Request.from_pairs(
        environ["REQUEST_METHOD"],
        root + decoded(environ.get("PATH_INFO", "")),
        environ.get("QUERY_STRING", "").encode("latin-1", "replace"),
        _headers(environ),
        scheme=scheme,
        client=_address(environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT")),
        server=_address(environ.get("SERVER_NAME"), environ.get("SERVER_PORT")),
        http_version=_version(environ),
        root_path=root,
        extra={key: value for key, value in environ.items() if _is_extra(key)},
    )


def _is_extra(key: str) -> bool:
    return key not in _KNOWN and not key.startswith("HTTP_") and not key.endswith((".socket", ".input"))


def _headers(environ: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key[5:].replace("_", "-").lower().encode("latin-1", "replace"), value.encode("latin-1", "replace")
        elif key in _UNPREFIXED and value:
            yield _UNPREFIXED[key], value.encode("latin-1", "replace")


def _version(environ: dict[str, Any]) -> str:
    """The version of HTTP; eventlet calls every one 1.0, which is what its own answers are in."""
    return "1.1" if "eventlet.input" in environ else environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/")


def decoded(path: str) -> str:
    """WSGI hands bytes over as Latin-1; paths are UTF-8."""
    return path.encode("latin-1", "replace").decode("utf-8", "replace")


def _address(host: str | None, port: Any) -> tuple[str, int] | None:
    if not host:
        return None
    return host, int(port) if str(port).isdigit() else 0
