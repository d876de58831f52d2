"""Asks Sentinels or the nodes of a cluster, through redis-py, which servers there are at the moment.

Twice, because redis-py has two colours. Each question is asked on connections of its own, which end with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import redis
import redis.asyncio as aioredis
from redis.asyncio.cluster import ClusterNode as AsyncNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import MasterNotFoundError as AsyncMasterNotFoundError
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from roomcast_brokers.backends.redis.layout import SLOTS, Layout, Server, clustered
from roomcast_brokers.backends.redis.location import Access, Kind, Location
from roomcast_brokers.errors import BrokerUnreachableError

# Seconds for one Sentinel to answer: they are asked one after the other, and one that hangs must not use up the time.
SENTINEL_TIMEOUT: Final = 1.0


async def find(location: Location) -> Layout:
    """Where to publish and subscribe now. Raises :class:`BrokerUnreachableError`, OSError or RedisError."""
    if location.kind is Kind.SENTINEL:
        sentinel = AsyncSentinel(**_sentinel_arguments(location, AsyncRetry(NoBackoff(), 0)))
        try:
            return _master(await sentinel.discover_master(location.service))
        except AsyncMasterNotFoundError as error:
            raise _no_master(location) from error
        finally:
            for each in sentinel.sentinels:
                await each.aclose()
    if location.kind is Kind.CLUSTER:
        nodes = [AsyncNode(server.host, server.port) for server in location.servers]
        cluster = aioredis.RedisCluster(startup_nodes=nodes, **_cluster_arguments(location, AsyncRetry(NoBackoff(), 0)))
        try:
            await cluster.initialize()
            return clustered(_owned(cluster))
        except RedisClusterException as error:
            raise _no_cluster() from error
        finally:
            await cluster.aclose()
    return Layout(location.servers)


def find_blocking(location: Location) -> Layout:
    """As :func:`find`, for a thread."""
    if location.kind is Kind.SENTINEL:
        sentinel = Sentinel(**_sentinel_arguments(location, Retry(NoBackoff(), 0)))
        try:
            return _master(sentinel.discover_master(location.service))
        except MasterNotFoundError as error:
            raise _no_master(location) from error
        finally:
            for each in sentinel.sentinels:
                each.close()
    if location.kind is Kind.CLUSTER:
        nodes = [ClusterNode(server.host, server.port) for server in location.servers]
        try:
            cluster = redis.RedisCluster(startup_nodes=nodes, **_cluster_arguments(location, Retry(NoBackoff(), 0)))
        except RedisClusterException as error:
            raise _no_cluster() from error
        try:
            return clustered(_owned(cluster))
        finally:
            cluster.close()
    return Layout(location.servers)


def entrance(access: Access) -> dict[str, Any]:
    """What redis-py's connections of either colour want to know to get in, TLS aside."""
    return {
        "username": access.username,
        "password": access.password,
        "credential_provider": access.credential_provider,
        "client_name": access.client_name,
        "protocol": 2,
    }


def _sentinel_arguments(location: Location, retry: object) -> dict[str, Any]:
    access = location.sentinel_access
    timeout = min(SENTINEL_TIMEOUT, access.connect_timeout)
    own = {**entrance(access), **_tls(access), "retry": retry}
    return {
        "sentinels": [(server.host, server.port) for server in location.servers],
        "min_other_sentinels": location.min_other_sentinels,
        "sentinel_kwargs": {**own, "socket_timeout": timeout, "socket_connect_timeout": timeout},
    }


def _cluster_arguments(location: Location, retry: object) -> dict[str, Any]:
    access = location.access
    own = {**entrance(access), **_tls(access), "retry": retry}
    return {**own, "socket_timeout": access.connect_timeout, "socket_connect_timeout": access.connect_timeout}


def _tls(access: Access) -> Mapping[str, Any]:
    return {} if access.tls is None else {"ssl": True, **access.tls}


def _master(address: tuple[Any, Any]) -> Layout:
    host, port = address
    return Layout([Server(host.decode() if isinstance(host, bytes) else str(host), int(port))])


def _owned(cluster: redis.RedisCluster | aioredis.RedisCluster) -> Iterator[tuple[int, Server]]:
    """(slot, its master), as redis-py keeps it: per slot its servers, the master first."""
    cache = cluster.nodes_manager.slots_cache
    servers: dict[str, Server] = {}
    for slot in range(SLOTS):
        nodes = cache.get(slot)
        if nodes:
            node = nodes[0]
            yield slot, servers.setdefault(node.name, Server(str(node.host), int(node.port)))


def _no_master(location: Location) -> BrokerUnreachableError:
    return BrokerUnreachableError(f"no Sentinel that answers knows a master of the service {location.service!r}")


def _no_cluster() -> BrokerUnreachableError:
    return BrokerUnreachableError("none of the servers answers as a node of a Redis Cluster that is in order")
