"""Nodes for a supervisor, without processes: the test says what they write, how they are and when they end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable, Sequence

from roomcast.supervision.plans import NodePlan
from roomcast.supervision.readings import SILENT, Reading
from roomcast.supervision.status import NodeView
from tests.support.patience import PATIENCE

READY = Reading("ready", (), 0, True, 1)


class PlayedNode:
    """One life of a node. It ends when the test says so, or at once when it is killed."""

    def __init__(self, plan: NodePlan, pid: int, output_stays_open: bool = False) -> None:
        self.plan = plan
        self.pid = pid
        self.terminated = self.killed = 0
        self.closed = False
        self.reading = SILENT
        self._output: asyncio.Queue[bytes] = asyncio.Queue()
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._output_stays_open = output_stays_open

    def write(self, text: str) -> None:
        self._output.put_nowait(text.encode())

    def end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)
            if not self._output_stays_open:
                self._output.put_nowait(b"")

    # what a supervisor calls

    async def read(self) -> bytes:
        return await self._output.get()

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        self.terminated += 1

    def close(self) -> None:
        assert self._ended.done()
        self.closed = True

    def kill(self) -> None:
        self.killed += 1
        self.end(-signal.SIGKILL)


class PlayedNodes:
    """Gives a supervisor its nodes; ``lives`` are all that were ever started. ``failures`` are raised first."""

    def __init__(self, failures: Sequence[OSError] = (), output_stays_open: bool = False) -> None:
        self.lives: list[PlayedNode] = []
        self._failures = list(failures)
        self._output_stays_open = output_stays_open

    async def launch(self, plan: NodePlan) -> PlayedNode:
        if self._failures:
            raise self._failures.pop(0)
        node = PlayedNode(plan, 1000 + len(self.lives), self._output_stays_open)
        self.lives.append(node)
        return node

    async def probe(self, plan: NodePlan) -> Reading:
        return next((life.reading for life in reversed(self.lives) if life.plan is plan), SILENT)


class ReadScreen:
    """Keeps what was written, and lets a test wait for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[int | None, str]] = []
        self.views: list[NodeView] = []
        self.footer = ""
        self.closed = False
        self._news = asyncio.Event()

    def log(self, number: int | None, lines: Iterable[str]) -> None:
        self.lines += [(number, line) for line in lines]
        self._news.set()

    def show(self, views: Sequence[NodeView], footer: str) -> None:
        self.views, self.footer = list(views), footer
        self._news.set()

    def close(self) -> None:
        self.closed = True

    async def until_states(self, *states: str) -> None:
        """Wait until the nodes are shown in these states."""
        async with asyncio.timeout(PATIENCE):
            while [view.state for view in self.views] != list(states):
                await self._more()

    async def until_line(self, number: int | None, text: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while (number, text) not in self.lines:
                await self._more()

    async def _more(self) -> None:
        self._news.clear()
        await self._news.wait()
