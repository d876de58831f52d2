"""A socket that never makes anybody wait: what it does not take at once is kept, and written when it takes more."""

from __future__ import annotations

from _socket import socket as PlainSocket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime
    from roomcast.engineio.deadlines import Deadline

READ_SIZE = 65_536


class SocketConnection:
    """The half of a connection that all have. Methods are for turns. What kinds of connection do is their own:
    ``received(data)``, ``lost()``, ``pause()`` and ``resume()`` of writing.
    """

    def __init__(self, runtime: Runtime, sock: PlainSocket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.runtime = runtime
        self.reading = True
        self._rest = bytearray()
        self._closing = False
        self._gone = False
        self._last: Deadline | None = None

    def watch(self) -> None:
        """Watch it from now on, or differently."""
        alive = not self._gone
        self.runtime.watch(self, read=self.reading and alive, write=bool(self._rest) and alive)

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, block: bytes) -> None:
        """Write it, now or when the socket takes it (:class:`~roomcast.engineio.outbox.Sink`)."""
        if self._gone or self._closing:
            return
        if self._rest:
            self._rest += block
            return
        try:
            sent = self.sock.send(block)
        except OSError as error:
            sent = self._not_sent(error)
        if sent < len(block) and not self._gone:
            self._rest += memoryview(block)[sent:]
            self.pause()
            self.watch()

    def get_write_buffer_size(self) -> int:
        """Bytes that the socket has not taken."""
        return len(self._rest)

    def writable(self) -> None:
        """The socket takes more."""
        try:
            sent = self.sock.send(self._rest)
        except OSError as error:
            sent = self._not_sent(error)
        del self._rest[:sent]
        if self._rest or self._gone:
            return
        if self._closing:
            self.cut()
            return
        self.watch()
        self.resume()

    def _not_sent(self, error: OSError) -> int:
        """Nothing of it, for now or, as everywhere, with an end that is told once."""
        if not isinstance(error, (BlockingIOError, InterruptedError)):
            self.cut()
        return 0

    # --- reading ------------------------------------------------------------------------------------------------------

    def readable(self) -> None:
        """Something has come, or the client is gone."""
        try:
            data = self.sock.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self.received(data)
        else:
            self.cut()

    # --- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close when everything has been written; who does not take it gets as long as for answering a ping."""
        if self._gone or self._closing:
            return
        self._closing = True
        if not self._rest:
            self.cut()
            return
        engine = self.runtime.engine
        self._last = engine.deadlines.add(engine.now + engine.settings.ping_timeout, lambda _: self.cut())

    def cut(self) -> None:
        """Close now."""
        if self._gone:
            return
        self._gone = True
        self.runtime.engine.deadlines.cancel(self._last)
        self.watch()
        self.sock.close()
        self._rest.clear()
        self.runtime.outside.append(self._tell)

    def _tell(self) -> None:
        """In a turn of its own: whoever wrote is in the middle of something."""
        with self.runtime.turn:
            self.lost()

    # --- what kinds of connection do ----------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Bytes have come."""

    def lost(self) -> None:
        """It is closed, by whatever cause; told once."""

    def pause(self) -> None:
        """The socket takes no more for now."""

    def resume(self) -> None:
        """It takes more again."""
