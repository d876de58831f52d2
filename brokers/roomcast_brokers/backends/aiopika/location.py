"""Where RabbitMQ is, who one is there, and what is to be declared: what may stand in an ``amqp://`` URL.

``amqp://user:password@host:5672/vhost?…``; without a path, or with ``/`` alone, the virtual host is ``/``. All options
may stand in the URL; those of :class:`~roomcast_brokers.backends.aiopika.AiopikaBroker` are the same by name, and where
both say something the URL counts. Those of aio-pika mean what they mean there:

``heartbeat``, ``timeout`` (for reaching the server), ``name`` (of the connection), ``auth`` (``plain``, ``external``);
with ``amqps``: ``cafile``, ``capath``, ``cadata`` (base64), ``certfile``, ``keyfile``, ``no_verify_ssl``.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from roomcast_brokers.errors import BrokerURLError

DEFAULT_PORTS: Final = {"amqp": 5672, "amqps": 5671}
DEFAULT_EXCHANGE: Final = "roomcast"

# Seconds, negotiated. The server gives a client up that was silent for twice as long; so a node whose loop stood still
# for half a minute has its queue and what waits in it, and that of a machine that lost its power is gone within the
# minute. That a server is gone is found out by asking it (:mod:`.connection`), not by this.
DEFAULT_HEARTBEAT: Final = 20

# A durable queue is not anew at each connection: whoever comes back over a path that was cut has to wait until the
# server has given up the old connection, which still consumes. A stall costs no message there.
DEFAULT_DURABLE_HEARTBEAT: Final = 5
LONGEST_HEARTBEAT: Final = 600

DEFAULT_TIMEOUT: Final = 5.0

# Seconds for which the queue of a node that is away is kept, durable mode: longer than a restart of a server takes, or
# the break of a network that somebody has to mend.
DEFAULT_RETENTION: Final = 600.0
SHORTEST_RETENTION: Final = 1.0

# What one node's queue may hold; then the oldest go, and the node confesses it. In the fast mode that is a minute of a
# node that stands still at one megabyte a second, and the server has it in its memory; in the durable mode it has it on
# its disk as well, and for longer.
DEFAULT_QUEUE_BYTES: Final = 64 * 1_048_576
DEFAULT_DURABLE_QUEUE_BYTES: Final = 256 * 1_048_576

_EXCHANGE = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_NODE = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_OPTION = re.compile(r"[A-Za-z_]{1,30}")  # what may be repeated in a message; it might be half a password

# What aio-pika knows and what is of no use here: this connection is always made again, and always within moments.
_IGNORED: Final = frozenset({"reconnect_interval", "fail_fast"})


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be known of certificates; ``cafile`` and the two after it None: what this machine trusts."""

    cafile: str | None = None
    capath: str | None = None
    cadata: bytes | None = None
    certfile: str | None = None
    keyfile: str | None = None
    verify: bool = True


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A server, and what this node has there. ``node`` is empty where none was named."""

    host: str
    port: int
    user: str
    password: str
    vhost: str
    external: bool
    tls: Tls | None
    heartbeat: int
    timeout: float
    name: str
    exchange: str
    durable: bool
    node: str
    retention: float
    queue_bytes: int

    def __repr__(self) -> str:
        return f"Location(host={self.host!r}, port={self.port}, vhost={self.vhost!r})"  # no password


def parse(url: str, options: Mapping[str, Any] | None = None) -> Location:
    """Raises :class:`BrokerURLError`, which quotes no value. ``options`` of None are as if they were not there."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BrokerURLError("an amqp URL is amqp://user:password@host:port/vhost") from error
    if parts.scheme not in DEFAULT_PORTS or parts.fragment or port == 0:
        raise BrokerURLError("RabbitMQ is named by amqp://user:password@host:port/vhost, or amqps:// for TLS")
    given = _given(parts, options or {})
    durable = given.get("durable", False)
    if not durable and (given.keys() & {"node", "retention"}):
        raise BrokerURLError("node and retention are of the durable mode; add durable=true")
    exchange = given.get("exchange", DEFAULT_EXCHANGE)
    return Location(
        host=host or "localhost",
        port=port or DEFAULT_PORTS[parts.scheme],
        user=unquote(parts.username) if parts.username else "guest",
        password=unquote(parts.password) if parts.password is not None else "guest",
        vhost=unquote(parts.path.removeprefix("/")) or "/",
        external=given.get("auth", False),
        tls=_tls(parts.scheme, given),
        heartbeat=given.get("heartbeat", DEFAULT_DURABLE_HEARTBEAT if durable else DEFAULT_HEARTBEAT),
        timeout=given.get("timeout", DEFAULT_TIMEOUT),
        name=given.get("name", "roomcast"),
        exchange=f"{exchange}.durable" if durable else exchange,
        durable=durable,
        node=given.get("node", ""),
        retention=given.get("retention", DEFAULT_RETENTION),
        queue_bytes=given.get("queue_bytes", DEFAULT_DURABLE_QUEUE_BYTES if durable else DEFAULT_QUEUE_BYTES),
    )


def _given(parts: SplitResult, options: Mapping[str, Any]) -> dict[str, Any]:
    """What was said, by the URL and by the options, each as the value that it means."""
    said = {name: value for name, value in options.items() if value is not None}
    query = parse_qsl(parts.query, keep_blank_values=True)
    said.update(query)
    if len(dict(query)) != len(query):
        raise BrokerURLError("an option stands twice in the amqp URL")
    unknown = [name for name in said if name not in _OPTIONS and name not in _IGNORED]
    if unknown:
        raise BrokerURLError(_unknown(unknown[0]))
    given = {}
    for name in said.keys() - _IGNORED:
        read, meaning = _OPTIONS[name]
        try:
            given[name] = read(said[name])
        except (ValueError, TypeError) as error:
            raise BrokerURLError(f"the option {name} of an amqp URL is {meaning}") from error
    return given


def _unknown(name: str) -> str:
    known = ", ".join(sorted(_OPTIONS))
    if not _OPTION.fullmatch(name):
        return f"there is no such option for amqp; there is {known}"
    near = get_close_matches(name, _OPTIONS, n=1)
    return f"there is no option {name} for amqp; " + (f"did you mean {near[0]}?" if near else f"there is {known}")


def _tls(scheme: str, given: Mapping[str, Any]) -> Tls | None:
    names = ("cafile", "capath", "cadata", "certfile", "keyfile")
    if scheme == "amqps":
        return Tls(verify=not given.get("no_verify_ssl", False), **{name: given.get(name) for name in names})
    if given.keys() & {*names, "no_verify_ssl"}:
        raise BrokerURLError("options of TLS need amqps://")
    return None


# --- what options mean ------------------------------------------------------------------------------------------------

_TRUE: Final = frozenset({"1", "true", "yes", "y", "on", "enable", "enabled"})
_FALSE: Final = frozenset({"0", "false", "no", "n", "off", "disable", "disabled", ""})


def _yes(value: object) -> bool:
    word = str(value).lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(word)
    return word in _TRUE


def _within(least: float, most: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        number = float(value)
        if not least <= number <= most:
            raise ValueError(number)
        return number

    return read


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = int(value)
        if not least <= number <= most:
            raise ValueError(number)
        return number

    return read


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value) or value.startswith("amq."):
            raise ValueError
        return value

    return read


def _external(value: object) -> bool:
    mechanisms = {"plain": False, "external": True}
    if str(value).lower() not in mechanisms:
        raise ValueError
    return mechanisms[str(value).lower()]


def _base64(value: str) -> bytes:
    try:
        return b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError from error


_NAMING: Final = "1 to 100 of A-Z a-z 0-9 _ . : -, and begins not with amq."
_OPTIONS: Final[Mapping[str, tuple[Callable[[Any], Any], str]]] = {
    "auth": (_external, "plain or external"),
    "cadata": (_base64, "certificates in base64"),
    "cafile": (str, "a path"),
    "capath": (str, "a path"),
    "certfile": (str, "a path"),
    "durable": (_yes, "true or false"),
    "exchange": (_matching(_EXCHANGE), _NAMING),
    "heartbeat": (_whole(0, LONGEST_HEARTBEAT), f"whole seconds from 0 (none) to {LONGEST_HEARTBEAT}"),
    "keyfile": (str, "a path"),
    "queue_bytes": (_whole(1_048_576, 2**40), "at least 1048576"),
    "name": (_matching(re.compile(r"[\x20-\x7e]{1,100}")), "1 to 100 printable characters"),
    "no_verify_ssl": (_yes, "true or false"),
    "node": (_matching(_NODE), _NAMING),
    "retention": (_within(SHORTEST_RETENTION, 31 * 86_400), "seconds, from 1 to a month"),
    "timeout": (_within(0.1, 3_600), "seconds, from 0.1"),
}
