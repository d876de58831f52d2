"""Taking a request's socket away from its WSGI server, so that a connection that waits holds none of its tasks.

The server goes on as after any request and closes what it has: so it is given something else in the socket's place. Its
descriptor then stands for one end of a pair of sockets whose other end is ours; the connection lives on under another.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
from _socket import socket as PlainSocket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roomcast.drivers.blocking.sockets import SocketConnection

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime

# Where servers show the socket of a request: gunicorn (threads and greenlets) and Werkzeug.
KEYS = ("gunicorn.socket", "werkzeug.socket")


def exposed(environ: dict[str, Any], start_response: Callable[..., Any]) -> int | None:
    """The descriptor of the request's connection, where its server shows it and nothing stands between it and the
    client; None elsewhere.
    """
    if environ.get("wsgi.url_scheme") == "https" and not _is_plain(environ, start_response):
        return None
    found = _socket(environ, start_response)
    if found is not None:
        return None if isinstance(found, ssl.SSLSocket) else _descriptor(found)
    uwsgi = sys.modules.get("uwsgi")
    descriptor: int | None = uwsgi.connection_fd() if uwsgi is not None and "uwsgi.version" in environ else None
    return descriptor


def _socket(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    for key in KEYS:
        if key in environ:
            return environ[key]
    if "eventlet.input" in environ:
        return environ["eventlet.input"].get_socket()
    # gevent.pywsgi has it in the object whose method start_response is.
    handler = getattr(start_response, "__self__", None)
    return getattr(handler, "socket", None)


def _is_plain(environ: dict[str, Any], start_response: Callable[..., Any]) -> bool:
    """Whether a request that came by https did so through a proxy, so that its own connection is plain."""
    found = _socket(environ, start_response)
    return found is not None and not hasattr(found, "pending")  # which every socket that encrypts has


def _descriptor(found: Any) -> int | None:
    descriptor: int = found.fileno()
    return descriptor if descriptor >= 0 else None


class Ghost(SocketConnection):
    """Stands for the client whose connection was taken: takes what its server still says, until that closes."""


def take(runtime: Runtime, theirs: int) -> PlainSocket:
    """The connection as a socket of ours. What the server does with its descriptor from now on reaches nobody.

    Among greenlets too it is the plain one of the standard library: nobody waits for it, and a write costs 0.5 µs less.

    In a turn. Raises OSError, and changes nothing, where the process has as many descriptors as it may.
    """
    put_in_place, other_end = socket.socketpair()
    with put_in_place:
        try:
            ours = PlainSocket(fileno=os.dup(theirs))
        except OSError:
            other_end.close()
            raise
        os.set_blocking(put_in_place.fileno(), os.get_blocking(theirs))
        os.dup2(put_in_place.fileno(), theirs)
    Ghost(runtime, other_end).watch()
    return ours


class HandedOver(Exception):  # no error: it ends a request whose answer is somebody else's
    """Raised where a request is answered by whoever has its socket now."""


def leave(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """End the request without an answer of the server's, in the way that it expects."""
    if "werkzeug.socket" in environ:
        raise ConnectionError("the connection was handed over")  # what it takes for a client that has gone
    if "gunicorn.socket" in environ:
        raise StopIteration  # what gunicorn takes for an application that has answered by itself
    if "eventlet.input" in environ:
        sys.modules["eventlet.wsgi"].WSGI_LOCAL.already_handled = True
        return []
    # The others write an answer, which goes to nobody.
    start_response("200 OK", [("Content-Length", "0"), ("Connection", "close")])
    return [b""]
