"""The WSGI environ that connect handlers see, made from the request key by key (python-api.md 1.4, "The environ").

A filled environ of a browser's request is 4 KB, and applications read two or three keys of it. So this dict is empty
until somebody needs all of it; a single key is looked up in the request's head every time it is read.

Differences from python-socketio, all towards the truth: the client's and the server's addresses, the scheme under TLS,
``SCRIPT_NAME`` when mounted. Headers with an underscore in their name are left out: they would pass for others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from functools import lru_cache
from typing import Any, Final, Self
from urllib.parse import unquote

from roomcast.engineio.request import Request

# What the dict itself holds: only what was written to it; everything, unchanged; everything, and some of it changed.
_LAZY: Final = 0
_FILLED: Final = 1
_OWN: Final = 2

_UNPREFIXED = {"CONTENT_TYPE": b"content-type", "CONTENT_LENGTH": b"content-length"}
_PREFIX_LESS = {name: key for key, name in _UNPREFIXED.items()}
_COOKIE = "HTTP_COOKIE"


class NoBody:
    """``wsgi.input`` of a request whose body is the protocol's: nothing to read, nothing to close."""

    def read(self, _size: int = -1) -> bytes:
        return b""

    readline = read

    def readlines(self, _hint: int = -1) -> list[bytes]:
        return []

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


_NO_BODY = NoBody()


class Environ(dict[str, Any]):
    """A request's environ: a dict in every respect, filled at the first use of the whole.

    Reading a key, ``get`` and ``in`` never fill it, writing a key does not either; iterating, counting, comparing,
    copying, merging and deleting do. C code that looks into a dict without its methods sees it empty until then.
    """

    __slots__ = ("_request", "_state")

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._state = _LAZY

    # Reading one key

    def __missing__(self, key: str) -> Any:
        if self._state == _LAZY:
            return look_up(self._request, key)
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: object) -> bool:
        if super().__contains__(key):
            return True
        if self._state != _LAZY or not isinstance(key, str):
            return False
        try:
            look_up(self._request, key)
        except KeyError:
            return False
        return True

    # Needing all of it

    def _fill(self) -> None:
        if self._state == _LAZY:
            written = dict(super().items())  # dict.copy() would come back to keys(), since that is overridden
            self._state = _OWN if written else _FILLED
            super().update(everything(self._request))
            super().update(written)

    def compact(self) -> None:
        """Give the memory back that reading all of it took; does nothing once anything was written or deleted."""
        if self._state == _FILLED:
            super().clear()
            self._state = _LAZY

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return super().__iter__()

    def __reversed__(self) -> Iterator[str]:
        self._fill()
        return super().__reversed__()

    def __len__(self) -> int:
        self._fill()
        return super().__len__()

    def keys(self) -> KeysView[str]:  # type: ignore[override]  # typeshed wants the private dict_keys
        self._fill()
        return super().keys()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # as for keys
        self._fill()
        return super().values()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]  # as for keys
        self._fill()
        return super().items()

    def copy(self) -> dict[str, Any]:
        """A plain dict of everything."""
        return dict(self.items())

    __copy__ = copy

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (self.copy(),)

    def __repr__(self) -> str:
        self._fill()
        return super().__repr__()

    def __eq__(self, other: object) -> bool:
        return self.copy() == other

    def __ne__(self, other: object) -> bool:
        return self.copy() != other

    __hash__ = None  # as a dict

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    # Writing

    def __setitem__(self, key: str, value: Any) -> None:
        if self._state == _FILLED:
            self._state = _OWN
        super().__setitem__(key, value)

    def _own(self) -> None:
        self._fill()
        self._state = _OWN

    def __delitem__(self, key: str) -> None:
        self._own()
        super().__delitem__(key)

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._own()
        return super().setdefault(key, default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        self._own()
        super().update(*args, **kwargs)

    def __ior__(self, other: Any) -> Self:  # type: ignore[override]  # typeshed overloads it
        self.update(other)
        return self

    def pop(self, *args: Any) -> Any:
        self._own()
        return super().pop(*args)

    def popitem(self) -> tuple[str, Any]:
        self._own()
        return super().popitem()

    def clear(self) -> None:
        self._state = _OWN
        super().clear()


def look_up(request: Request, key: str) -> Any:
    """One value of the environ; raises KeyError."""
    if request.extra is not None and key in request.extra:
        return request.extra[key]
    if key == "asgi.scope" and request.extra is None:
        return scope_of(request)
    make = _VARIABLES.get(key)
    if make is not None:
        return make(request)
    name = _header_name(key)
    if name is not None:
        value = _join(key, request.values(name))
        if value is not None:
            return value
    raise KeyError(key)


def everything(request: Request) -> dict[str, Any]:
    """The whole environ as a plain dict: what :func:`look_up` says of every key."""
    environ = {key: make(request) for key, make in _VARIABLES.items()}
    headers: dict[str, list[bytes]] = {}
    for name, value in request.headers():
        key = _header_key(name)
        if key is not None:
            headers.setdefault(key, []).append(value)
    for key, values in headers.items():
        joined = _join(key, values)
        if joined is not None:
            environ[key] = joined
    return environ | ({"asgi.scope": scope_of(request)} if request.extra is None else request.extra)


def scope_of(request: Request) -> dict[str, Any]:
    """The ASGI scope that a request would have had which reached the server past ASGI: a WebSocket on the fast path."""
    return {
        "type": "websocket" if request.scheme in ("ws", "wss") else "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": request.http_version,
        "scheme": request.scheme,
        "path": unquote(request.path),
        "raw_path": request.path.encode("latin-1", "replace"),
        "query_string": request.query,
        "root_path": request.root_path,
        "headers": request.headers(),
        "client": request.client,
        "server": request.server,
        "subprotocols": [],
    }


@lru_cache(256)  # the keys are constants of the application
def _header_name(key: str) -> bytes | None:
    """The header that an environ key stands for."""
    if key in _UNPREFIXED:
        return _UNPREFIXED[key]
    if not key.startswith("HTTP_") or not key.isascii() or key != key.upper() or "-" in key:
        return None
    name = key[5:].replace("_", "-").lower().encode()
    return None if name in _PREFIX_LESS else name


def _header_key(name: bytes) -> str | None:
    """The environ key of a header; None for those that have none."""
    if b"_" in name or not name.isascii():
        return None
    return _PREFIX_LESS.get(name) or "HTTP_" + name.decode().upper().replace("-", "_")


def _join(key: str, values: list[bytes]) -> str | None:
    """The values of one header as python-socketio gives them: UTF-8, joined by a comma, undecodable ones left out."""
    texts = [text for text in map(_decode, values) if text is not None]
    if not texts:
        return None
    return ("; " if key == _COOKIE else ",").join(texts)  # RFC 9113 8.2.3: HTTP/2 splits cookies at the semicolon


def _decode(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _query(request: Request) -> str:
    return request.query.decode("utf-8", "replace")


def _raw_uri(request: Request) -> str:
    return f"{request.path}?{_query(request)}" if request.query else request.path


def _remote_port(request: Request) -> str:
    return str(request.client[1]) if request.client else "0"


def _server_port(request: Request) -> str:
    return str(request.server[1] or 0) if request.server else "0"


_VARIABLES: Mapping[str, Callable[[Request], Any]] = {
    "wsgi.input": lambda _: _NO_BODY,
    "wsgi.errors": lambda _: sys.stderr,
    "wsgi.version": lambda _: (1, 0),
    "wsgi.async": lambda _: True,
    "wsgi.multithread": lambda _: False,
    "wsgi.multiprocess": lambda _: False,
    "wsgi.run_once": lambda _: False,
    "wsgi.url_scheme": lambda request: request.url_scheme,
    "SERVER_SOFTWARE": lambda _: "roomcast",
    "REQUEST_METHOD": lambda request: request.method,
    "SCRIPT_NAME": lambda request: request.root_path,
    "PATH_INFO": lambda request: request.path.removeprefix(request.root_path),
    "QUERY_STRING": _query,
    "RAW_URI": _raw_uri,
    "SERVER_PROTOCOL": lambda request: f"HTTP/{request.http_version}",
    "REMOTE_ADDR": lambda request: request.client[0] if request.client else "",
    "REMOTE_PORT": _remote_port,
    "SERVER_NAME": lambda request: request.server[0] if request.server else "localhost",
    "SERVER_PORT": _server_port,
}
