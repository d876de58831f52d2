"""Where a forwarder is: what may stand in a ``zmq+ipc://`` or ``zmq+tcp://`` URL, and what libzmq makes of it.

``zmq+ipc:///path/to/folder``
    A folder of its own: the forwarder makes it, with access for its user alone, and puts its socket there.

``zmq+tcp://host:port``
    One port is all it needs, because everything travels over one connection. A second one, as in
    ``zmq+tcp://localhost:5555+5556``, is how others who have a publishing and a subscribing half write it; it is
    understood, and not used. Whoever reaches the port may read and write, so it belongs on a loopback or an inner
    network.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from roomcast_brokers.errors import BrokerURLError

SOCKET_NAME: Final = "forwarder.sock"
LOCK_NAME: Final = "forwarder.lock"

# What a Unix socket's address holds on macOS, its final zero not counted; Linux has four more.
MAX_SOCKET_PATH_BYTES: Final = 103

_TCP = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\[\]:@/]+):(?P<port>\d{1,5})(?:\+(?P<second>\d{1,5}))?")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """``folder`` is that of ipc; else there are ``host`` and ``port`` (0: any, for a forwarder alone)."""

    folder: str | None = None
    host: str = ""
    port: int = 0

    @property
    def endpoint(self) -> str:
        """What libzmq connects to, and binds to if ``host`` is a number."""
        if self.folder is not None:
            return f"ipc://{self.folder}/{SOCKET_NAME}"
        return f"tcp://{self.host}:{self.port or '*'}"

    @property
    def lock(self) -> str:
        """The file that says whether a forwarder lives in ``folder``."""
        return f"{self.folder}/{LOCK_NAME}"

    @property
    def socket(self) -> str:
        return f"{self.folder}/{SOCKET_NAME}"

    def for_clients(self) -> Address:
        """Itself, if one can connect to it."""
        if self.folder is None and (not self.port or self.host == "*"):
            raise BrokerURLError("a client connects to a host and a port; only a forwarder may leave them open")
        return self

    @property
    def is_ipv6(self) -> bool:
        return self.host.startswith("[")


def parse(url: str) -> Address:
    """Raises :class:`BrokerURLError`, which does not quote the URL."""
    parts = urlsplit(url)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise BrokerURLError("a zmq URL holds a place and nothing else: no user, no options")
    match parts.scheme:
        case "zmq+ipc":
            return _ipc(parts.netloc, unquote(parts.path))
        case "zmq+tcp":
            return _tcp(parts.netloc, parts.path)
    raise BrokerURLError("ZeroMQ serves zmq+ipc:///path/to/folder and zmq+tcp://host:port")


def _ipc(netloc: str, path: str) -> Address:
    folder = path.rstrip("/")
    if netloc or not folder:
        raise BrokerURLError("zmq+ipc:// takes the absolute path of a folder, after three slashes")
    if "\0" in folder:
        raise BrokerURLError("the path of a folder holds no zero byte")
    address = Address(folder=folder)
    size = len(address.socket.encode("utf-8", "surrogatepass"))
    if size > MAX_SOCKET_PATH_BYTES:
        longest = MAX_SOCKET_PATH_BYTES - len(SOCKET_NAME) - 1
        raise BrokerURLError(
            f"the folder of zmq+ipc:// has at most {longest} bytes, not {size - len(SOCKET_NAME) - 1}: "
            "the path of a Unix socket is short"
        )
    return address


def _tcp(netloc: str, path: str) -> Address:
    found = _TCP.fullmatch(netloc)
    if found is None or path not in ("", "/"):
        raise BrokerURLError("zmq+tcp:// takes a host and a port: zmq+tcp://localhost:5555")
    ports = [int(port) for port in found.group("port", "second") if port is not None]
    if any(port > 65_535 for port in ports):
        raise BrokerURLError("a port is at most 65535")
    host = found["host"]
    return Address(host="127.0.0.1" if host == "localhost" else host, port=ports[0])
