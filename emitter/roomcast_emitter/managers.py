"""python-socketio's names for emitters: managers that only write (python-api.md 1.10).

::

    RedisManager("redis://localhost:6379", write_only=True).emit("progress", 3, room="job-17")

They are emitters in other words: arguments in the incumbent's order, and receipts instead of None. A manager that also
listens belongs to a server and is in the distribution ``roomcast``.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection
from typing import Any, ClassVar, Final

from roomcast_brokers.addressing import Room
from roomcast_emitter.emitter import Emitter
from roomcast_emitter.errors import OnlyWritesError
from roomcast_emitter.manager_arguments import (
    URL,
    AioPikaArguments,
    KafkaArguments,
    KombuArguments,
    ManagerArguments,
    RedisArguments,
    ZmqArguments,
)
from roomcast_emitter.receipts import AsyncReceipt, Receipt
from roomcast_emitter.selection import Names
from roomcast_emitter.terms import Keys, Options

_NO_CALLBACKS: Final = "Callbacks can only be issued from the context of a server."


class WriteOnlyManager(ManagerArguments):
    """What both colours do before they send. ``name`` is the incumbent's, for logs."""

    name: ClassVar[str]

    def _begin(
        self,
        url: URL,
        channel: str,
        write_only: bool,
        logger: Any,
        json: Any,
        keys: Keys,
        options: dict[str, Any],
    ) -> None:
        if not write_only:
            raise self._refusal()
        self.url = url
        self.channel = channel
        self.host_id = uuid.uuid4().hex
        self.logger = logging.getLogger("socketio") if logger is None or isinstance(logger, bool) else logger
        self._connect(self._broker_url(url), channel, keys, {"json": json, "broker_options": options})

    def _connect(self, url: str, channel: str, keys: Keys, options: Options) -> None:
        """Make the emitter."""
        raise NotImplementedError  # each colour has its own

    def _refusal(self) -> Exception:
        """Why it only writes."""
        return OnlyWritesError(
            "this manager only writes: say write_only=True, or, for a server, take the one of the package roomcast"
        )

    def set_server(self, server: Any) -> None:
        """Raises OnlyWritesError: a server listens."""
        raise OnlyWritesError("a manager that only writes cannot serve a server; the package roomcast has one that can")

    def _emitting(self, event: str, target: Any, namespace: str | None, callback: Any) -> None:
        if callback is not None:
            raise RuntimeError(_NO_CALLBACKS)
        self.logger.info('emitting event "%s" to %s [%s]', event, "all" if target is None else target, namespace or "/")


class BlockingManager(WriteOnlyManager):
    """Emits to the clients of the cluster ``channel``, for threads; see :class:`~roomcast_emitter.emitter.Emitter`."""

    def _connect(self, url: str, channel: str, keys: Keys, options: Options) -> None:
        self.emitter = Emitter(url, channel, keys, **options)

    def emit(
        self,
        event: str,
        data: Any,
        namespace: str | None = None,
        room: Names | None = None,
        skip_sid: str | Collection[str] | None = None,
        callback: Any = None,
        to: Names | None = None,
        *,
        ignore_queue: bool = False,
        volatile: bool = False,
        **_: Any,
    ) -> Receipt | None:
        """Emit; with ``ignore_queue`` only to clients that are here, and here are none."""
        self._emitting(event, room if to is None else to, namespace, callback)
        if ignore_queue:
            return None
        return self.emitter.emit(event, data, to, room, skip_sid, namespace, volatile=volatile)

    def enter_room(self, sid: str, namespace: str | None, room: Room, eio_sid: str | None = None) -> Receipt:
        """Put a client into a room."""
        return self.emitter.enter_room(sid, room, namespace)

    def leave_room(self, sid: str, namespace: str | None, room: Room) -> Receipt:
        """Take a client out of a room."""
        return self.emitter.leave_room(sid, room, namespace)

    def close_room(self, room: Room, namespace: str | None = None) -> Receipt:
        """Take everybody out of a room."""
        return self.emitter.close_room(room, namespace)

    def disconnect(self, sid: str, namespace: str | None = None, **_: Any) -> Receipt:
        """Disconnect a client from a namespace."""
        return self.emitter.disconnect(sid, namespace)

    def can_disconnect(self, sid: str, namespace: str | None = None) -> bool:
        """False: no client is here. The one that is meant is disconnected where it is, as in the incumbent."""
        self.disconnect(sid, namespace)
        return False


class WaitingManager(WriteOnlyManager):
    """As :class:`BlockingManager`, for an event loop; every method that sends is a coroutine."""

    def _connect(self, url: str, channel: str, keys: Keys, options: Options) -> None:
        # Who does not use it needs no event loop in the process.
        from roomcast_emitter.async_emitter import AsyncEmitter

        self.emitter = AsyncEmitter(url, channel, keys, **options)

    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str | None = None,
        room: Names | None = None,
        skip_sid: str | Collection[str] | None = None,
        callback: Any = None,
        to: Names | None = None,
        *,
        ignore_queue: bool = False,
        volatile: bool = False,
        **_: Any,
    ) -> AsyncReceipt | None:
        """Emit; with ``ignore_queue`` only to clients that are here, and here are none."""
        self._emitting(event, room if to is None else to, namespace, callback)
        if ignore_queue:
            return None
        return await self.emitter.emit(event, data, to, room, skip_sid, namespace, volatile=volatile)

    async def enter_room(
        self, sid: str, namespace: str | None, room: Room, eio_sid: str | None = None
    ) -> AsyncReceipt:
        """Put a client into a room."""
        return await self.emitter.enter_room(sid, room, namespace)

    async def leave_room(self, sid: str, namespace: str | None, room: Room) -> AsyncReceipt:
        """Take a client out of a room."""
        return await self.emitter.leave_room(sid, room, namespace)

    async def close_room(self, room: Room, namespace: str | None = None) -> AsyncReceipt:
        """Take everybody out of a room."""
        return await self.emitter.close_room(room, namespace)

    async def disconnect(self, sid: str, namespace: str | None = None, **_: Any) -> AsyncReceipt:
        """Disconnect a client from a namespace."""
        return await self.emitter.disconnect(sid, namespace)

    async def can_disconnect(self, sid: str, namespace: str | None = None) -> bool:
        """False: no client is here. The one that is meant is disconnected where it is, as in the incumbent."""
        await self.disconnect(sid, namespace)
        return False


class RedisManager(RedisArguments, BlockingManager):
    """Through Redis or Valkey (or Sentinel, or Cluster)."""

    name = "redis"


class AsyncRedisManager(RedisArguments, WaitingManager):
    """Through Redis or Valkey (or Sentinel, or Cluster)."""

    name = "aioredis"


class KombuManager(KombuArguments, BlockingManager):
    """Through whatever kombu speaks that has fanout."""

    name = "kombu"


class AsyncKombuManager(KombuArguments, WaitingManager):
    """Through whatever kombu speaks that has fanout."""

    name = "aiokombu"


class KafkaManager(KafkaArguments, BlockingManager):
    """Through Kafka."""

    name = "kafka"


class AsyncKafkaManager(KafkaArguments, WaitingManager):
    """Through Kafka."""

    name = "aiokafka"


class AsyncAioPikaManager(AioPikaArguments, WaitingManager):
    """Through RabbitMQ, through aio-pika."""

    name = "asyncaiopika"


class ZmqManager(ZmqArguments, BlockingManager):
    """Through the embedded broker."""

    name = "zmq"


class AsyncZmqManager(ZmqArguments, WaitingManager):
    """Through the embedded broker."""

    name = "aiozmq"
