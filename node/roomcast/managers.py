"""The incumbent's managers with a broker (python-api.md 1.10): for a server and, write-only, for who has none.

    sio = roomcast.AsyncServer(client_manager=roomcast.AsyncRedisManager("redis://localhost:6379"))
    roomcast.RedisManager("redis://localhost:6379", write_only=True).emit("progress", 3, room="job-17")

A manager brings a server the URL of its broker and the name of its cluster (``channel``). What it does is the same
with every broker, and with ``AsyncServer(broker=…)`` as well.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from roomcast.drivers.asyncio.manager import AsyncManager
from roomcast_brokers.channels import DEFAULT_CLUSTER
from roomcast_brokers.registry import BACK_ENDS, scheme_of
from roomcast_emitter import managers as emitters
from roomcast_emitter.managers import DEFAULT_URL

__all__ = ["AsyncRedisManager", "RedisManager"]

REDIS_SCHEMES = frozenset(scheme for scheme, back_end in BACK_ENDS.items() if back_end.extra == "redis")


class AsyncRedisManager(AsyncManager):
    """Joins an ``AsyncServer`` to the cluster ``channel`` on a Redis or Valkey server (or Sentinel, or Cluster).

    With ``write_only=True`` it is the emitter's manager of that name, which needs no server. ``logger`` and ``json``
    are the server's where there is one. ``redis_options`` go to the client.
    """

    name = "aioredis"

    def __new__(
        cls,
        url: str = DEFAULT_URL,
        channel: str = DEFAULT_CLUSTER,
        write_only: bool = False,
        logger: Any = None,
        json: Any = None,
        redis_options: Mapping[str, Any] | None = None,
    ) -> Any:
        """An emitter, if it only writes: that is another class, since it has no clients."""
        if write_only:
            return emitters.AsyncRedisManager(url, channel, True, logger, json, redis_options)
        return super().__new__(cls)

    def __init__(
        self,
        url: str = DEFAULT_URL,
        channel: str = DEFAULT_CLUSTER,
        write_only: bool = False,
        logger: Any = None,
        json: Any = None,
        redis_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if scheme_of(url) not in REDIS_SCHEMES:
            raise ValueError(f"a Redis manager cannot use {scheme_of(url)}://; AsyncServer(broker=…) takes any broker")
        self.host_id = uuid.uuid4().hex
        self.channel = channel
        self.broker_url = url
        # A Sentinel's service has the channel's name unless the URL says otherwise, as in the incumbent.
        self.broker_options = {"redis_options": dict(redis_options or {}), "service": channel}


class RedisManager(emitters.RedisManager):
    """The emitter's, ``write_only=True``. The one that serves a server comes with the blocking ``Server``."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        channel: str = DEFAULT_CLUSTER,
        write_only: bool = False,
        logger: Any = None,
        json: Any = None,
        redis_options: Mapping[str, Any] | None = None,
    ) -> None:
        if not write_only:
            raise NotImplementedError(  # existing programs make this before the Server, which is to come
                "the blocking Server, which this manager would serve, is not there yet: use AsyncServer with "
                "AsyncRedisManager, or write_only=True in a process without a server"
            )
        super().__init__(url, channel, True, logger, json, redis_options)
