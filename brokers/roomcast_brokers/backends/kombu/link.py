"""One connection of kombu's: made once, and never mended by kombu.

``kombu.Connection`` makes a new connection in silence when it is asked for one that broke. So what it has connected is
kept here and used through kombu's transport, which does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from kombu.connection import Connection
from kombu.exceptions import KombuError

from roomcast_brokers.errors import BrokerError, BrokerUnreachableError

# Connections that the parent of a fork goes on using: collecting them might end them there.
_FORGOTTEN: Final[list[object]] = []


@contextmanager
def translated() -> Iterator[None]:
    """Whatever goes wrong with a transport is told as one thing: this connection is of no more use."""
    try:
        yield
    except BrokerError:
        raise
    except Exception as error:  # each transport raises what its library does, KeyError among them
        raise unreachable(error) from error


def unreachable(error: Exception) -> BrokerUnreachableError:
    """``error`` as what the listener is told."""
    cause = error
    if isinstance(error, KombuError) and isinstance(error.__cause__, Exception):
        cause = error.__cause__  # kombu has wrapped it, and lost its name
    return BrokerUnreachableError(f"the broker cannot be reached: {type(cause).__name__}: {cause}")


def quietly(call: Callable[[], object]) -> None:
    """Do what is of no interest any more, should it fail."""
    try:
        call()
    except Exception:  # noqa: BLE001 - as in translated(); the connection is gone either way
        pass


class Link:
    """``connect`` makes a ``kombu.Connection`` that is not connected yet."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._transport: Any = None
        self.raw: Any = None
        """What the transport has connected: py-amqp's connection; a virtual transport itself."""
        self.channel: Any = None
        """The only one there is, once it is open."""

    def open(self) -> None:
        """Connect. Raises whatever the transport does, and is to be closed then as well."""
        connection = self._connection = self._connect()
        connection.ensure_connection(max_retries=0)  # once, and no pause after it
        self._transport = connection.transport
        self.raw = connection.connection
        self.prepare()
        self.channel = connection.channel()

    def prepare(self) -> None:
        """Called when ``raw`` is there, before anything is done with it."""

    def drain(self, timeout: float) -> bool:
        """Have the transport call back for what has come; whether there was anything within ``timeout`` seconds."""
        try:
            self._transport.drain_events(self.raw, timeout=timeout)
        except TimeoutError:
            return False
        return True

    def heartbeat(self) -> None:
        """Where the transport has heartbeats: send one if it is time; raises if none came."""
        self._transport.heartbeat_check(self.raw)

    def close(self, *, farewell: bool) -> None:
        """End it. Raises nothing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            quietly(connection.release)

    def forget(self) -> None:
        """Never touch it again, nor let it be collected, which would be touching it."""
        if self._connection is not None:
            _FORGOTTEN.append(self._connection)
            self._connection = None
