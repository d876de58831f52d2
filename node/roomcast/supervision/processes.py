"""A node as a child process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, cast

# Bytes that are read at a time.
CHUNK: Final = 65_536

# Seconds in which the last words of a node that has ended are read: its own children may hold its output for ever.
LAST_WORDS: Final = 1.0


class NodeProcess(asyncio.SubprocessProtocol):
    """A running ``roomcast run``. It has a session and a process group of its own, so that Ctrl-C in a terminal reaches
    us alone, and a standard input that ends with us (:mod:`roomcast.supervision.leash`).

    (``asyncio.subprocess`` would do, but its ``wait()`` waits for whoever holds the output too, in some versions.)
    """

    def __init__(self) -> None:
        self.pid = 0
        """Also the number of its process group."""
        self._output = asyncio.StreamReader()
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def read(self) -> bytes:
        """What it has written since, standard error included; empty at the end."""
        return await self._output.read(CHUNK)

    async def wait(self) -> int:
        """Its exit code, negative for a signal."""
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """Ask it to drain and end."""
        self._send(os.kill, signal.SIGTERM)

    def kill(self) -> None:
        """End it, and whatever it has started."""
        self._send(os.killpg, signal.SIGKILL)

    def close(self) -> None:
        """Let go of its pipes, once it has ended."""
        self._transport.close()

    def _send(self, send: Callable[[int, int], None], number: int) -> None:
        if not self._ended.done():
            with suppress(ProcessLookupError):
                send(self.pid, number)

    # --- asyncio.SubprocessProtocol -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It runs."""
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self.pid = self._transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It has written something."""
        self._output.feed_data(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It will write no more; or it no longer has a standard input, which says nothing."""
        if fd != 0:
            self._output.feed_eof()

    def process_exited(self) -> None:
        """It has ended."""
        code = self._transport.get_returncode()
        if not self._ended.done():
            self._ended.set_result(0 if code is None else code)


async def start_node(arguments: Sequence[str], environment: Mapping[str, str]) -> NodeProcess:
    """Start ``roomcast`` with these arguments, in this interpreter and folder. Raises OSError if that cannot be."""
    _, node = await asyncio.get_running_loop().subprocess_exec(
        NodeProcess,
        sys.executable,
        "-P",  # the application's folder comes to sys.path later: a file there must not stand in for one of ours
        "-m",
        "roomcast",
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    return node
