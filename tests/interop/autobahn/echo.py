"""A bare WebSocket echo server on ``roomcast.websocket.connection``: what the Autobahn cases are run against.

``python -m tests.interop.autobahn.echo [deflate]`` listens on a free port of the loopback, writes its number to
standard output, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import sys

from roomcast.websocket.connection import Binary, Event, ServerConnection, Text
from roomcast.websocket.handshake import Accepted, accept

# The suite sends 16 MiB messages, and some of 65,536 fragments.
MAX_MESSAGE = 16 * 1024 * 1024
MAX_FRAGMENTS = 131_072
MAX_HEAD = 16 * 1024


class EchoProtocol(asyncio.Protocol):
    """One connection: the handshake, then every message back as it came."""

    def __init__(self, deflate: bool) -> None:
        self._deflate = deflate
        self._head = b""
        self._connection: ServerConnection | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        connection = self._connection
        if connection is None:
            self._shake_hands(data)
        else:
            self._step(connection, connection.receive(data))

    def eof_received(self) -> bool:
        if self._connection is not None:
            self._step(self._connection, self._connection.receive_eof())
        return False

    def pause_writing(self) -> None:
        assert self._transport is not None
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _shake_hands(self, data: bytes) -> None:
        assert self._transport is not None
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            if len(head) > MAX_HEAD:
                self._transport.abort()
            return
        line, *fields = head.split(b"\r\n")
        method, _, version = line.decode("latin-1").split(" ")
        pairs = [field.partition(b":") for field in fields]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        answer = accept(method, version.removeprefix("HTTP/"), headers.get, deflate=self._deflate)
        if not isinstance(answer, Accepted):
            self._transport.write(f"HTTP/1.1 {answer.status} Refused\r\nConnection: close\r\n\r\n".encode())
            self._transport.close()
            return
        self._transport.write(answer.response)
        self._connection = ServerConnection(MAX_MESSAGE, MAX_FRAGMENTS, deflate=answer.deflate, compression_threshold=0)
        self._head = b""
        if rest:
            self.data_received(rest)

    def _step(self, connection: ServerConnection, events: list[Event]) -> None:
        """The whole seam."""
        assert self._transport is not None
        for event in events:
            match event:
                case Text(data) if not connection.closed:
                    connection.send_text(data)
                case Binary(data) if not connection.closed:
                    connection.send_binary(data)
        self._transport.write(connection.data_to_send())
        if connection.closed:
            self._transport.close()


async def serve(deflate: bool) -> None:
    """Serve until standard input ends, so that no server outlives the test that started it."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: EchoProtocol(deflate), "127.0.0.1", 0)
    async with server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(serve("deflate" in sys.argv[1:]))
