"""The thread that publishes over one connection, and what waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from roomcast_brokers.backends.kombu.ends import CHECK, Outlet
from roomcast_brokers.backends.kombu.link import translated
from roomcast_brokers.backends.kombu.waking import Waker
from roomcast_brokers.batches import Message
from roomcast_brokers.errors import BrokerUnreachableError

# What waits to be written. Callers bound what is not accepted yet at 8 MiB; this is for those who do not.
MAX_QUEUED_BYTES: Final = 16 * 1_048_576
MAX_QUEUED_MESSAGES: Final = 100_000

# What is written before the thread looks at what was accepted: a few milliseconds' worth, or one large message.
MOST_WRITTEN: Final = 256
MOST_WRITTEN_BYTES: Final = 1_048_576


class Publishing:
    """``outlet`` is connected, and belongs to the thread until :meth:`end`. ``tell`` is called in the thread when there
    may be something in :meth:`take`, or ``obstacle`` has changed, or ``failure`` is set: then it is over.
    """

    def __init__(self, outlet: Outlet, tell: Callable[[], None]) -> None:
        self.failure: BrokerUnreachableError | None = None
        self.obstacle = outlet.obstacle()
        self._outlet = outlet
        self._tell = tell
        self._lock = threading.Lock()
        self._waiting: deque[Message] = deque()
        self._bytes = 0  # of them
        self._unsettled = 0  # handed over, and not in what was accepted
        self._accepted = 0  # and not taken
        self._over = False
        self._farewell = False
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run, name="roomcast-kombu-publish", daemon=True)
        self._thread.start()

    @property
    def settled(self) -> bool:
        """Whether everything that was handed over has been accepted."""
        return not self._unsettled

    def put(self, channel: str, payload: bytes) -> None:
        """Hand one over, from any thread. Raises BrokerUnreachableError if more waits than may."""
        with self._lock:
            if len(self._waiting) >= MAX_QUEUED_MESSAGES or self._bytes + len(payload) > MAX_QUEUED_BYTES:
                raise BrokerUnreachableError("more waits to be written than may wait")
            self._waiting.append((channel, payload))
            self._bytes += len(payload)
            self._unsettled += 1
        self._waker.wake()

    def take(self) -> int:
        """How many more of the oldest were accepted since this was last asked."""
        with self._lock:
            count, self._accepted = self._accepted, 0
        return count

    def end(self, *, farewell: bool, timeout: float = 0.0) -> None:
        """Give up what waits, and end the connection; waits for that for ``timeout`` seconds at most. A thread that is
        stuck in the connection ends when the connection does.
        """
        self._farewell = farewell
        self._over = True
        self._waker.wake()
        self._thread.join(timeout)

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        outlet = self._outlet
        try:
            with translated():  # the descriptor may be closed already
                self._waker.watch(outlet.descriptor)
            self._publish(outlet)
        except BrokerUnreachableError as error:
            self.failure = error
        finally:
            if self.failure is None and not self._over:  # a fault of ours: it must not go unnoticed
                self.failure = BrokerUnreachableError("the thread that publishes has failed")
            self._tell()
            self._waker.close()
            outlet.close(farewell=self._farewell)

    def _publish(self, outlet: Outlet) -> None:
        check_at = monotonic() + CHECK
        while not self._over:
            messages = self._next()
            if messages:
                outlet.publish(messages)
            self._settle(outlet.accepted())
            now = monotonic()
            if now >= check_at:
                check_at = now + CHECK
                outlet.check()
                self._settle(outlet.accepted())
            elif not messages:
                self._waker.wait(check_at - now)

    def _next(self) -> list[Message]:
        with self._lock:
            messages: list[Message] = []
            size = 0
            while self._waiting and len(messages) < MOST_WRITTEN and size < MOST_WRITTEN_BYTES:
                message = self._waiting.popleft()
                size += len(message[1])
                messages.append(message)
            self._bytes -= size
        return messages

    def _settle(self, count: int) -> None:
        before, self.obstacle = self.obstacle, self._outlet.obstacle()
        if before != self.obstacle:
            self._tell()
        if count:
            with self._lock:
                self._accepted += count
                self._unsettled -= count
            self._tell()
