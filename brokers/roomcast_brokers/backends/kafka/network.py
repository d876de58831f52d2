"""The network of one of kafka-python's clients, made here so that it does what they leave out.

* It says why nobody can be reached: their constructors try in silence until their time is over.
* It can be ended when a constructor has failed, which otherwise leaves a thread behind.
* It lets a server not make the topics that it is asked about: one that somebody has deleted would be back with the
  server's own number of partitions before anybody noticed.
* It closes sockets with which nobody was reached, and in a child of a fork all of them.

It is handed to a client as its option ``kafka_client``. What is used of :mod:`kafka.net` stands in this module alone.
"""

from __future__ import annotations

import itertools
import os
import random
import selectors
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final
from weakref import WeakSet, WeakValueDictionary

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import KafkaError, KafkaTimeoutError, RequestTimedOutError
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from roomcast_brokers.backends.kafka.location import Location
from roomcast_brokers.errors import BrokerUnreachableError

# Seconds for one server to be connected to and to greet. One nearby needs milliseconds; one that has not answered by
# then is tried again.
GREETING_TIMEOUT: Final = 3.0

# Seconds for an answer. A server that is alive answers at once, to a fetch after FETCH_WAIT at the latest: that is what
# an idle consumer does twice a second, for 0.4 % of a CPU.
REQUEST_TIMEOUT: Final = 5.0
FETCH_WAIT: Final = 0.5

# Seconds until a client tries a connection again by itself: as :mod:`roomcast_brokers.backoff`.
SHORTEST_RECONNECT: Final = 0.05
LONGEST_RECONNECT: Final = 0.8

# A server that does not let one in says so and hangs up. If both come at once kafka-python notices only the second.
DISCONNECTED: Final = "socket disconnected"
REFUSED: Final = "Kafka ended the connection in the middle of the login: the user or the password may be wrong"

# Descriptors that are remembered for a fork: more than a client has connections.
MAX_DESCRIPTORS: Final = 64

# What of a cause is shown: some of Kafka's have whole answers in them.
MAX_CAUSE: Final = 300


def unreachable(error: BaseException) -> BrokerUnreachableError:
    """``error`` as what the listener is told: that Kafka is away, and why."""
    if isinstance(error, BrokerUnreachableError):
        return error
    text = str(error) if isinstance(error, KafkaError) else f"{type(error).__name__}: {error}"
    told = BrokerUnreachableError(f"Kafka cannot be reached: {text[:MAX_CAUSE]}")
    told.__cause__ = error
    return told


def timed_out(error: BrokerUnreachableError) -> bool:
    """Whether it is that an answer did not come in time: asking once more would take as long again."""
    return isinstance(error.__cause__, KafkaTimeoutError | RequestTimedOutError)


class Bell(selectors.DefaultSelector):
    """A selector that rings when something has been read: who waits for it need not ask again and again.

    Not before the loop has dealt with it, and comes back to wait for more. Who asked while an answer is being taken
    apart would make the consumer ask for all partitions but those whose messages it has just got.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        super().__init__()
        self._ring = ring
        self._was_read = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._was_read:
            self._ring()
        ready = super().select(timeout)
        # The data of the one by which the loop's own thread is woken are empty.
        self._was_read = any(events & selectors.EVENT_READ and key.data != (None, None) for key, events in ready)
        return ready


class Loop(NetworkSelector):  # type: ignore[misc]  # kafka-python is not annotated
    """kafka-python's event loop, which knows the sockets that were made for it."""

    def __init__(self, **configs: Any) -> None:
        super().__init__(**configs)
        self.sockets: WeakSet[socket.socket] = WeakSet()
        # Wrapped for TLS a socket is another object; its descriptor and what that stands for stay the same.
        self.descriptors: deque[tuple[int, int]] = deque(maxlen=MAX_DESCRIPTORS)

    def made(self, made: socket.socket) -> None:
        self.sockets.add(made)
        self.descriptors.append((made.fileno(), os.fstat(made.fileno()).st_ino))

    def close(self) -> None:
        super().close()
        for each in list(self.sockets):  # those that were still being connected
            each.close()

    def forget(self) -> None:
        """In a child of a fork, where nobody uses it: close what came along, and tell nobody."""
        for descriptor, identity in self.descriptors:
            try:
                if os.fstat(descriptor).st_ino == identity:
                    os.close(descriptor)
            except OSError:
                pass  # closed long ago
        self._selector.close()


class TidySocket(KafkaNetSocket):  # type: ignore[misc]  # as above
    """Makes the connections of a :class:`Loop`, and closes what cannot be connected, which kafka-python leaves to the
    garbage collector. It is chosen as if it were a proxy, whose URL says which loop it is.
    """

    SCHEMES: Final = ("tidy",)
    loops: Final[WeakValueDictionary[str, Loop]] = WeakValueDictionary()
    _numbers: Final = itertools.count()

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._loop = self.loops.get(url)
        self._made: socket.socket | None = None

    @classmethod
    def url_for(cls, loop: Loop) -> str:
        url = f"{cls.SCHEMES[0]}://{next(cls._numbers)}"
        cls.loops[url] = loop
        return url

    def socket(self, *args: Any) -> socket.socket:
        self._made = made = socket.socket(*args)
        if self._loop is not None:
            self._loop.made(made)
        return made

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().connect(*args, **kwargs)
        except BaseException:
            if self._made is not None:
                self._made.close()
            raise


class Network:
    """Makes the network of one client, in which somebody has already answered."""

    def __init__(self) -> None:
        self._loop: Loop | None = None
        self._manager: Any = None

    def __call__(self, **configs: Any) -> Any:
        """As kafka-python calls it. Raises what the last of the servers that were tried failed with."""
        loop = self._loop = Loop(**configs)
        self._manager = KafkaConnectionManager(loop, **{**configs, "proxy_url": TidySocket.url_for(loop)})
        self._manager.cluster.config["allow_auto_create_topics"] = False
        self._greet(login=configs.get("sasl_mechanism") is not None)
        return KafkaNetClient(net=loop, manager=self._manager, **configs)

    def close(self) -> None:
        """End it. For networks whose client was not made; others are ended by their client."""
        if self._manager is not None:
            self._manager.close()
        if self._loop is not None:
            self._loop.close()

    def forget(self) -> None:
        """As :meth:`Loop.forget`."""
        if self._loop is not None:
            self._loop.forget()

    def _greet(self, *, login: bool) -> None:
        servers = self._manager.cluster.bootstrap_brokers()
        random.shuffle(servers)
        failure: KafkaError | None = None
        for server in servers:
            try:
                self._manager.run(self._connected(server.node_id))
            except KafkaError as error:
                failure = error
            else:
                return
        if login and failure is not None and DISCONNECTED in str(failure):
            raise BrokerUnreachableError(REFUSED) from failure
        if failure is not None:
            raise failure

    async def _connected(self, node: Any) -> None:
        await self._manager.get_connection(
            node,
            timeout_ms=GREETING_TIMEOUT * 1_000,
            refresh_metadata_on_err=False,
            reset_backoff_on_connect=False,
        )


def common(location: Location) -> dict[str, Any]:
    """The options of every client."""
    return {
        "bootstrap_servers": list(location.servers),
        "bootstrap_timeout_ms": int(REQUEST_TIMEOUT * 1_000),
        "request_timeout_ms": int(REQUEST_TIMEOUT * 1_000),
        "reconnect_backoff_ms": int(SHORTEST_RECONNECT * 1_000),
        "reconnect_backoff_max_ms": int(LONGEST_RECONNECT * 1_000),
        **location.client,
    }


def opened(make: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """The client that ``make`` makes of these options. Raises :class:`BrokerUnreachableError`; then nothing is left."""
    network = Network()
    try:
        return make(kafka_client=network, **options)
    except Exception as error:  # kafka-python lets through what sockets, TLS and its own configuration raise
        network.close()
        raise unreachable(error) from error


def open_admin(location: Location, timeout: float) -> Any:
    """A client that asks about topics and makes them; each of its answers comes within ``timeout`` or not at all."""
    return opened(KafkaAdminClient, {**common(location), "request_timeout_ms": int(timeout * 1_000)})


def open_consumer(location: Location, ring: Callable[[], None], max_records: int, max_bytes: int) -> Any:
    """A client that reads, without a group. ``ring`` is called, in a thread of its own, when something has come."""
    options = {
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",  # where to read is decided here
        "fetch_max_wait_ms": int(FETCH_WAIT * 1_000),
        "fetch_max_bytes": max_bytes,
        "max_poll_records": max_records,
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        "selector": lambda: Bell(ring),
    }
    return opened(KafkaConsumer, {**common(location), **options})
