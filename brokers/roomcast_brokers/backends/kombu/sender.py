"""The blocking sender: one connection in the caller's thread, nothing retried.

It waits on blocking sockets alone, so it works where they are made cooperative (gevent, eventlet). On AMQP it has no
heartbeats, which nobody would send; a connection that died meanwhile is found out when something is to be sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, Final

from roomcast_brokers.backends.kombu.ends import Outlet
from roomcast_brokers.backends.kombu.location import parse
from roomcast_brokers.batches import Message, batches
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, MessageTooLargeError, SendError

# Seconds for what one send() does.
SEND_TIMEOUT: Final = 5.0

# What is written before it is waited for.
MOST_WRITTEN: Final = 1_000
MOST_WRITTEN_BYTES: Final = 1_048_576


class KombuSender:
    """See :class:`roomcast_brokers.contracts.Sender`, and :class:`~.broker.KombuBroker` for the arguments.

    ``timeout`` bounds the waiting for what was written, anew for each megabyte; each step of a transport has a bound
    of its own, of about as much.
    """

    def __init__(
        self,
        url: str = "kombu+amqp://guest:guest@localhost:5672//",
        *,
        connection_options: Mapping[str, Any] | None = None,
        exchange_options: Mapping[str, Any] | None = None,
        queue_options: Mapping[str, Any] | None = None,
        producer_options: Mapping[str, Any] | None = None,
        timeout: float = SEND_TIMEOUT,
    ) -> None:
        self._location = parse(
            url,
            connection_options=connection_options,
            exchange_options=exchange_options,
            queue_options=queue_options,
            producer_options=producer_options,
        )
        self._timeout = timeout
        self._attempt = 0
        self._outlet: Outlet | None = None
        self._closed = False

    @property
    def traits(self) -> Traits:
        return self._location.manner.traits

    def send(self, messages: Sequence[Message]) -> None:
        for _, payload in messages:
            if len(payload) > MAX_MESSAGE_BYTES:
                raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
        if self._closed:
            raise BrokerClosedError("nothing is sent after close()")
        accepted = 0
        done = False
        try:
            outlet = self._connected()
            for batch in batches(messages, MOST_WRITTEN, MOST_WRITTEN_BYTES):
                outlet.publish(batch)
                for count in self._counts(outlet, len(batch)):
                    accepted += count
            done = True
        except BrokerUnreachableError as error:
            message = f"the broker took {accepted:,} of {len(messages):,} messages: {error}"
            raise SendError(message, accepted) from error
        finally:
            if not done:  # also if it was interrupted: what the broker still says of it is nobody's
                self._drop(farewell=False)

    def close(self) -> None:
        self._closed = True
        self._drop(farewell=True)

    def forget(self) -> None:
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.forget()

    def _connected(self) -> Outlet:
        outlet = self._outlet
        if outlet is not None:
            try:
                outlet.accepted()  # reads what the broker may have said meanwhile: that it has ended the connection
                return outlet
            except BrokerUnreachableError:
                self._drop(farewell=False)
        location = self._location
        outlet = self._outlet = location.manner.outlet(location.setup(self._attempt, beating=False))
        self._attempt += 1
        outlet.connect()
        return outlet

    def _counts(self, outlet: Outlet, wanted: int) -> Iterator[int]:
        """How many more are accepted, again and again, until ``wanted`` are."""
        deadline = monotonic() + self._timeout
        while wanted > 0:
            count = outlet.accepted()
            wanted -= count
            yield count
            left = deadline - monotonic()
            if left <= 0 < wanted:
                why = outlet.obstacle() or "it has not accepted everything"
                raise BrokerUnreachableError(f"within {self._timeout:g} s: {why}")
            if wanted > 0:
                outlet.wait(left)

    def _drop(self, *, farewell: bool) -> None:
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.close(farewell=farewell)
