"""Redis and Valkey: one server, a master that Sentinels name, or a Redis Cluster.

redis-py finds and describes the servers and serves the blocking :class:`RedisSender`; a node's two hot connections are
hiredis on an ``asyncio.Protocol``.
"""

from __future__ import annotations

from roomcast_brokers.backends.redis.broker import RedisBroker
from roomcast_brokers.backends.redis.sender import RedisSender

__all__ = ["RedisBroker", "RedisSender"]
