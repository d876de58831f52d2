"""What the contract suite needs of a broker that runs for tests: reach it, and break it in every way there is.

One :class:`Service` serves all tests of a session; channels are new for each test, so nobody needs a clean broker.
A new back end adds one class and one row of :data:`SERVICES`; the suite needs no change.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module

from roomcast_brokers import registry
from roomcast_brokers.backends.memory import exchange_of
from roomcast_brokers.bridge import LoopBroker
from roomcast_brokers.contracts import AsyncBroker, Broker, Sender
from tests.support import dear_memory
from tests.support.programs import missing


class Service(ABC):
    """A broker for tests. Its methods block; the suite calls them outside of any event loop. Made without effort: what
    takes time or needs a program belongs in ``start``, which may skip the test (:mod:`tests.support.programs`).
    """

    colours: tuple[str, ...] = ("asyncio", "threads")
    """The rows of this service. Where "asyncio" is the back end's own colour, "threads" is bridged, and the other way
    round; "twice" is asyncio over threads over asyncio, for the bridges' own sake.
    """
    can_break = True
    """Whether ``stop``, ``restart`` and ``cut`` do what they say; if not, the tests of breaks are skipped."""

    restarts_slowly = False
    """Whether it takes seconds to come back, whatever we do."""

    many = 10_000
    """How often the long tests do what takes a millisecond elsewhere; less where it takes several."""

    cuts_slowly = False
    """Whether ``cut`` takes as long as a restart."""

    @abstractmethod
    def url(self) -> str:
        """Where it is, the same for the whole session, also while it is stopped."""

    @abstractmethod
    def start(self) -> None:
        """Run and accept connections when this returns. Called before every test: nothing to do if it runs."""

    @abstractmethod
    def stop(self) -> None:
        """Be gone when this returns: connections are broken, new ones are refused."""

    @abstractmethod
    def cut(self) -> None:
        """Break every connection that there is; new ones are accepted."""

    def restart(self) -> None:
        """Be gone and come back."""
        self.stop()
        self.start()

    def close(self) -> None:
        """The session ends: leave nothing behind."""
        self.stop()

    # How its brokers are made; a back end whose tests need options overrides these.

    def asynchronous(self) -> AsyncBroker:
        return registry.create(self.url())

    def threaded(self) -> Broker:
        return registry.create_threaded(self.url())

    def sender(self) -> Sender:
        return registry.create_sender(self.url())

    def broker(self, colour: str) -> AsyncBroker | Broker:
        """A new one, of one of ``colours``."""
        if colour == "twice":
            return LoopBroker(self.threaded)
        return self.asynchronous() if colour == "asyncio" else self.threaded()


class MemoryService(Service):
    """An exchange of this process, which its tests may take down."""

    colours = ("asyncio", "threads", "twice")

    def __init__(self) -> None:
        self._name = f"contract-{secrets.token_hex(4)}"

    def url(self) -> str:
        return f"memory://{self._name}"

    def start(self) -> None:
        exchange_of(self._name).bring_back()

    def stop(self) -> None:
        exchange_of(self._name).take_down()

    def cut(self) -> None:
        exchange_of(self._name).cut()

    def close(self) -> None:
        self.start()


class SilentService(MemoryService):
    """An exchange that confirms nothing, for what members do then: ask with probes, which wait a moment."""

    many = 2_000

    def url(self) -> str:
        return f"silent://{self._name}"

    def asynchronous(self) -> AsyncBroker:
        return registry.create(self.url(), table=dear_memory.TABLE)

    def threaded(self) -> Broker:
        return registry.create_threaded(self.url(), table=dear_memory.TABLE)

    def sender(self) -> Sender:
        return registry.create_sender(self.url(), table=dear_memory.TABLE)


class Row:
    """A service by its name in the test's id. ``path`` is imported when a test of that row is about to run; a ``long``
    row runs with the long tests. Of a ``smoke`` row the few tests that are marked ``smoke`` run always, the others with
    the long ones: for a server that takes seconds to start and to come back.
    """

    def __init__(
        self,
        name: str,
        path: str,
        colours: tuple[str, ...] = Service.colours,
        *,
        long: bool = False,
        smoke: bool = False,
    ) -> None:
        self.name = name
        self.path = path
        self.colours = colours
        self.long = long
        self.smoke = smoke

    def service(self) -> Service:
        module, _, name = self.path.partition(":")
        try:
            found: Callable[[], Service] = getattr(import_module(module), name)
        except ImportError as error:
            missing(error.name or module, "make setup")
        return found()


SERVICES = (
    Row("memory", "tests.contract.services:MemoryService", MemoryService.colours),
    Row("memory-silent", "tests.contract.services:SilentService", smoke=True),
    Row("redis", "tests.contract.redis_services:RedisService"),
    Row("redis-unix", "tests.contract.redis_services:UnixService", long=True),
    Row("redis-tls", "tests.contract.redis_services:TLSService", long=True),
    Row("redis-sentinel", "tests.contract.redis_services:SentinelService", long=True),
    Row("redis-cluster", "tests.contract.redis_services:ClusterService", long=True),
    Row("zmq", "tests.contract.zmq_services:ZmqService"),
    Row("zmq-tcp", "tests.contract.zmq_services:ZmqTcpService", long=True),
    Row("aiopika", "tests.contract.rabbitmq_services:AiopikaService", smoke=True),
    Row("aiopika-tls", "tests.contract.rabbitmq_services:AiopikaTLSService", long=True),
    Row("aiopika-durable", "tests.contract.rabbitmq_services:AiopikaDurableService", long=True),
    Row("kombu-redis", "tests.contract.kombu_services:KombuRedisService", smoke=True),
    Row("kombu-amqp", "tests.contract.kombu_services:KombuAmqpService", smoke=True),
    Row("kombu-memory", "tests.contract.kombu_services:KombuMemoryService", smoke=True),
    Row("kombu-filesystem", "tests.contract.kombu_services:KombuFilesystemService", long=True),
    Row("kafka", "tests.contract.kafka_services:KafkaService", smoke=True),
)
