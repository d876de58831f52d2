"""The task that calls the engine when something is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime

# A clock this late (seconds) means that the process stood still: pongs lie unread in the sockets and are read before
# anybody is judged; that takes so long.
STALL = 0.25
STALL_PAUSE = 0.05


class Clock:
    """Runs from :meth:`begin` to :meth:`end`, once. Both are for turns."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._alarm = runtime.concurrency.make_event()
        self._due: float | None = None
        self._ended = False

    def begin(self) -> None:
        """Start the task."""
        engine = self._runtime.engine
        engine.on_deadline = self._earlier
        self._due = engine.due()
        self._runtime.concurrency.start(self._run)

    def end(self) -> None:
        """Let it end."""
        self._ended = True
        self._alarm.set()

    def _earlier(self, due: float) -> None:
        if self._due is None or due < self._due:
            self._due = due
            self._alarm.set()

    def _run(self) -> None:
        runtime = self._runtime
        while not self._ended:
            due = self._due
            self._alarm.wait(None if due is None else max(0.0, due - runtime.time()))
            self._alarm.clear()
            try:
                self._look()
            except Exception:  # a fault in one appointment must not stop all the others
                runtime.logger.exception("what was due has failed")
                runtime.concurrency.sleep(STALL_PAUSE)

    def _look(self) -> None:
        """Do what is due, if anything is."""
        runtime, due = self._runtime, self._due
        late = -1.0 if due is None else runtime.time() - due
        if late < 0 or self._ended:
            return
        runtime.counters.lagged(late)
        if late > STALL:
            with runtime.turn:
                runtime.engine.wheel.extend(late)
            runtime.concurrency.sleep(STALL_PAUSE)
        with runtime.turn:
            self._due = None
            try:
                runtime.run(runtime.engine.tick(runtime.engine.now))
            finally:
                self._due = runtime.engine.due()
