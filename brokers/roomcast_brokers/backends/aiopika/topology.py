"""What a node declares on RabbitMQ: one direct exchange for everybody, one queue for itself, a binding per channel.

Fast mode: the queue is fresh at every connection, exclusive, and gone with the connection; nothing is on a disk.
Durable mode: exchange, queue and messages survive the server, the queue survives its node's absence for a while, and
has one consumer. It is deleted when its broker is closed, and when a new broker finds one of its name that nobody uses:
what is in it was for clients who have gone.
"""

from __future__ import annotations

import secrets
from typing import Final

from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Confirm, Exchange, Queue
from pamqp.common import FieldTable

from roomcast_brokers.backends.aiopika.greeting import refusal
from roomcast_brokers.backends.aiopika.location import Location
from roomcast_brokers.backends.aiopika.subscriptions import routing_key
from roomcast_brokers.errors import BrokerUnreachableError

CONSUMER: Final = "roomcast"
"""The consumer's tag, which need only be unique within the connection."""

# Milliseconds for which a queue of the fast mode lives without its consumer, and a message in it: its connection ends
# sooner, and a node that was frozen for longer is told by its sequence numbers what it missed.
TRANSIENT_EXPIRY_MS: Final = 60_000

# Messages of the durable mode that are on their way to us or being told; a node takes what it reads at once, so this
# has to fill the path, not more.
PREFETCH: Final = 2_000

_IN_USE: Final = frozenset({403, 405, 406})


class Topology:
    """The methods that make it so, in the order in which they have to be sent. ``node`` names the durable queue.

    ``claimed``: the durable queue is ours, with what waits in it. Set when the server has let us consume.
    """

    def __init__(self, location: Location) -> None:
        self.claimed = False
        self.exchange = location.exchange
        self.durable = location.durable
        self.node = location.node or secrets.token_hex(8)
        self.queue = ""
        self._location = location

    def begin(self) -> list[Frame]:
        """Of each connection: open the channel, have the exchange."""
        frames: list[Frame] = [Channel.Open()]
        if self.durable:
            frames.append(Confirm.Select())
        frames.append(Exchange.Declare(exchange=self.exchange, exchange_type="direct", durable=self.durable))
        return frames

    def declare(self) -> list[Frame]:
        """Have the queue; bindings come behind it."""
        if not self.durable:
            self.queue = f"{self.exchange}.{secrets.token_hex(8)}"
            limits = self._limits(TRANSIENT_EXPIRY_MS)
            return [Queue.Declare(queue=self.queue, exclusive=True, auto_delete=True, arguments=limits)]
        self.queue = f"{self.exchange}.{self.node}"
        limits = self._limits(int(self._location.retention * 1_000))
        declare = Queue.Declare(queue=self.queue, durable=True, arguments=limits)
        return [declare] if self.claimed else [Queue.Delete(queue=self.queue, if_unused=True), declare]

    def _limits(self, expiry_ms: int) -> FieldTable:
        return {
            "x-expires": expiry_ms,
            "x-message-ttl": expiry_ms,
            "x-max-length-bytes": self._location.queue_bytes,
            "x-overflow": "drop-head",
        }

    def bind(self, channel: str) -> Frame:
        return Queue.Bind(queue=self.queue, exchange=self.exchange, routing_key=routing_key(channel).decode())

    def unbind(self, channel: str) -> Frame:
        return Queue.Unbind(queue=self.queue, exchange=self.exchange, routing_key=routing_key(channel).decode())

    def consume(self) -> list[Frame]:
        """Hear what is in the queue; comes behind the first bindings."""
        if not self.durable:
            return [Basic.Consume(queue=self.queue, consumer_tag=CONSUMER, no_ack=True, exclusive=True)]
        consume = Basic.Consume(queue=self.queue, consumer_tag=CONSUMER, exclusive=True)
        return [Basic.Qos(prefetch_count=PREFETCH), consume]

    def end(self) -> list[Frame]:
        """Leave no queue behind. (That of the fast mode ends with the connection.)"""
        return [Queue.Delete(queue=self.queue, nowait=True)] if self.durable and self.queue else []

    def refused(self, close: Channel.Close) -> BrokerUnreachableError:
        """Why the server closed the channel."""
        method = (close.class_id, close.method_id)
        used = {(each.index >> 16, each.index & 0xFFFF) for each in (Queue.Delete, Basic.Consume)}
        if self.durable and close.reply_code in _IN_USE and method in used:
            told = BrokerUnreachableError(
                f"the queue of the node {self.node} is in use: another process has the same node id, or the server has "
                "not noticed yet that the one before has gone"
            )
            told.__cause__ = refusal(close.reply_code, close.reply_text)
            return told
        return refusal(close.reply_code, close.reply_text)
