"""The way to the broker of one process, for threads: whoever emits sends, and a thread keeps trying what has to wait.

The thread also sends the marks (cluster.md 7). It starts with the first emit and ends when nothing is owed any more;
a process that has emitted nothing for three seconds has no thread and no timer.

Two locks, taken in this order: ``_sending`` while the sender is used, ``_lock`` for everything else, never while
anything waits for the network. All of it belongs to one process: a forked child makes another.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from time import monotonic
from typing import Final

from roomcast_brokers.contracts import Sender
from roomcast_brokers.errors import BrokerUnreachableError, SendError
from roomcast_emitter import exits
from roomcast_emitter.attempts import Attempts
from roomcast_emitter.counts import Counts
from roomcast_emitter.errors import EmitterClosedError
from roomcast_emitter.operations import Order
from roomcast_emitter.outages import OutageLog, warn
from roomcast_emitter.postbox import Postbox
from roomcast_emitter.receipts import Outcome, Parcel
from roomcast_emitter.terms import EXIT_SECONDS

# While the broker is known to be away an emit waits this long (seconds) for the attempt that is due, so that it can say
# "delivered" if the broker is back; more would make every request of a web worker slow during an outage.
PATIENCE: Final = 0.25


class Delivery:
    """What is posted here is with the broker when :meth:`post` returns, or waits, or has ended, as ``box`` decides."""

    def __init__(self, sender: Sender, box: Postbox) -> None:
        self._pid = os.getpid()
        self._sender = sender
        self._box = box
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)  # parcels have ended, or an attempt has failed
        self._awake = threading.Condition(self._lock)  # the thread has something to do
        self._attempts = Attempts()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._log = OutageLog(box.limits.meanwhile)

    # --- for who emits ------------------------------------------------------------------------------------------------

    def post(self, orders: Sequence[Order]) -> Parcel:
        """Send these, in order, or let them wait for the broker."""
        with self._lock:
            if self._closed:
                raise EmitterClosedError("the emitter is closed")
            parcel = self._box.post(orders, monotonic())
            if parcel.ended():
                return parcel
            self._start()
            waits = self._box.limits.queues and self._attempts.reached is False
        if waits:
            self._wait_a_moment(parcel)
        else:
            self._push(parcel)
        self._tell()
        return parcel

    def settle(self, parcel: Parcel, timeout: float | None) -> Outcome:
        """Block until ``parcel`` has ended, at most ``timeout`` seconds. What a parent posted no child hears of."""
        if not parcel.ended() and self._pid == os.getpid():
            with self._ended:
                self._ended.wait_for(lambda: parcel.ended(), timeout)
        return parcel.outcome

    def flush(self, timeout: float) -> bool:
        """See that what was posted before ends, and say how far the numbers are; whether the broker has all of it."""
        deadline = monotonic() + timeout
        with self._lock:
            parcels = self._box.parcels()
        while self._wait_for_attempt(parcels, deadline):
            if self._sending.acquire(timeout=max(0.0, deadline - monotonic())):
                try:
                    if not all(parcel.ended() for parcel in parcels):
                        self._attempt()
                finally:
                    self._sending.release()
        self._mark(deadline)
        self._tell()
        return all(parcel.outcome is Outcome.DELIVERED for parcel in parcels)

    def close(self, timeout: float) -> bool:
        """Flush, then end for good: what waits is given up, the connection ends."""
        if self._closed:
            return True
        done = self.flush(timeout)
        with self._sending:
            with self._lock:
                self._closed = True
                self._box.give_up(monotonic())
                self._notify()
            self._sender.close()
        self._tell()
        return done

    def counts(self) -> Counts:
        """What has become of what was posted."""
        with self._lock:
            return self._box.counts()

    def forget(self) -> None:
        """In a child of the process that made it: let go of the connection, without a word to the broker."""
        self._sender.forget()

    # --- trying -------------------------------------------------------------------------------------------------------

    def _push(self, parcel: Parcel) -> None:
        """Try until ``parcel`` has ended, or the broker is away."""
        while not parcel.ended():
            with self._sending:
                if parcel.ended():
                    return  # somebody else has sent it along
                with self._lock:
                    if self._is_away():
                        self._box.away(monotonic())
                        return
                self._attempt()

    def _is_away(self) -> bool:
        # Where nothing waits, whoever emits tries by himself, but not more often than the thread would.
        tries = self._attempts
        return tries.reached is False if self._box.limits.queues else tries.failed(monotonic())

    def _wait_a_moment(self, parcel: Parcel) -> None:
        """The thread tries what waits; if it has just begun to, or is about to, see what comes of it."""
        with self._ended:
            tries, now = self._attempts, monotonic()
            failures = tries.failures
            if tries.retry_at <= now:
                begun = now if tries.begun is None else tries.begun
                self._ended.wait_for(lambda: parcel.ended() or tries.failures != failures, begun + PATIENCE - now)

    def _attempt(self, *, mark: bool = False) -> None:
        """Hand over all that can be taken; the caller holds ``_sending``."""
        again = True
        try:
            while again:
                self._attempts.begin(monotonic())
                try:
                    self._hand_over(mark)
                    again = False
                except BrokerUnreachableError as error:
                    again = self._failed(error)
        except BaseException:  # a signal, a time limit of the application: nobody knows how far it came
            with self._lock:
                self._attempts.interrupt()
                self._box.away(monotonic())
                self._notify()
            raise
        finally:
            self._attempts.begun = None

    def _hand_over(self, mark: bool) -> None:
        if not self._attempts.reached:
            self._sender.send(())  # only reach it: what was never written gets no number, and is surely not there
        with self._lock:
            now = monotonic()
            self._box.up(now)
            self._tick(now)
            if mark or self._attempts.reached is False:
                self._box.mark(now)  # after an outage at once: nodes have missed something as well
            messages = self._box.take(now)
        if messages:
            self._sender.send(messages)
        with self._lock:
            self._box.accepted(len(messages), monotonic())
            if self._attempts.succeed():
                self._awake.notify_all()  # there are marks to be sent now
            self._ended.notify_all()

    def _failed(self, error: BrokerUnreachableError) -> bool:
        """Note it; whether to try again at once."""
        with self._lock:
            now = monotonic()
            if isinstance(error, SendError):
                self._box.accepted(error.accepted, now)
            if self._attempts.fail(error, now):
                self._box.broken(now)
                return True
            self._box.away(now)
            self._notify()
            return False

    def _wait_for_attempt(self, parcels: set[Parcel], deadline: float) -> bool:
        """Block until an attempt may be made for ``parcels``; False if none is to be made any more."""
        with self._ended:
            while not all(parcel.ended() for parcel in parcels):
                now = monotonic()
                if now >= deadline:
                    return False
                if self._attempts.failed(now):
                    self._ended.wait(min(self._attempts.retry_at, deadline) - now)
                    self._tick(monotonic())
                else:
                    return True
            return False

    def _mark(self, deadline: float) -> None:
        """Say how far the numbers are, if the broker is there."""
        if self._attempts.reached and self._sending.acquire(timeout=max(0.0, deadline - monotonic())):
            try:
                self._attempt(mark=True)
            finally:
                self._sending.release()

    def _notify(self) -> None:
        self._ended.notify_all()
        self._awake.notify_all()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Have the thread run; the caller holds ``_lock``."""
        if self._thread is not None:
            return
        exits.watch()
        _living.add(self)
        thread = threading.Thread(target=self._run, name="roomcast-emitter", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # the interpreter is ending: what waits has its last chance in leave()
        self._thread = thread

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                with self._sending:
                    if not self._closed:
                        self._attempt()
                self._tell()
        finally:
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None
            self._tell()

    def _wait_for_work(self) -> bool:
        """Block until something is to be handed over; False when nothing is owed any more."""
        with self._awake:
            while True:
                now = monotonic()
                self._tick(now)
                if self._closed or self._box.idle:
                    self._thread = None
                    _living.discard(self)
                    return False
                if self._has_work(now):
                    return True
                moments = (self._box.due(), self._attempts.retry_at if self._attempts.reached is False else None)
                due = min((moment for moment in moments if moment is not None), default=None)
                self._awake.wait(None if due is None else max(0.0, due - now))

    def _has_work(self, now: float) -> bool:
        tries = self._attempts
        if tries.reached is None:  # whoever emits is about to try, unless he was interrupted
            return tries.interrupted
        return self._box.ready if tries.reached else tries.retry_at <= now

    def _tick(self, now: float) -> None:
        before = self._box.unsettled
        self._box.tick(now)
        if self._box.unsettled < before:
            self._ended.notify_all()

    # --- the log ------------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Log what is new."""
        with self._lock:
            line = self._log.line(self._attempts.reached, self._box.lost, self._attempts.cause)
        if line is not None:
            warn(line)


# Those that owe something: it is theirs to be given a last chance, whoever has forgotten the emitter itself.
_living: set[Delivery] = set()


def leave(timeout: float = EXIT_SECONDS) -> None:
    """The process ends: flush everything, within ``timeout`` seconds for all together."""
    deadline = monotonic() + timeout
    for delivery in tuple(_living):
        delivery.flush(max(0.0, deadline - monotonic()))
        left = delivery._box.unsettled
        if left:
            warn(f"{left:,} emitted operations wait for the broker as the process ends")


def _forget_the_parents() -> None:
    _living.clear()


exits.at_exit(leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents)
