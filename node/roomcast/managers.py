"""The incumbent's managers with a broker (python-api.md 1.10): for a server and, write-only, for who has none.

    sio = roomcast.AsyncServer(client_manager=roomcast.AsyncRedisManager("redis://localhost:6379"))
    sio = roomcast.Server(client_manager=roomcast.RedisManager("redis://localhost:6379"))
    roomcast.RedisManager("redis://localhost:6379", write_only=True).emit("progress", 3, room="job-17")

A manager brings a server the URL of its broker and the name of its cluster (``channel``). What it does is the same
with every broker, and with ``broker=…`` of the server as well. Their arguments are those of the emitter's managers.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from roomcast.core.manager import ManagerSurface
from roomcast.drivers.asyncio.manager import AsyncManager
from roomcast.drivers.blocking.manager import Manager
from roomcast_emitter import managers as emitters
from roomcast_emitter.manager_arguments import (
    URL,
    AioPikaArguments,
    KafkaArguments,
    KombuArguments,
    ManagerArguments,
    RedisArguments,
    ZmqArguments,
)
from roomcast_emitter.terms import Keys

__all__ = [
    "AsyncAioPikaManager",
    "AsyncKafkaManager",
    "AsyncKombuManager",
    "AsyncRedisManager",
    "AsyncZmqManager",
    "KafkaManager",
    "KombuManager",
    "RedisManager",
    "ZmqManager",
]


class BrokerManager(ManagerArguments, ManagerSurface):
    """Joins a server to the cluster ``channel`` on its broker.

    With ``write_only=True`` it is the emitter's manager of that name, which needs no server. ``logger`` and ``json``
    are the server's where there is one.
    """

    _emitter: ClassVar[type[emitters.WriteOnlyManager]]

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """An emitter, if it only writes: that is another class, since it has no clients."""
        given = inspect.signature(cls.__init__).bind(None, *args, **options)
        if given.arguments.get("write_only"):
            return cls._emitter(*args, **options)
        return super().__new__(cls)

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
        ManagerSurface.__init__(self)
        self.channel = channel
        self.broker_url = self._broker_url(url)
        self.broker_options = options
        self.broker_keys = keys


class AsyncRedisManager(RedisArguments, BrokerManager, AsyncManager):
    """Through Redis or Valkey (or Sentinel, or Cluster)."""

    name = "aioredis"
    _emitter = emitters.AsyncRedisManager


class AsyncKombuManager(KombuArguments, BrokerManager, AsyncManager):
    """Through whatever kombu speaks that has fanout."""

    name = "aiokombu"
    _emitter = emitters.AsyncKombuManager


class AsyncKafkaManager(KafkaArguments, BrokerManager, AsyncManager):
    """Through Kafka."""

    name = "aiokafka"
    _emitter = emitters.AsyncKafkaManager


class AsyncAioPikaManager(AioPikaArguments, BrokerManager, AsyncManager):
    """Through RabbitMQ."""

    name = "asyncaiopika"
    _emitter = emitters.AsyncAioPikaManager


class AsyncZmqManager(ZmqArguments, BrokerManager, AsyncManager):
    """Through the embedded broker."""

    name = "aiozmq"
    _emitter = emitters.AsyncZmqManager


class RedisManager(RedisArguments, BrokerManager, Manager):
    """Through Redis or Valkey (or Sentinel, or Cluster)."""

    name = "redis"
    _emitter = emitters.RedisManager


class KombuManager(KombuArguments, BrokerManager, Manager):
    """Through whatever kombu speaks that has fanout."""

    name = "kombu"
    _emitter = emitters.KombuManager


class KafkaManager(KafkaArguments, BrokerManager, Manager):
    """Through Kafka."""

    name = "kafka"
    _emitter = emitters.KafkaManager


class ZmqManager(ZmqArguments, BrokerManager, Manager):
    """Through the embedded broker."""

    name = "zmq"
    _emitter = emitters.ZmqManager
