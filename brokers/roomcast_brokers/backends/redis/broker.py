"""The broker for an event loop: one supervised pair of connections, or in a cluster one per server that is used.

Supervision is one loop: find the servers, connect, subscribe all that is wanted and see each confirmed, be UP until
something breaks, tell why, wait a moment, begin again. In a cluster the pairs that did not break go on hearing
meanwhile; but they too confirm everything anew before the next UP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

from roomcast_brokers.backends.redis.connecting import tls_context
from roomcast_brokers.backends.redis.connections import PublishConnection
from roomcast_brokers.backends.redis.finding import find
from roomcast_brokers.backends.redis.layout import Layout, Server
from roomcast_brokers.backends.redis.location import DEFAULT_SERVICE, Kind, parse, traits_of
from roomcast_brokers.backends.redis.pair import Manner, Pair, unreachable
from roomcast_brokers.backends.redis.watching import Watch
from roomcast_brokers.backoff import delays
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Listener, State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, MessageTooLargeError
from roomcast_brokers.receipts import Receipts

# Seconds for which a connection has to have held for the next break to be a new one; after less, the delays go on to
# grow: a server that accepts and closes at once is not to be asked without a pause.
STEADY: Final = 1.0

# Seconds that close() gives what was handed over to be written and answered, and connections to end.
CLOSE_TIMEOUT: Final = 2.0


class RedisBroker:
    """See :class:`roomcast_brokers.contracts.AsyncBroker`, and :mod:`.location` for URLs and options.

    ``service`` is the name of the Sentinels' master where the URL has none. A cluster needs Redis 7 or Valkey (sharded
    publish and subscribe); otherwise anything that speaks RESP2 will do.
    """

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        *,
        redis_options: Mapping[str, Any] | None = None,
        service: str = DEFAULT_SERVICE,
    ) -> None:
        self._location = parse(url, redis_options, service)
        self._traits = traits_of(self._location.kind)
        self._state = State.CONNECTING
        self._wanted: dict[str, int] = {}
        self._pairs: dict[Server, Pair] = {}
        self._layout: Layout | None = None  # None: not known, or known to be wrong
        self._direct: PublishConnection | None = None  # the only one, where there is no cluster
        self._receipts = Receipts()
        self._manner: Manner | None = None
        self._watch: Watch | None = None  # of the Sentinels
        self._listener: Listener | None = None
        self._settled: asyncio.Future[None] | None = None  # close() waits for what was handed over
        self._closing: asyncio.Future[None] | None = None
        self._ending: set[asyncio.Future[None]] = set()  # connections that were given up and are not gone yet

    @property
    def traits(self) -> Traits:
        return self._traits

    def open(self, listener: Listener) -> None:
        if self._listener is not None or self._state is State.CLOSED:
            raise BrokerClosedError("a broker is opened once; make another")
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._trouble: asyncio.Future[BrokerUnreachableError] = self._loop.create_future()
        self._begin()

    def publish(self, channel: str, payload: bytes) -> None:
        if payload.__class__ is not bytes or len(payload) > MAX_MESSAGE_BYTES or self._state is not State.UP:
            self._refuse(payload)
        if self._direct is not None:
            self._direct.publish(channel, payload)
        else:
            pair = self._pair_of(channel)
            self._receipts.sent(pair)
            pair.publisher().publish(channel, payload)

    def publish_batch(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """See :class:`roomcast_brokers.contracts.PublishesBatches`; a cluster is written to when the turn ends."""
        for _, payload in messages:
            if payload.__class__ is not bytes or len(payload) > MAX_MESSAGE_BYTES or self._state is not State.UP:
                self._refuse(payload)
        if self._direct is not None:
            self._direct.publish_batch(messages)
        else:
            for channel, payload in messages:
                self.publish(channel, payload)

    def _refuse(self, payload: bytes) -> NoReturn:
        """Say why this may not be published now."""
        if payload.__class__ is not bytes:  # anything else would fail later, or change before it is written
            raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
        if len(payload) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
        self._check_open()
        raise BrokerUnreachableError("Redis is away")

    def subscribe(self, channel: str, generation: int) -> None:
        if self._state is State.CLOSED:
            raise BrokerClosedError("nothing is subscribed after close()")
        self._wanted[channel] = generation
        if self._layout is not None:
            self._pair_of(channel).subscriber().subscribe(channel, generation)

    def unsubscribe(self, channel: str) -> None:
        if self._wanted.pop(channel, None) is not None:
            for pair in self._pairs.values():  # whose it is, is not always known
                pair.unsubscribe(channel)

    def reset(self) -> None:
        self._check_open()
        self._loop.call_soon(self._give_up)  # the listener is told of it, and never out of a call of its own

    async def close(self) -> None:
        if self._state is State.CLOSED:
            if self._closing is not None:
                await asyncio.wait([self._closing])
            return
        self._state = State.CLOSED
        if self._listener is None:
            return
        self._closing = self._loop.create_future()
        self._supervision.cancel()
        await asyncio.wait([self._supervision])
        if self._outstanding():
            self._settled = self._loop.create_future()
            await asyncio.wait([self._settled], timeout=CLOSE_TIMEOUT)
        self._drop_all()
        if self._watch is not None:
            self._let_go(self._watch.end())
        if self._ending:
            await asyncio.wait(self._ending, timeout=CLOSE_TIMEOUT)
        self._listener.changed(State.CLOSED, None)
        self._closing.set_result(None)

    # ------------------------------------------------------------------------------------------ supervision

    def _begin(self) -> None:
        self._supervision = self._loop.create_task(self._supervise())
        self._supervision.add_done_callback(self._supervision_ended)

    async def _supervise(self) -> None:
        retries = delays()
        while True:
            self._trouble = self._loop.create_future()
            error = await self._reach()
            if error is None:
                reached = self._loop.time()
                self._tell(State.UP, None)
                error = await self._trouble
                if self._loop.time() - reached >= STEADY:
                    retries = delays()
            else:
                self._layout = None
                self._tell(State.CONNECTING, error)
            await asyncio.sleep(next(retries))

    def _supervision_ended(self, task: asyncio.Task[None]) -> None:
        """A supervisor that died, by a fault of the listener or of ours, would leave a node that nobody wakes."""
        if not task.cancelled():
            context = {"message": "the supervision of Redis failed and begins anew", "exception": task.exception()}
            self._loop.call_exception_handler(context)
            if self._state is not State.CLOSED:
                self._give_up()
                self._begin()

    async def _reach(self) -> BrokerUnreachableError | None:
        """Try once to get everything up; returns why it is not, if it is not."""
        attempt = self._loop.create_task(self._attempt())
        try:
            first: list[asyncio.Future[Any]] = [attempt, self._trouble]
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not attempt.done():
                attempt.cancel()
                await asyncio.wait([attempt])
        if self._trouble.done():
            return self._trouble.result()
        error = attempt.exception()
        return None if error is None else unreachable(error)

    async def _attempt(self) -> None:
        location = self._location
        if self._manner is None:
            self._manner = await self._prepare()
        self._layout = layout = await find(location)
        for server in [server for server in self._pairs if server not in layout.servers]:
            self._let_go(self._pairs.pop(server).drop())
        first = self._pair(layout.servers[0]).publisher()  # at least one, so that it is noticed when the servers go
        self._direct = None if layout.sharded else first
        for channel in self._wanted:
            self._pair_of(channel).subscriber()
        pairs = list(self._pairs.values())
        await asyncio.gather(*(pair.connected() for pair in pairs))
        await asyncio.gather(*(pair.renew(self._wanted_on(pair.server)) for pair in pairs))

    async def _prepare(self) -> Manner:
        location = self._location
        if location.kind is Kind.SENTINEL and self._watch is None:
            context = await self._loop.run_in_executor(None, tls_context, location.sentinel_access)
            self._watch = Watch(location, context, self._switched)
        context = await self._loop.run_in_executor(None, tls_context, location.access)
        single, sentinel = location.kind is not Kind.CLUSTER, location.kind is Kind.SENTINEL
        return Manner(location.access, context, sharded=not single, master=sentinel)

    def _switched(self, master: Server) -> None:
        if self._layout is not None and self._layout.servers != (master,):
            self._drop_all()
            self._trouble_with(BrokerUnreachableError("the Sentinels have made another server the master"))

    def _give_up(self) -> None:
        if self._state is not State.CLOSED:
            self._drop_all()
            self._trouble_with(BrokerUnreachableError("the connections were given up: nothing came through them"))

    def _trouble_with(self, error: BrokerUnreachableError) -> None:
        self._layout = self._direct = None
        if not self._trouble.done():
            self._trouble.set_result(error)
        if self._state is State.UP:
            for pair in self._pairs.values():
                self._let_go(pair.stop_publishing())
            self._receipts = Receipts()
            self._tell(State.CONNECTING, error)

    def _tell(self, state: State, cause: BrokerUnreachableError | None) -> None:
        self._state = state
        if self._listener is not None:
            self._listener.changed(state, cause)

    # ------------------------------------------------------------------------------------------ pairs

    def _pair_of(self, channel: str) -> Pair:
        assert self._layout is not None
        return self._pair(self._layout.owner(channel))

    def _pair(self, server: Server) -> Pair:
        pair = self._pairs.get(server)
        if pair is None:
            assert self._manner is not None
            assert self._listener is not None
            pair = Pair(server, self._manner, self._listener, self._accepted, self._pair_broke)
            self._pairs[server] = pair
        return pair

    def _wanted_on(self, server: Server) -> dict[str, int]:
        layout = self._layout
        if layout is None or not layout.sharded:
            return dict(self._wanted)
        return {channel: each for channel, each in self._wanted.items() if layout.owner(channel) == server}

    def _accepted(self, pair: Pair, count: int) -> None:
        if self._direct is None:
            count = self._receipts.answered(pair, count)
        if count and self._listener is not None:
            self._listener.accepted(count)
        self._look_whether_settled()

    def _pair_broke(self, pair: Pair, error: BrokerUnreachableError) -> None:
        self._let_go(pair.drop())
        if self._pairs.get(pair.server) is pair:
            del self._pairs[pair.server]
        self._trouble_with(error)
        self._look_whether_settled()

    def _drop_all(self) -> None:
        for pair in self._pairs.values():
            self._let_go(pair.drop())
        self._pairs.clear()

    def _let_go(self, ending: Iterable[asyncio.Future[None]]) -> None:
        for each in ending:
            self._ending.add(each)
            each.add_done_callback(self._ending.discard)

    def _outstanding(self) -> int:
        return sum(pair.outstanding for pair in self._pairs.values())

    def _look_whether_settled(self) -> None:
        if self._settled is not None and not self._settled.done() and not self._outstanding():
            self._settled.set_result(None)

    def _check_open(self) -> None:
        if self._state is State.CLOSED or self._listener is None:
            raise BrokerClosedError("open() comes first, and nothing after close()")
