"""What things cost, counted and not timed: an event loop that counts, connections without sockets, counted bytecodes.

Clients are connected through the fast path's own protocol class, as uvicorn would make it, over a transport that only
keeps what is written to it. The loop's clock stands still until a test moves it, so nothing depends on the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tracemalloc
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any

import msgspec
import uvicorn
from uvicorn.server import ServerState

import roomcast
from roomcast.drivers.asyncio.uvicorn import SocketIOProtocol
from tests.support.masked import masked_frame

TEXT = 1
CLIENT = ("192.0.2.1", 50_000)
SERVER = ("192.0.2.2", 80)

REQUEST = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: example.org\r\nconnection: Upgrade\r\n"
    b"upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==\r\n"
    b"user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
    b"Safari/537.36\r\n"
    b"accept-encoding: gzip, deflate, br, zstd\r\naccept-language: en-GB,en;q=0.9,de;q=0.8\r\n"
    b"cookie: session=0123.aXQgaXMgYSBzZXNzaW9uIGNvb2tpZSBvZiBhIHVzdWFsIGxlbmd0aA; theme=dark\r\n\r\n"
)


class Costs(msgspec.Struct):
    """What a piece of work asked of the event loop."""

    tasks: int = 0
    timers: int = 0
    callbacks: int = 0


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts tasks, timers and callbacks for the next turn. Its time moves only by :meth:`advance`."""

    def __init__(self) -> None:
        self.costs = Costs()
        self._now = 1_000.0
        super().__init__()

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let so much time have passed."""
        self._now += seconds

    # The signatures of the methods differ between versions of Python; they are passed on as they come.

    def create_task(self, *args: Any, **kwargs: Any) -> Any:
        self.costs.tasks += 1
        return super().create_task(*args, **kwargs)

    def call_at(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # as above
        self.costs.timers += 1
        return super().call_at(*args, **kwargs)

    def call_soon(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # as above
        self.costs.callbacks += 1
        return super().call_soon(*args, **kwargs)

    @contextlib.contextmanager
    def counted(self) -> Iterator[Costs]:
        """The costs of a ``with`` block, complete at its end."""
        found = Costs()
        before = msgspec.structs.replace(self.costs)
        yield found
        for field in found.__struct_fields__:
            setattr(found, field, getattr(self.costs, field) - getattr(before, field))


def run(scenario: Callable[[CountingLoop], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario on a loop of its own that counts."""
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, CountingLoop)
        runner.run(scenario(loop))


async def turns(number: int = 1) -> None:
    """Let the loop turn; the callback of this very coroutine is one per turn."""
    for _ in range(number):
        await asyncio.sleep(0)


class NamedSocket:
    """What a transport gives as its socket: it knows the names of both ends."""

    def getpeername(self) -> tuple[str, int]:
        """The client's address."""
        return CLIENT

    def getsockname(self) -> tuple[str, int]:
        """The server's."""
        return SERVER


class RecordingTransport(asyncio.Transport):
    """A connection that takes everything and keeps it in ``blocks``, one for each write."""

    def __init__(self) -> None:
        super().__init__({"socket": NamedSocket(), "peername": CLIENT, "sockname": SERVER})
        self.blocks: list[bytes] = []
        self.protocol: Any = None
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.blocks.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def abort(self) -> None:
        self._closing = True

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol


class Peer:
    """A client of the fast path: what it sends arrives at once."""

    __slots__ = ("_protocol", "_transport")

    def __init__(self, protocol: SocketIOProtocol, transport: RecordingTransport) -> None:
        self._protocol = protocol
        self._transport = transport

    def sends(self, *texts: str) -> None:
        """Engine.IO packets arrive, in one piece."""
        self._protocol.data_received(b"".join(masked_frame(TEXT, text.encode()) for text in texts))

    def blocks(self) -> list[bytes]:
        """What was written since the last call, one entry for each write."""
        written, self._transport.blocks = self._transport.blocks, []
        return written

    def vanishes(self) -> None:
        """The connection is lost."""
        self._protocol.connection_lost(None)


class Crowd:
    """Clients of one server, connected to its main namespace."""

    def __init__(self, sio: roomcast.AsyncServer) -> None:
        self.sio = sio
        self._config = uvicorn.Config(roomcast.ASGIApp(sio), log_config=None, lifespan="off")
        self._config.load()
        self._state = ServerState()

    async def join(self, number: int) -> list[Peer]:
        """So many more, one after another; what was written to them so far is forgotten."""
        peers = [self._open() for _ in range(number)]
        for peer in peers:
            peer.sends("40")
        await turns(3)
        for peer in peers:
            written = b"".join(peer.blocks())
            assert b'40{"sid":' in written, written
        return peers

    def _open(self) -> Peer:
        transport = RecordingTransport()
        protocol = SocketIOProtocol(self._config, self._state, {})
        protocol.connection_made(transport)
        protocol.data_received(REQUEST)
        transport.set_protocol(protocol)
        return Peer(protocol, transport)


class CountingCodec:
    """Passes everything on to a codec and counts how often data was encoded."""

    def __init__(self, codec: Any) -> None:
        self._codec = codec
        self.encoded = 0

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._codec, name)
        if not name.startswith("encode_"):
            return attribute

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.encoded += 1
            return attribute(*args, **kwargs)

        return counted


class Work(msgspec.Struct):
    """``bytecodes`` that Python executed, and the ``peak`` of memory (bytes) above what was in use at the start."""

    bytecodes: int = 0
    peak: int = 0


@contextlib.contextmanager
def counted_bytecodes() -> Iterator[Work]:
    """Count every bytecode executed in this thread: loops over all clients show, however short each turn of them is."""
    work = Work()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            work.bytecodes += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield work
    finally:
        sys.settrace(before)


@contextlib.contextmanager
def measured_memory() -> Iterator[Work]:
    """Measure the memory that is allocated meanwhile: copies of a table show, which no bytecode would."""
    work = Work()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        yield work
        work.peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
