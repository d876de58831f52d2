"""The blocking sender: redis-py's own connections, one per server that is used, no thread, nothing retried.

It uses plain blocking sockets, so it works where they are made cooperative (gevent, eventlet).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Final, Protocol, cast

import redis

from roomcast_brokers.backends.redis.connecting import keepalive_options
from roomcast_brokers.backends.redis.finding import entrance, find_blocking
from roomcast_brokers.backends.redis.layout import Layout, Server
from roomcast_brokers.backends.redis.location import DEFAULT_SERVICE, Kind, parse, traits_of
from roomcast_brokers.backends.redis.replies import check_role, pack
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, MessageTooLargeError, SendError

# Seconds for everything that one send() does.
SEND_TIMEOUT: Final = 5.0

# Seconds after which the Sentinels are asked again before something is sent, which takes 3 ms. A master that was
# replaced while it lives accepts messages for ten seconds and more, and nobody hears them there.
ASK_AGAIN: Final = 1.0


class Connection(Protocol):
    """What is used of redis-py's blocking connections, which are annotated in parts."""

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def can_read(self, timeout: float) -> bool: ...
    def send_command(self, *command: str) -> None: ...
    def send_packed_command(self, command: Sequence[bytes], check_health: bool) -> None: ...
    def read_response(self) -> object: ...


class RedisSender:
    """See :class:`roomcast_brokers.contracts.Sender`, and :class:`~.broker.RedisBroker` for the arguments.

    ``timeout`` bounds each step (to connect, to write, to wait for one answer), and no step begins after it.
    """

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        *,
        redis_options: Mapping[str, Any] | None = None,
        service: str = DEFAULT_SERVICE,
        timeout: float = SEND_TIMEOUT,
    ) -> None:
        self._location = parse(url, redis_options, service)
        self._command = b"SPUBLISH" if self._location.kind is Kind.CLUSTER else b"PUBLISH"
        self._timeout = timeout
        self._closed = False
        self._layout: Layout | None = None
        self._ask_again = 0.0
        self._connections: dict[Server, Connection] = {}

    @property
    def traits(self) -> Traits:
        return traits_of(self._location.kind)

    def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        for _, payload in messages:
            if len(payload) > MAX_MESSAGE_BYTES:
                raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
        if self._closed:
            raise BrokerClosedError("nothing is sent after close()")
        accepted = 0
        done = False
        try:
            deadline = monotonic() + self._timeout
            for connection in self._write(messages, deadline):
                _check_time(deadline)
                connection.read_response()
                accepted += 1
            done = True
        except (redis.RedisError, OSError, BrokerUnreachableError) as error:
            text = str(error) if isinstance(error, BrokerUnreachableError) else f"{type(error).__name__}: {error}"
            raise SendError(f"Redis took {accepted:,} of {len(messages):,} messages: {text}", accepted) from error
        finally:
            if not done:  # also if it was interrupted: the answers that are still to come are nobody's
                self.forget()

    def close(self) -> None:
        self._closed = True
        self.forget()

    def forget(self) -> None:
        # redis-py shuts a connection down only in the process that made it; in a child, the descriptors are closed.
        connections, self._connections = self._connections, {}
        self._layout = None
        for connection in connections.values():
            connection.disconnect()

    def _write(self, messages: Sequence[tuple[str, bytes]], deadline: float) -> list[Connection]:
        """Write everything; returns for each message the connection on which its answer will come."""
        layout = self._find()
        if not messages:
            self._connected(layout.owner(""))  # any server: who is there is asked, not whether all are
        packed: dict[Server, list[bytes]] = {}
        owners = [layout.owner(channel) for channel, _ in messages]
        for server, (channel, payload) in zip(owners, messages, strict=True):
            packed.setdefault(server, []).append(pack((self._command, channel, payload)))
        for server, commands in packed.items():
            _check_time(deadline)
            self._connected(server).send_packed_command([b"".join(commands)], check_health=False)
        return [self._connections[server] for server in owners]

    def _find(self) -> Layout:
        if self._layout is None or (self._location.kind is Kind.SENTINEL and monotonic() > self._ask_again):
            self._layout = find_blocking(self._location)
            self._ask_again = monotonic() + ASK_AGAIN
        return self._layout

    def _connected(self, server: Server) -> Connection:
        connection = self._connections.get(server)
        if connection is not None:
            if not _ended(connection):
                return connection
            connection.disconnect()
        connection = self._connections[server] = self._new_connection(server)
        connection.connect()
        if self._location.kind is Kind.SENTINEL:
            connection.send_command("ROLE")
            check_role(connection.read_response())
        return connection

    def _new_connection(self, server: Server) -> Connection:
        access = self._location.access
        options = {
            **entrance(access),
            "socket_timeout": self._timeout,
            "socket_connect_timeout": min(self._timeout, access.connect_timeout),
        }
        if server.path:
            return _new(redis.UnixDomainSocketConnection, path=server.path, **options)
        options |= {"socket_keepalive": True, "socket_keepalive_options": keepalive_options()}
        if access.tls is not None:
            return _new(redis.SSLConnection, host=server.host, port=server.port, **access.tls, **options)
        return _new(redis.Connection, host=server.host, port=server.port, **options)


def _new(kind: Any, **options: Any) -> Connection:
    return cast("Connection", kind(**options))


def _ended(connection: Connection) -> bool:
    """Whether the server has closed a connection while nobody looked. Nothing else is to be read from it."""
    try:
        return bool(connection.can_read(timeout=0))
    except (redis.RedisError, OSError):
        return True


def _check_time(deadline: float) -> None:
    if monotonic() > deadline:
        raise BrokerUnreachableError("the time for it is over")
