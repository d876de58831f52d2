"""The plain HTTP answers of Engine.IO (wire.md 1.4 to 1.6, 1.11): one constructor each, one set of fixed headers.

Header names are lower case, as ASGI demands. ``extra`` is what a request adds: CORS, cookie, the node's name.
"""

from __future__ import annotations

from http import HTTPStatus

import msgspec

Headers = tuple[tuple[bytes, bytes], ...]

# limits.md: on every response. Nothing of ours may be cached, and nothing may be guessed to be a script or a page.
FIXED: Headers = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))

_TEXT: Headers = ((b"content-type", b"text/plain; charset=UTF-8"), *FIXED)
_JSON: Headers = ((b"content-type", b"application/json"), *FIXED)
_OK: Headers = ((b"content-type", b"text/html"), (b"content-length", b"2"), *FIXED)


class Response(msgspec.Struct, frozen=True):
    """A complete answer; ``content-length`` is among the headers."""

    status: int
    headers: Headers
    body: bytes = b""


def poll(payload: bytes, *, encoding: bytes | None = None, extra: Headers = ()) -> Response:
    """The answer to a GET: a payload, compressed when ``encoding`` names how."""
    headers = (*_TEXT, _length(payload), *extra)
    if encoding is not None:
        headers = (*headers, (b"content-encoding", encoding), (b"vary", b"Accept-Encoding"))
    return Response(200, headers, payload)


def ok(*, extra: Headers = ()) -> Response:
    """The answer to a POST, once its packets have been processed."""
    return Response(200, _OK + extra, b"ok")


def error(status: int, code: int, message: str, *, extra: Headers = ()) -> Response:
    """A refusal as Node's server words it: ``{"code":1,"message":"Session ID unknown"}``."""
    body = msgspec.json.encode({"code": code, "message": message})
    return Response(status, (*_JSON, _length(body), *extra), body)


def text(status: int, reason: str, *, extra: Headers = ()) -> Response:
    """A refusal in plain words, for people who look at the wire."""
    body = reason.encode()
    return Response(status, (*_TEXT, _length(body), *extra), body)


def empty(status: int, *, extra: Headers = ()) -> Response:
    """An answer that is only a status: 400 for a second GET or POST, 408, 413, 415."""
    return Response(status, (*FIXED, (b"content-length", b"0"), *extra))


def unavailable(retry_after: int, *, extra: Headers = ()) -> Response:
    """503 for a node that takes no more sessions; ``retry_after`` is seconds, and the caller's to jitter."""
    return empty(503, extra=((b"retry-after", b"%d" % retry_after), *extra))


def without_body(response: Response) -> Response:
    """The same answer to a HEAD request: all its headers, no body (RFC 9110 9.3.2)."""
    return Response(response.status, response.headers)


def render(response: Response) -> bytes:
    """The answer as HTTP/1.1 bytes, for a driver that holds the bare connection and closes it after them."""
    phrase = HTTPStatus(response.status).phrase.encode()
    lines = [b"HTTP/1.1 %d %b" % (response.status, phrase)]
    lines += [b"%b: %b" % header for header in response.headers]
    return b"\r\n".join((*lines, b"connection: close", b"", response.body))


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % len(body)
