"""Hears from the Sentinels when another server has become the master.

A master that dies is noticed by its connections. One that lives on, because somebody ordered the failover or because
only the Sentinels lost sight of it, serves its connections for ten seconds and more before Sentinel cuts them; what is
published on it meanwhile reaches nobody who has come to the new one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from roomcast_brokers.backends.redis.connecting import connect
from roomcast_brokers.backends.redis.connections import SubscribeConnection
from roomcast_brokers.backends.redis.layout import Server
from roomcast_brokers.backends.redis.location import Location
from roomcast_brokers.backoff import delays
from roomcast_brokers.errors import BrokerError, BrokerUnreachableError

# Each Sentinel publishes it when it has heard of the change: "<service> <old host> <old port> <new host> <new port>".
SWITCHED: Final = "+switch-master"

# Seconds between attempts to hear a Sentinel that is away. The others tell as well, so there is no hurry.
SHORTEST_DELAY: Final = 0.2
LONGEST_DELAY: Final = 5.0


def new_master(payload: bytes, service: str) -> Server | None:
    """Whom a Sentinel calls the new master of ``service``; None if it speaks of another service, or nonsense."""
    words = payload.decode("utf-8", "replace").split(" ")
    if len(words) != 5 or words[0] != service or not words[4].isdecimal():
        return None
    return Server(words[3], int(words[4]))


class Watch:
    """One subscription to each Sentinel, made again and again. ``switched`` is told of each new master, by each."""

    def __init__(self, location: Location, context: ssl.SSLContext | None, switched: Callable[[Server], None]) -> None:
        self._location = location
        self._context = context
        self._switched = switched
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._watch(sentinel)) for sentinel in location.servers]

    def end(self) -> list[asyncio.Task[None]]:
        """Returns what is done when the subscriptions are gone."""
        for task in self._tasks:
            task.cancel()
        return self._tasks

    def delivered(self, channel: str, payload: bytes) -> None:
        master = new_master(payload, self._location.service)
        if master is not None:
            self._switched(master)

    def confirmed(self, channel: str, generation: int) -> None:
        """Nobody waits for it."""

    async def _watch(self, sentinel: Server) -> None:
        waits = delays(SHORTEST_DELAY, LONGEST_DELAY)
        while True:
            try:
                await self._listen(sentinel)
            except (BrokerError, OSError):
                pass  # it is away, or lets nobody in: finding the master tells why, if no other Sentinel answers
            await asyncio.sleep(next(waits))

    async def _listen(self, sentinel: Server) -> None:
        """Subscribe, and return when the connection has broken."""
        loop = asyncio.get_running_loop()
        broken: asyncio.Future[BrokerUnreachableError] = loop.create_future()
        transport = await connect(sentinel, self._location.sentinel_access, self._context)
        connection = SubscribeConnection(
            loop, self, lambda error: None if broken.done() else broken.set_result(error), sharded=False
        )
        connection.subscribe(SWITCHED, 1)
        connection.attach(transport)
        try:
            await broken
        finally:
            connection.abandon()
            await connection.ended
