"""What waits for the broker, in order: merged, numbered, retried, counted. For nodes and emitters.

Fast path of every broadcast. An operation goes one way: it *waits*, is *in flight* from the moment at which it is taken
to be handed to the broker, and ends as *published* (the broker has it), *dropped* (it fell out before it had a number)
or *abandoned* (it was written, nobody knows whether it arrived, and it fell out before it could be written again).
Control messages only pass through.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import Final

import msgspec

from roomcast_brokers.codec import OPERATION_OVERHEAD, EnvelopeCodec, encode_operation
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.errors import MessageTooLargeError
from roomcast_brokers.messages import Kind, Maker
from roomcast_brokers.sequences import Sequences

MAX_WAITING_BYTES: Final = 8 * 1024 * 1024  # while the broker is away; some 5 s of 10,000 small events a second
MAX_WAITING_AGE: Final = 5.0  # seconds; longer than a broker takes to come back where nothing is on a disk
# The same for a broker that keeps messages: whoever chose one wants none to be lost, and its restart may take minutes.
DURABLE_WAITING_BYTES: Final = 64 * 1024 * 1024
DURABLE_WAITING_AGE: Final = 120.0
# What is with the broker at a time; more makes nothing faster, and has to wait in the back end's own queues.
MAX_IN_FLIGHT_BYTES: Final = 8 * 1024 * 1024


def waiting_limits(durable: bool, max_bytes: int | None = None, max_age: float | None = None) -> tuple[int, float]:
    """(bytes, seconds) that may wait: what was asked for, or (None) what is right for the back end."""
    if max_bytes is None:
        max_bytes = DURABLE_WAITING_BYTES if durable else MAX_WAITING_BYTES
    if max_age is None:
        max_age = DURABLE_WAITING_AGE if durable else MAX_WAITING_AGE
    return max_bytes, max_age


class Settled(Enum):
    """How an operation ended."""

    DELIVERED = "delivered"  # the broker has it
    DROPPED = "dropped"  # it was never written
    ABANDONED = "abandoned"  # it was written, but not confirmed, and is not written again: it may have arrived


_DELIVERED: Final = Settled.DELIVERED  # looking a member up takes 0.15 µs


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    """An operation without a number, or (``put`` None) the body of a control message."""

    channel: str
    kind: int
    data: bytes
    put: float | None


class _Message(msgspec.Struct, frozen=True, gc=False):
    """What is, or was, with the broker. ``ticket`` is its first operation's; 0: a control message."""

    channel: str
    payload: bytes
    ticket: int
    kinds: list[int]
    put: float  # when the newest of its operations was put


def _nothing() -> None:
    pass


class PublishQueue:
    """Operations on their way to the broker. First in, first out, whatever the channel.

    ``codec`` and ``sequences`` are those of one origin; ``wall`` is the wall clock in ms, for latency figures. Not safe
    for threads: its owner has the lock. Begins in the state in which the broker is away.
    """

    on_ready: Callable[[], None]
    """Called when something can be taken and nothing could before; may call :meth:`take`."""
    on_settled: Callable[[int, int, Settled], None] | None = None
    """Called with (first ticket, count, how) when operations have ended; must not call the queue. Each ticket once; it
    may be the one that :meth:`put` is about to return, if a single operation is more than may wait.
    """
    on_fallen: Callable[[int, int, Settled], None] | None = None
    """As :attr:`on_settled`, of what has fallen out only: it costs nothing where all goes well."""
    published: Counter[int]
    """Operations that the broker has, control messages included, by kind."""
    in_flight: int
    """Operations that were handed over and neither accepted nor given back."""

    def __init__(
        self,
        codec: EnvelopeCodec,
        sequences: Sequences,
        *,
        wall: Callable[[], int],
        max_bytes: int = MAX_WAITING_BYTES,
        max_age: float = MAX_WAITING_AGE,
    ) -> None:
        self.on_ready = _nothing
        self.published = Counter({int(kind): 0 for kind in Kind})
        self.dropped = self.abandoned = self.in_flight = 0
        self.waiting_bytes = self.in_flight_bytes = 0
        self._codec = codec
        self._sequences = sequences
        self._wall = wall
        self._max_bytes = max_bytes
        self._max_in_flight = min(max_bytes, MAX_IN_FLIGHT_BYTES)
        self._max_age = max_age
        # The same for all channels: what fits on one may go out on a second, or be forwarded to it, and must fit there.
        room = f"{codec.cluster}:room:{'0' * 32}"
        self._reserve = codec.overhead(room) + OPERATION_OVERHEAD
        self._waiting: deque[_Waiting] = deque()
        self._retries: deque[_Message] = deque()
        self._in_flight: deque[_Message] = deque()
        self._urgent: deque[_Waiting] = deque()  # control messages, while the rest is held back
        self._tickets = 0  # given out
        self._left = 0  # of these, such as have left _waiting: they leave it in order
        self._ended = 0
        self._up = False
        self._held = False  # the broker is there, and what waits goes on waiting
        self._ready = False  # on_ready was called, take() not yet
        self._full = False  # take() left something because too much is in flight

    @property
    def waiting(self) -> int:
        """Operations that are to be written, or to be written again."""
        return self._tickets - self._ended - self.in_flight

    @property
    def taken(self) -> int:
        """All tickets up to this have been handed to the broker, or have fallen out."""
        return self._left

    @property
    def oldest(self) -> int:
        """All tickets below this have ended."""
        for line in (self._in_flight, self._retries):
            for message in line:
                if message.ticket:
                    return message.ticket
        return self._left + 1

    # -- in

    def put(self, channel: str, kind: int, body: bytes, now: float, made_by: Maker | None = None) -> int:
        """Let one operation wait for the broker; returns its ticket. Tickets count from 1.

        Raises :class:`MessageTooLargeError` if it does not fit into one broker message. If too much waits, the oldest
        falls out; what the next :meth:`take` could hand over is not too much.
        """
        size = len(body) + self._reserve
        if size > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(size, MAX_MESSAGE_BYTES)
        operation = encode_operation(kind, self._sequences.next_mid(), body, made_by)
        self._waiting.append(_Waiting(channel, kind, operation, now))
        self._tickets += 1
        ticket = self._tickets
        self.waiting_bytes += len(operation)
        if self.waiting_bytes > self._max_bytes:
            self._shed()
        if self._up and not self._ready and not self._full:
            self._wake()
        return ticket

    def check(self, channel: str, body: bytes) -> None:
        """Raise what :meth:`put` would raise for this, without putting it: before anything is delivered locally."""
        size = len(body) + self._reserve
        if size > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(size, MAX_MESSAGE_BYTES)

    def control(self, channel: str, kind: int, body: bytes) -> None:
        """Let a control message go out behind what was put before it. While the broker is away it is forgotten."""
        if self._up:
            self._waiting.append(_Waiting(channel, kind, body, None))
            self._wake()
        elif self._held:
            self._urgent.append(_Waiting(channel, kind, body, None))
            self._wake()

    # -- out

    def take(self, now: float) -> list[tuple[str, bytes]]:
        """(channel, payload) of what is to be handed to the broker now, in this order; from now on it is in flight.

        First what is to be retried, with the same bytes. At most ``max_bytes`` are in flight, and
        no more than ``MAX_IN_FLIGHT_BYTES``; the rest waits.
        """
        self._ready = False
        if not self._up:
            return self._take_held(now) if self._held else []
        taken: list[tuple[str, bytes]] = []
        if self._retries:
            self._take_retries(taken)
        if self._waiting and not self._full:
            self._take_waiting(taken, now)
        return taken

    def _take_held(self, now: float) -> list[tuple[str, bytes]]:
        taken: list[tuple[str, bytes]] = []
        self._take_retries(taken)
        while self._urgent:
            taken.append(self._write_control(self._urgent.popleft(), now, self._wall()))
        return taken

    def _take_retries(self, taken: list[tuple[str, bytes]]) -> None:
        retries = self._retries
        while retries:
            message = retries[0]
            size = len(message.payload)
            if self.in_flight_bytes and self.in_flight_bytes + size > self._max_in_flight:
                self._full = True
                return
            self._in_flight.append(retries.popleft())
            self.waiting_bytes -= size
            self.in_flight += len(message.kinds)
            self.in_flight_bytes += size
            taken.append((message.channel, message.payload))

    def _take_waiting(self, taken: list[tuple[str, bytes]], now: float) -> None:
        sent_ms = self._wall()
        waiting = self._waiting
        reserve = self._reserve
        while waiting:
            first = waiting[0]
            room = self._max_in_flight - self.in_flight_bytes
            if first.put is None:
                taken.append(self._write_control(waiting.popleft(), now, sent_ms))
                continue
            if len(first.data) + reserve > room and self.in_flight_bytes:
                self._full = True
                return
            payload = self._write(waiting.popleft(), room - reserve, now, sent_ms)
            taken.append((first.channel, payload))

    def _write_control(self, message: _Waiting, now: float, sent_ms: int) -> tuple[str, bytes]:
        payload = self._codec.control(message.channel, message.kind, message.data, sent_ms)
        self._in_flight.append(_Message(message.channel, payload, 0, [message.kind], now))
        return message.channel, payload

    def _write(self, first: _Waiting, room: int, now: float, sent_ms: int) -> bytes:
        """Put ``first``, and what follows it to its channel and fits, into one message, which is in flight then."""
        channel = first.channel
        size = len(first.data)
        operations = [first.data]
        kinds = [first.kind]
        put = first.put
        waiting = self._waiting
        room = min(room, MAX_MESSAGE_BYTES - self._reserve)
        while waiting:
            following = waiting[0]
            grown = size + len(following.data)
            if following.channel != channel or following.put is None or grown > room:
                break
            waiting.popleft()
            size = grown
            operations.append(following.data)
            kinds.append(following.kind)
            put = following.put
        count = len(operations)
        gen, seq = self._sequences.number(channel, count, now)
        payload = self._codec.encode(channel, gen, seq, sent_ms, operations)
        self._in_flight.append(_Message(channel, payload, self._left + 1, kinds, put or now))
        self._left += count
        self.waiting_bytes -= size
        self.in_flight += count
        self.in_flight_bytes += len(payload)
        return payload

    # -- what becomes of it

    def accepted(self, count: int, now: float) -> None:
        """The broker has the ``count`` oldest messages that are in flight, control messages included."""
        published = self.published
        flying = self._in_flight
        while count > 0 and flying:
            count -= 1
            message = flying.popleft()
            kinds = message.kinds
            if kinds.count(kinds[0]) == len(kinds):  # a loop would cost 0.05 µs an operation
                published[kinds[0]] += len(kinds)
            else:
                published.update(kinds)
            if message.ticket:
                operations = len(kinds)
                self.in_flight -= operations
                self.in_flight_bytes -= len(message.payload)
                self._ended += operations
                if self.on_settled is not None:
                    self.on_settled(message.ticket, operations, _DELIVERED)
        if self._full:
            self._full = False
            self._wake()

    def hold(self, now: float) -> None:
        """As :meth:`up`, but what was not written before waits on until :meth:`up`: those for whom it is may need a
        moment to be back. Control messages go out, and what is to be retried, since those tell of its numbers.
        """
        if not self._up and not self._held:
            self.expire(now)
            self._held = True
            self._wake()

    def up(self, now: float) -> None:
        """The broker can be reached; what became too old in the meantime falls out first."""
        if not self._up:
            self.expire(now)
            self._up = True
            self._held = False
            self._waiting.extendleft(reversed(self._urgent))
            self._urgent.clear()
            self._wake()

    def down(self, now: float) -> None:
        """The broker is away: what is in flight is written again, with the same bytes, when it is back."""
        if not self._up and not self._held:
            return
        self._up = self._held = self._ready = self._full = False
        self._urgent.clear()
        again = [message for message in self._in_flight if message.ticket]
        self._retries.extendleft(reversed(again))
        self.waiting_bytes += self.in_flight_bytes
        self._in_flight.clear()
        self.in_flight = self.in_flight_bytes = 0
        self._waiting = deque(each for each in self._waiting if each.put is not None)
        self._shed()
        self.expire(now)

    def expire(self, now: float) -> None:
        """Let what has waited too long fall out, the oldest first.

        Not what could be taken: after a stall of this process nothing is lost that the broker would take.
        """
        if (self._up or self._held) and not self._full:
            return
        oldest = now - self._max_age
        while self._retries and self._retries[0].put <= oldest:
            self._abandon()
        while self._waiting and not self._retries:
            put = self._waiting[0].put
            if put is None or put > oldest:
                break
            self._drop()
        if self._full:
            self._full = False
            self._wake()

    def due(self) -> float | None:
        """When :meth:`expire` has something to do; None: nothing waits, or all of it can be taken."""
        if (self._up or self._held) and not self._full:
            return None
        if self._retries:
            return self._retries[0].put + self._max_age
        put = self._waiting[0].put if self._waiting else None
        return None if put is None else put + self._max_age

    def give_up(self, now: float) -> None:
        """Nothing is written any more: whatever waits or is in flight ends."""
        self.down(now)
        while self._retries:
            self._abandon()
        while self._waiting:
            self._drop()

    # -- falling out

    def _shed(self) -> None:
        """Let the oldest fall out while too much waits."""
        bound = self._max_bytes
        if self._up:
            bound += max(0, self._max_in_flight - self.in_flight_bytes)
        while self.waiting_bytes > bound and self._retries:
            self._abandon()
        passing: list[_Waiting] = []
        while self.waiting_bytes > bound:
            if self._waiting[0].put is None:
                passing.append(self._waiting.popleft())
            else:
                self._drop()
        self._waiting.extendleft(reversed(passing))

    def _abandon(self) -> None:
        message = self._retries.popleft()
        self.waiting_bytes -= len(message.payload)
        self.abandoned += len(message.kinds)
        self._settle(message.ticket, len(message.kinds), Settled.ABANDONED)

    def _drop(self) -> None:
        self.waiting_bytes -= len(self._waiting.popleft().data)
        self.dropped += 1
        self._left += 1
        self._settle(self._left, 1, Settled.DROPPED)

    def _settle(self, ticket: int, count: int, how: Settled) -> None:
        self._ended += count
        if self.on_settled is not None:
            self.on_settled(ticket, count, how)
        if self.on_fallen is not None:
            self.on_fallen(ticket, count, how)

    def _wake(self) -> None:
        if self._ready or not (self._up or self._held):
            return
        if self._urgent or (not self._full and (self._retries or (self._up and self._waiting))):
            self._ready = True
            self.on_ready()
