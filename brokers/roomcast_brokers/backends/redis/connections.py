"""The two hot connections of a node: one publishes, one subscribes, both by hiredis on an ``asyncio.Protocol``.

Bytes go in and out in here; what they mean is counted in :mod:`~roomcast_brokers.backends.redis.replies` and
:mod:`~roomcast_brokers.backends.redis.subscriptions`. What one turn of the loop has to say is one write. A connection
that breaks says so once, to whoever made it, and is not used again.

Publish plus receive costs 2 µs of CPU a message in batches of ten; through redis-py's asynchronous client it costs 58.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import hiredis

from roomcast_brokers.backends.redis.connecting import lost
from roomcast_brokers.backends.redis.layout import MAX_REMEMBERED
from roomcast_brokers.backends.redis.replies import PublishReplies, pack, refusal
from roomcast_brokers.backends.redis.subscriptions import MAX_CHANNELS, Subscriptions, chunks
from roomcast_brokers.errors import BrokerUnreachableError

# Bytes of an answer that is not complete yet. Nothing of ours is longer than 1,040,000; a stranger who publishes more
# on one of our channels must not fill this process.
MAX_INCOMPLETE: Final = 16 * 1_048_576

# Seconds in which at least one of the subscriptions that are being renewed has to be confirmed.
CONFIRM_TIMEOUT: Final = 5.0

_SUBSCRIBED: Final = frozenset({b"subscribe", b"ssubscribe"})
_UNSUBSCRIBED: Final = frozenset({b"unsubscribe", b"sunsubscribe"})

Broken = Callable[[BrokerUnreachableError], None]


class Hears(Protocol):
    """Who is told what a subscribing connection hears."""

    def delivered(self, channel: str, payload: bytes) -> None: ...
    def confirmed(self, channel: str, generation: int) -> None: ...


class Connection(asyncio.Protocol, ABC):
    """What both have in common. It exists before its transport does: what is to be written waits until ``attach``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, broken: Broken) -> None:
        self.ended: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._broken: Broken | None = broken
        self._transport: asyncio.Transport | None = None
        self._scheduled = False

    @property
    def attached(self) -> bool:
        """Whether there is a connection to end; ``ended`` is done when it has."""
        return self._transport is not None

    def attach(self, transport: asyncio.Transport) -> None:
        """Use ``transport``, on which the greeting is done."""
        self._transport = transport
        transport.set_protocol(self)
        if self._broken is None:  # abandoned while it was being made
            transport.abort()
        elif transport.is_closing():  # it broke in the instant after the greeting, and told the greeter
            self.connection_lost(None)
        else:
            self._flush()

    def abandon(self) -> None:
        """End, and say nothing more to anybody."""
        self._broken = None
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        self._break(lost(exc))

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    @abstractmethod
    def _flush(self) -> None:
        """Write what this turn of the loop has to say."""

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():  # uvloop raises where asyncio ignores
            self._transport.write(data)

    def _break(self, error: BrokerUnreachableError) -> None:
        broken, self._broken = self._broken, None
        if self._transport is not None:
            self._transport.abort()
        if broken is not None:
            broken(error)


class PublishConnection(Connection):
    """Writes messages, all of one turn of the loop in one go, and counts the answers.

    ``accepted`` is called once for all answers that came together. ``command`` is PUBLISH or SPUBLISH.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, command: bytes, accepted: Callable[[int], None], broken: Broken
    ) -> None:
        super().__init__(loop, broken)
        self._command = command
        self._heads: dict[str, bytes] = {}
        self._accepted = accepted
        self._outbox: list[bytes] = []
        self._unanswered = 0
        self._replies = PublishReplies()

    @property
    def outstanding(self) -> int:
        """Messages that were handed over and not accepted yet."""
        return self._unanswered + len(self._outbox)

    def publish(self, channel: str, payload: bytes) -> None:
        head = self._heads.get(channel) or self._head(channel)
        self._outbox.append(b"%b%d\r\n%b\r\n" % (head, len(payload), payload))
        if not self._scheduled:  # _schedule(), without the call: 0.05 µs of the 0.5 that this takes
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def publish_batch(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Publish these now, behind what waits for the end of this turn."""
        for channel, payload in messages:
            head = self._heads.get(channel) or self._head(channel)
            self._outbox.append(b"%b%d\r\n%b\r\n" % (head, len(payload), payload))
        self._send()

    def _head(self, channel: str) -> bytes:
        """What ``pack`` puts before the payload, but for its length, remembered for the next message of the channel:
        0.2 µs a message, where packing it takes 0.5.
        """
        if len(self._heads) >= MAX_REMEMBERED:
            self._heads.clear()
        head = self._heads[channel] = pack((self._command, channel, b"")).removesuffix(b"0\r\n\r\n")
        return head

    def _flush(self) -> None:
        self._scheduled = False
        self._send()

    def _send(self) -> None:
        outbox = self._outbox
        if outbox and self._transport is not None:
            self._unanswered += len(outbox)
            self._write(b"".join(outbox) if len(outbox) > 1 else outbox[0])
            outbox.clear()

    def data_received(self, data: bytes) -> None:
        if self._broken is None:
            return
        count, error = self._replies.feed(data)
        if count:
            self._unanswered -= count
            self._accepted(count)
        if error is not None:
            self._break(error)


class SubscribeConnection(Connection):
    """Subscribes, all that one turn of the loop wants in one write, and hands up what arrives.

    ``sharded`` speaks Redis Cluster's SSUBSCRIBE.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, hears: Hears, broken: Broken, *, sharded: bool) -> None:
        super().__init__(loop, broken)
        self._hears = hears
        self._commands = (b"SSUBSCRIBE", b"SUNSUBSCRIBE") if sharded else (b"SUBSCRIBE", b"UNSUBSCRIBE")
        self._message = b"smessage" if sharded else b"message"
        # A cluster refuses a command whose channels are not all in one slot.
        self._chunk = 1 if sharded else MAX_CHANNELS
        self._subscriptions = Subscriptions()
        self._names = self._subscriptions.names
        self._reader = hiredis.Reader()
        self._renewed: asyncio.Future[None] | None = None

    def subscribe(self, channel: str, generation: int) -> None:
        self._subscriptions.want(channel, generation)
        self._schedule()

    def unsubscribe(self, channel: str) -> None:
        self._subscriptions.drop(channel)
        self._schedule()
        self._look_at_renewal()

    async def renew(self, wanted: Mapping[str, int]) -> None:
        """Subscribe exactly ``wanted``, return when the server has confirmed each of them.

        Raises :class:`BrokerUnreachableError` if the confirmations stop to come. A break is told to ``broken`` alone.
        """
        self._subscriptions.renew(wanted)
        self._schedule()
        while missing := len(self._subscriptions.awaited):
            self._renewed = self._loop.create_future()
            await asyncio.wait([self._renewed], timeout=CONFIRM_TIMEOUT)
            if len(self._subscriptions.awaited) == missing:
                raise BrokerUnreachableError(f"the server confirmed no subscription within {CONFIRM_TIMEOUT:g} s")

    def abandon(self) -> None:
        self._subscriptions.names.clear()  # a delivery that is being made is the last one
        super().abandon()

    def data_received(self, data: bytes) -> None:
        if self._broken is None:
            return
        reader, message, names, delivered = self._reader, self._message, self._names, self._hears.delivered
        gets = reader.gets
        reader.feed(data)
        try:
            while (reply := gets()) is not False:
                if reply.__class__ is list and reply[0] == message:
                    name = names.get(reply[1])
                    if name is not None:
                        delivered(name, reply[2])
                elif not self._told(reply):
                    return
        except hiredis.ProtocolError:
            self._break(BrokerUnreachableError("what answers is no Redis server"))
        if reader.len() > MAX_INCOMPLETE:
            self._break(BrokerUnreachableError(f"a message of more than {MAX_INCOMPLETE:,} bytes is arriving"))

    def _flush(self) -> None:
        self._scheduled = False
        if self._transport is None:
            return
        written = b"".join(
            pack((command, *chunk))
            for command, channels in zip(self._commands, self._subscriptions.take(), strict=True)
            for chunk in chunks(channels, self._chunk)
        )
        if written:
            self._write(written)

    def _told(self, reply: object) -> bool:
        """Take what is no message. False if the connection has broken by it."""
        if isinstance(reply, hiredis.ReplyError):
            self._break(refusal(reply))
        elif isinstance(reply, list) and reply[0] in _SUBSCRIBED:
            confirmed = self._subscriptions.subscribed(reply[1])
            if confirmed is not None:
                self._hears.confirmed(*confirmed)
                self._look_at_renewal()
        elif isinstance(reply, list) and reply[0] in _UNSUBSCRIBED and not self._subscriptions.unsubscribed(reply[1]):
            self._break(BrokerUnreachableError("a channel has moved to another server of the cluster"))
        return self._broken is not None

    def _look_at_renewal(self) -> None:
        renewed = self._renewed
        if renewed is not None and not renewed.done() and not self._subscriptions.awaited:
            renewed.set_result(None)
