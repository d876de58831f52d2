"""Writing to a forwarder from a thread that waits: a :class:`Session` on a :class:`Line`, and a selector.

The waiting is done by Python's own selector on libzmq's descriptors, so it is cooperative wherever selectors have been
made so (gevent, eventlet).
"""

from __future__ import annotations

import selectors
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

import zmq

from roomcast_brokers.backends.zmq.addresses import parse
from roomcast_brokers.backends.zmq.frames import Goodbye, check_message, encode
from roomcast_brokers.backends.zmq.line import READABLE, WRITABLE, Line, reason
from roomcast_brokers.backends.zmq.session import TRAITS, Phase, Session
from roomcast_brokers.contracts import State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, SendError

# From the call of send() to the last acknowledgement, the connecting included.
TIMEOUT: Final = 5.0


class ZmqSender:
    """See :class:`roomcast_brokers.contracts.Sender`. Nothing is connected before the first :meth:`send`."""

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        self._address = parse(url).for_clients()
        self._timeout = timeout
        self._accepted = 0
        self._session = _session(self)
        self._line: Line | None = None
        self._selector: selectors.BaseSelector | None = None
        self._closed = False

    @property
    def traits(self) -> Traits:
        return TRAITS

    def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        if self._closed:
            raise BrokerClosedError("the sender is closed; make another")
        for channel, payload in messages:
            check_message(channel, payload)
        deadline = monotonic() + self._timeout
        self._accepted = 0
        try:
            self._reach(deadline)
            for channel, payload in messages:
                self._session.publish(channel, payload)
            self._wait(self._is_settled, deadline)
        except (BrokerUnreachableError, zmq.ZMQError) as error:
            self._drop()
            text = reason(error) if isinstance(error, zmq.ZMQError) else str(error)
            raise SendError(text, accepted=self._accepted) from error
        except BaseException:
            # whatever came in between: later answers must not be taken for those to the next messages
            self._drop()
            raise

    def close(self) -> None:
        self._closed = True
        self._drop(encode(Goodbye()))

    def forget(self) -> None:
        """As the contract says. The descriptors are libzmq's and end with this process; they are not touched."""
        line, self._line = self._line, None
        if line is not None:
            line.abandon()
        if self._selector is not None:
            self._selector.close()
            self._selector = None
        self._session = _session(self)

    # --- as a listener ----------------------------------------------------------------------------------------------

    def accepted(self, count: int) -> None:
        self._accepted += count

    def delivered(self, channel: str, payload: bytes) -> None:
        """Nothing is subscribed."""

    def confirmed(self, channel: str, generation: int) -> None:
        """Nothing is subscribed."""

    def changed(self, state: State, cause: Exception | None) -> None:
        """Looked up when it matters."""

    # --- the connection ---------------------------------------------------------------------------------------------

    def _reach(self, deadline: float) -> None:
        """Be connected: as before, if that connection still holds."""
        if self._line is not None and self._line.broken():
            self._drop()
        if self._line is None:
            self._line = line = Line(self._address)
            self._selector = selectors.DefaultSelector()
            for descriptor in line.descriptors:
                self._selector.register(descriptor, selectors.EVENT_READ)
            self._session.began(monotonic())
            self._wait(self._is_up, deadline)

    def _is_up(self) -> bool:
        return self._session.phase is Phase.UP

    def _is_settled(self) -> bool:
        return self._session.settled

    def _wait(self, done: Callable[[], bool], deadline: float) -> None:
        line, selector = self._line, self._selector
        assert line is not None
        assert selector is not None
        while True:
            broken = line.broken()  # asked first: what came before the end counts
            self._pump(line)
            if done():
                return
            if broken:
                raise BrokerUnreachableError("the connection to the forwarder has ended, or could not be made")
            left = deadline - monotonic()
            if left <= 0:
                raise BrokerUnreachableError(f"the forwarder did not answer within {self._timeout:g} s")
            selector.select(left)

    def _pump(self, line: Line) -> None:
        """Write and read until nothing is left to do."""
        session = self._session
        while True:
            complete = True
            while complete and (frame := session.next_frame()) is not None:
                complete = line.send(frame)
                if complete:
                    session.written()
            events = line.events()
            if events & READABLE:
                why = session.received(line.receive(), monotonic())
                if why is not None:
                    raise BrokerUnreachableError(why)
            elif complete or not events & WRITABLE:
                return

    def _drop(self, farewell: bytes | None = None) -> None:
        line, self._line = self._line, None
        if self._selector is not None:
            self._selector.close()
            self._selector = None
        if line is not None:
            line.close(farewell)
        self._session.drop()


def _session(sender: ZmqSender) -> Session:
    session = Session(_nothing)
    session.listener = sender
    return session


def _nothing() -> None:
    """What is ready is written by who waits for it."""
