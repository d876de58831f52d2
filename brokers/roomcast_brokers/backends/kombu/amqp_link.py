"""A connection of py-amqp's, none of whose steps takes long, and the names of what stands for a channel there."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

from kombu.entity import Exchange

from roomcast_brokers.backends.kombu.ends import STALL, Setup
from roomcast_brokers.backends.kombu.link import Link, quietly
from roomcast_brokers.backends.kombu.waking import Readable

LONGEST_KEY: Final = 255  # bytes of an AMQP short string

# Seconds that reading may wait for the rest of a frame. (With none, py-amqp asks for it in a tight loop.)
MOMENT: Final = 0.005

# Seconds that a goodbye may take: a broker that does not answer is not worth more, and nobody needs it.
GOODBYE: Final = 1.0

# And the end of TLS on a connection that is given up, for which py-amqp would wait as well.
ABRUPT: Final = 0.1


def routing_key(channel: str) -> str:
    """What stands for ``channel`` in bindings and messages: its name, or a digest of one that is too long for AMQP."""
    key = channel.encode()
    return channel if len(key) <= LONGEST_KEY else f"#{blake2b(key).hexdigest()}"


class AmqpLink(Link):
    """A :class:`Link` with an exchange that has been declared."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup.connect)
        self._wanted_exchange = setup.exchange
        self._readable: Readable | None = None
        self.exchange: Exchange = setup.exchange

    @property
    def descriptor(self) -> int:
        return int(self.raw.sock.fileno())

    def open(self) -> None:
        super().open()
        self.exchange = self._wanted_exchange(self.channel)
        self.exchange.declare()

    def prepare(self) -> None:
        # py-amqp waits for answers without a time-out of its own, and so for ever when the path is cut.
        self.raw.sock.settimeout(STALL)
        self._readable = Readable(self.raw.sock)

    def read(self, most: int) -> bool:
        """Have py-amqp call back for what has come, without waiting. False: there was more than ``most`` of it."""
        assert self._readable is not None
        return any(not self._readable.now() or not self.drain(MOMENT) for _ in range(most))

    def close(self, *, farewell: bool) -> None:
        raw, readable = self.raw, self._readable
        if readable is not None:
            readable.close()
            quietly(lambda: raw.sock.settimeout(GOODBYE if farewell else ABRUPT))
        if not farewell and raw is not None:
            quietly(raw.collect)  # the socket alone: the broker has gone, or will see that we have
        super().close(farewell=farewell)

    def forget(self) -> None:
        raw: Any = self.raw
        if raw is not None:
            quietly(lambda: raw.sock.close())  # this process' descriptor, not the connection
        super().forget()
