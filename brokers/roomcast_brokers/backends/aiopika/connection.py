"""One connection to RabbitMQ: a :class:`Session` on an ``asyncio.Protocol``.

aio-pika's own connection makes a task, locks and futures for each message: publishing and receiving one costs 92 µs of
CPU in batches of ten and 172 one by one, before anything of ours is done; this way it costs 5 and 36. What one turn of
the loop has to say is one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, cast

from roomcast_brokers.backends.aiopika.session import Session
from roomcast_brokers.errors import BrokerUnreachableError

# Seconds between two looks at whether the server is alive. One that has said nothing since the last look is asked.
LOOK: Final = 1.0

# A server that says nothing for so long, though it was asked, is taken for dead: it was stopped, or cut off. With the
# time until the next look that is less than five seconds.
SILENCE: Final = 3.5

# A server that takes no messages reads nothing from us, so it cannot be asked; it sends heartbeats, two in the time
# that was agreed.
BLOCKED_HEARTBEATS: Final = 2

# What stands before the listener learns that the server has closed the connection without a word.
_CLOSED: Final = "the server closed the connection"
_NOT_GREETED: Final = "the server closed the connection before it had let us in; is it RabbitMQ?"


class Connection(asyncio.Protocol):
    """``broken`` is called once when it breaks by itself; ``gone`` is done when nothing of it is left.

    ``timeout``: seconds in which the server has to say something while it is greeted and things are declared.
    """

    def __init__(self, session: Session, timeout: float, broken: Callable[[BrokerUnreachableError], None]) -> None:
        self.session = session
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._timeout = timeout
        self._broken: Callable[[BrokerUnreachableError], None] | None = broken
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = False
        self._heard = self._looked = 0.0
        self._wrote = False  # since the last look

    @property
    def made(self) -> bool:
        """Whether there is something that has to go."""
        return self._transport is not None

    def publish(self, channel: str, payload: bytes) -> None:
        self.session.publish(channel, payload)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def publish_batch(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Publish these now, behind what waits for the end of this turn."""
        publish = self.session.publish
        for channel, payload in messages:
            publish(channel, payload)
        self.write()

    def write_soon(self) -> None:
        """Write what the session has, at the end of this turn."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def write(self) -> None:
        """Write what the session has."""
        transport = self._transport
        if transport is None or transport.is_closing():  # uvloop raises where asyncio ignores
            return
        data = self.session.take()
        if data:
            self._wrote = True
            transport.write(data)

    def end(self) -> None:
        """Say goodbye; it is ``gone`` when the server has said so too."""
        self._broken = None
        self.session.end()
        self.write()

    def abandon(self) -> None:
        """End now, and say nothing more to anybody."""
        self._broken = None
        self.session.drop()
        self._abort()

    # --- asyncio.Protocol -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._broken is None:  # abandoned while it was being made
            self._abort()
            return
        self._heard = self._looked = self._loop.time()
        self._timer = self._loop.call_later(LOOK, self._look)
        self.write()

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            self.session.receive(data)
        except BrokerUnreachableError as error:
            self._break(error)
        else:
            self.write()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set_result(None)
        if exc is not None:
            told = BrokerUnreachableError(f"the connection broke: {exc}")
        else:
            told = BrokerUnreachableError(_CLOSED if self.session.greeted else _NOT_GREETED)
        told.__cause__ = exc
        self._break(told)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._flushing = False
        self.write()

    def _look(self) -> None:
        """Whether the server lives, and that it knows that we do."""
        now = self._loop.time()
        stalled = now - self._looked > 2 * LOOK
        self._looked = now
        self._timer = self._loop.call_later(LOOK, self._look)
        if stalled:  # by us: what the server said meanwhile may not have been read yet
            self._heard = now
        session = self.session
        silent = now - self._heard
        if silent >= self._patience():
            self._break(BrokerUnreachableError("the server has stopped to answer"))
            return
        if not session.blocked:
            if silent >= LOOK / 2:
                session.ask()
            elif not self._wrote:
                session.beat()
        self.write()
        self._wrote = False

    def _patience(self) -> float:
        """Seconds after which a silent server is dead."""
        session = self.session
        if session.blocked:
            return BLOCKED_HEARTBEATS * session.heartbeat or float("inf")
        return SILENCE if session.is_ready else self._timeout

    def _break(self, error: BrokerUnreachableError) -> None:
        broken, self._broken = self._broken, None
        self.session.drop()
        self._abort()
        if broken is not None:
            broken(error)

    def _abort(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
