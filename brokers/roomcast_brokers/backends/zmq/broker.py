"""The broker for an event loop: a :class:`Session` on a :class:`Line`, and the loop that watches it.

The descriptors of libzmq are watched by the loop itself (asyncio and uvloop both can). ``zmq.asyncio`` makes futures
for each frame: sending one and receiving one costs 90 to 105 µs of CPU that way, and 24 to 35 this way, before anything
of ours is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import zmq

from roomcast_brokers import backoff
from roomcast_brokers.backends.zmq.addresses import parse
from roomcast_brokers.backends.zmq.frames import Goodbye, encode
from roomcast_brokers.backends.zmq.line import READABLE, WRITABLE, Line, reason
from roomcast_brokers.backends.zmq.session import BEAT, TRAITS, Session
from roomcast_brokers.contracts import Listener, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError

# What is read before the loop's other sockets get their turn: a few milliseconds' worth, pages being what they are.
FRAMES_PER_TURN: Final = 16

# How long close() waits for what was handed over.
CLOSE_TIMEOUT: Final = 2.0


class ZmqBroker:
    """``zmq+ipc://`` and ``zmq+tcp://``; see :class:`roomcast_brokers.contracts.AsyncBroker`. ``malformed`` counts
    frames of the forwarder's that were none.
    """

    def __init__(self, url: str) -> None:
        self._address = parse(url).for_clients()
        self._session = Session(self._schedule)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._line: Line | None = None
        self._made = 0.0
        self._timer: asyncio.TimerHandle | None = None  # of the next beat, or of the next attempt
        self._delays: Iterator[float] = backoff.delays()
        self._scheduled = False
        self._closing = False
        self._settled = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def traits(self) -> Traits:
        return TRAITS

    @property
    def malformed(self) -> int:
        return self._session.malformed

    def open(self, listener: Listener) -> None:
        if self._loop is not None or self._closing:
            raise BrokerClosedError("a broker is opened once, and a closed one stays closed; make another")
        self._loop = asyncio.get_running_loop()
        self._session.listener = listener
        self._timer = self._loop.call_later(0, self._attempt)

    def publish(self, channel: str, payload: bytes) -> None:
        if self._loop is None or self._closing:
            self._opened()
        self._session.publish(channel, payload)

    def subscribe(self, channel: str, generation: int) -> None:
        if self._closing:
            raise BrokerClosedError("nothing after close()")
        self._session.subscribe(channel, generation)

    def unsubscribe(self, channel: str) -> None:
        self._session.unsubscribe(channel)

    def reset(self) -> None:
        self._opened()
        if self._line is not None:
            self._drop_line()
            self._session.drop()
            # told later: the listener is not to be called out of a call of its own
            self._after(0, self._fail, BrokerUnreachableError("the connection was given up"))

    async def close(self) -> None:
        if not self._closing:
            self._closing = True
            try:
                if self._line is not None and not self._session.settled:
                    async with asyncio.timeout(CLOSE_TIMEOUT):
                        await self._settled.wait()
            except TimeoutError:
                pass
            finally:
                self._drop_line(encode(Goodbye()))
                self._session.closed()
                self._ended.set()
        await self._ended.wait()

    # --- the connection ---------------------------------------------------------------------------------------------

    def _opened(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._closing:
            raise BrokerClosedError("open() comes first, and nothing after close()")
        return self._loop

    def _attempt(self) -> None:
        loop = self._loop
        assert loop is not None
        self._made = loop.time()
        try:
            line = self._line = Line(self._address)
        except zmq.ZMQError as error:
            self._fail(BrokerUnreachableError(f"no connection to the forwarder: {reason(error)}"))
            return
        self._session.began(self._made)
        loop.add_reader(line.descriptors[0], self._run)
        loop.add_reader(line.descriptors[1], self._look)
        self._after(BEAT, self._beat)
        self._run()
        self._look()  # there is no edge before somebody has looked

    def _fail(self, cause: BrokerUnreachableError) -> None:
        """The line is no more; another attempt is made later."""
        loop = self._loop
        assert loop is not None
        self._drop_line()
        self._session.lost(cause)
        self._settled.set()  # nothing of what waits will be accepted any more
        if self._closing:
            return
        if loop.time() - self._made > backoff.LONGEST_DELAY:  # it was good for something
            self._delays = backoff.delays()
        self._after(next(self._delays), self._attempt)

    def _drop_line(self, farewell: bytes | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        line, self._line = self._line, None
        if line is not None and self._loop is not None:
            for descriptor in line.descriptors:
                self._loop.remove_reader(descriptor)
            line.close(farewell)

    def _after(self, delay: float, call: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        self._timer = self._loop.call_later(delay, call, *arguments)

    # --- what happens on it -----------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled and self._loop is not None:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        self._run()

    def _run(self) -> None:
        """Write what waits and read what has come, until nothing is left to do or others should have a turn."""
        line = self._line
        for _ in range(FRAMES_PER_TURN):
            if line is None or line is not self._line:
                return
            complete = self._write(line)
            events = line.events()
            if events & READABLE:
                self._read(line)
            elif complete or not events & WRITABLE:
                return
        self._schedule()

    def _write(self, line: Line) -> bool:
        """Whether all that waited was taken."""
        session = self._session
        while (frame := session.next_frame()) is not None:
            if not line.send(frame):
                return False
            session.written()
        return True

    def _read(self, line: Line) -> None:
        assert self._loop is not None
        why = self._session.received(line.receive(), self._loop.time())
        if why is not None and line is self._line:
            self._fail(BrokerUnreachableError(why))
        elif self._closing and self._session.settled:
            self._settled.set()

    def _look(self) -> None:
        """The monitor has something: when a connection ends, what came over it before is read first."""
        line = self._line
        if line is None or not line.broken():
            return
        while line is self._line and line.events() & READABLE:
            self._read(line)
        if line is self._line:
            self._fail(BrokerUnreachableError("the connection to the forwarder has ended, or could not be made"))

    def _beat(self) -> None:
        assert self._loop is not None
        line = self._line
        self._after(BEAT, self._beat)
        self._run()  # uvloop runs timers before it reads: what has come must not count as missing
        if line is not None and line is self._line:
            why = self._session.tick(self._loop.time())
            if why is not None:
                self._fail(BrokerUnreachableError(why))
            else:
                self._run()
