"""The incumbent's managers with a broker (python-api.md 1.10): for a server and, write-only, for who has none.

    sio = roomcast.AsyncServer(client_manager=roomcast.AsyncRedisManager("redis://localhost:6379"))
    roomcast.RedisManager("redis://localhost:6379", write_only=True).emit("progress", 3, room="job-17")

A manager brings a server the URL of its broker and the name of its cluster (``channel``). What it does is the same
with every broker, and with ``AsyncServer(broker=…)`` as well. Their arguments are those of the emitter's managers.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from roomcast.drivers.asyncio.manager import AsyncManager
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


class AsyncBrokerManager(ManagerArguments, AsyncManager):
    """Joins an ``AsyncServer`` to the cluster ``channel`` on its broker.

    With ``write_only=True`` it is the emitter's manager of that name, which needs no server. ``logger`` and ``json``
    are the server's where there is one.
    """

    _emitter: ClassVar[type[emitters.WaitingManager]]

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
        AsyncManager.__init__(self)
        self.channel = channel
        self.broker_url = self._broker_url(url)
        self.broker_options = options
        self.broker_keys = keys


class _ServerToCome(emitters.WriteOnlyManager):
    """The emitter's manager of that name, ``write_only=True``. The one that serves a server comes with ``Server``."""

    def _refusal(self) -> Exception:
        return NotImplementedError(  # existing programs make this before the Server, which is to come
            "the blocking Server, which this manager would serve, is not there yet: use AsyncServer with "
            f"Async{type(self).__name__}, or write_only=True in a process without a server"
        )


class AsyncRedisManager(RedisArguments, AsyncBrokerManager):
    """Through Redis or Valkey (or Sentinel, or Cluster)."""

    name = "aioredis"
    _emitter = emitters.AsyncRedisManager


class AsyncKombuManager(KombuArguments, AsyncBrokerManager):
    """Through whatever kombu speaks that has fanout."""

    name = "aiokombu"
    _emitter = emitters.AsyncKombuManager


class AsyncKafkaManager(KafkaArguments, AsyncBrokerManager):
    """Through Kafka."""

    name = "aiokafka"
    _emitter = emitters.AsyncKafkaManager


class AsyncAioPikaManager(AioPikaArguments, AsyncBrokerManager):
    """Through RabbitMQ."""

    name = "asyncaiopika"
    _emitter = emitters.AsyncAioPikaManager


class AsyncZmqManager(ZmqArguments, AsyncBrokerManager):
    """Through the embedded broker."""

    name = "aiozmq"
    _emitter = emitters.AsyncZmqManager


class RedisManager(_ServerToCome, emitters.RedisManager):
    """Through Redis or Valkey (or Sentinel, or Cluster)."""


class KombuManager(_ServerToCome, emitters.KombuManager):
    """Through whatever kombu speaks that has fanout."""


class KafkaManager(_ServerToCome, emitters.KafkaManager):
    """Through Kafka."""


class ZmqManager(_ServerToCome, emitters.ZmqManager):
    """Through the embedded broker."""
