"""``memory://`` and ``memory://name``: a broker for the servers of one process and one event loop.

Brokers of the same name hear each other; a name is forgotten with its last open broker. Nothing is ever away, so
every call returns at once. Deliveries wait in a bounded queue per subscriber; what a slow one cannot take is dropped
and counted in
:attr:`MemoryBroker.dropped`, because a publisher never waits for somebody else's consumer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Delivery, State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerError, BrokerURLError, MessageTooLargeError

T = TypeVar("T")

# Enough for the burst of one loop turn at full speed; beyond it the consumer is stuck, and memory would only grow.
MAX_QUEUED_DELIVERIES = 10_000
MAX_QUEUED_BYTES = 64 * 1_048_576

TRAITS = Traits(ordered_across_channels=True)


class Feed(Generic[T]):
    """A queue with one end to write to and one to iterate over, in one event loop. Unbounded: the writer minds the
    size.
    """

    __slots__ = ("_closed", "_items", "_something")

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._something = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        self._items.append(item)
        self._something.set()

    def close(self) -> None:
        """Let the iteration end once the queue is empty."""
        self._closed = True
        self._something.set()

    async def next(self) -> T | None:
        """The next item, or None at the end."""
        while not self._items:
            if self._closed:
                return None
            self._something.clear()
            await self._something.wait()
        return self._items.popleft()


class Exchange:
    """What brokers of one name share: who listens to which channel."""

    __slots__ = ("listeners", "loop", "members")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.members: set[MemoryBroker] = set()
        # dicts as ordered sets: listeners hear in the order in which they subscribed
        self.listeners: dict[str, dict[MemoryBroker, None]] = {}


_exchanges: dict[str, Exchange] = {}


def _exchange(name: str) -> Exchange:
    loop = asyncio.get_running_loop()
    exchange = _exchanges.get(name)
    if exchange is not None and exchange.loop.is_closed():
        exchange = None  # its brokers died with their loop, without close(): nobody can hear them any more
    if exchange is None:
        exchange = _exchanges[name] = Exchange(loop)
    if exchange.loop is not loop:
        raise BrokerError("memory:// serves one event loop; another one has a broker of that name open")
    return exchange


class MemoryBroker:
    """See :class:`roomcast_brokers.contracts.AsyncBroker`; ``dropped`` counts what did not fit into the queue."""

    def __init__(
        self,
        url: str = "memory://",
        *,
        max_deliveries: int = MAX_QUEUED_DELIVERIES,
        max_bytes: int = MAX_QUEUED_BYTES,
    ) -> None:
        parts = urlsplit(url)
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise BrokerURLError("memory:// takes a name and nothing else: memory://name")
        self.dropped = 0
        self._name = parts.netloc + parts.path.rstrip("/")
        self._max_deliveries = max_deliveries
        self._max_bytes = max_bytes
        self._queued_bytes = 0
        self._exchange: Exchange | None = None
        self._state = State.CONNECTING
        self._inbox: Feed[Delivery] = Feed()
        self._consumed = False
        self._watchers: set[Feed[State]] = set()

    @property
    def traits(self) -> Traits:
        return TRAITS

    async def open(self) -> None:
        if self._state is State.CLOSED:
            raise BrokerClosedError("a closed broker stays closed; make another")
        if self._exchange is None:
            self._exchange = _exchange(self._name)
            self._exchange.members.add(self)
            self._become(State.UP)

    async def publish(self, channel: str, payload: bytes) -> None:
        listeners = self._opened().listeners
        if len(payload) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
        delivery = Delivery(channel, payload)
        for broker in listeners.get(channel, ()):
            broker._deliver(delivery)

    async def subscribe(self, channel: str) -> None:
        self._opened().listeners.setdefault(channel, {})[self] = None

    async def unsubscribe(self, channel: str) -> None:
        _forget(self._opened(), channel, self)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        if self._consumed:
            raise BrokerError("deliveries() has one consumer, and it has one already")
        self._consumed = True
        while (delivery := await self._inbox.next()) is not None:
            self._queued_bytes -= len(delivery.payload)
            yield delivery

    async def states(self) -> AsyncIterator[State]:
        feed: Feed[State] = Feed()
        feed.put(self._state)
        if self._state is State.CLOSED:
            feed.close()
        self._watchers.add(feed)
        try:
            while (state := await feed.next()) is not None:
                yield state
        finally:
            self._watchers.discard(feed)

    async def close(self) -> None:
        if self._state is State.CLOSED:
            return
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            for channel in [name for name, listeners in exchange.listeners.items() if self in listeners]:
                _forget(exchange, channel, self)
            exchange.members.discard(self)
            if not exchange.members and _exchanges.get(self._name) is exchange:
                del _exchanges[self._name]
        self._inbox.close()
        self._become(State.CLOSED)
        for feed in self._watchers:
            feed.close()

    def _opened(self) -> Exchange:
        if self._exchange is None:
            raise BrokerClosedError("open() comes first, and nothing after close()")
        return self._exchange

    def _become(self, state: State) -> None:
        self._state = state
        for feed in self._watchers:
            feed.put(state)

    def _deliver(self, delivery: Delivery) -> None:
        size = len(delivery.payload)
        if len(self._inbox) >= self._max_deliveries or self._queued_bytes + size > self._max_bytes:
            self.dropped += 1
            return
        self._queued_bytes += size
        self._inbox.put(delivery)


def _forget(exchange: Exchange, channel: str, broker: MemoryBroker) -> None:
    listeners = exchange.listeners.get(channel)
    if listeners is not None:
        listeners.pop(broker, None)
        if not listeners:
            del exchange.listeners[channel]
