"""python-socketio's names for emitters: managers that only write (python-api.md 1.10).

::

    RedisManager("redis://localhost:6379", write_only=True).emit("progress", 3, room="job-17")

They are emitters in other words: arguments in the incumbent's order, and receipts instead of None. A manager that also
listens belongs to a server and is in the distribution ``roomcast``.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

from roomcast_brokers.addressing import Room
from roomcast_brokers.arguments import JsonDumps
from roomcast_brokers.channels import DEFAULT_CLUSTER
from roomcast_brokers.errors import BrokerURLError
from roomcast_emitter.emitter import Emitter
from roomcast_emitter.errors import OnlyWritesError
from roomcast_emitter.receipts import AsyncReceipt, Receipt
from roomcast_emitter.selection import Names
from roomcast_emitter.terms import Keys, Options

DEFAULT_URL: Final = "redis://localhost:6379/0"

_NO_CALLBACKS: Final = "Callbacks can only be issued from the context of a server."


class _WriteOnlyRedis:
    """What both colours do before they send."""

    name = "redis"

    def __init__(self, url: str, channel: str, write_only: bool, logger: Any, json: Any, redis_options: Any) -> None:
        if not write_only:
            raise OnlyWritesError(
                "this manager only writes: say write_only=True, or, for a server, take the one of the package roomcast"
            )
        _check_scheme(url)
        self.url = url
        self.channel = channel
        self.host_id = uuid.uuid4().hex
        self.logger = logging.getLogger("socketio") if logger is None or isinstance(logger, bool) else logger
        # A Sentinel's service has the channel's name unless the URL says otherwise, as in the incumbent.
        self._options: Options = {
            "json": json,
            "broker_options": {"redis_options": dict(redis_options or {}), "service": channel},
        }

    def set_server(self, server: Any) -> None:
        """Raises OnlyWritesError: a server listens."""
        raise OnlyWritesError("a manager that only writes cannot serve a server; the package roomcast has one that can")

    def _emitting(self, event: str, target: Any, namespace: str | None, callback: Any) -> None:
        if callback is not None:
            raise RuntimeError(_NO_CALLBACKS)
        self.logger.info('emitting event "%s" to %s [%s]', event, "all" if target is None else target, namespace or "/")


class RedisManager(_WriteOnlyRedis):
    """Emits to the clients of the cluster ``channel``, for threads; see :class:`~roomcast_emitter.emitter.Emitter`."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        channel: str = DEFAULT_CLUSTER,
        write_only: bool = False,
        logger: Any = None,
        json: JsonDumps | None = None,
        redis_options: Mapping[str, Any] | None = None,
        *,
        keys: Keys = None,
    ) -> None:
        super().__init__(url, channel, write_only, logger, json, redis_options)
        self.emitter = Emitter(url, channel, keys, **self._options)

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


class AsyncRedisManager(_WriteOnlyRedis):
    """As :class:`RedisManager`, for an event loop."""

    name = "aioredis"

    def __init__(
        self,
        url: str = DEFAULT_URL,
        channel: str = DEFAULT_CLUSTER,
        write_only: bool = False,
        logger: Any = None,
        json: JsonDumps | None = None,
        redis_options: Mapping[str, Any] | None = None,
        *,
        keys: Keys = None,
    ) -> None:
        # Who does not use it needs no event loop in the process.
        from roomcast_emitter.async_emitter import AsyncEmitter

        super().__init__(url, channel, write_only, logger, json, redis_options)
        self.emitter = AsyncEmitter(url, channel, keys, **self._options)

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


def _check_scheme(url: str) -> None:
    # Imported with the first manager, not before: it brings the back ends' bridges, and those an event loop.
    from roomcast_brokers.registry import BACK_ENDS, scheme_of

    scheme = scheme_of(url)
    back_end = BACK_ENDS.get(scheme)
    if back_end is not None and back_end.extra != "redis":
        raise BrokerURLError(f"a Redis manager cannot use {scheme}://")
