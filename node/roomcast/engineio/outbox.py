"""[hot] What waits to be written to one client, and the flush that writes it once per loop turn.

Rules of this file:

* A *unit* is one packet as ``bytes``: whole WebSocket frames, attachments included, the same object for every receiver.
* Queueing costs a receiver one append. The first unit of a turn also puts the outbox on the flusher's list.
* The flusher writes each outbox once: units joined; outboxes with the same units share one joined block (design §4:
  a ``send`` costs more than everything else together, so fewer and larger writes decide).
* Bounds count what the transport has *refused*, never what one turn produced (cluster.md 10): see
:meth:`Flusher.suspect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from roomcast.engineio.trace import Trace
from roomcast.settings import Settings

# An outbox with this much is written at once, in the middle of a handler if need be (cluster.md 10).
FLUSH_UNITS = 128
FLUSH_BYTES = 65_536
# Within one turn a reader cannot be told from a stuck client, since neither had a chance to read: there the bound is
# wider.
ONE_TURN_FACTOR = 16
# A client over its bound gets this long (seconds) to take anything at all before it counts as stuck: its process may
# not have had a processor meanwhile. Until then it may fall behind to twice the bound.
STUCK_AFTER = 0.25
STUCK_FACTOR = 2

NOTHING: tuple[bytes, ...] = ()


class Sink(Protocol):
    """Where blocks of whole frames go: an asyncio transport, or what stands for one."""

    def write(self, block: bytes, /) -> object:
        """Take a block; never waits, never raises for a peer that is gone."""

    def get_write_buffer_size(self) -> int:
        """Bytes taken and not yet accepted by the peer's side."""


class FlushCounts(Protocol):
    """What the flusher counts."""

    packets_out: int
    bytes_out: int


class Nowhere:
    """The sink of an outbox whose client is gone."""

    __slots__ = ()

    def write(self, block: bytes, /) -> None:
        """Drop it."""

    def get_write_buffer_size(self) -> int:
        """Nothing ever waits here."""
        return 0


NOWHERE = Nowhere()


class Outbox:
    """The units of one client that are not written yet.

    ``paused`` is set by the transport (:meth:`pause`, :meth:`resume`); while it is, units stay here.
    """

    __slots__ = ("_counted", "_counted_bytes", "flusher", "frames", "owner", "paused", "sink", "taken")

    def __init__(self, flusher: Flusher, sink: Sink, owner: Any, paused: bool = False) -> None:
        self.frames: tuple[bytes, ...] | list[bytes] = NOTHING
        """A list of its own, or a tuple of one unit that it shares with others."""
        self.flusher = flusher
        self.sink = sink
        self.owner = owner
        self.paused = paused
        self.taken = 0
        self._counted = 0
        self._counted_bytes = 0

    def put(self, unit: bytes) -> None:
        """Queue one unit behind those that wait."""
        frames = self.frames
        if not frames:
            self.frames = [unit]
            self.flusher.mark(self)
            return
        if isinstance(frames, list):
            frames.append(unit)
        else:
            frames = self.frames = [*frames, unit]
        if len(frames) >= self.flusher.limit(len(unit)):
            self.full()

    def full(self) -> None:
        """Write now, or, where the transport refuses, see whether this still is within what one turn may produce."""
        if self.paused:
            self.flusher.overfull(self)
        else:
            self.flusher.write(self)

    def backlog(self) -> tuple[int, int]:
        """Return (bytes, units) that wait, the transport's own buffer included in the bytes."""
        frames = self.frames
        while self._counted < len(frames):
            self._counted_bytes += len(frames[self._counted])
            self._counted += 1
        return self._counted_bytes + self.sink.get_write_buffer_size(), len(frames)

    def take(self) -> Sequence[bytes]:
        """Remove and return all that waits."""
        frames, self.frames = self.frames, NOTHING
        self._counted = self._counted_bytes = 0
        self.taken += 1
        return frames

    def pause(self) -> None:
        """The transport takes no more for now."""
        self.paused = True

    def resume(self) -> None:
        """The transport takes more again: what waits leaves in this turn."""
        self.paused = False
        self.taken += 1
        if self.frames:
            self.flusher.mark(self)

    def shut(self) -> Sequence[bytes]:
        """The client is gone: whatever comes later is dropped. Returns what waited."""
        self.sink = NOWHERE
        self.paused = False
        return self.take()


class Flusher:
    """Writes the outboxes of one node that have something to write.

    ``wake`` is called when the first outbox of a turn reports; the driver then calls :meth:`flush` once, at the end of
    the turn. ``on_slow(owner)`` is told of an outbox that is over its hard bound, ``on_suspect(outbox)`` of one over
    its bound; neither may call back into this object at once.
    """

    __slots__ = (
        "_joined",
        "_most",
        "_pending",
        "_small",
        "boxes",
        "counts",
        "late",
        "max_bytes",
        "max_units",
        "on_slow",
        "on_suspect",
        "trace",
        "wake",
    )

    def __init__(
        self,
        settings: Settings,
        counts: FlushCounts,
        wake: Callable[[], object],
        on_slow: Callable[[Any], object],
        on_suspect: Callable[[Outbox], object],
    ) -> None:
        self.boxes: list[Outbox] = []
        self.late: set[Outbox] = set()
        self.max_bytes = settings.max_backlog_bytes
        self.max_units = settings.max_backlog_packets
        self.counts = counts
        self.trace: Trace | None = None
        self.wake = wake
        self.on_slow = on_slow
        self.on_suspect = on_suspect
        self._pending: Sequence[bytes] = NOTHING
        self._joined = b""
        self._most = max(1, min(FLUSH_UNITS, self.max_units))
        self._small = min(FLUSH_BYTES, self.max_bytes) // self._most

    def mark(self, box: Outbox) -> None:
        """Put an outbox that has turned non-empty on the list of this turn."""
        if not self.boxes and not self.late:
            self.wake()
        self.boxes.append(box)

    def flush(self) -> None:
        """Write every outbox on the list, once; then judge those that ran full while their transport refused."""
        boxes, self.boxes = self.boxes, []
        shared, block, repeats, repeated = None, b"", 0, 0
        for box in boxes:
            frames = box.frames
            if frames is shared and not box.paused and not box._counted:  # write() without the call, 0.2 µs each
                box.frames = NOTHING
                repeats += 1
                repeated += len(block)
                box.sink.write(block)
            elif frames and not box.paused:
                self.write(box)
                if type(frames) is tuple and self.trace is None:
                    shared, block = frames, frames[0]
        self.counts.packets_out += repeats
        self.counts.bytes_out += repeated
        self._pending = NOTHING
        self._joined = b""
        if self.late:
            late, self.late = self.late, set()
            for box in late:
                if box.paused:
                    self.judge(box)

    def write(self, box: Outbox) -> None:
        """Hand all units of one outbox to its sink as one block."""
        frames = box.frames
        box.frames = NOTHING
        if box._counted:
            box._counted = box._counted_bytes = 0
        if len(frames) == 1:
            block = frames[0]
        elif frames == self._pending:
            block = self._joined
        else:
            block = self._joined = b"".join(frames)
            self._pending = frames
        counts = self.counts
        counts.packets_out += len(frames)
        counts.bytes_out += len(block)
        if self.trace is not None:
            self.trace.sent(box.owner.sid, block)
        box.sink.write(block)

    def over(self, box: Outbox, factor: int = 1) -> bool:
        """Tell whether more waits for this client than ``factor`` times its bound."""
        size, units = box.backlog()
        return size > self.max_bytes * factor or units > self.max_units * factor

    def judge(self, box: Outbox) -> None:
        """At the end of a turn: report an outbox over its bound, to be looked at again a moment later."""
        if self.over(box, ONE_TURN_FACTOR):
            self.on_slow(box.owner)
        elif self.over(box):
            self.on_suspect(box)

    def limit(self, size: int) -> int:
        """How many units may wait, the last of them of this size (bytes), before :meth:`Outbox.full` is to be
        called.
        """
        if size <= self._small:  # saves 0.4 µs of every emit
            return self._most
        return max(1, min(FLUSH_BYTES, self.max_bytes) // size)

    def overfull(self, box: Outbox) -> None:
        """In the middle of a turn only the wide bound ends a client; the narrow one is looked at when the turn is
        over.
        """
        if self.over(box, ONE_TURN_FACTOR):
            box.take()  # it may be one that holds back for a client, not the client's own
            self.on_slow(box.owner)
        elif box not in self.late:
            if not self.late and not self.boxes:
                self.wake()
            self.late.add(box)


def deliver(flusher: Flusher, receivers: Iterable[Any], unit: bytes) -> None:
    """Queue one unit for many receivers (objects with an ``outbox``): one append each.

    The loop repeats :meth:`Outbox.put` without the call: at 1,000 receivers the call alone would cost as much as the
    appends. Who has nothing yet gets a tuple that all of them share: 1,000 lists would be a round of the garbage
    collector, which took a sixth of the time where its thresholds are Python's own (blocking server, gevent).
    """
    limit, alone = flusher.limit(len(unit)), (unit,)
    for receiver in receivers:
        box = receiver.outbox
        frames = box.frames
        if not frames:
            box.frames = alone
            waiting = flusher.boxes
            if not waiting and not flusher.late:
                flusher.wake()
            waiting.append(box)
            continue
        if type(frames) is list:
            frames.append(unit)
        else:
            frames = box.frames = [*frames, unit]
        if len(frames) >= limit:
            box.full()


def deliver_volatile(receivers: Iterable[Any], unit: bytes, threshold: int) -> int:
    """As :func:`deliver`, but skip receivers whose backlog has reached ``threshold`` bytes; returns how many were
    skipped.
    """
    skipped = 0
    for receiver in receivers:
        box = receiver.outbox
        if box.paused and box.backlog()[0] >= threshold:
            skipped += 1
        else:
            box.put(unit)
    return skipped
