"""``AsyncEmitter``: write to all clients of a cluster from an event loop that serves none of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack

from roomcast_brokers.addressing import Room
from roomcast_brokers.channels import DEFAULT_CLUSTER
from roomcast_brokers.contracts import AsyncPublisher
from roomcast_brokers.registry import create
from roomcast_emitter import environment
from roomcast_emitter.async_delivery import AsyncDelivery
from roomcast_emitter.counts import Counts
from roomcast_emitter.errors import EmitterClosedError, EmitterError
from roomcast_emitter.operations import Order
from roomcast_emitter.receipts import AsyncReceipt, Outcome
from roomcast_emitter.selection import Names, Selecting, Selection, selection
from roomcast_emitter.terms import EXIT_SECONDS, Keys, Options, Terms, broker_options


class AsyncEmitterChain(Selecting["AsyncEmitterChain"]):
    """Receivers that were chosen, to emit to; see :class:`~roomcast_emitter.selection.Selecting`."""

    __slots__ = ("_emitter", "_selection")

    def __init__(self, emitter: AsyncEmitter, selection: Selection) -> None:
        self._emitter = emitter
        self._selection = selection

    async def emit(self, event: str, data: Any = None, *, volatile: bool = False) -> AsyncReceipt:
        """As :meth:`AsyncEmitter.emit`, to these receivers."""
        return await self._emitter._emit(event, data, self._selection, volatile)

    async def send(self, data: Any) -> AsyncReceipt:
        """Emit the event ``message``."""
        return await self.emit("message", data)

    def _chain(self, selection: Selection) -> AsyncEmitterChain:
        return AsyncEmitterChain(self._emitter, selection)


class AsyncEmitter(Selecting[AsyncEmitterChain]):
    """As :class:`~roomcast_emitter.emitter.Emitter`, for one event loop: every method that sends is a coroutine.

    The first of them connects, in the running loop. When that loop has ended, the next one begins anew in its own; what
    waited in the old one is gone, so :meth:`close` it, or use ``async with``.
    """

    def __init__(
        self, url: str, cluster: str = DEFAULT_CLUSTER, keys: Keys = None, **options: Unpack[Options]
    ) -> None:
        self._make_broker = partial(create, url, **broker_options(options))
        # Made now, for what is wrong with it to be told now.
        broker: AsyncPublisher = self._make_broker()
        self._terms = Terms(cluster, keys, options, broker.traits)
        self._unused: AsyncPublisher | None = broker
        self._delivery: AsyncDelivery | None = None
        self._pid = os.getpid()
        self._closed = False

    @classmethod
    def from_environment(cls, default_url: str | None = None, **options: Unpack[Options]) -> Self:
        """As :meth:`Emitter.from_environment`."""
        found = environment.read(os.environ, default_url)
        return cls(found.url, found.cluster, found.keys, **options)

    async def emit(
        self,
        event: str,
        data: Any = None,
        to: Names | None = None,
        room: Names | None = None,
        skip_sid: str | Collection[str] | None = None,
        namespace: str | None = "/",
        *,
        volatile: bool = False,
    ) -> AsyncReceipt:
        """As :meth:`Emitter.emit`. Who is cancelled while it waits has emitted all the same."""
        return await self._emit(event, data, selection(to, room, skip_sid, namespace), volatile)

    async def send(
        self,
        data: Any,
        to: Names | None = None,
        room: Names | None = None,
        skip_sid: str | Collection[str] | None = None,
        namespace: str | None = "/",
    ) -> AsyncReceipt:
        """Emit the event ``message``."""
        return await self.emit("message", data, to, room, skip_sid, namespace)

    async def enter_room(self, sid: str, room: Room, namespace: str | None = None) -> AsyncReceipt:
        """As :meth:`Emitter.enter_room`."""
        return await self._post(self._terms.operations.enter_room(sid, room, namespace))

    async def leave_room(self, sid: str, room: Room, namespace: str | None = None) -> AsyncReceipt:
        """As :meth:`Emitter.leave_room`."""
        return await self._post(self._terms.operations.leave_room(sid, room, namespace))

    async def close_room(self, room: Room, namespace: str | None = None) -> AsyncReceipt:
        """As :meth:`Emitter.close_room`."""
        return await self._post(self._terms.operations.close_room(room, namespace))

    async def disconnect(self, sid: str, namespace: str | None = None, close: bool = False) -> AsyncReceipt:
        """As :meth:`Emitter.disconnect`."""
        return await self._post(self._terms.operations.disconnect(sid, namespace, close))

    async def flush(self, timeout: float = EXIT_SECONDS) -> bool:
        """As :meth:`Emitter.flush`, but nobody calls it by itself: a process may end without its loop."""
        return await self._here().flush(timeout)

    async def close(self, timeout: float = EXIT_SECONDS) -> bool:
        """As :meth:`Emitter.close`."""
        if self._closed:
            return True
        delivery = self._here()
        self._closed = True
        return await delivery.close(timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    def counts(self) -> Counts:
        """What has become of the operations of this loop so far."""
        return self._here().counts()

    def _chain(self, selection: Selection) -> AsyncEmitterChain:
        return AsyncEmitterChain(self, selection)

    async def _emit(self, event: str, data: Any, chosen: Selection, volatile: bool) -> AsyncReceipt:
        return await self._post(self._terms.operations.emit(event, data, chosen, volatile))

    async def _post(self, orders: Sequence[Order]) -> AsyncReceipt:
        delivery = self._here()
        parcel = await delivery.post(orders)
        outcome = self._terms.outcome(parcel)
        return AsyncReceipt(outcome, partial(delivery.settle, parcel) if outcome is Outcome.QUEUED else None)

    def _here(self) -> AsyncDelivery:
        """The running loop's own."""
        if self._closed:
            raise EmitterClosedError("the emitter is closed")
        loop = asyncio.get_running_loop()
        delivery = self._delivery
        if delivery is not None:
            if delivery.loop is loop and self._pid == os.getpid():
                return delivery
            if not delivery.loop.is_closed() and self._pid == os.getpid():
                raise EmitterError("an AsyncEmitter belongs to one event loop; another one that still lives uses it")
        broker, self._unused = self._unused or self._make_broker(), None
        self._pid = os.getpid()
        self._delivery = AsyncDelivery(broker, self._terms.box())
        return self._delivery
