"""A stream of Tornado's as a transport of asyncio's: for TLS, whose state only the stream has."""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.iostream import IOStream, StreamClosedError

READ_SIZE = 65_536
# Bytes that the socket has not taken at which the protocol is told to pause, and to go on: asyncio's own.
HIGH_WATER = 65_536
LOW_WATER = 16_384


class IOStreamTransport(asyncio.Transport):
    """Reads from and writes to a stream on behalf of one protocol, from :meth:`begin` on."""

    def __init__(self, stream: IOStream, protocol: asyncio.Protocol) -> None:
        super().__init__({"socket": stream.socket, "sslcontext": getattr(stream.socket, "context", None)})
        self._stream = stream
        self._protocol = protocol
        self._reading = asyncio.Event()
        self._reading.set()
        self._unsent = 0
        self._paused = False
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Tell the protocol that the connection is its own, and read."""
        self._stream.set_nodelay(True)
        self._protocol.connection_made(self)
        self._task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        try:
            while True:
                await self._reading.wait()
                data = await self._stream.read_bytes(READ_SIZE, partial=True)
                if not self._closing:
                    self._protocol.data_received(data)
        except StreamClosedError:
            self._closing = True
            self._protocol.connection_lost(None)

    # --- reading ------------------------------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """What has been asked for already still comes."""
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    def is_reading(self) -> bool:
        return self._reading.is_set()

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        if self._closing:
            return
        self._unsent += len(data)
        try:
            written = self._stream.write(data)
        except StreamClosedError:
            return  # reading tells the protocol
        written.add_done_callback(lambda future: self._sent(future, len(data)))
        if self._unsent > HIGH_WATER and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def _sent(self, future: asyncio.Future[None], size: int) -> None:
        self._unsent -= size
        if future.cancelled() or future.exception() is not None:
            return  # as above
        if self._paused and self._unsent <= LOW_WATER:
            self._paused = False
            self._protocol.resume_writing()
        if self._closing and not self._unsent:
            self._stream.close()

    def get_write_buffer_size(self) -> int:
        return self._unsent

    # --- the end ------------------------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Close when everything has been written."""
        self._closing = True
        self._reading.set()
        if not self._unsent:
            self._stream.close()

    def abort(self) -> None:
        """Close now."""
        self._closing = True
        self._reading.set()
        self._stream.close()
