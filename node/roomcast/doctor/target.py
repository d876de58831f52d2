"""Where the deployment is: the address that its clients are given."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from roomcast.errors import SettingsError

DEFAULT_PATH: Final = "/socket.io/"

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_PORTS: Final = {"http": 80, "https": 443}


class Target(msgspec.Struct, frozen=True):
    """``path`` is Engine.IO's, with both slashes; ``login`` is what stood before ``@``, and is never shown."""

    scheme: str
    host: str
    port: int
    path: str = DEFAULT_PATH
    login: tuple[str, str] | None = None

    @property
    def authority(self) -> str:
        """What the header ``Host`` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """What browsers send as ``Origin`` from a page of this very address."""
        return f"{self.scheme}://{self.authority}"

    @property
    def shown(self) -> str:
        """The address as it may be shown to anybody."""
        return f"{self.origin}{self.path}"

    @property
    def secure(self) -> bool:
        """Whether it is spoken to over TLS."""
        return self.scheme == "https"


def parse_target(url: str, path: str | None = None) -> Target:
    """The target of a URL such as ``https://chat.example.com``; a path in it is that of Socket.IO, as is ``path``.

    Raises SettingsError, which does not repeat the URL: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as whoever connects will do
    except ValueError as error:
        raise SettingsError(f"this is no URL: {error}") from error
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise SettingsError("the URL must begin with http:// or https:// and name a host, as clients are given it")
    if parts.query or parts.fragment:
        raise SettingsError("the URL must not have a query: only scheme, host, port, and the path of Socket.IO")
    if path is not None and parts.path.strip("/"):
        raise SettingsError("there is a path in the URL and one in --path: say it once")
    return Target(scheme, parts.hostname, port or _PORTS[scheme], _path(path or parts.path), _login(parts))


def _path(path: str) -> str:
    inner = path.strip("/")
    if any(character in inner for character in "?# \r\n"):
        raise SettingsError("a path has no ?, # or space")
    return f"/{inner}/" if inner else DEFAULT_PATH


def _login(parts: SplitResult) -> tuple[str, str] | None:
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


def other_paths(path: str) -> list[str]:
    """Where Socket.IO may be instead: the default, its end under other prefixes that people use, Engine.IO's own."""
    prefixes = ("", "/ws", "/api", "/app", "/chat", "/realtime")
    candidates = [*(f"{prefix}/socket.io/" for prefix in prefixes), "/engine.io/"]
    return [candidate for candidate in candidates if candidate != path]
