"""The first words of a connection: who one is, what both can, and which virtual host is meant."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, Final

from pamqp.commands import Connection
from pamqp.common import FieldTable
from pamqp.frame import marshal
from pamqp.header import ProtocolHeader

from roomcast_brokers.backends.aiopika.frames import Method
from roomcast_brokers.backends.aiopika.location import Location
from roomcast_brokers.errors import BrokerUnreachableError

# What the server proposes where it sets no limit, and the least that the protocol allows.
DEFAULT_FRAME_MAX: Final = 131_072
LEAST_FRAME_MAX: Final = 4_096

# Of what a server says about itself or a fault; it may be anything.
LONGEST_TEXT: Final = 200

CAPABILITIES: Final = {
    "authentication_failure_close": True,  # or else a wrong password looks like a broken connection
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "publisher_confirms": True,
}

_REFUSED: Final = {
    403: "RabbitMQ refuses the user or the password",
    530: "RabbitMQ refuses the virtual host",
}


def refusal(code: int | None, text: str | None) -> BrokerUnreachableError:
    """What a server says when it closes a connection or a channel, as what the listener is told."""
    meaning = _REFUSED.get(code or 0, "RabbitMQ closed the connection")
    return BrokerUnreachableError(f"{meaning}: {(text or '')[:LONGEST_TEXT]}")


class Greeting:
    """``frame_max`` and ``heartbeat`` are what was agreed, once it is ``done``."""

    def __init__(self, location: Location) -> None:
        self.done = False
        self.frame_max = DEFAULT_FRAME_MAX
        self.heartbeat = location.heartbeat
        self._location = location
        self._next: type[Any] = Connection.Start

    def begin(self) -> bytes:
        """What is written first."""
        return ProtocolHeader().marshal()

    def answer(self, method: Method) -> bytes:
        """What is to be written upon this. Raises :class:`BrokerUnreachableError`."""
        if isinstance(method, Connection.Close):
            raise refusal(method.reply_code, method.reply_text)
        answer = _ANSWERS.get(type(method))
        if answer is None or not isinstance(method, self._next):
            raise BrokerUnreachableError(f"the server greets in a way that is not known: {method.name}")
        return answer(self, method)

    def _start(self, method: Connection.Start) -> bytes:
        location = self._location
        mechanism = "EXTERNAL" if location.external else "PLAIN"
        offered = method.mechanisms.split()
        if mechanism not in offered:
            offers = " ".join(offered)[:LONGEST_TEXT]
            raise BrokerUnreachableError(f"the server lets nobody in by {mechanism}, but by {offers}")
        self._next = Connection.Tune
        response = "" if location.external else f"\0{location.user}\0{location.password}"
        properties: FieldTable = {
            "product": "roomcast",
            "platform": f"Python {platform.python_version()}",
            "connection_name": location.name,
            "capabilities": dict(CAPABILITIES),
        }
        return marshal(Connection.StartOk(properties, mechanism, response), 0)

    def _tune(self, method: Connection.Tune) -> bytes:
        self._next = Connection.OpenOk
        self.frame_max = max(LEAST_FRAME_MAX, method.frame_max or DEFAULT_FRAME_MAX)
        tuned = Connection.TuneOk(method.channel_max, self.frame_max, self.heartbeat)
        return marshal(tuned, 0) + marshal(Connection.Open(self._location.vhost), 0)

    def _open(self, _: Connection.OpenOk) -> bytes:
        self.done = True
        return b""


_ANSWERS: Final[dict[type[Any], Callable[[Greeting, Any], bytes]]] = {
    Connection.Start: Greeting._start,
    Connection.Tune: Greeting._tune,
    Connection.OpenOk: Greeting._open,
}
