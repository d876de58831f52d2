"""The loop of ``roomcast up``: tells the fleet what happens to the nodes, and does what the fleet orders."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Protocol

from roomcast.supervision.fleet import Deed, Fleet, GaveUp, Order, State
from roomcast.supervision.lines import LineSplitter
from roomcast.supervision.plans import NodePlan
from roomcast.supervision.processes import LAST_WORDS
from roomcast.supervision.readings import SILENT, Reading
from roomcast.supervision.screen import Screen
from roomcast.supervision.status import view

# Seconds between two looks at a node; and as long as it starts, so that it counts as ready when it is.
LOOK_AGAIN: Final = 1.0
LOOK_AGAIN_SOON: Final = 0.2

# Seconds until the status is drawn again though nothing has happened: what counts down in it goes on.
REDRAW: Final = 1.0

# Of what a node wrote, as much is repeated when it cannot be started.
LAST_LINES: Final = 20

# The exit code of a shell whose command cannot be run.
CANNOT_START: Final = 127

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Process(Protocol):
    """A node that runs; see :class:`roomcast.supervision.processes.NodeProcess`."""

    @property
    def pid(self) -> int: ...
    async def read(self) -> bytes: ...
    async def wait(self) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


class Supervisor:
    """``broker`` is what people call it; ``launch`` starts a node (or raises OSError), ``probe`` asks one how it is."""

    def __init__(
        self,
        plans: Sequence[NodePlan],
        drain_seconds: float,
        screen: Screen,
        broker: str,
        launch: Callable[[NodePlan], Awaitable[Process]],
        probe: Callable[[NodePlan], Awaitable[Reading]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plans = {plan.number: plan for plan in plans}
        self._drain_seconds = drain_seconds
        self._screen = screen
        self._broker = broker
        self._launch = launch
        self._probe = probe
        self._clock = clock
        self._fleet = Fleet(list(self._plans), drain_seconds, clock())
        self._processes: dict[int, Process] = {}
        self._readings = dict.fromkeys(self._plans, SILENT)
        self._last_lines: dict[int, deque[str]] = {number: deque(maxlen=LAST_LINES) for number in self._plans}
        self._tasks: set[asyncio.Future[None]] = set()
        self._error: BaseException | None = None  # of one of them, which must not go unseen
        self._changed = asyncio.Event()

    async def run(self) -> int:
        """Until somebody stops it, or a node cannot be started; returns the exit code. No node is left then."""
        try:
            with self._signals():
                for number in self._plans:
                    self._spawn(self._watch(number))
                await self._supervise()
        finally:
            for process in self._processes.values():
                process.kill()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for process in self._processes.values():
                process.close()
            self._screen.close()
        return self._fleet.exit_code

    @property
    def failure(self) -> tuple[GaveUp, list[str]] | None:
        """Why it ended, if a node could not be started, and the last lines of that node."""
        failure = self._fleet.failure
        return None if failure is None else (failure, list(self._last_lines[failure.number]))

    def stop(self) -> None:
        """Let it end; called once more: at once."""
        stopping = self._fleet.is_stopping
        self._fleet.stop(self._clock())
        if stopping:
            self._screen.log(None, ["killing the nodes"])
        else:
            self._screen.log(None, [f"stopping: the nodes drain for {self._drain_seconds:g} s; once more kills them"])
        self._changed.set()

    # --- the loop -----------------------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        fleet = self._fleet
        while not fleet.is_over:
            if self._error is not None:
                raise self._error
            self._changed.clear()
            for order in fleet.orders(self._clock()):
                await self._carry_out(order)
            self._show()
            due, now = fleet.due(), self._clock()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._changed.wait(), min(REDRAW, max(0.0, REDRAW if due is None else due - now))
                )
        self._show()

    async def _carry_out(self, order: Order) -> None:
        process = self._processes.get(order.number)
        if order.deed is Deed.START:
            await self._start(order.number)
        elif process is not None:
            process.terminate() if order.deed is Deed.TERMINATE else process.kill()

    async def _start(self, number: int) -> None:
        self._readings[number] = SILENT
        self._last_lines[number].clear()
        try:
            process = await self._launch(self._plans[number])
        except OSError as error:
            self._said(number, [f"cannot be started: {error}"])
            self._ended(number, CANNOT_START)
            return
        self._processes[number] = process
        self._spawn(self._follow(number, process))

    async def _follow(self, number: int, process: Process) -> None:
        """Pass on what a node writes until it has ended."""
        reading = asyncio.create_task(self._read(number, process))
        try:
            code = await process.wait()
            await asyncio.wait({reading}, timeout=LAST_WORDS)
        finally:
            reading.cancel()
        process.close()
        del self._processes[number]
        self._ended(number, code)

    async def _read(self, number: int, process: Process) -> None:
        lines = LineSplitter()
        while data := await process.read():
            self._said(number, lines.feed(data))
        self._said(number, lines.close())

    async def _watch(self, number: int) -> None:
        """Ask a node how it is, over and over."""
        life = self._fleet.lives[number]
        while True:
            if life.is_alive:
                which = life.starts
                reading = await self._probe(self._plans[number])
                if life.starts == which:
                    self._learnt(number, reading)
            await asyncio.sleep(LOOK_AGAIN_SOON if life.state is State.STARTING else LOOK_AGAIN)

    # --- what happened ------------------------------------------------------------------------------------------------

    def _learnt(self, number: int, reading: Reading) -> None:
        if reading.serves:
            self._fleet.serves(number)
        if reading != self._readings[number]:
            self._readings[number] = reading
            self._changed.set()

    def _ended(self, number: int, code: int) -> None:
        self._readings[number] = SILENT
        self._fleet.ended(number, code, self._clock())
        self._changed.set()

    def _said(self, number: int, lines: Sequence[str]) -> None:
        self._last_lines[number].extend(lines)
        self._screen.log(number, lines)

    def _show(self) -> None:
        now = self._clock()
        views = [
            view(plan, self._fleet.lives[number], self._pid(number), self._readings[number], now)
            for number, plan in self._plans.items()
        ]
        hint = "draining, Ctrl-C kills" if self._fleet.is_stopping else "Ctrl-C drains and ends"
        self._screen.show(views, self._broker if self._fleet.is_over else f"{self._broker}; {hint}")

    def _pid(self, number: int) -> int | None:
        process = self._processes.get(number)
        return None if process is None else process.pid

    # --- tasks and signals --------------------------------------------------------------------------------------------

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._error = task.exception()
            self._changed.set()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        # What was set to be ignored stays so: nohup does that with SIGHUP.
        heard = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
        for number in heard:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in heard:
                loop.remove_signal_handler(number)
