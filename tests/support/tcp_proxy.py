"""A TCP proxy that misbehaves as networks do: it cuts, delays, throttles, loses silently, and resets at a chosen byte.

It runs in a thread of its own, so that a busy test does not slow what passes through it; its methods may be called from
any thread and return when they are in force.

Two ways of losing differ. ``swallow`` throws bytes away, as a firewall or NAT does that has forgotten a connection: TCP
of both ends believes that all is well. ``hold`` keeps them, as packets do that are lost and sent again: when the proxy
heals, they arrive. What was swallowed cannot be mended, so connections that lost something are reset by ``heal``.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, Self

import msgspec

from tests.support.patience import PATIENCE

CHUNK = 65_536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST


class Way(Enum):
    """Where bytes go."""

    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


BOTH = frozenset(Way)


class Does(Enum):
    """What becomes of bytes."""

    PASS = "pass"
    HOLD = "hold"
    SWALLOW = "swallow"


class Rule(msgspec.Struct, frozen=True):
    """``does`` what to bytes of these ways on connections whose client has said ``marker`` (None: on all)."""

    does: Does
    ways: frozenset[Way]
    marker: bytes | None = None
    until: int | None = None  # only on connections that were made before this many


class _Line:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer
        self.upstream: asyncio.StreamWriter | None = None
        self.said = b""  # the first words of the client
        self.damaged = False  # something was swallowed: it cannot go on
        self.reset_at_answer = False

    def is_for(self, marker: bytes | None) -> bool:
        return marker is None or marker in self.said

    def close(self) -> None:
        """End both in good order: what was read is still written."""
        for writer in (self.writer, self.upstream):
            if writer is not None:
                writer.close()

    def cut(self) -> None:
        """Reset both ends."""
        for writer in (self.writer, self.upstream):
            if writer is None:
                continue
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                if sock is not None:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()


class TcpProxy:
    """Stands on a port of its own before ``server_port`` of this machine, for the length of a ``with`` block."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._made = 0  # connections so far
        self._rule = Rule(Does.PASS, BOTH)
        self._delay = 0.0
        self._rate: float | None = None
        self._pattern: bytes | None = None
        self._resets_wanted = 0
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.resets = 0
        """How often ``reset_after`` has reset a connection."""
        self.swallowed = 0
        """Bytes that were swallowed."""

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._call(self._listen)

    def close(self) -> None:
        """Reset what is connected, and end."""
        if not self._thread.is_alive():
            return
        self._call(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what it does -------------------------------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._lines)

    def cut(self, marker: bytes | None = None) -> None:
        """Reset every connection whose client has said ``marker``."""

        def cut() -> None:
            for line in tuple(self._lines):
                if line.is_for(marker):
                    line.cut()

        self._do(cut)

    def refuse(self) -> None:
        """Reset every connection, and refuse new ones until :meth:`heal`."""
        self._call(self._stop_listening)
        self.cut()

    def swallow(self, ways: frozenset[Way] = BOTH, marker: bytes | None = None) -> None:
        """Lose what comes, silently, until :meth:`heal`; ends of connections are not passed on either."""
        self._set_rule(Rule(Does.SWALLOW, ways, marker))

    def forget(self, ways: frozenset[Way] = BOTH, marker: bytes | None = None) -> None:
        """As :meth:`swallow`, but only on what is connected now: who connects anew is served."""
        self._set_rule(Rule(Does.SWALLOW, ways, marker, self._made))

    def hold(self, ways: frozenset[Way] = BOTH, marker: bytes | None = None) -> None:
        """Keep back what comes; :meth:`heal` lets it go on."""
        self._set_rule(Rule(Does.HOLD, ways, marker))

    def slow(self, delay: float = 0.0, bytes_per_second: float | None = None) -> None:
        """Each chunk waits ``delay`` seconds; a connection carries so many bytes a second each way."""
        self._delay, self._rate = delay, bytes_per_second

    def reset_after(self, pattern: bytes, times: int = 1) -> None:
        """When a client has sent ``pattern`` and the server has answered: throw the answer away and reset; so often.

        The server has done what it was told then, and the client cannot know.
        """
        self._pattern, self._resets_wanted = pattern, times

    def heal(self) -> None:
        """Listen, and pass everything on at once; what lost something is reset."""

        def mend() -> None:
            for line in tuple(self._lines):
                if line.damaged:
                    line.cut()

        self.slow()
        self.reset_after(b"", 0)
        self._set_rule(Rule(Does.PASS, BOTH))
        self._do(mend)
        self._call(self._listen)

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(action(), self._loop).result(PATIENCE)

    def _do(self, action: Callable[[], object]) -> None:
        async def act() -> None:
            action()

        self._call(act)

    def _set_rule(self, rule: Rule) -> None:
        def change() -> None:
            self._rule = rule
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

        self._do(change)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, reuse_address=True)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _end(self) -> None:
        await self._stop_listening()
        for line in tuple(self._lines):
            line.cut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        line = _Line(self._made, reader, writer)
        self._made += 1
        self._lines.add(line)
        try:
            await self._carry(line)
        except (OSError, asyncio.CancelledError):
            pass  # one of the ends has gone, which the other one is told below; or the proxy ends
        finally:
            self._lines.discard(line)
            self._tasks.discard(task)
            line.close()

    async def _carry(self, line: _Line) -> None:
        upstream, line.upstream = await asyncio.open_connection("127.0.0.1", self._server_port)
        ways = [
            asyncio.ensure_future(self._pump(line, line.reader, line.upstream, Way.TO_SERVER)),
            asyncio.ensure_future(self._pump(line, upstream, line.writer, Way.TO_CLIENT)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ways:
                each.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        """Carry one direction until it ends; its end is passed on in good order, but for what was lost before it."""
        while data := await reader.read(CHUNK):
            if way is Way.TO_SERVER:
                self._listen_to(line, data)
            elif line.reset_at_answer:
                line.reset_at_answer = False
                self.resets += 1
                line.cut()
                return
            if not await self._passes(line, way, len(data)):
                continue
            if self._delay or self._rate:
                await asyncio.sleep(self._delay + (len(data) / self._rate if self._rate else 0.0))
            writer.write(data)
            await writer.drain()
        while not await self._passes(line, way, 0):
            await self._changed.wait()

    def _listen_to(self, line: _Line, data: bytes) -> None:
        if len(line.said) < CHUNK:
            line.said += data
        if self._resets_wanted and self._pattern and self._pattern in data:
            self._resets_wanted -= 1
            line.reset_at_answer = True

    async def _passes(self, line: _Line, way: Way, size: int) -> bool:
        while True:
            rule, changed = self._rule, self._changed
            if rule.does is Does.PASS or way not in rule.ways or not line.is_for(rule.marker):
                return True
            if rule.until is not None and line.number >= rule.until:
                return True
            if rule.does is Does.SWALLOW:
                line.damaged = True
                self.swallowed += size
                return False
            await changed.wait()
