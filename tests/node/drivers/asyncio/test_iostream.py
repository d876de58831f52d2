"""A stream of Tornado's behind asyncio's transport: what is written, paused and ended on either side."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from tornado.iostream import IOStream

from roomcast.drivers.asyncio.iostream import HIGH_WATER, IOStreamTransport
from tests.support.inprocess import eventually

LARGE = b"x" * 4_000_000


class Recorder(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.data = b""
        self.told: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")


@contextlib.asynccontextmanager
async def joined() -> AsyncIterator[tuple[IOStreamTransport, Recorder, IOStream]]:
    """The transport, its protocol, and the other end of the wire."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        far = socket.create_connection(listening.getsockname())
        near, _ = listening.accept()
    for sock in (near, far):
        sock.setblocking(False)
    recorder = Recorder()
    transport = IOStreamTransport(IOStream(near), recorder)
    transport.begin()
    other = IOStream(far)
    yield transport, recorder, other
    transport.abort()
    other.close()
    await eventually(lambda: recorder.told[-1] == "lost")
    assert recorder.told.count("lost") == 1


async def test_both_ways() -> None:
    async with joined() as (transport, recorder, other):
        assert recorder.told == ["made"]
        await other.write(b"hello")
        await eventually(lambda: recorder.data == b"hello")
        transport.write(b"good ")
        transport.write(b"day")
        assert await other.read_bytes(8) == b"good day"
        await eventually(lambda: transport.get_write_buffer_size() == 0)
        assert transport.get_extra_info("sslcontext") is None


async def test_writing_is_paused_and_resumed() -> None:
    async with joined() as (transport, recorder, other):
        transport.write(LARGE)
        transport.write(LARGE)
        assert transport.get_write_buffer_size() > HIGH_WATER
        assert recorder.told == ["made", "pause"]
        assert await other.read_bytes(2 * len(LARGE)) == LARGE + LARGE
        await eventually(lambda: recorder.told == ["made", "pause", "resume"])


async def test_reading_is_paused_and_resumed() -> None:
    async with joined() as (transport, recorder, other):
        await other.write(b"x")
        await eventually(lambda: recorder.data)
        transport.pause_reading()
        assert not transport.is_reading()
        writing = asyncio.ensure_future(other.write(LARGE[1:]))
        await eventually(lambda: len(recorder.data) > 1)  # what had been asked for
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(recorder.data) < len(LARGE)
        transport.resume_reading()
        assert transport.is_reading()
        await writing
        await eventually(lambda: recorder.data == LARGE)


async def test_close_writes_first_and_reads_no_more() -> None:
    async with joined() as (transport, recorder, other):
        transport.write(LARGE)
        transport.close()
        transport.close()
        transport.write(b"too late")
        assert transport.is_closing()
        await other.write(b"too late")
        assert await other.read_until_close() == LARGE
        assert recorder.data == b""


async def test_a_client_that_goes_while_much_is_written() -> None:
    async with joined() as (transport, recorder, other):
        transport.write(LARGE)
        other.close()
        await eventually(lambda: recorder.told[-1] == "lost")
        transport.write(b"to nobody")
        assert transport.is_closing()


async def test_a_stream_that_is_closed_behind_its_back() -> None:
    async with joined() as (transport, recorder, _):
        transport._stream.close()
        transport.write(b"to nobody")
        await eventually(lambda: recorder.told[-1] == "lost")
