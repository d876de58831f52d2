"""The broker for an event loop: one connection, made again and again until it is closed.

Each connection declares everything anew, in one go, before the state is UP: the exchange, a queue of its own, a binding
for every channel that is wanted, a consumer. So a server that restarted, a queue that somebody deleted and a consumer
that was cancelled are all the same: a break.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

from roomcast_brokers import backoff
from roomcast_brokers.backends.aiopika.connecting import tls_context
from roomcast_brokers.backends.aiopika.connection import Connection
from roomcast_brokers.backends.aiopika.location import parse
from roomcast_brokers.backends.aiopika.session import Session
from roomcast_brokers.backends.aiopika.subscriptions import Subscriptions
from roomcast_brokers.backends.aiopika.topology import Topology
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Listener, State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, MessageTooLargeError

# How long a connection has to have been good for the next break to be a new one; a server that lets one in and closes
# at once is not to be asked without a pause.
HELD: Final = 1.0

# How long close() waits for what was handed over, and then for the server's goodbye.
CLOSE_TIMEOUT: Final = 2.0


class AiopikaBroker:
    """``amqp://`` and ``amqps://``; see :class:`roomcast_brokers.contracts.AsyncBroker`, and :mod:`.location` for URLs.

    ``exchange`` is the name of the exchange, and the beginning of all other names. ``queue_bytes`` is what may wait in
    one node's queue; then the oldest are dropped.

    ``durable``: messages and the queue of a node that is away survive a restart of the server, and for ``retention``
    seconds the absence of the node. ``node`` names that queue; it has to be another one for each node. By default it is
    drawn, so that the queue of a process that was killed is left to expire; with a name its next start removes it.
    """

    def __init__(
        self,
        url: str = "amqp://guest:guest@localhost:5672//",
        *,
        durable: bool | None = None,
        node: str | None = None,
        retention: float | None = None,
        exchange: str | None = None,
        heartbeat: int | None = None,
        queue_bytes: int | None = None,
    ) -> None:
        options = {"durable": durable, "node": node, "retention": retention, "exchange": exchange}
        options |= {"heartbeat": heartbeat, "queue_bytes": queue_bytes}
        self._location = parse(url, options)
        self._traits = Traits(durable=self._location.durable, ordered_across_channels=True, cheap_subscriptions=False)
        self._state = State.CONNECTING
        self._subscriptions = Subscriptions()
        self._topology = Topology(self._location)
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context: ssl.SSLContext | None = None
        self._connection: Connection | None = None
        self._making: asyncio.Task[None] | None = None
        self._timer: asyncio.Handle | None = None  # of the next attempt
        self._delays: Iterator[float] = backoff.delays()
        self._reached: float | None = None  # when this connection became UP
        self._settled = asyncio.Event()  # nothing that was handed over can become accepted any more
        self._closed = asyncio.Event()

    @property
    def traits(self) -> Traits:
        return self._traits

    def open(self, listener: Listener) -> None:
        if self._loop is not None or self._state is State.CLOSED:
            raise BrokerClosedError("a broker is opened once; for another connection make another broker")
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._timer = self._loop.call_soon(self._attempt)

    def publish(self, channel: str, payload: bytes) -> None:
        connection = self._connection
        if payload.__class__ is bytes and len(payload) <= MAX_MESSAGE_BYTES and self._state is State.UP and connection:
            connection.publish(channel, payload)
        else:
            self._refuse(payload)

    def publish_batch(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """See :class:`roomcast_brokers.contracts.PublishesBatches`."""
        connection = self._connection
        for _, payload in messages:
            if payload.__class__ is not bytes or len(payload) > MAX_MESSAGE_BYTES:
                self._refuse(payload)
        if self._state is not State.UP or connection is None:
            self._refuse(b"")
        connection.publish_batch(messages)

    def subscribe(self, channel: str, generation: int) -> None:
        if self._state is State.CLOSED:
            raise BrokerClosedError("nothing can be subscribed after close()")
        self._subscriptions.want(channel, generation)
        if self._connection is not None:
            self._connection.write_soon()

    def unsubscribe(self, channel: str) -> None:
        if self._subscriptions.drop(channel) and self._connection is not None:
            self._connection.write_soon()

    def reset(self) -> None:
        # told later: the listener is not to be called out of a call of its own
        self._opened().call_soon(self._give_up)

    async def close(self) -> None:
        first = self._state is not State.CLOSED
        self._state = State.CLOSED
        if first:
            connection, making = self._connection, self._making
            try:
                if connection is not None and connection.session.greeted:
                    await self._end(connection)
            finally:
                self._drop()  # from now on nobody says anything more
                if self._listener is not None:
                    self._listener.changed(State.CLOSED, None)
                self._closed.set()
            if connection is not None and making is not None:
                await asyncio.wait([making])
                if connection.made and not making.cancelled():  # uvloop tells nobody of the end of what one had made
                    await asyncio.wait([connection.gone], timeout=CLOSE_TIMEOUT)
        await self._closed.wait()

    async def _end(self, connection: Connection) -> None:
        """Write what was handed over, leave no queue behind, hear the server's goodbye; within the time there is."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                self._settled.clear()
                if connection.session.receipts.outstanding:
                    await self._settled.wait()
                connection.end()
                await asyncio.wait([connection.gone])
        except TimeoutError:
            pass

    # --- the connection ---------------------------------------------------------------------------------------------

    def _attempt(self) -> None:
        loop = self._opened()
        self._reached = None
        session = Session(self._location, self._subscriptions, self._topology, self)
        self._connection = Connection(session, self._location.timeout, self._fail)
        self._making = loop.create_task(self._connect(self._connection))
        self._making.add_done_callback(self._made)

    async def _connect(self, connection: Connection) -> None:
        location, loop = self._location, self._opened()
        if location.tls is not None and self._context is None:
            self._context = await loop.run_in_executor(None, tls_context, location.tls)
        name = location.host if location.tls is not None else None
        async with asyncio.timeout(location.timeout):
            await loop.create_connection(
                lambda: connection, location.host, location.port, ssl=self._context, server_hostname=name
            )

    def _made(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and task is self._making:
            kind = "it does not answer" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
            told = BrokerUnreachableError(f"RabbitMQ cannot be reached: {kind}")
            told.__cause__ = error
            self._fail(told)

    def _fail(self, cause: BrokerUnreachableError) -> None:
        """The connection is no more; another one is made later."""
        self._drop()
        self._settled.set()
        if self._state is not State.CLOSED:
            loop = self._opened()
            if self._reached is not None and loop.time() - self._reached >= HELD:
                self._delays = backoff.delays()
            self._timer = loop.call_later(next(self._delays), self._attempt)
            self._tell(State.CONNECTING, cause)

    def _give_up(self) -> None:
        if self._state is not State.CLOSED and self._connection is not None:
            self._fail(BrokerUnreachableError("the connection was given up: nothing came through it"))

    def _drop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        making, self._making = self._making, None
        if making is not None:
            making.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()

    # --- what the session says --------------------------------------------------------------------------------------

    def delivered(self, channel: str, payload: bytes) -> None:
        assert self._listener is not None
        self._listener.delivered(channel, payload)

    def confirmed(self, channel: str, generation: int) -> None:
        assert self._listener is not None
        self._listener.confirmed(channel, generation)

    def accepted(self, count: int) -> None:
        assert self._listener is not None
        assert self._connection is not None
        self._listener.accepted(count)
        if not self._connection.session.receipts.outstanding:
            self._settled.set()

    def ready(self) -> None:
        assert self._loop is not None
        self._reached = self._loop.time()
        self._tell(State.UP, None)

    def halted(self, cause: BrokerUnreachableError) -> None:
        self._settled.set()
        self._tell(State.CONNECTING, cause)

    def _tell(self, state: State, cause: BrokerUnreachableError | None) -> None:
        if self._state is not State.CLOSED:
            assert self._listener is not None
            self._state = state
            self._listener.changed(state, cause)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _opened(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._state is State.CLOSED:
            raise BrokerClosedError("open() comes first, and nothing after close()")
        return self._loop

    def _refuse(self, payload: bytes) -> NoReturn:
        """Say why this cannot be published now."""
        if payload.__class__ is not bytes:
            raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
        if len(payload) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
        self._opened()
        raise BrokerUnreachableError("RabbitMQ is away, or takes no messages at present")
