"""WebSockets: the handshake as any request, so that every refusal is an answer; then the frames of ``websockets``."""

from __future__ import annotations

import asyncio
import contextlib
import os
from base64 import b64encode
from collections import deque
from hashlib import sha1
from typing import Final, Self

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from roomcast.doctor.answers import NODE_HEADER, Answer, Ending, Outcome, Trouble
from roomcast.doctor.judging.websockets import SocketTry
from roomcast.doctor.packets import CLOSE, PROBE_PING, PROBE_PONG, UPGRADE, Opened, Packet, query, read_open
from roomcast.doctor.probing.http import MAX_ANSWER, Headers, HttpClient, Stream
from roomcast.doctor.probing.links import LinkEndedError
from roomcast.doctor.probing.polling import PollingLink
from roomcast.doctor.timing import REQUEST_SECONDS

WEBSOCKET: Final = "websocket"

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_CHUNK: Final = 65_536
_NO_STATUS: Final = 1005  # an empty close frame
_CLOSING_SECONDS: Final = 1.0  # for the other side to answer our close frame


class WebSocketLink:
    """See :class:`~roomcast.doctor.probing.links.Link`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._protocol = Protocol(Side.CLIENT, state=State.OPEN, max_size=MAX_ANSWER)
        self._received: deque[Packet] = deque()
        self._parts: list[Frame] = []
        self._closed = False
        self.opened = Opened("", (), 0.0, 0.0, 0)
        self.tag: str | None = None
        if stream.rest:
            self._take(stream.rest)

    @classmethod
    async def open(cls, client: HttpClient, headers: Headers = ()) -> tuple[SocketTry, Self | None]:
        """A session that begins with a WebSocket."""
        outcome, link = await cls._shake(client, query(WEBSOCKET), headers)
        if link is None:
            return SocketTry(outcome, "refused"), None
        try:
            opened = read_open(await link.receive(REQUEST_SECONDS))
        except (LinkEndedError, TimeoutError):
            opened = None
        if opened is None:
            link.abort()
            return SocketTry(outcome, "silent"), None
        link.opened = opened
        link.tag = _tag(outcome) or opened.likely_tag
        return SocketTry(outcome, "open", link.tag), link

    @classmethod
    async def replace(cls, client: HttpClient, polling: PollingLink) -> tuple[SocketTry, Self | None]:
        """A WebSocket that takes a polling session over, as browsers do it."""
        outcome, link = await cls._shake(client, query(WEBSOCKET, polling.opened.sid), polling.cookies)
        if link is None:
            return SocketTry(outcome, "refused", polling.tag), None
        try:
            await link.send(PROBE_PING)
            if await link.receive(REQUEST_SECONDS) == PROBE_PONG:
                await link.send(UPGRADE)
                link.opened, link.tag = polling.opened, polling.tag
                return SocketTry(outcome, "open", polling.tag), link
        except (LinkEndedError, TimeoutError):
            pass  # as if nothing had come
        link.abort()
        return SocketTry(outcome, "silent", polling.tag), None

    @classmethod
    async def _shake(cls, client: HttpClient, asked: str, headers: Headers) -> tuple[Outcome, Self | None]:
        key = b64encode(os.urandom(16))
        outcome, stream = await client.upgrade(asked, (*_upgrade_headers(key), *headers))
        if stream is None:
            return outcome, None
        if not isinstance(outcome, Answer) or outcome.header("sec-websocket-accept") != _accept(key):
            stream.abort()
            return Trouble("garbled", "a wrong Sec-WebSocket-Accept"), None
        return outcome, cls(stream)

    async def send(self, packet: Packet) -> None:
        """See :class:`~roomcast.doctor.probing.links.Link`."""
        if self._closed or self._protocol.state is not State.OPEN:
            raise LinkEndedError(self._ending())
        if isinstance(packet, str):
            self._protocol.send_text(packet.encode())
        else:
            self._protocol.send_binary(packet)
        await self._flush()

    async def receive(self, seconds: float) -> Packet:
        """See :class:`~roomcast.doctor.probing.links.Link`."""
        async with asyncio.timeout(seconds):
            while not self._received:
                await self._read()
        packet = self._received.popleft()
        if packet == CLOSE:
            self.abort()
            raise LinkEndedError(Ending("closed"))
        return packet

    async def close(self) -> None:
        """See :class:`~roomcast.doctor.probing.links.Link`."""
        with contextlib.suppress(LinkEndedError, TimeoutError):
            await self.send(CLOSE)
            self._protocol.send_close(1000)
            await self._flush()
            async with asyncio.timeout(_CLOSING_SECONDS):
                while self._protocol.close_rcvd is None:
                    await self._read()
        self.abort()

    def abort(self) -> None:
        """End it without a word."""
        self._closed = True
        self._stream.abort()

    async def _read(self) -> None:
        """Wait for bytes and take them. Raises LinkEndedError at their end."""
        if self._closed:
            raise LinkEndedError(self._ending())
        try:
            data = await self._stream.reader.read(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self.abort()
            raise LinkEndedError(self._ending())
        self._take(data)
        await self._flush()

    def _take(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for frame in self._protocol.events_received():
            if isinstance(frame, Frame) and frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._parts.append(frame)
                if frame.fin:
                    self._received.append(_joined(self._parts))
                    self._parts = []

    async def _flush(self) -> None:
        """Write what is to be written; the protocol answers pings and closes by itself."""
        for data in self._protocol.data_to_send():
            if data:
                self._stream.writer.write(data)
        with contextlib.suppress(OSError):  # the next read tells
            await self._stream.writer.drain()

    def _ending(self) -> Ending:
        code = self._protocol.close_rcvd
        if code is None:
            return Ending("cut")
        return Ending("closed", None if code.code == _NO_STATUS else code.code)


def _joined(parts: list[Frame]) -> Packet:
    whole = b"".join(bytes(part.data) for part in parts)
    return whole.decode("utf-8", "replace") if parts[0].opcode is Opcode.TEXT else whole


def _upgrade_headers(key: bytes) -> Headers:
    return (
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key.decode()),
    )


def _accept(key: bytes) -> str:
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest()).decode()


def _tag(outcome: Outcome) -> str | None:
    return outcome.header(NODE_HEADER) if isinstance(outcome, Answer) else None
