"""Which origins may use the server, and what their browsers are told (wire.md 1.11; python-api.md 1.4).

Unlike in Node's server an origin that is not allowed is refused, on WebSocket too, before any state exists. A request
without ``Origin`` does not come from a browser's page and is allowed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

from roomcast.engineio import response
from roomcast.engineio.environ import Environ
from roomcast.engineio.request import Request
from roomcast.engineio.response import Headers, Response
from roomcast.errors import SettingsError

Allowed = str | Collection[str] | Callable[..., Any] | None

_METHODS = (b"access-control-allow-methods", b"GET,HEAD,PUT,PATCH,POST,DELETE")
_CREDENTIALS = (b"access-control-allow-credentials", b"true")
_VARY = (b"vary", b"Origin")
# Controls except tab, and DEL: a header must not carry them and no echo of ours may (wire.md 1.4, check 3).
_ILLEGAL = bytes(code for code in (*range(0x20), 0x7F) if code != 0x09)


class OriginPolicy:
    """The ``cors_allowed_origins`` and ``cors_credentials`` of one server.

    ``allowed`` is None (the request's own origin, also as a proxy forwarded it), ``"*"`` or a collection with ``"*"``
    (every origin), one origin, a collection of origins, a callable ``(origin, environ)`` or ``(origin)``, or ``[]``: no
    check, no headers. A coroutine function is refused, since what it returns before it is awaited is always true.
    """

    __slots__ = ("_credentials", "_rule", "_wildcard", "active")

    def __init__(self, allowed: Allowed = None, credentials: bool = True) -> None:
        self.active = not (isinstance(allowed, Collection) and not isinstance(allowed, str) and not allowed)
        self._rule = _rule(allowed)
        self._credentials: Headers = (_CREDENTIALS,) if credentials else ()
        # Browsers refuse the wildcard together with credentials, so those get their own origin echoed.
        self._wildcard = self._rule is None and not credentials

    def allows(self, request: Request) -> bool:
        """Whether the request may go on. Raises what the application's callable raises."""
        origin = request.header(b"origin")
        if origin is None:
            return True
        if origin.translate(None, _ILLEGAL) != origin:
            return False
        return self._rule is None or self._rule(origin, request)

    def headers(self, request: Request, allowed: bool | None = None) -> Headers:
        """What every answer to this request carries; ``allowed`` is what :meth:`allows` said, to spare asking again."""
        if not self.active:
            return ()
        if self._wildcard:
            return ((b"access-control-allow-origin", b"*"),)
        origin = request.header(b"origin")
        if origin is None:
            return (_VARY, *self._credentials)
        if allowed is None:
            allowed = self.allows(request)
        if not allowed:
            return (_VARY, *self._credentials)
        return ((b"access-control-allow-origin", origin), _VARY, *self._credentials)

    def preflight(self, request: Request, *, extra: Headers = ()) -> Response:
        """The answer to ``OPTIONS`` of an origin that is allowed, whatever the query says: 204."""
        headers = (*self.headers(request, True), _METHODS)
        asked = request.header(b"access-control-request-headers")
        if asked is not None:
            vary = (b"vary", b"Access-Control-Request-Headers")
            headers = (*headers, (b"access-control-allow-headers", asked.translate(None, _ILLEGAL)), vary)
        return response.empty(204, extra=headers + extra)


def _rule(allowed: Allowed) -> Callable[[bytes, Request], bool] | None:
    """The check for an origin that is well formed; None when every one may come in."""
    if allowed is None:
        return _same_origin
    if callable(allowed):
        return _asking(allowed)
    names = {allowed} if isinstance(allowed, str) else set(allowed)
    if not all(isinstance(name, str) for name in names):
        raise SettingsError("cors_allowed_origins holds something that is not a string")
    if "*" in names or not names:
        return None
    listed = frozenset(name.encode() for name in names)
    return lambda origin, request: origin in listed


def _same_origin(origin: bytes, request: Request) -> bool:
    """Whether the page came from this server: its scheme and host as the request, or the proxy in front, names them."""
    host = request.header(b"host")
    if host is None:
        return False
    given = origin.decode("latin-1").lower()
    scheme = request.url_scheme
    forwarded = request.header(b"x-forwarded-host")
    hosts = (host,) if forwarded is None else (host, forwarded.split(b",", 1)[0].strip())
    return any(given == f"{scheme}://{each.decode('latin-1').lower()}" for each in hosts)


def _asking(function: Callable[..., Any]) -> Callable[[bytes, Request], bool]:
    """Ask the application. How many arguments it takes is read from its signature once, never found out by failing."""
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        raise SettingsError("cors_allowed_origins must be a plain function, not a coroutine function")
    if _takes_environ(function):
        return lambda origin, request: bool(function(origin.decode("latin-1"), Environ(request)))
    return lambda origin, request: bool(function(origin.decode("latin-1")))


def _takes_environ(function: Callable[..., Any]) -> bool:
    if inspect.isbuiltin(function):  # dict.get would hand the environ back as its default, which is true for everybody
        return False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C, or too clever
        return False
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 or any(each.kind is each.VAR_POSITIONAL for each in parameters)
