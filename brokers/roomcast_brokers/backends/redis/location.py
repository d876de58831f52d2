"""Where the servers are and how one gets in, as a URL and redis-py's options say it. Nothing is asked or opened here.

================================================  ==========================================================
``redis://user:password@host:6379/0``             one server; ``valkey://`` is the same
``rediss://…``, ``valkeys://…``                   the same over TLS
``unix:///path/to/socket``                        the same over a Unix socket
``redis+sentinel://u:p@h1:26379,h2:26379/0/name``  the master that Sentinels name; user and password are the master's
``redis+cluster://u:p@h1:6379,h2:6379``           Redis Cluster, found through any of these; also ``?cluster=true``
================================================  ==========================================================

``valkey+…`` is ``redis+…``; ``rediss+…`` and ``valkeys+…`` are these over TLS. The number of a database is read and
ignored: publish and subscribe know no databases.

Options are those of redis-py's clients. What says how to reach and enter a server is used; the rest (``db``,
``decode_responses``, ``encoding``, pools, retries …) could only change what this package decides, and is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec
from redis.asyncio.connection import parse_url
from redis.credentials import CredentialProvider

from roomcast_brokers.backends.redis.layout import Server
from roomcast_brokers.contracts import Traits
from roomcast_brokers.errors import BrokerURLError

# Seconds for a connection to be made, greeting included. A server nearby needs milliseconds; one that has not answered
# by then is tried again.
CONNECT_TIMEOUT: Final = 5.0

PORT: Final = 6_379
SENTINEL_PORT: Final = 26_379
DEFAULT_SERVICE: Final = "mymaster"  # what Sentinel's own example configuration watches
DEFAULT_CLIENT_NAME: Final = "roomcast"


class Kind(Enum):
    """How the servers belong together."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


def traits_of(kind: Kind) -> Traits:
    """A cluster has a connection per server, and what goes through two of them keeps no order."""
    return Traits(ordered_across_channels=kind is not Kind.CLUSTER)


# What stands before :// → (how the servers belong together, the scheme that redis-py knows)
SCHEMES: Final[Mapping[str, tuple[Kind, str]]] = {
    "redis": (Kind.SINGLE, "redis"),
    "rediss": (Kind.SINGLE, "rediss"),
    "unix": (Kind.SINGLE, "unix"),
    "valkey": (Kind.SINGLE, "redis"),
    "valkeys": (Kind.SINGLE, "rediss"),
    **{f"{name}+sentinel": (Kind.SENTINEL, "redis") for name in ("redis", "valkey")},
    **{f"{name}+sentinel": (Kind.SENTINEL, "rediss") for name in ("rediss", "valkeys")},
    **{f"{name}+cluster": (Kind.CLUSTER, "redis") for name in ("redis", "valkey")},
    **{f"{name}+cluster": (Kind.CLUSTER, "rediss") for name in ("rediss", "valkeys")},
}

# redis-py's options for TLS which its blocking and its asynchronous connections share
TLS_OPTIONS: Final = frozenset(
    {
        *("ssl_keyfile", "ssl_certfile", "ssl_password"),
        *("ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_check_hostname"),
        *("ssl_min_version", "ssl_ciphers", "ssl_include_verify_flags", "ssl_exclude_verify_flags"),
    }
)

_TRUE: Final = frozenset({True, "1", "true", "True", "yes", "on"})


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How one gets into a server. ``tls`` holds redis-py's ``ssl_…`` options, None means no TLS."""

    username: str | None = None
    password: str | None = None
    credential_provider: CredentialProvider | None = None
    tls: dict[str, Any] | None = None
    connect_timeout: float = CONNECT_TIMEOUT
    client_name: str = DEFAULT_CLIENT_NAME

    def __repr__(self) -> str:  # may end up in a log or a failed assertion
        return f"Access(tls={self.tls is not None})"


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where the servers are: ``servers`` are the Sentinels, or the first nodes of a cluster to be asked."""

    kind: Kind
    servers: tuple[Server, ...]
    access: Access
    service: str = DEFAULT_SERVICE
    sentinel_access: Access = Access()
    min_other_sentinels: int = 0


def parse(url: str, options: Mapping[str, Any] | None = None, service: str = DEFAULT_SERVICE) -> Location:
    """What ``url`` and ``options`` say together; where both say something, the URL wins.

    ``service`` is the name of the Sentinels' master if the URL has none. Raises :class:`BrokerURLError`, which never
    quotes the URL.
    """
    name, separator, rest = url.partition("://")
    if not separator or name.lower() not in SCHEMES:
        raise BrokerURLError(f"a URL of Redis begins with one of {', '.join(f'{each}://' for each in SCHEMES)}")
    kind, scheme = SCHEMES[name.lower()]
    options = options or {}
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        userinfo, at, hosts = parts.netloc.rpartition("@")
        first = hosts.split(",")[0]
        said = {**options, **parse_url(parts._replace(netloc=f"{userinfo}{at}{first}").geturl())}
        if kind is Kind.SINGLE and said.pop("cluster", False) in _TRUE:
            kind = Kind.CLUSTER
        port = int(options.get("port", SENTINEL_PORT if kind is Kind.SENTINEL else PORT))
        path = said.get("path")
        servers = (Server(path=path),) if path else _servers(hosts, str(options.get("host", "localhost")), port)
        _check(kind, servers)
        access = _access(said, tls=scheme == "rediss")
        return Location(
            kind=kind,
            servers=servers,
            access=access,
            service=_service(parts.path) or service,
            sentinel_access=_sentinel_access(said, access) if kind is Kind.SENTINEL else Access(),
            min_other_sentinels=int(said.get("min_other_sentinels", 0)),
        )
    except BrokerURLError:
        raise
    except (ValueError, TypeError):
        # Not chained: what could not be read may be half of a password, and the message quotes it.
        raise BrokerURLError("the URL of Redis cannot be read; a / or @ in a password is written %2F or %40") from None


def _servers(hosts: str, host: str, port: int) -> tuple[Server, ...]:
    """The hosts of the URL; ``host`` and ``port`` where it names none."""
    found = []
    for each in hosts.split(","):
        parts = urlsplit(f"//{each}")
        found.append(Server(unquote(parts.hostname) if parts.hostname else host, parts.port or port))
    return tuple(found)


def _check(kind: Kind, servers: tuple[Server, ...]) -> None:
    if kind is Kind.SINGLE and len(servers) > 1:
        raise BrokerURLError("several servers are redis+sentinel:// or redis+cluster://; redis:// is one")
    if kind is not Kind.SINGLE and servers[0].path:
        raise BrokerURLError("Sentinels and clusters are reached over the network, not by a Unix socket")


def _access(said: Mapping[str, Any], *, tls: bool) -> Access:
    provider = said.get("credential_provider")
    return Access(
        username=None if provider else said.get("username"),
        password=None if provider else said.get("password"),
        credential_provider=provider,
        tls={key: value for key, value in said.items() if key in TLS_OPTIONS}
        if tls or said.get("ssl") in _TRUE
        else None,
        connect_timeout=float(said.get("socket_connect_timeout") or said.get("socket_timeout") or CONNECT_TIMEOUT),
        client_name=str(said.get("client_name") or DEFAULT_CLIENT_NAME),
    )


def _sentinel_access(said: Mapping[str, Any], access: Access) -> Access:
    """Sentinels have passwords of their own (``sentinel_kwargs``, or ``sentinel_password`` in the query), and TLS if
    the master has it, unless said otherwise.
    """
    own = said.get("sentinel_kwargs")
    if own is None:
        own = {
            "username": said.get("sentinel_username"),
            "password": said.get("sentinel_password"),
            "ssl": access.tls is not None,
            **(access.tls or {}),
        }
    return _access({"socket_connect_timeout": access.connect_timeout, **own}, tls=False)


def _service(path: str) -> str:
    """The last part of ``/db/service``."""
    parts = path.split("/")
    return unquote(parts[2]) if len(parts) > 2 else ""
