"""``memory://`` and ``memory://name``: a broker for the servers of one process.

Brokers of the same name hear each other, whichever event loop and thread each of them lives in. Payloads are bytes, as
on any broker: being in one process shares nothing. What is published is in every subscriber's inbox at once, and is
told in a later turn of that subscriber's loop, never out of ``publish``.

Nothing here is ever away. Tests that want to see what happens when it is take the :class:`Exchange` down.
"""

from __future__ import annotations

import threading
from typing import Final
from urllib.parse import urlsplit

from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Listener, State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, BrokerURLError, MessageTooLargeError
from roomcast_brokers.inbox import MAX_QUEUED_BYTES, MAX_QUEUED_DELIVERIES, Inbox

TRAITS: Final = Traits(ordered_across_channels=True)

# One for all exchanges: it is held for microseconds, and nobody is told anything meanwhile. So everybody hears the
# messages of all publishers in one order.
_lock: Final = threading.Lock()


class Exchange:
    """What brokers of one name share: who is open, and who subscribes to what.

    ``take_down``, ``bring_back`` and ``cut`` are for tests, from any thread. A broker that is open hears of them as it
    would of a server's end and return, and is back without having to try.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.down = False
        # dicts as ordered sets: listeners hear in the order in which they subscribed
        self.members: dict[MemoryBroker, None] = {}
        self.subscribers: dict[str, dict[MemoryBroker, None]] = {}

    def take_down(self) -> None:
        """Cut everybody off until :meth:`bring_back`. An exchange that is down is not forgotten."""
        with _lock:
            self.down = True
            for broker in self.living():
                broker._lost(self)

    def bring_back(self) -> None:
        """Let everybody in again who was cut off or has come meanwhile."""
        with _lock:
            was_down, self.down = self.down, False
            for broker in self.living() if was_down else ():
                broker._found(self)
            self.forget_if_unused()

    def cut(self) -> None:
        """Break every connection; nothing stands in the way of new ones."""
        with _lock:
            for broker in self.living():
                broker._reconnected(self)

    def living(self) -> list[MemoryBroker]:
        """The members, without those whose loop was closed before they were. The caller holds the lock."""
        for broker in [broker for broker in self.members if broker._inbox.dead]:
            broker._leave()
        return list(self.members)

    def forget_if_unused(self) -> None:
        """The caller holds the lock."""
        if not self.members and not self.down and _exchanges.get(self.name) is self:
            del _exchanges[self.name]


_exchanges: dict[str, Exchange] = {}


def exchange_of(name: str) -> Exchange:
    """The exchange of that name, made if need be. It is forgotten with its last open broker, unless it is down."""
    with _lock:
        return _exchange_of(name)


def _exchange_of(name: str) -> Exchange:
    return _exchanges.setdefault(name, Exchange(name))


class MemoryBroker:
    """See :class:`roomcast_brokers.contracts.AsyncBroker`."""

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
        self._name = parts.netloc + parts.path.rstrip("/")
        self._inbox = Inbox(max_deliveries, max_bytes)
        self._exchange: Exchange | None = None
        self._closed = False

    @property
    def traits(self) -> Traits:
        return TRAITS

    @property
    def dropped(self) -> int:
        """Deliveries that did not fit into the inbox, because the loop did not come round to take them out."""
        return self._inbox.dropped

    def open(self, listener: Listener) -> None:
        if self._closed or self._inbox.opened:
            raise BrokerClosedError("a broker is opened once, and a closed one stays closed; make another")
        self._inbox.open(listener)
        with _lock:
            self._exchange = _exchange_of(self._name)
            self._exchange.members[self] = None
            self._exchange.living()
            if self._exchange.down:
                self._lost(self._exchange)
            else:
                self._found(self._exchange)

    def publish(self, channel: str, payload: bytes) -> None:
        if type(payload) is not bytes:
            raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
        if len(payload) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
        with _lock:
            exchange = self._opened()
            if not self._inbox.up:
                raise BrokerUnreachableError("memory:// is not up")
            subscribers = exchange.subscribers.get(channel)
            for broker in list(subscribers or ()):
                broker._inbox.delivered(channel, payload)
                if broker._inbox.dead:
                    broker._leave()
            self._inbox.accepted(1)

    def subscribe(self, channel: str, generation: int) -> None:
        with _lock:
            if self._closed:
                raise BrokerClosedError("nothing is subscribed after close()")
            self._inbox.subscribed.subscribe(channel, generation)
            if self._exchange is not None and not self._exchange.down:
                self._join(self._exchange, channel, generation)

    def unsubscribe(self, channel: str) -> None:
        with _lock:
            if self._inbox.subscribed.unsubscribe(channel) and self._exchange is not None:
                self._part(self._exchange, channel)

    def reset(self) -> None:
        with _lock:
            self._reconnected(self._opened())

    async def close(self) -> None:
        self._closed = True
        with _lock:
            self._leave()
        if self._inbox.opened:
            self._inbox.changed(State.CLOSED, None)
            await self._inbox.ended.wait()

    # --- the caller holds the lock ----------------------------------------------------------------------------------

    def _opened(self) -> Exchange:
        if self._exchange is None:
            raise BrokerClosedError("open() comes first, and nothing after close()")
        return self._exchange

    def _lost(self, exchange: Exchange) -> None:
        for channel in self._inbox.subscribed.wanted():
            self._part(exchange, channel)
        self._inbox.changed(State.CONNECTING, BrokerUnreachableError("memory:// was taken down, or given up"))

    def _found(self, exchange: Exchange) -> None:
        for channel, generation in self._inbox.subscribed.wanted().items():
            self._join(exchange, channel, generation)
        self._inbox.changed(State.UP, None)

    def _reconnected(self, exchange: Exchange) -> None:
        self._lost(exchange)
        if not exchange.down:
            self._found(exchange)

    def _join(self, exchange: Exchange, channel: str, generation: int) -> None:
        exchange.subscribers.setdefault(channel, {})[self] = None
        self._inbox.confirmed(channel, generation)

    def _part(self, exchange: Exchange, channel: str) -> None:
        subscribers = exchange.subscribers.get(channel)
        if subscribers is not None:
            subscribers.pop(self, None)
            if not subscribers:
                del exchange.subscribers[channel]

    def _leave(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.members.pop(self, None)
            for channel in self._inbox.subscribed.wanted():
                self._part(exchange, channel)
            exchange.forget_if_unused()
