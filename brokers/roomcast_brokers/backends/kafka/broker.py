"""The broker for threads. One thread of its own tells the listener, and makes one :class:`.session.Session` after
another.

What is published waits here until that thread hands it to the producer; so publishing takes a microsecond and waits for
nobody. Positions in the partitions outlive sessions: what was published during a break is heard after it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from roomcast_brokers.backends.kafka.following import Change, Following
from roomcast_brokers.backends.kafka.location import parse
from roomcast_brokers.backends.kafka.network import unreachable
from roomcast_brokers.backends.kafka.partitions import topic_of
from roomcast_brokers.backends.kafka.session import Session
from roomcast_brokers.backoff import delays
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Listener, State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, MessageTooLargeError
from roomcast_brokers.subscribed import Subscribed

TRAITS: Final = Traits(durable=True, ordered_across_channels=False, cheap_subscriptions=False)

# What was published and is not accepted yet. A node bounds that at 64 MiB; this is for those who do not, and for the
# heads of many small messages.
MAX_WAITING_BYTES: Final = 96 * 1_048_576
MAX_WAITING_MESSAGES: Final = 500_000

# What is told, or handed over, between two looks at what else there is to do.
AT_ONCE: Final = 256

# Seconds for which a session has to have held for the next break to be a new one: after less, the delays go on to grow.
STEADY: Final = 1.0

# Seconds that close() gives what was handed over to be written.
CLOSE_TIMEOUT: Final = 2.0


class KafkaBroker:
    """See :class:`roomcast_brokers.contracts.Broker`, and :mod:`.location` for URLs and options.

    A topic that is missing is made when the first channel of its cluster is used, if that is allowed.
    """

    def __init__(
        self,
        url: str = "kafka://localhost:9092",
        *,
        kafka_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._location = parse(url, kafka_options, options)
        self._lock = threading.Lock()  # never held while the listener is called
        self._bell = threading.Event()
        self._subscribed = Subscribed()
        self._changes: dict[str, Change] = {}
        self._outbox: deque[tuple[str, bytes]] = deque()
        self._waiting = self._waiting_bytes = 0  # not accepted yet
        self._state = State.CONNECTING
        self._given_up: BrokerUnreachableError | None = None  # this session, by somebody else's wish
        self._closed = False
        self._deadline = 0.0
        self._thread: threading.Thread | None = None
        # Of the thread alone:
        self._following = Following(self._location.topic)
        self._topics: set[str] = {self._location.topic} if self._location.topic else set()

    @property
    def traits(self) -> Traits:
        return TRAITS

    def open(self, listener: Listener) -> None:
        with self._lock:
            if self._closed or self._thread is not None:
                raise BrokerClosedError("a broker is opened once, and a closed one stays closed; make another")
            self._thread = threading.Thread(target=self._run, args=(listener,), name="roomcast-kafka", daemon=True)
            self._thread.start()

    def publish(self, channel: str, payload: bytes) -> None:
        if type(payload) is not bytes:  # in the thread it would be nobody's error
            raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
        if len(payload) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
        self._check(channel)
        with self._lock:
            self._check_open()
            if self._state is not State.UP:
                raise BrokerUnreachableError("Kafka is away")
            size = len(payload)
            if self._waiting >= MAX_WAITING_MESSAGES or self._waiting_bytes + size > MAX_WAITING_BYTES:
                # Who publishes takes this for a break, so it has to be one.
                self._given_up = BrokerUnreachableError("Kafka does not keep up: more waits than may wait")
                self._bell.set()
                raise self._given_up
            self._waiting += 1
            self._waiting_bytes += size
            self._outbox.append((channel, payload))
        self._bell.set()

    def subscribe(self, channel: str, generation: int) -> None:
        self._check(channel)
        with self._lock:
            if self._closed:
                raise BrokerClosedError("nothing is subscribed after close()")
            before = self._changes.get(channel)
            anew = before is not None and before.anew
            self._changes[channel] = Change(channel, generation, anew)
            self._subscribed.subscribe(channel, generation)
        self._bell.set()

    def unsubscribe(self, channel: str) -> None:
        with self._lock:
            if self._subscribed.unsubscribe(channel):
                self._changes[channel] = Change(channel, None, anew=True)
        self._bell.set()

    def reset(self) -> None:
        with self._lock:
            self._check_open()
            self._given_up = BrokerUnreachableError("the connections were given up: nothing came through them")
        self._bell.set()

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._deadline = time.monotonic() + timeout
        self._bell.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _check(self, channel: str) -> None:
        if self._location.topic is None:
            topic_of(channel)  # raises if it cannot have one

    def _check_open(self) -> None:
        if self._closed or self._thread is None:
            raise BrokerClosedError("open() comes first, and nothing after close()")

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _run(self, listener: Listener) -> None:
        try:
            self._live(listener)
        finally:
            with self._lock:
                self._closed = True
                self._state = State.CLOSED
            listener.changed(State.CLOSED, None)

    def _live(self, listener: Listener) -> None:
        retries = delays()
        while not self._closed:
            try:
                session = self._reach()
            except BrokerUnreachableError as error:
                listener.changed(State.CONNECTING, error)
            else:
                since = time.monotonic()
                self._serve(listener, session)
                if time.monotonic() - since >= STEADY:
                    retries = delays()
            self._pause(next(retries))

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._closed and (left := until - time.monotonic()) > 0:
            self._bell.wait(left)
            self._bell.clear()

    def _reach(self) -> Session:
        with self._lock:
            self._changes.clear()
            self._given_up = None
            wanted = self._subscribed.wanted()
        return Session(self._location, self._following, wanted, self._topics, self._bell.set)

    def _serve(self, listener: Listener, session: Session) -> None:
        """Be there until something breaks or somebody closes, and tell of that."""
        error: BrokerUnreachableError | None = None
        try:
            while not self._closed and (error := self._given_up or session.trouble) is None:
                self._bell.clear()
                if not self._turn(listener, session):
                    self._bell.wait(self._patience(session))
            if self._closed:
                self._finish(listener, session)
        except BrokerUnreachableError as raised:
            error = raised
        except Exception as fault:  # noqa: BLE001  # a fault, of the listener or of ours, must not end the supervision
            _report(fault)
            error = unreachable(fault)
        with self._lock:
            self._state = State.CONNECTING
        session.end()
        self._topics |= session.topics
        self._tell_accepted(listener, session)
        while self._tell_arrivals(listener, session):
            pass
        with self._lock:  # what is not accepted by now will not be
            self._outbox.clear()
            self._waiting = self._waiting_bytes = 0
        if not self._closed:
            listener.changed(State.CONNECTING, error)

    def _patience(self, session: Session) -> float | None:
        """How long nothing has to be looked at, unless somebody rings, as whoever brings a confirmation does."""
        if self._state is State.UP or session.awaited:
            return None
        return max(0.0, session.settled_at - time.monotonic())

    def _turn(self, listener: Listener, session: Session) -> bool:
        """Do what there is to do, but not for long. Returns whether there is more."""
        self._take_changes(session)
        more = self._hand_over(session)
        self._tell_accepted(listener, session)
        more = self._tell_arrivals(listener, session) or more
        if self._state is not State.UP:
            self._look_whether_up(listener, session)
        return more

    def _take_changes(self, session: Session) -> None:
        with self._lock:
            changes, self._changes = self._changes, {}
        if changes:
            session.change(list(changes.values()))

    def _look_whether_up(self, listener: Listener, session: Session) -> None:
        if session.awaited or time.monotonic() < session.settled_at:
            return
        with self._lock:
            if self._changes:  # to be confirmed first
                self._bell.set()
                return
            self._state = State.UP
        listener.changed(State.UP, None)

    def _hand_over(self, session: Session) -> bool:
        """Give the producer what was published, as much as it may hold at a time."""
        outbox, writer = self._outbox, session.writer
        for _ in range(AT_ONCE):
            if not outbox or not writer.has_room:
                return False
            session.send(*outbox.popleft())
        return bool(outbox) and writer.has_room

    def _tell_accepted(self, listener: Listener, session: Session) -> None:
        count, size = session.writer.take_accepted()
        if count:
            with self._lock:
                self._waiting -= count
                self._waiting_bytes -= size
            listener.accepted(count)

    def _tell_arrivals(self, listener: Listener, session: Session) -> bool:
        """Tell some of what has been read. Returns whether there may be more."""
        arrivals = session.reader.arrivals.take(AT_ONCE)
        subscribed = self._subscribed
        for channel, what in arrivals:
            if isinstance(what, bytes):
                if channel in subscribed:
                    listener.delivered(channel, what)
            else:
                session.awaited.discard(channel)
                if subscribed.confirm(channel, what):
                    listener.confirmed(channel, what)
        return len(arrivals) == AT_ONCE

    def _finish(self, listener: Listener, session: Session) -> None:
        """Write what was handed over, until the deadline."""
        while (self._outbox or session.writer.outstanding) and (left := self._deadline - time.monotonic()) > 0:
            more = self._hand_over(session)
            if session.trouble is not None:
                return
            if not more:
                session.writer.flush(left)
            self._tell_accepted(listener, session)


def _report(fault: Exception) -> None:
    """As if it had ended the thread: shown where the application wants such things to be shown."""
    threading.excepthook(
        threading.ExceptHookArgs((type(fault), fault, fault.__traceback__, threading.current_thread()))
    )
