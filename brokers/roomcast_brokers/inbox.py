"""What a listener is still to be told in its event loop: written to from any thread, told in turns.

An :class:`Inbox` is a :class:`~roomcast_brokers.contracts.Listener` itself. What it hears it passes on in order, in
later turns of the loop in which it was opened, with one wake-up for all that has come meanwhile. Deliveries are
bounded; what does not fit is dropped and counted, because nobody who publishes waits for somebody else's consumer.
Where the broker is durable whoever delivers waits instead: it keeps what is not taken, and loses nothing. The rest is
not bounded: no state and no confirmation may be lost, and there are only as many as the owner itself has caused.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Final

import msgspec

from roomcast_brokers.contracts import Listener, State
from roomcast_brokers.subscribed import Subscribed

# Enough for the burst of one loop turn at full speed; beyond it the consumer is stuck, and memory would only grow.
MAX_QUEUED_DELIVERIES: Final = 10_000
MAX_QUEUED_BYTES: Final = 64 * 1_048_576

# Seconds after which who waits for room looks whether there still is a loop that makes some.
LOOK_AGAIN: Final = 1.0

# What one turn of the loop tells at most: at a few microseconds each, its sockets wait a millisecond or two.
TOLD_PER_TURN: Final = 256


class Delivered(msgspec.Struct, frozen=True):
    """A message."""

    channel: str
    payload: bytes


class Confirmed(msgspec.Struct, frozen=True):
    """A subscription is in force."""

    channel: str
    generation: int


class Accepted(msgspec.Struct, frozen=True):
    """So many messages were accepted before what stands behind this."""

    count: int


class Changed(msgspec.Struct, frozen=True):
    """The state of the connection changed."""

    state: State
    cause: Exception | None


class Inbox:
    """See the module. ``lock`` is held only for moments, never while the listener is told.

    ``waits``: a thread whose delivery does not fit waits for room.
    """

    def __init__(
        self,
        max_deliveries: int = MAX_QUEUED_DELIVERIES,
        max_bytes: int = MAX_QUEUED_BYTES,
        *,
        waits: bool = False,
    ) -> None:
        self.lock = threading.Lock()
        self._waits = waits
        self._room = threading.Condition(self.lock)
        self._blocked = False  # somebody waits for room
        self.subscribed = Subscribed()
        self.dropped = 0
        self.up = False
        """The listener has been told UP, and no other state waits to be told: what is published now will be accepted in
        the connection that the listener knows of. Whoever publishes reads it under a lock that whoever tells states
        has to take.
        """
        self.ended = asyncio.Event()
        """Set once the listener has been told CLOSED."""
        self._max_deliveries = max_deliveries
        self._max_bytes = max_bytes
        self._notes: deque[Delivered | Confirmed | Accepted | Changed] = deque()
        # Put in and taken out: each counted by one side only, so that telling needs no lock for each message.
        self._put = self._put_bytes = 0
        self._told = self._told_bytes = 0
        self._accepted = 0  # not among the notes yet: all came after the last change that is, so they may go first
        self._untold_states = 0
        self._closed = False
        self._woken = False
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @property
    def opened(self) -> bool:
        return self._listener is not None

    @property
    def dead(self) -> bool:
        """Whether the loop was closed, so that nothing can be told any more."""
        return self._loop is not None and self._loop.is_closed()

    def open(self, listener: Listener) -> None:
        """Tell ``listener`` from now on, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._listener = listener

    # --- from any thread --------------------------------------------------------------------------------------------

    def delivered(self, channel: str, payload: bytes) -> None:
        with self.lock:
            size = len(payload)
            while (
                self._put - self._told >= self._max_deliveries
                or self._put_bytes - self._told_bytes + size > self._max_bytes
            ):
                if not self._may_wait():
                    self.dropped += 1
                    return
                self._blocked = True
                self._room.wait(LOOK_AGAIN)
            self._put += 1
            self._put_bytes += size
            self._append(Delivered(channel, payload))

    def _may_wait(self) -> bool:
        """Whether this thread is one that waits for room, and a loop is there that will make it."""
        there = self._loop is not None and not self._loop.is_closed() and not self._closed
        return self._waits and there and threading.get_ident() != self._thread

    def confirmed(self, channel: str, generation: int) -> None:
        with self.lock:
            self._append(Confirmed(channel, generation))

    def accepted(self, count: int) -> None:
        with self.lock:
            self._accepted += count
            self._wake()

    def changed(self, state: State, cause: Exception | None) -> None:
        """CLOSED is the last; whatever is said after it is not heard."""
        with self.lock:
            if self._accepted:
                self._append(Accepted(self._accepted))
                self._accepted = 0
            if not self._closed:
                self.up = False
                self._untold_states += 1
                self._append(Changed(state, cause))
                self._closed = state is State.CLOSED

    def _append(self, note: Delivered | Confirmed | Accepted | Changed) -> None:
        if not self._closed:
            self._notes.append(note)
            self._wake()

    def _wake(self) -> None:
        if self._woken or self._loop is None:
            return
        self._woken = True
        try:
            if self._thread == threading.get_ident():
                self._loop.call_soon(self._tell)
            else:
                self._loop.call_soon_threadsafe(self._tell)
        except RuntimeError:  # the loop was closed, and the broker was not: nobody is there to be told
            self._notes.clear()

    # --- in the loop ------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Tell what waits, one at a time: between two the listener may unsubscribe, publish or close."""
        try:
            for _ in range(min(len(self._notes), TOLD_PER_TURN)):
                self._tell_one(self._notes.popleft())
            with self.lock:
                accepted, self._accepted = self._accepted, 0
            if accepted and self._listener is not None:
                self._listener.accepted(accepted)
        finally:
            with self.lock:
                self._woken = False
                if self._blocked:
                    self._blocked = False
                    self._room.notify_all()
                if self._notes or self._accepted:
                    self._wake()

    def _tell_one(self, note: Delivered | Confirmed | Accepted | Changed) -> None:
        listener = self._listener
        assert listener is not None
        match note:
            case Delivered(channel, payload):
                self._told += 1
                self._told_bytes += len(payload)
                if channel in self.subscribed:
                    listener.delivered(channel, payload)
            case Confirmed(channel, generation):
                if self.subscribed.confirm(channel, generation):
                    listener.confirmed(channel, generation)
            case Accepted(count):
                listener.accepted(count)
            case _:
                self._tell_change(listener, note)

    def _tell_change(self, listener: Listener, note: Changed) -> None:
        with self.lock:
            self._untold_states -= 1
            self.up = note.state is State.UP and not self._untold_states
        listener.changed(note.state, note.cause)
        if note.state is State.CLOSED:
            self.ended.set()
