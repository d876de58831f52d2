"""The missing colour: every back end is written once, and is had for event loops, for threads, and as a sender.

* :class:`ThreadedBroker` runs an asyncio back end in an event loop of its own, in a daemon thread of its own.
* :class:`LoopBroker` takes what a back end for threads tells in its thread over into an event loop.
* :class:`~roomcast_brokers.bridged_sender.BridgedSender` waits for what a broker for threads accepts.

Between the two sides there are bounded queues, and one wake-up for all that has come meanwhile, not one for each
message. Nothing waits in them over a break: what was handed over before it is never written after it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, AsyncBroker, Broker, Listener, State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerError, BrokerUnreachableError, MessageTooLargeError
from roomcast_brokers.inbox import Inbox
from roomcast_brokers.subscribed import Subscribed
from roomcast_brokers.yielding_loop import YieldingLoop

# What waits for the thread to write it. Callers bound what is not accepted yet at 8 MiB; this is for those who do not.
MAX_QUEUED_BYTES: Final = 16 * 1_048_576
MAX_QUEUED_MESSAGES: Final = 100_000

# What contracts give a broker to write what was handed over.
CLOSE_TIMEOUT: Final = 2.0


class ThreadedBroker:
    """A :class:`~roomcast_brokers.contracts.Broker` out of an :class:`~roomcast_brokers.contracts.AsyncBroker`.

    ``make`` is called at once and must need no running loop. The listener is called in the thread, and may call all
    methods; ``close`` does not wait there. A fork leaves the child without the thread: it makes another broker.
    """

    def __init__(
        self,
        make: Callable[[], AsyncBroker],
        *,
        max_messages: int = MAX_QUEUED_MESSAGES,
        max_bytes: int = MAX_QUEUED_BYTES,
    ) -> None:
        self._broker = make()
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._lock = threading.Lock()  # never held while the listener or the broker is called
        self._subscribed = Subscribed()
        self._calls: deque[Callable[[], None]] = deque()
        self._bytes = 0
        self._woken = True  # until the loop runs; then it looks by itself
        self._up = False
        self._connection = 0  # counts changes of state, so that what was handed over before one is recognised
        self._closed = False
        self._close_timeout = CLOSE_TIMEOUT
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    @property
    def traits(self) -> Traits:
        return self._broker.traits

    def open(self, listener: Listener) -> None:
        with self._lock:
            if self._closed or self._thread is not None:
                raise BrokerClosedError("a broker is opened once, and a closed one stays closed; make another")
            arguments = (listener, self._subscribed.wanted())
            self._thread = threading.Thread(target=self._run, args=arguments, name="roomcast-broker", daemon=True)
            self._thread.start()

    def publish(self, channel: str, payload: bytes) -> None:
        if type(payload) is not bytes:  # in the thread it would be nobody's error
            raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
        if len(payload) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
        with self._lock:
            self._check_open()
            if not self._up:
                raise BrokerUnreachableError("the broker is not reached yet, or lost")
            if len(self._calls) >= self._max_messages or self._bytes + len(payload) > self._max_bytes:
                raise BrokerUnreachableError("more waits to be written than may wait")
            self._bytes += len(payload)
            self._call(partial(self._publish, self._connection, channel, payload))

    def subscribe(self, channel: str, generation: int) -> None:
        with self._lock:
            self._check_open(opened=False)
            self._subscribed.subscribe(channel, generation)
            self._call(partial(self._broker.subscribe, channel, generation))

    def unsubscribe(self, channel: str) -> None:
        with self._lock:
            if self._subscribed.unsubscribe(channel) and not self._closed:
                self._call(partial(self._broker.unsubscribe, channel))

    def reset(self) -> None:
        with self._lock:
            self._check_open()
            self._call(self._broker.reset)

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._close_timeout = timeout
                self._call(self._stop.set)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _check_open(self, *, opened: bool = True) -> None:
        if self._closed or (opened and self._thread is None):
            raise BrokerClosedError("open() comes first, and nothing after close()")

    def _call(self, call: Callable[[], None]) -> None:
        """Have it done in the loop, after all before it; the caller holds the lock. Before the opening there is only
        what is wanted, and ``open`` takes that along.
        """
        if self._thread is None:
            return
        self._calls.append(call)
        if not self._woken and self._loop is not None:
            self._woken = True
            self._loop.call_soon_threadsafe(self._do_calls)

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _run(self, listener: Listener, wanted: dict[str, int]) -> None:
        told = _Told(self, listener)
        cause: Exception | None = None
        try:
            with asyncio.Runner(loop_factory=YieldingLoop) as runner:
                runner.run(self._live(told, wanted))
        except BrokerError as error:  # it cannot even begin
            cause = error
        finally:
            with self._lock:
                self._closed = True
            told.ended(cause)

    async def _live(self, told: _Told, wanted: dict[str, int]) -> None:
        self._loop = asyncio.get_running_loop()
        if isinstance(self._loop, YieldingLoop):
            told.call = self._loop.call_outside
        for channel, generation in wanted.items():  # to be confirmed before UP
            self._broker.subscribe(channel, generation)
        self._broker.open(told)
        self._do_calls()
        await self._stop.wait()
        try:
            async with asyncio.timeout(self._close_timeout):
                await self._broker.close()
        except TimeoutError:
            pass  # what could not be written by then is lost

    def _do_calls(self) -> None:
        with self._lock:
            calls, self._calls = self._calls, deque()
            self._bytes = 0
            self._woken = False
        self._do(calls)

    def _do(self, calls: deque[Callable[[], None]]) -> None:
        try:
            while calls:
                calls.popleft()()
        finally:
            if calls and self._loop is not None:
                self._loop.call_soon(self._do, calls)  # a fault of one is not the fault of the others

    def _publish(self, connection: int, channel: str, payload: bytes) -> None:
        if connection != self._connection:
            return  # of before a break: the listener has been told that it will not be accepted
        try:
            self._broker.publish(channel, payload)
        except BrokerUnreachableError:
            pass  # it will be told in a moment that the state has changed

    def _became(self, state: State) -> None:
        with self._lock:
            self._up = state is State.UP
            self._connection += 1


class _Told:
    """What an asyncio broker tells in the thread of a :class:`ThreadedBroker`: passed on at once."""

    def __init__(self, bridge: ThreadedBroker, listener: Listener) -> None:
        self._bridge = bridge
        self._listener = listener
        self._closed = False
        self.call: Callable[..., object] = _call

    def delivered(self, channel: str, payload: bytes) -> None:
        if channel in self._bridge._subscribed:
            self.call(self._listener.delivered, channel, payload)

    def confirmed(self, channel: str, generation: int) -> None:
        if self._bridge._subscribed.confirm(channel, generation):
            self.call(self._listener.confirmed, channel, generation)

    def accepted(self, count: int) -> None:
        self.call(self._listener.accepted, count)

    def changed(self, state: State, cause: Exception | None) -> None:
        if self._becomes(state):
            self.call(self._listener.changed, state, cause)

    def ended(self, cause: Exception | None) -> None:
        """The loop has ended, or never begun; CLOSED is told unless the broker has said so in time."""
        if self._becomes(State.CLOSED):
            self._listener.changed(State.CLOSED, cause)

    def _becomes(self, state: State) -> bool:
        if self._closed:
            return False
        self._closed = state is State.CLOSED
        self._bridge._became(state)
        return True


def _call(function: Callable[..., object], *args: object) -> None:
    function(*args)


class LoopBroker:
    """An :class:`~roomcast_brokers.contracts.AsyncBroker` out of a :class:`~roomcast_brokers.contracts.Broker`.

    ``make`` is called at once. The broker must not hold a lock that its ``publish`` takes while it tells its listener.
    """

    def __init__(self, make: Callable[[], Broker]) -> None:
        self._broker = make()
        self._inbox = Inbox(waits=self._broker.traits.durable)
        self._closed = False

    @property
    def traits(self) -> Traits:
        return self._broker.traits

    @property
    def dropped(self) -> int:
        """Deliveries that did not fit into the queue, because the loop did not come round to take them out. Of a
        durable broker there are none: it waits.
        """
        return self._inbox.dropped

    def open(self, listener: Listener) -> None:
        if self._closed or self._inbox.opened:
            raise BrokerClosedError("a broker is opened once, and a closed one stays closed; make another")
        self._inbox.open(listener)
        self._broker.open(self._inbox)

    def publish(self, channel: str, payload: bytes) -> None:
        if len(payload) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
        # Under the lock no break can be told: what is handed over now belongs to the connection the listener knows of.
        with self._inbox.lock:
            if self._closed or not self._inbox.opened:
                raise BrokerClosedError("open() comes first, and nothing after close()")
            if not self._inbox.up:
                raise BrokerUnreachableError("the broker is not reached yet, or lost")
            self._broker.publish(channel, payload)

    def subscribe(self, channel: str, generation: int) -> None:
        self._inbox.subscribed.subscribe(channel, generation)
        self._broker.subscribe(channel, generation)

    def unsubscribe(self, channel: str) -> None:
        self._inbox.subscribed.unsubscribe(channel)
        self._broker.unsubscribe(channel)

    def reset(self) -> None:
        self._broker.reset()

    async def close(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._broker.close)
        if self._inbox.opened:
            self._inbox.changed(State.CLOSED, None)  # if the broker did not come to say so
            await self._inbox.ended.wait()
