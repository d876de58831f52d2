"""``Emitter``: write to all clients of a cluster, from any thread of a process that serves none."""

from __future__ import annotations

import os
import weakref
from collections.abc import Collection, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack

from roomcast_brokers.addressing import Room
from roomcast_brokers.channels import DEFAULT_CLUSTER
from roomcast_emitter import environment
from roomcast_emitter.counts import Counts
from roomcast_emitter.delivery import Delivery
from roomcast_emitter.errors import EmitterClosedError
from roomcast_emitter.operations import Order
from roomcast_emitter.receipts import Outcome, Receipt
from roomcast_emitter.selection import Names, Selecting, Selection, selection
from roomcast_emitter.terms import EXIT_SECONDS, Keys, Options, Terms, broker_options


class EmitterChain(Selecting["EmitterChain"]):
    """Receivers that were chosen, to emit to; see :class:`~roomcast_emitter.selection.Selecting`."""

    __slots__ = ("_emitter", "_selection")

    def __init__(self, emitter: Emitter, selection: Selection) -> None:
        self._emitter = emitter
        self._selection = selection

    def emit(self, event: str, data: Any = None, *, volatile: bool = False) -> Receipt:
        """As :meth:`Emitter.emit`, to these receivers."""
        return self._emitter._emit(event, data, self._selection, volatile)

    def send(self, data: Any) -> Receipt:
        """Emit the event ``message``."""
        return self.emit("message", data)

    def _chain(self, selection: Selection) -> EmitterChain:
        return EmitterChain(self._emitter, selection)


class Emitter(Selecting[EmitterChain]):
    """Emits to the clients of a cluster, and moves and disconnects them; for threads and forked processes.

    Making one connects to nothing and starts nothing. It raises ``BrokerURLError``, ``MissingExtraError``,
    ``AddressError`` (of the cluster's name) or ``KeyRingError`` if it could never work. The first emit of each process
    connects. Keyword arguments are those of :class:`~roomcast_emitter.terms.Options`.

    Every method returns a :class:`Receipt` once the broker has confirmed it. If the broker is away, ``on_failure`` says
    what then: ``"queue"`` keeps it, in order, for ``max_buffer_seconds`` and within ``max_buffer_bytes``, tries again,
    and returns a receipt that says so; ``"raise"`` raises :class:`NotDeliveredError`; ``"drop"`` returns a receipt that
    says so. What is wrong with the arguments is raised at the call, whatever the broker does.
    """

    def __init__(
        self, url: str, cluster: str = DEFAULT_CLUSTER, keys: Keys = None, **options: Unpack[Options]
    ) -> None:
        # Back ends may import an event loop, which nobody pays for who only imports this module.
        from roomcast_brokers.registry import create_sender

        self._make_sender = partial(create_sender, url, **broker_options(options))
        sender = self._make_sender()
        self._terms = Terms(cluster, keys, options, sender.traits)
        self._closed = False
        self._deliveries = {os.getpid(): Delivery(sender, self._terms.box())}
        _emitters.add(self)

    @classmethod
    def from_environment(cls, default_url: str | None = None, **options: Unpack[Options]) -> Self:
        """The emitter that ``ROOMCAST_BROKER``, ``ROOMCAST_CLUSTER`` and ``ROOMCAST_KEYS`` describe, as they do a node.

        Raises :class:`NoBrokerError` if the first is not set and there is no ``default_url``.
        """
        found = environment.read(os.environ, default_url)
        return cls(found.url, found.cluster, found.keys, **options)

    # --- to clients ---------------------------------------------------------------------------------------------------

    def emit(
        self,
        event: str,
        data: Any = None,
        to: Names | None = None,
        room: Names | None = None,
        skip_sid: str | Collection[str] | None = None,
        namespace: str | None = "/",
        *,
        volatile: bool = False,
    ) -> Receipt:
        """Emit an event to a client, a room, a collection of those, or (``to=None``) everybody in the namespace.

        ``data`` means what it means on a server: a tuple is several arguments, binary data anywhere in it travels as
        such. ``volatile`` events are dropped for clients that are behind.
        """
        return self._emit(event, data, selection(to, room, skip_sid, namespace), volatile)

    def send(
        self,
        data: Any,
        to: Names | None = None,
        room: Names | None = None,
        skip_sid: str | Collection[str] | None = None,
        namespace: str | None = "/",
    ) -> Receipt:
        """Emit the event ``message``."""
        return self.emit("message", data, to, room, skip_sid, namespace)

    # --- about clients ------------------------------------------------------------------------------------------------

    def enter_room(self, sid: str, room: Room, namespace: str | None = None) -> Receipt:
        """Put a client into a room, wherever it is. Nobody tells whether there is such a client."""
        return self._post(self._terms.operations.enter_room(sid, room, namespace))

    def leave_room(self, sid: str, room: Room, namespace: str | None = None) -> Receipt:
        """Take a client out of a room."""
        return self._post(self._terms.operations.leave_room(sid, room, namespace))

    def close_room(self, room: Room, namespace: str | None = None) -> Receipt:
        """Take everybody out of a room."""
        return self._post(self._terms.operations.close_room(room, namespace))

    def disconnect(self, sid: str, namespace: str | None = None, close: bool = False) -> Receipt:
        """Disconnect a client from a namespace; its connection stays, unless ``close``."""
        return self._post(self._terms.operations.disconnect(sid, namespace, close))

    # --- the end ------------------------------------------------------------------------------------------------------

    def flush(self, timeout: float = EXIT_SECONDS) -> bool:
        """Block until what was emitted before has ended, ``timeout`` seconds at most (and one attempt to connect).

        Whether all that still waited is with the broker now. Called by itself when the process ends.
        """
        return self._delivery().flush(timeout)

    def close(self, timeout: float = EXIT_SECONDS) -> bool:
        """Flush, give up what still waits, disconnect. Afterwards this emitter raises :class:`EmitterClosedError`."""
        if self._closed:
            return True
        delivery = self._delivery()
        self._closed = True
        return delivery.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def counts(self) -> Counts:
        """What has become of the operations of this process so far."""
        return self._delivery().counts()

    # --- one process --------------------------------------------------------------------------------------------------

    def _chain(self, selection: Selection) -> EmitterChain:
        return EmitterChain(self, selection)

    def _emit(self, event: str, data: Any, chosen: Selection, volatile: bool) -> Receipt:
        return self._post(self._terms.operations.emit(event, data, chosen, volatile))

    def _post(self, orders: Sequence[Order]) -> Receipt:
        delivery = self._delivery()
        parcel = delivery.post(orders)
        outcome = self._terms.outcome(parcel)
        return Receipt(outcome, partial(delivery.settle, parcel) if outcome is Outcome.QUEUED else None)

    def _delivery(self) -> Delivery:
        """This process's own. Its number is looked at, too: not every server that forks calls Python's hooks."""
        delivery = self._deliveries.get(os.getpid())
        if delivery is None:
            self._forget_the_parents()
            # Two threads of a new child may come here at once: both use the one that was first.
            delivery = self._deliveries.setdefault(os.getpid(), Delivery(self._make_sender(), self._terms.box()))
        if self._closed:
            raise EmitterClosedError("the emitter is closed")
        return delivery

    def _forget_the_parents(self) -> None:
        for pid in tuple(self._deliveries):
            delivery = None if pid == os.getpid() else self._deliveries.pop(pid, None)
            if delivery is not None:
                delivery.forget()


_emitters: weakref.WeakSet[Emitter] = weakref.WeakSet()


def _forget_all_parents() -> None:
    """In a child that has just been forked."""
    for emitter in tuple(_emitters):
        stale, emitter._deliveries = emitter._deliveries, {}
        for delivery in stale.values():
            delivery.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_parents)
