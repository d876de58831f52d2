"""One server's pair of connections: what is published goes out on one, what is subscribed comes in on the other.

Each is made when it is first needed: a process that only writes has one connection, and in a cluster only servers whose
channels are used have any.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Mapping

import msgspec

from roomcast_brokers.backends.redis.connecting import connect
from roomcast_brokers.backends.redis.connections import Connection, Hears, PublishConnection, SubscribeConnection
from roomcast_brokers.backends.redis.layout import Server
from roomcast_brokers.backends.redis.location import Access
from roomcast_brokers.errors import BrokerUnreachableError


class Manner(msgspec.Struct, frozen=True):
    """What all pairs of a broker have in common: how to get in, and how the servers belong together."""

    access: Access
    context: ssl.SSLContext | None
    sharded: bool
    master: bool


class Pair:
    """The connections to ``server``. ``broken`` is called once when either breaks; then the pair is to be dropped."""

    def __init__(
        self,
        server: Server,
        manner: Manner,
        hears: Hears,
        accepted: Callable[[Pair, int], None],
        broken: Callable[[Pair, BrokerUnreachableError], None],
    ) -> None:
        self.server = server
        self._loop = asyncio.get_running_loop()
        self._manner = manner
        self._hears = hears
        self._accepted = accepted
        self._told_broken = broken
        self._publisher: PublishConnection | None = None
        self._subscriber: SubscribeConnection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False

    @property
    def outstanding(self) -> int:
        """Messages that were handed over and not accepted yet."""
        return self._publisher.outstanding if self._publisher else 0

    def publisher(self) -> PublishConnection:
        """The connection that publishes; it is being made, if need be, and keeps what it is given until then."""
        if self._publisher is None:
            self._publisher = self._new_publisher()
            self._start(self._attach(self._publisher))
        return self._publisher

    def subscriber(self) -> SubscribeConnection:
        """The connection that subscribes; it is being made, if need be, and keeps what it is given until then."""
        if self._subscriber is None:
            self._subscriber = self._new_subscriber()
            self._start(self._attach(self._subscriber))
        return self._subscriber

    async def connected(self) -> None:
        """Wait for the connections that are being made. What fails is told to ``broken``, and ends the waiting."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def renew(self, wanted: Mapping[str, int]) -> None:
        """Have exactly ``wanted`` subscribed, each of it confirmed anew."""
        if self._subscriber is not None:
            await self._subscriber.renew(wanted)

    def unsubscribe(self, channel: str) -> None:
        if self._subscriber is not None:
            self._subscriber.unsubscribe(channel)

    def stop_publishing(self) -> list[asyncio.Future[None]]:
        """Forget the connection that publishes: what was not answered on it will not be. Returns as :meth:`drop`."""
        publisher, self._publisher = self._publisher, None
        return _end(publisher)

    def drop(self) -> list[asyncio.Future[None]]:
        """End both connections without another word; returns what is done when they are gone."""
        self._over = True
        for task in self._tasks:
            task.cancel()
        return [*self._tasks, *_end(self._publisher, self._subscriber)]

    def _new_publisher(self) -> PublishConnection:
        command = b"SPUBLISH" if self._manner.sharded else b"PUBLISH"
        return PublishConnection(self._loop, command, lambda count: self._accepted(self, count), self._broken)

    def _new_subscriber(self) -> SubscribeConnection:
        return SubscribeConnection(self._loop, self._hears, self._broken, sharded=self._manner.sharded)

    async def _attach(self, connection: Connection) -> None:
        manner = self._manner
        connection.attach(await connect(self.server, manner.access, manner.context, master=manner.master))

    def _start(self, attaching: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(attaching)
        self._tasks.add(task)
        task.add_done_callback(self._started)

    def _started(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._broken(unreachable(error))

    def _broken(self, error: BrokerUnreachableError) -> None:
        if not self._over:
            self._over = True
            self._told_broken(self, error)


def _end(*connections: Connection | None) -> list[asyncio.Future[None]]:
    ending = []
    for connection in connections:
        if connection is not None:
            connection.abandon()
            if connection.attached:
                ending.append(connection.ended)
    return ending


def unreachable(error: BaseException) -> BrokerUnreachableError:
    """``error`` as what the listener is told: that the broker is away, and why."""
    if isinstance(error, BrokerUnreachableError):
        return error
    told = BrokerUnreachableError(f"the server cannot be reached: {type(error).__name__}: {error}")
    told.__cause__ = error
    return told
