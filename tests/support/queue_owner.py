"""Somebody who has a publish queue: wakes when told, keeps the receipts, and reads what comes out."""

from __future__ import annotations

import msgspec

from roomcast_brokers.codec import EnvelopeCodec
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import Envelope, Kind, Origin
from roomcast_brokers.publishing import PublishQueue, Settled
from roomcast_brokers.sequences import Sequences

ORIGIN = Origin("n1-_", bytes(8))
READER = EnvelopeCodec(Origin("n2-_", bytes(8)), "shop")
ALL, LOBBY, OTHER = "shop:all", "shop:room:" + "0" * 32, "shop:node:n2-_"
SENT_MS = 1_750_000_000_123
DELIVERED, DROPPED, ABANDONED = Settled.DELIVERED, Settled.DROPPED, Settled.ABANDONED


class Owner:
    """Whoever has the queue: wakes when told, and keeps the receipts."""

    def __init__(self, keys: KeyRing | None = None, up: bool = True, **bounds: float) -> None:
        self.queue = PublishQueue(
            EnvelopeCodec(ORIGIN, "shop", keys),
            Sequences(),
            wall=lambda: SENT_MS,
            **bounds,  # type: ignore[arg-type]
        )
        self.woken = 0
        self.settled: dict[int, Settled] = {}
        self.queue.on_ready = self.wake
        self.queue.on_settled = self.settle
        if up:
            self.queue.up(0.0)

    def wake(self) -> None:
        self.woken += 1

    def settle(self, ticket: int, count: int, how: Settled) -> None:
        for each in range(ticket, ticket + count):
            assert each not in self.settled, "a ticket ends once"
            self.settled[each] = how

    def put(self, channel: str = ALL, body: bytes = b"\xc0", now: float = 0.0) -> int:
        return self.queue.put(channel, Kind.EMIT, body, now)

    def take(self, now: float = 0.0) -> list[Envelope]:
        return [READER.decode(channel, payload) for channel, payload in self.queue.take(now)]


def named(name: str, size: int = 0) -> bytes:
    """A body that can be told from others."""
    return msgspec.msgpack.encode([name, bytes(size)])


def names(envelopes: list[Envelope]) -> list[tuple[str, list[str]]]:
    return [(each.channel, [msgspec.msgpack.decode(one.body)[0] for one in each.operations]) for each in envelopes]
