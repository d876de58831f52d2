"""Starting a coroutine in place: what ends without waiting costs no task.

Most handlers never wait: an ``emit`` does not. Making a task for each (2 to 3 µs with its two turns of the loop) costs
more than parsing, dispatching and acknowledging the event. So the first step runs at once, inside a *spare* task made
before; only if the coroutine waits does the spare adopt it and carry it on. ``asyncio.current_task()`` is the same
object in the first step and later, so time-outs, task groups and cancellation work as in any task. Each start has its
own copy of the context. (Python 3.12's eager tasks do the same and cost one task each.)

What cannot be had: a done-callback that a handler puts on its own task is not called when it ends in its first step,
but when whoever uses that spare next ends.
"""

from __future__ import annotations

import asyncio
import asyncio.tasks
import sys
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any

Done = Callable[[Any, BaseException | None], object]
Body = Coroutine[Any, Any, Any]

# Spares that lie ready; more are only needed where first steps start first steps.
MAX_SPARES = 8

# Documented for implementations of event loops ("Extending"); without them every start is a task.
_enter_task = getattr(asyncio.tasks, "_enter_task", None)
_leave_task = getattr(asyncio.tasks, "_leave_task", None)
# Tells whether a first step has given its task to somebody; where it is missing (PyPy), spares are always used again.
_references: Callable[[object], int] = getattr(sys, "getrefcount", lambda _: 0)


class Suspended:
    """A coroutine that waits; ``task`` carries it. ``then(done)`` is called with its outcome, cancellation included."""

    __slots__ = ("_done", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self._done: Done | None = None

    def then(self, done: Done) -> None:
        """Say what is to be called; once, before the loop turns."""
        self._done = done
        self.task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        if task.cancelled():
            done(None, asyncio.CancelledError())
        else:
            error = task.exception()
            done(None if error is not None else task.result(), error)


class _Carry:
    """Awaits the rest of a coroutine whose first step has been taken, each step in the coroutine's own context."""

    __slots__ = ("_body", "_context", "_error", "_yielded")

    def __init__(self, body: Body, yielded: Any, context: Context, error: BaseException | None) -> None:
        self._body = body
        self._yielded = yielded
        self._context = context
        self._error = error

    def __await__(self) -> Generator[Any, Any, Any]:
        body, yielded, run = self._body, self._yielded, self._context.run
        error, value = self._error, None
        while True:
            if error is None:
                try:
                    value = yield yielded
                except BaseException as thrown:  # noqa: BLE001  # whatever the loop throws belongs to the coroutine
                    error = thrown
            raising, error = error, None
            try:
                yielded = run(body.send, value) if raising is None else run(body.throw, raising)
            except StopIteration as end:
                return end.value


class _Spare:
    """A task that waits for a coroutine to adopt.

    Its own coroutine has begun before the task exists: it stands in its ``try``, so no cancellation comes too early.
    """

    __slots__ = ("_adopted", "gate", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.gate: asyncio.Future[None] = loop.create_future()
        self._adopted: tuple[Body, Any, Context] | None = None
        waiting = self._wait()
        waiting.send(None)
        self.task: asyncio.Task[Any] = loop.create_task(waiting, name="roomcast-handler")

    @property
    def usable(self) -> bool:
        """Whether it still waits and nobody has cancelled it."""
        return not self.gate.done() and not self.task.cancelling()

    def adopt(self, body: Body, yielded: Any, context: Context) -> None:
        self._adopted = (body, yielded, context)
        if not self.gate.done():
            self.gate.set_result(None)

    async def _wait(self) -> Any:
        cancelled: asyncio.CancelledError | None = None
        try:
            await asyncio.sleep(0)
            await self.gate
        except asyncio.CancelledError as thrown:
            cancelled = thrown
        if self._adopted is None:
            self.gate.cancel()
            return None
        body, yielded, context = self._adopted
        if cancelled is not None and asyncio.isfuture(yielded) and yielded.cancel(*cancelled.args):
            # As Task.cancel() does: what is awaited is cancelled first, and tells the coroutine by its end.
            cancelled = None
        return await _Carry(body, yielded, context, cancelled)


class Starter:
    """Starts coroutines on one running loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spares: list[_Spare] = []

    def start(self, body: Body) -> Any:
        """Run a coroutine until it ends or waits: its result, or a :class:`Suspended`; raises what it raised."""
        if _enter_task is None or _leave_task is None:
            return Suspended(self._loop.create_task(body))
        spare = self._take()
        task = spare.task
        holders = _references(task)
        context = copy_context()
        loop = self._loop
        outer = asyncio.current_task(loop)
        if outer is not None:
            _leave_task(loop, outer)
        _enter_task(loop, task)
        try:
            yielded = context.run(body.send, None)
        except StopIteration as end:
            # _keep() without the call, for what nearly all do: end in their first step and keep nothing
            if spare.gate.done() or task.cancelling() or _references(task) > holders + 1 or self._spares:
                self._keep(spare, holders)
            else:
                self._spares.append(spare)
            return end.value
        except BaseException:
            self._keep(spare, holders)
            raise
        finally:
            _leave_task(loop, task)
            if outer is not None:
                _enter_task(loop, outer)
        spare.adopt(body, yielded, context)
        return Suspended(spare.task)

    def _take(self) -> _Spare:
        spares = self._spares
        while spares:
            spare = spares.pop()
            if not spare.gate.done() and not spare.task.cancelling():
                return spare
        return _Spare(self._loop)

    def _keep(self, spare: _Spare, holders: int) -> None:
        """Use it again, unless its coroutine has cancelled it or somebody holds its task, to cancel it or as a key.

        ``holders`` is the number of references to the task before; that of ``_enter_task`` is still there.
        """
        if spare.usable and len(self._spares) < MAX_SPARES and _references(spare.task) <= holders + 1:
            self._spares.append(spare)
        else:
            spare.task.cancel()

    def close(self) -> None:
        """Let the spares go."""
        while self._spares:
            self._spares.pop().task.cancel()
