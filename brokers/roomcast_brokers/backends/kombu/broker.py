"""The broker for threads: two connections, each with a thread of its own, because kombu's are for one thread.

The thread that takes in is also the one that supervises and the only one that tells the listener. It does in turn: what
was wished meanwhile, what has come, what was accepted, whether the other end is still there; then it waits for any of
that. The other thread publishes (:mod:`.publishing`).

A break of either connection is a break of both. Nothing of kombu's that retries or mends is used: what was handed over
before a break is never written after it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from math import inf
from time import monotonic
from typing import Any, Final

from roomcast_brokers.backends.kombu.ends import CHECK, STALL, Delivered, Event, Intake
from roomcast_brokers.backends.kombu.link import translated
from roomcast_brokers.backends.kombu.location import parse
from roomcast_brokers.backends.kombu.publishing import Publishing
from roomcast_brokers.backends.kombu.waking import Waker
from roomcast_brokers.backoff import delays
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Listener, State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, MessageTooLargeError
from roomcast_brokers.subscribed import Subscribed

# Seconds for which a connection has to have held for the next break to be a new one; after less, the delays go on to
# grow: a server that accepts and closes at once is not to be asked without a pause.
STEADY: Final = 1.0

# Seconds that the other thread has for the end of its connection.
GOODBYE: Final = 1.0

# What contracts give a broker to write what was handed over.
CLOSE_TIMEOUT: Final = 2.0


class KombuBroker:
    """``kombu+<transport>://…``; see :class:`roomcast_brokers.contracts.Broker`, and :mod:`.location` for the URL and
    the options. ``malformed`` counts messages that were none of kombu's.
    """

    def __init__(
        self,
        url: str = "kombu+amqp://guest:guest@localhost:5672//",
        *,
        connection_options: Mapping[str, Any] | None = None,
        exchange_options: Mapping[str, Any] | None = None,
        queue_options: Mapping[str, Any] | None = None,
        producer_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._location = parse(
            url,
            connection_options=connection_options,
            exchange_options=exchange_options,
            queue_options=queue_options,
            producer_options=producer_options,
        )
        self.malformed = 0
        self._lock = threading.Lock()  # never held while the listener is told
        self._subscribed = Subscribed()
        self._changed: dict[str, None] = {}  # what was wished and is not done
        self._awaited: set[str] = set()  # what was asked for and is not confirmed
        self._told: str | None = None  # why it is not UP although it is connected
        self._publishing: Publishing | None = None  # while UP
        self._up_since = inf  # in this life of the connections
        self._thread: threading.Thread | None = None
        self._waker: Waker | None = None  # once it is open
        self._reset = False
        self._closed = False  # or about to be
        self._close_by = inf

    @property
    def traits(self) -> Traits:
        return self._location.manner.traits

    def open(self, listener: Listener) -> None:
        with self._lock:
            if self._closed or self._thread is not None:
                raise BrokerClosedError("a broker is opened once, and a closed one stays closed; make another")
            self._waker = Waker()
            arguments = (listener, self._waker)
            self._thread = threading.Thread(target=self._run, args=arguments, name="roomcast-kombu", daemon=True)
            self._thread.start()

    def publish(self, channel: str, payload: bytes) -> None:
        if type(payload) is not bytes:  # in the thread it would be nobody's error
            raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
        if len(payload) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
        with self._lock:
            self._check_open()
            if self._publishing is None:
                raise BrokerUnreachableError("the broker is not reached yet, or lost")
            self._publishing.put(channel, payload)

    def subscribe(self, channel: str, generation: int) -> None:
        with self._lock:
            if self._closed:
                raise BrokerClosedError("nothing is subscribed after close()")
            self._subscribed.subscribe(channel, generation)
            self._changed[channel] = None
        self._wake()

    def unsubscribe(self, channel: str) -> None:
        with self._lock:
            if self._subscribed.unsubscribe(channel):
                self._changed[channel] = None
        self._wake()

    def reset(self) -> None:
        with self._lock:
            self._check_open()
            self._reset = True
        self._wake()

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._close_by = monotonic() + timeout
        thread = self._thread
        if thread is None:
            return
        self._wake()
        if thread is not threading.current_thread():
            thread.join(timeout)

    def _wake(self) -> None:
        if self._waker is not None:
            self._waker.wake()

    def _check_open(self) -> None:
        if self._closed or self._thread is None:
            raise BrokerClosedError("open() comes first, and nothing after close()")

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _run(self, listener: Listener, waker: Waker) -> None:
        retries = delays()
        attempt = 0
        try:
            while not self._closed:
                self._up_since = inf
                try:
                    self._live(listener, waker, attempt)
                except Exception as error:  # noqa: BLE001 - of the listener, or ours: or else nobody would wake this node
                    _report(error)
                    listener.changed(State.CONNECTING, BrokerUnreachableError("something failed that should not"))
                attempt += 1
                if monotonic() - self._up_since >= STEADY:
                    retries = delays()
                self._pause(waker, next(retries))
        finally:
            with self._lock:
                self._closed = True
            listener.changed(State.CLOSED, None)
            waker.close()

    def _live(self, listener: Listener, waker: Waker, attempt: int) -> None:
        """One life of the two connections: until a break, which is told, or until the broker is closed and may be."""
        manner, setup = self._location.manner, self._location.setup(attempt)
        intake, outlet = manner.intake(setup), manner.outlet(setup)
        publishing: Publishing | None = None
        farewell = False
        with self._lock:
            self._reset = False
            self._changed = dict.fromkeys(self._subscribed.wanted())
        self._awaited = set(self._changed)
        self._told = None
        try:
            outlet.connect()
            intake.connect()
            publishing = Publishing(outlet, waker.wake)
            with translated():  # the descriptor may be closed already
                waker.watch(intake.descriptor)
            self._serve(listener, waker, intake, publishing)
            farewell = True
        except BrokerUnreachableError as error:
            self._down()
            listener.changed(State.CONNECTING, error)
        finally:
            self._down()
            waker.watch(None)
            if publishing is None:
                outlet.close(farewell=False)
            else:
                publishing.end(farewell=farewell, timeout=GOODBYE if farewell else 0.0)
            intake.close(farewell=farewell)

    def _down(self) -> None:
        with self._lock:
            self._publishing = None

    def _serve(self, listener: Listener, waker: Waker, intake: Intake, publishing: Publishing) -> None:
        poll = self._location.manner.poll if intake.descriptor is None else CHECK
        malformed = self.malformed
        began = check_at = monotonic()
        while True:
            self._change(intake)
            events, more = intake.take()
            self.malformed = malformed + intake.malformed
            self._tell(listener, events)
            accepted = publishing.take()
            if accepted:
                listener.accepted(accepted)
            now = monotonic()
            if self._may_end(publishing, now):
                return
            self._judge(publishing)
            if self._publishing is None:
                self._rise(listener, publishing, now - began)
            if now >= check_at:
                check_at = now + CHECK
                intake.check()
            elif not more:
                waker.wait(min(poll, check_at - now, self._close_by - now))

    def _change(self, intake: Intake) -> None:
        """Have done what was wished since the last time; of each channel, what was wished last."""
        if not self._changed:
            return
        with self._lock:
            changed, self._changed = self._changed, {}
            wanted = self._subscribed.wanted()
        subscribe = [(channel, wanted[channel]) for channel in changed if channel in wanted]
        unsubscribe = [channel for channel in changed if channel not in wanted]
        self._awaited.difference_update(unsubscribe)
        self._awaited.update(channel for channel, _ in subscribe)
        intake.change(subscribe, unsubscribe)

    def _tell(self, listener: Listener, events: list[Event]) -> None:
        for event in events:
            channel = event.channel
            if isinstance(event, Delivered):
                if channel in self._subscribed:
                    listener.delivered(channel, event.payload)
            elif self._subscribed.confirm(channel, event.generation):
                self._awaited.discard(channel)
                listener.confirmed(channel, event.generation)

    def _may_end(self, publishing: Publishing, now: float) -> bool:
        return self._closed and (publishing.settled or now >= self._close_by)

    def _judge(self, publishing: Publishing) -> None:
        if publishing.failure is not None:
            raise publishing.failure
        if self._reset:
            raise BrokerUnreachableError("the connections were given up: nothing came through them")
        if self._publishing is not None and publishing.obstacle is not None:
            raise BrokerUnreachableError(publishing.obstacle)

    def _rise(self, listener: Listener, publishing: Publishing, waited: float) -> None:
        """Be UP as soon as everything that is wanted is confirmed, and messages are taken. That they are not may last:
        then it is told, and waited for on this connection; others would have to wait as well.
        """
        if self._awaited:
            if waited > STALL:
                raise BrokerUnreachableError(f"the broker has not confirmed every subscription within {STALL:g} s")
        elif publishing.obstacle is None:
            with self._lock:
                self._publishing = publishing
            self._up_since = monotonic()
            listener.changed(State.UP, None)
        elif waited > CHECK and publishing.obstacle != self._told:
            self._told = publishing.obstacle
            listener.changed(State.CONNECTING, BrokerUnreachableError(publishing.obstacle))

    def _pause(self, waker: Waker, seconds: float) -> None:
        until = monotonic() + seconds
        while not self._closed and (left := until - monotonic()) > 0:
            waker.wait(left)


def _report(error: Exception) -> None:
    """As what ends a thread is reported."""
    arguments = (type(error), error, error.__traceback__, threading.current_thread())
    threading.excepthook(threading.ExceptHookArgs(arguments))
