"""A :class:`~roomcast_brokers.contracts.Sender` out of a :class:`~roomcast_brokers.contracts.Broker`: it waits for what
the broker accepts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from roomcast_brokers.batches import Message, batches
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Broker, State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, MessageTooLargeError, SendError

SEND_TIMEOUT: Final = 5.0

# What is handed over before it is waited for: worth a round trip, and half of what may wait in a bridge.
MAX_BATCH_BYTES: Final = 8 * 1_048_576
MAX_BATCH_MESSAGES: Final = 10_000

# For a broker that failed to end its connections: what it has not written by then has been reported as unsure.
FAILED_CLOSE_TIMEOUT: Final = 0.5


class BridgedSender:
    """One broker is kept until something fails; the next ``send`` then makes another, which owes no receipts.

    ``make`` is called at once, so that what is wrong with the configuration is found out there. ``timeout`` is for
    connecting, and anew for every batch of at most ``MAX_BATCH_BYTES``. Not for gevent and eventlet: the broker has a
    thread. After a fork ``forget`` cannot reach the descriptors of that thread: they stay open in the child.
    """

    def __init__(self, make: Callable[[], Broker], *, timeout: float = SEND_TIMEOUT) -> None:
        self._make = make
        self._timeout = timeout
        broker = make()
        self._traits = broker.traits
        self._connection: _Connection | None = _Connection(broker)
        self._closed = False

    @property
    def traits(self) -> Traits:
        return self._traits

    def send(self, messages: Sequence[Message]) -> None:
        if self._closed:
            raise BrokerClosedError("the sender is closed")
        for _, payload in messages:
            if len(payload) > MAX_MESSAGE_BYTES:
                raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
        connection, self._connection = self._connection, None
        if connection is not None and connection.broken:  # meanwhile
            connection.broker.close(FAILED_CLOSE_TIMEOUT)
            connection = None
        if connection is None:
            connection = _Connection(self._make())
        try:
            connection.send(messages, self._timeout)
        except BaseException:  # an interrupted one owes receipts as well
            connection.broker.close(FAILED_CLOSE_TIMEOUT)
            raise
        self._connection = connection

    def close(self) -> None:
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.broker.close()

    def forget(self) -> None:
        # Kept for ever: collecting it would close a loop whose selector the parent is using.
        if self._connection is not None:
            _FORGOTTEN.append(self._connection)
            self._connection = None


class _Connection:
    """A broker, from its opening to its first failure, and its listener, which counts what is accepted."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.broken = False
        """It could not be reached, or was lost; that it is tried again is of no use to a sender."""
        self._heard = threading.Condition()
        self._opened = False
        self._up = False
        self._cause: Exception | None = None
        self._accepted = 0

    def send(self, messages: Sequence[Message], timeout: float) -> None:
        """Raises SendError, after which nothing is known of this broker's receipts."""
        self._accepted = handed_over = 0
        if not self._opened:
            self._opened = True
            self.broker.open(self)
        self._wait(lambda: self._up, timeout, "the broker is not reached")
        for batch in batches(messages, MAX_BATCH_MESSAGES, MAX_BATCH_BYTES):
            try:
                for channel, payload in batch:
                    self.broker.publish(channel, payload)
            except (BrokerUnreachableError, BrokerClosedError) as error:
                raise SendError("the broker was lost", self._accepted) from error
            handed_over += len(batch)
            self._wait(partial(self._has_accepted, handed_over), timeout, "the broker has not accepted everything")

    def _has_accepted(self, count: int) -> bool:
        return self._accepted >= count

    def _wait(self, condition: Callable[[], bool], timeout: float, failure: str) -> None:
        with self._heard:
            self._heard.wait_for(lambda: condition() or self.broken, timeout)
            if not condition():
                raise SendError(failure, self._accepted) from self._cause

    # --- Listener; in the broker's thread ---------------------------------------------------------------------------

    def delivered(self, channel: str, payload: bytes) -> None:
        """Nothing was subscribed."""

    def confirmed(self, channel: str, generation: int) -> None:
        """Nothing was subscribed."""

    def accepted(self, count: int) -> None:
        with self._heard:
            self._accepted += count
            self._heard.notify_all()

    def changed(self, state: State, cause: Exception | None) -> None:
        with self._heard:
            self._up = state is State.UP
            self.broken = self.broken or not self._up
            self._cause = cause or self._cause
            self._heard.notify_all()


_FORGOTTEN: Final[list[_Connection]] = []
