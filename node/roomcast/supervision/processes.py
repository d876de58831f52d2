"""A node as a child process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

# Bytes that are read at a time.
CHUNK: Final = 65_536

# Seconds in which the last words of a node that has ended are read: its own children may hold its output for ever.
LAST_WORDS: Final = 1.0


class NodeProcess:
    """A running ``roomcast run``. It has a process group of its own, so that Ctrl-C in a terminal reaches us alone, and
    a standard input that ends with us (:mod:`roomcast.supervision.leash`).
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdout is not None
        self._output = process.stdout

    @property
    def pid(self) -> int:
        """Also the number of its process group."""
        return self._process.pid

    async def read(self) -> bytes:
        """What it has written since, standard error included; empty at the end."""
        return await self._output.read(CHUNK)

    async def wait(self) -> int:
        """Its exit code, negative for a signal."""
        return await self._process.wait()

    def terminate(self) -> None:
        """Ask it to drain and end."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End it, and whatever it has started."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


async def start_node(arguments: Sequence[str], environment: Mapping[str, str]) -> NodeProcess:
    """Start ``roomcast`` with these arguments, in this interpreter and folder. Raises OSError if that cannot be."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # the application's folder comes to sys.path later: a file there must not stand in for one of ours
        "-m",
        "roomcast",
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        process_group=0,
    )
    return NodeProcess(process)
