"""What python-socketio's managers are made with, and which broker that means (python-api.md 1.10).

One class for each of its brokers, with the arguments in its order and its defaults; each manager is one of these and a
way of working: an emitter of either colour here, a server's in the distribution ``roomcast``. So nothing of it stands
twice, and nothing is connected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from roomcast_brokers.arguments import JsonDumps
from roomcast_brokers.channels import DEFAULT_CLUSTER
from roomcast_brokers.errors import BrokerURLError
from roomcast_emitter.terms import Keys

REDIS_URL: Final = "redis://localhost:6379/0"
RABBITMQ_URL: Final = "amqp://guest:guest@localhost:5672//"
KAFKA_URL: Final = "kafka://localhost:9092"
ZMQ_URL: Final = "zmq+tcp://localhost:5555+5556"

URL = str | Iterable[str]
"""python-socketio takes several for Kafka."""


class ManagerArguments:
    """Base of the five. ``title`` names the sort in messages; ``extra`` is whose URLs it takes."""

    title: ClassVar[str]
    extra: ClassVar[str]

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
        """What the constructor does with its arguments; ``options`` are for the back end."""
        raise NotImplementedError  # each way of working begins in its own way

    def _broker_url(self, url: URL) -> str:
        """The URL of our back end. BrokerURLError, a ValueError, for one of another broker's."""
        # Imported with the first manager, not before: who only imports this module needs no back end.
        from roomcast_brokers.registry import BACK_ENDS, scheme_of

        found = self._as_ours(url)
        scheme = scheme_of(found)
        back_end = BACK_ENDS.get(scheme) or BACK_ENDS.get(f"{scheme.partition('+')[0]}+")
        if back_end is not None and back_end.extra != self.extra:
            raise BrokerURLError(f"a {self.title} manager cannot use {scheme}://; emitters and servers take any broker")
        return found

    def _as_ours(self, url: URL) -> str:
        if not isinstance(url, str):
            raise BrokerURLError(f"a {self.title} manager takes one URL")
        return url


class RedisArguments(ManagerArguments):
    """``redis_options`` go to the client."""

    title = "Redis"
    extra = "redis"

    def __init__(
        self,
        url: str = REDIS_URL,
        channel: str = DEFAULT_CLUSTER,
        write_only: bool = False,
        logger: Any = None,
        json: JsonDumps | None = None,
        redis_options: Mapping[str, Any] | None = None,
        *,
        keys: Keys = None,
    ) -> None:
        # A Sentinel's service has the channel's name unless the URL says otherwise, as in the incumbent.
        options = {"redis_options": dict(redis_options or {}), "service": channel}
        self._begin(url, channel, write_only, logger, json, keys, options)


class KombuArguments(ManagerArguments):
    """Any URL of kombu's. The options are those of ``kombu.Connection``, ``Exchange``, ``Queue`` and ``Producer``."""

    title = "Kombu"
    extra = "kombu"

    def __init__(
        self,
        url: str = RABBITMQ_URL,
        channel: str = DEFAULT_CLUSTER,
        write_only: bool = False,
        logger: Any = None,
        json: JsonDumps | None = None,
        connection_options: Mapping[str, Any] | None = None,
        exchange_options: Mapping[str, Any] | None = None,
        queue_options: Mapping[str, Any] | None = None,
        producer_options: Mapping[str, Any] | None = None,
        *,
        keys: Keys = None,
    ) -> None:
        options = {
            "connection_options": connection_options,
            "exchange_options": exchange_options,
            "queue_options": queue_options,
            "producer_options": producer_options,
        }
        given = {name: dict(each) for name, each in options.items() if each is not None}
        self._begin(url, channel, write_only, logger, json, keys, given)

    def _as_ours(self, url: URL) -> str:
        found = super()._as_ours(url)
        return found if found.lower().startswith("kombu+") else f"kombu+{found}"


class KafkaArguments(ManagerArguments):
    """``url`` may be a list; ``kafka://`` alone is the default port of this machine. The topic is the channel."""

    title = "Kafka"
    extra = "kafka"

    def __init__(
        self,
        url: URL = KAFKA_URL,
        channel: str = DEFAULT_CLUSTER,
        write_only: bool = False,
        logger: Any = None,
        json: JsonDumps | None = None,
        *,
        keys: Keys = None,
    ) -> None:
        self._begin(url, channel, write_only, logger, json, keys, {})

    def _as_ours(self, url: URL) -> str:
        urls = [KAFKA_URL if each == "kafka://" else each for each in ([url] if isinstance(url, str) else url)]
        if len(urls) == 1:
            return urls[0]
        servers = [each.removeprefix("kafka://") for each in urls]
        if not servers or any("/" in server for server in servers):
            raise BrokerURLError("several Kafka servers are a list of kafka://host:port")
        return f"kafka://{','.join(servers)}"


class AioPikaArguments(ManagerArguments):
    """RabbitMQ."""

    title = "RabbitMQ"
    extra = "aiopika"

    def __init__(
        self,
        url: str = RABBITMQ_URL,
        channel: str = DEFAULT_CLUSTER,
        write_only: bool = False,
        logger: Any = None,
        json: JsonDumps | None = None,
        *,
        keys: Keys = None,
    ) -> None:
        self._begin(url, channel, write_only, logger, json, keys, {})


class ZmqArguments(ManagerArguments):
    """The forwarder of ``roomcast up`` or ``python -m roomcast_brokers.backends.zmq``; a second port is not used."""

    title = "ZeroMQ"
    extra = "zmq"

    def __init__(
        self,
        url: str = ZMQ_URL,
        channel: str = DEFAULT_CLUSTER,
        write_only: bool = False,
        logger: Any = None,
        json: JsonDumps | None = None,
        *,
        keys: Keys = None,
    ) -> None:
        self._begin(url, channel, write_only, logger, json, keys, {})
