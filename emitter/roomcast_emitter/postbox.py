"""What an emitter has posted and what became of it, and the marks that make its end visible; without I/O.

Both colours of emitter have one: they take messages out, hand them to the broker, and tell what became of them. Who
has no threads or no event loop can be tested with plain calls; time is an argument, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, encode_body, new_origin
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import Kind, Mark, Marks
from roomcast_brokers.publishing import MAX_WAITING_AGE, MAX_WAITING_BYTES, PublishQueue, Settled
from roomcast_brokers.sequences import MARKED_BEATS, Sequences
from roomcast_emitter.counts import Counts
from roomcast_emitter.operations import Order
from roomcast_emitter.receipts import Parcel

OnFailure = Literal["queue", "raise", "drop"]

BEAT: Final = 1.0  # seconds between marks, as between the heartbeats of nodes
MARKS_PER_MESSAGE: Final = 1_000  # some 80 KB


class Limits:
    """What may wait for the broker; ValueError for what cannot work."""

    __slots__ = ("max_bytes", "max_seconds", "queues", "raises")

    def __init__(
        self,
        on_failure: OnFailure = "queue",
        max_bytes: int = MAX_WAITING_BYTES,
        max_seconds: float = MAX_WAITING_AGE,
    ) -> None:
        if on_failure not in ("queue", "raise", "drop"):
            raise ValueError(f"on_failure is 'queue', 'raise' or 'drop', not {on_failure!r}")
        if max_bytes < MAX_MESSAGE_BYTES:
            raise ValueError(f"max_buffer_bytes must hold one message: {MAX_MESSAGE_BYTES:,} at least")
        if not max_seconds > 0:
            raise ValueError("max_buffer_seconds is more than 0; on_failure='drop' lets nothing wait")
        self.queues = on_failure == "queue"
        self.raises = on_failure == "raise"
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds

    @property
    def meanwhile(self) -> str:
        """What becomes of what is emitted while the broker is away, for the log."""
        return f"what is emitted waits for {self.max_seconds:g} s" if self.queues else "what is emitted does not wait"


class Postbox:
    """One origin: what it posts gets its numbers and its marks here. Not safe for threads; its owner has the lock."""

    def __init__(self, channels: Channels, keys: KeyRing | None, limits: Limits, wall: Callable[[], int]) -> None:
        self.limits = limits
        self.ready = False
        """Something can be taken. :attr:`on_ready` is called when that becomes so."""
        self.on_ready: Callable[[], None] | None = None
        self._channels = channels
        self._sequences = Sequences()
        self._queue = PublishQueue(
            EnvelopeCodec(new_origin(), channels.cluster, keys),
            self._sequences,
            wall=wall,
            max_bytes=limits.max_bytes,
            max_age=limits.max_seconds,
        )
        self._queue.on_settled = self._settled
        self._queue.on_ready = self._readied
        self._parcels: dict[int, Parcel] = {}
        self._delivered = 0
        self._up = False
        self._next_beat: float | None = None

    # -- in

    def post(self, orders: Sequence[Order], now: float) -> Parcel:
        """Let these wait, in this order. Raises MessageTooLargeError, and then none of them does."""
        for order in orders:
            self._queue.check(order.channel, order.body)
        parcel = Parcel(len(orders))
        for order in orders:
            # max_bytes is more than one operation has, so it is never this one that falls out for lack of room.
            self._parcels[self._queue.put(order.channel, order.kind, order.body, now)] = parcel
        return parcel

    # -- out

    def up(self, now: float) -> None:
        """The broker can be reached, as far as is known."""
        if not self._up:
            self._up = True
            self._queue.up(now)

    def take(self, now: float) -> list[tuple[str, bytes]]:
        """(channel, payload) of what is to be handed over now, in this order; nothing before :meth:`up`."""
        self.ready = False
        if self._up and self._queue.waiting:
            self._begin_beats(now)
        return self._queue.take(now)

    def accepted(self, count: int, now: float) -> None:
        """The broker has the ``count`` oldest messages that were taken."""
        self._queue.accepted(count, now)

    def broken(self, now: float) -> None:
        """The connection is gone: what was taken and not accepted is taken again, in the same bytes, after the next
        :meth:`up`.
        """
        self._up = False
        self._queue.down(now)

    def away(self, now: float) -> None:
        """The broker is away: what waits goes on waiting, or, if nothing shall wait, it ends."""
        self.broken(now)
        if not self.limits.queues:
            self.give_up(now)

    def give_up(self, now: float) -> None:
        """Let everything end that has not ended yet."""
        self._up = False
        self._queue.give_up(now)

    # -- in time

    def tick(self, now: float) -> None:
        """Let fall out what is too old, and put the marks of a beat that is due behind what waits."""
        self._queue.expire(now)
        if self._up and self._next_beat is not None and self._next_beat <= now:
            self._next_beat = now + BEAT
            self._sequences.roll(now)
            self._sequences.tick(now)
            if not self.mark(now):
                self._next_beat = None

    def mark(self, now: float) -> bool:
        """Put marks of what was published during the last three beats behind what waits; False: there are none."""
        marks = self._sequences.marks(now)
        for start in range(0, len(marks), MARKS_PER_MESSAGE):
            self._control(marks[start : start + MARKS_PER_MESSAGE])
        return bool(marks)

    def due(self) -> float | None:
        """When :meth:`tick` has something to do; None: not before something is posted."""
        moments = (self._queue.due(), self._next_beat if self._up else None)
        return min((moment for moment in moments if moment is not None), default=None)

    def _control(self, marks: list[Mark]) -> None:
        self._queue.control(self._channels.everyone, Kind.MARKS, encode_body(Marks(tuple(marks))))

    def _begin_beats(self, now: float) -> None:
        """Beats were not counted while nothing was published: what was three beats ago is what is now."""
        if self._next_beat is None:
            for _ in range(MARKED_BEATS + 1):
                self._sequences.roll(now)
            self._next_beat = now + BEAT

    # -- what is to be known

    @property
    def unsettled(self) -> int:
        """Operations of which it is not known yet how they end."""
        return len(self._parcels)

    @property
    def lost(self) -> int:
        """Operations that were given up."""
        return self._queue.dropped + self._queue.abandoned

    def counts(self) -> Counts:
        """All of it."""
        queue = self._queue
        return Counts(self._delivered, queue.dropped, queue.abandoned, len(self._parcels), queue.waiting_bytes)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and no marks are owed: nothing is to be done until something is posted."""
        return not self._parcels and self._next_beat is None

    def parcels(self) -> set[Parcel]:
        """What has not ended."""
        return set(self._parcels.values())

    def _settled(self, ticket: int, count: int, how: Settled) -> None:
        if how is Settled.DELIVERED:
            self._delivered += count
        for each in range(ticket, ticket + count):
            self._parcels.pop(each).end(how)

    def _readied(self) -> None:
        self.ready = True
        if self.on_ready is not None:
            self.on_ready()
