"""Requests to a WSGI application without a server: an environ, a call, an answer."""

from __future__ import annotations

import io
from typing import Any

import msgspec

HANDSHAKE_HEADERS = {
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Answer(msgspec.Struct, frozen=True):
    """What the application answered. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def packets(self) -> list[str]:
        """Those of a polling payload."""
        return self.text.split("\x1e")


def environ_of(method: str = "GET", query: str = "", body: Any = b"", /, **extra: Any) -> dict[str, Any]:
    """The environ of a request, as PEP 3333 wants it; ``extra`` keys win, and those that are None are left out."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/socket.io/",
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "50000",
        "HTTP_HOST": "example.org",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if isinstance(body, bytes) and (body or method == "POST"):
        environ["CONTENT_LENGTH"] = str(len(body))
    environ.update(extra)
    return {key: value for key, value in environ.items() if value is not None}


def respond_to(app: Any, environ: dict[str, Any]) -> Answer:
    """Call the application as a server does, and read its answer."""
    started: list[Any] = []
    body = b"".join(app(environ, lambda status, headers: started.append((status, headers))))
    ((status, headers),) = started
    return Answer(int(status.split(" ", 1)[0]), {name.lower(): value for name, value in headers}, body)
