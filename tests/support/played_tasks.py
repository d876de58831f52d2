"""Tasks that are played: one runs at a time, and which goes on is chosen at every lock, queue, event and sleep.

The record that :class:`PlayedTasks` fills in is the one of threads and greenlets, so a blocking server runs on it
unchanged. Its clock stands still while anybody can go on, and jumps to the next time that somebody waits for. The test
itself goes on as soon as it can; that nobody can any more is a deadlock, and raised in it.
"""

from __future__ import annotations

import selectors
from _socket import socket as PlainSocket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random
from select import select
from typing import Any, Self

import greenlet
import msgspec

from roomcast.drivers.blocking.concurrency import Concurrency

START = 1_000.0

Ready = Callable[[], object]
Choice = Callable[[Sequence["PlayedTask"]], "PlayedTask"]


def always() -> bool:
    return True


def never() -> bool:
    return False


class Deadlock(AssertionError):
    """Somebody waits, and nobody can go on."""


class PlayedTask:
    """One task. It goes on when ``ready()`` or, at the latest, at ``due``."""

    def __init__(self, tasks: PlayedTasks, function: Callable[[], object], name: str) -> None:
        self.name = name
        self.ready: Ready = always
        self.due: float | None = None
        self.ended = False
        self._tasks = tasks
        self._greenlet = greenlet.greenlet(self._run, tasks.hub)
        self._function = function

    def _run(self) -> None:
        try:
            self._function()
        except Exception as error:
            self._tasks.errors.append(error)
        finally:
            self.ended = True

    def has_ended(self) -> bool:
        """As :attr:`ended`."""
        return self.ended

    def go_on(self) -> None:
        """Let it run until it waits for something; in the test's own greenlet."""
        self._greenlet.switch()

    def join(self, timeout: float | None = None) -> None:
        self._tasks.pause(lambda: self.ended, timeout)

    def __repr__(self) -> str:
        return f"<{self.name}{' has ended' if self.ended else ''}>"


class PlayedTasks:
    """All tasks of one test. ``choose`` says who of those that can go on does: the one that waits longest, by default.

    ``errors`` is what they raised.
    """

    def __init__(self, choose: Choice | None = None, handlers: int = 64) -> None:
        self.now = START
        self.errors: list[BaseException] = []
        self.tasks: list[PlayedTask] = []
        self.closing: list[Callable[[], object]] = []
        """What is done at the end of the test."""
        self.refuses_tasks = False
        """Whether no more tasks can be started, as threads where the system has no more of them."""
        self.hub = greenlet.getcurrent()
        self._current: PlayedTask | None = None
        self._choose = choose or (lambda able: able[0])
        self.concurrency = Concurrency(
            async_mode="played",
            start=self.start,
            sleep=self.sleep,
            make_lock=lambda: PlayedLock(self),
            make_event=lambda: PlayedEvent(self),
            make_queue=lambda: PlayedQueue(self),
            queue_class=lambda: PlayedQueue(self),
            make_selector=lambda: PlayedSelector(self),
            handlers=handlers,
            clock=lambda: self.now,
        )

    @classmethod
    def at_random(cls, seed: int, handlers: int = 64) -> Self:
        """Tasks whose order only ``seed`` knows; those of every other seed cost less than a write."""
        played = cls(Random(seed).choice, handlers)
        played.concurrency = msgspec.structs.replace(played.concurrency, gathers=bool(seed % 2))
        return played

    def start(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> PlayedTask:
        """Another task; it runs once it is chosen."""
        if self.refuses_tasks:
            raise RuntimeError("can't start new thread")
        name = getattr(function, "__qualname__", repr(function))
        task = PlayedTask(self, lambda: function(*arguments, **keywords), name)
        self.tasks.append(task)
        return task

    def sleep(self, seconds: float = 0) -> None:
        self.pause(never, seconds)

    def pause(self, ready: Ready, timeout: float | None = None) -> bool:
        """Let others run until ``ready()``, ``timeout`` seconds at most; whether it is so."""
        due = None if timeout is None else self.now + timeout
        if self._current is None:
            self._others(ready, due)
        else:
            task, task.ready, task.due = self._current, ready, due
            self.hub.switch()
            task.due = None
        return bool(ready())

    def others(self) -> None:
        """Let all run until each waits for something that does not come; no time passes."""
        while able := self._able():
            self._go_on(self._choose(able))

    def point(self) -> None:
        """Somebody else may be chosen here, where tasks of other kinds may be interrupted."""
        if self._current is not None:
            self.pause(always)

    def advance(self, seconds: float) -> None:
        """Let time pass, with all that becomes due in it."""
        until = self.now + seconds
        self.pause(lambda: self.now >= until, seconds)
        self.others()

    @property
    def alive(self) -> list[PlayedTask]:
        """Those that have not ended."""
        return [task for task in self.tasks if not task.ended]

    def close(self) -> None:
        """The test is over: stop what it left, let everybody end who can, and raise what a task has raised."""
        for close in self.closing:
            close()
        self.others()
        _ABANDONED.extend(self.alive)
        self.check()

    def check(self) -> None:
        """Raise what a task has raised."""
        if self.errors:
            raise self.errors[0]

    def _able(self) -> list[PlayedTask]:
        """Those that can go on now. Asked at every step, so the two answers that need no question come first."""
        now = self.now
        return [
            task
            for task in self.tasks
            if task.ready is always
            or (task.due is not None and task.due <= now)
            or (task.ready is not never and task.ready())
        ]

    def _others(self, ready: Ready, due: float | None) -> None:
        while not ready() and (due is None or self.now < due):
            if able := self._able():
                self._go_on(self._choose(able))
                continue
            times = [task.due for task in self.tasks if task.due is not None]
            times += [] if due is None else [due]
            if not times:
                raise Deadlock(f"nobody can go on: {self.alive}; raised: {self.errors}")
            self.now = max(self.now, min(times))

    def _go_on(self, task: PlayedTask) -> None:
        # the next time the others come first
        self.tasks.remove(task)
        self._current = task
        task.go_on()
        self._current = None
        if not task.ended:
            self.tasks.append(task)

    def whoami(self) -> object:
        """Who runs: a task, or the test (None)."""
        return self._current


# Who waits for ever stays so: a greenlet that is collected would go on with an exception, in the middle of other tests.
_ABANDONED: list[PlayedTask] = []


class PlayedLock:
    """May be taken again by who has it."""

    def __init__(self, tasks: PlayedTasks) -> None:
        self._tasks = tasks
        self._owner: object = FREE
        self._depth = 0

    def acquire(self) -> None:
        me = self._tasks.whoami()
        if self._owner is FREE or self._owner is not me:
            self._tasks.point()
            if self._owner is not FREE:
                self._tasks.pause(lambda: self._owner is FREE)
            self._owner = me
        self._depth += 1

    def release(self) -> None:
        assert self._owner is self._tasks.whoami(), "let go of by somebody who does not have it"
        self._depth -= 1
        if not self._depth:
            self._owner = FREE
            self._tasks.point()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


FREE = object()


class PlayedEvent:
    """As :class:`threading.Event`."""

    def __init__(self, tasks: PlayedTasks) -> None:
        self._tasks = tasks
        self._set = False

    def set(self) -> None:
        self._set = True
        self._tasks.point()

    def clear(self) -> None:
        self._set = False
        self._tasks.point()

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        return self._tasks.pause(self.is_set, timeout)


class PlayedQueue:
    """Without a bound."""

    def __init__(self, tasks: PlayedTasks) -> None:
        self._tasks = tasks
        self._items: deque[Any] = deque()

    def put(self, item: Any, /) -> None:
        self._items.append(item)
        self._tasks.point()

    def get(self) -> Any:
        self._tasks.pause(lambda: self._items)
        return self._items.popleft()


class PlayedSocket:
    """One end of a connection without a kernel: takes ``capacity`` bytes that the other has not read.

    ``broken`` makes every use of it fail, as one whose peer has reset it. ``point`` is called before each use.
    """

    def __init__(self, capacity: int, point: Callable[[], object]) -> None:
        self.capacity = capacity
        self._point = point
        self.peer: PlayedSocket
        self.coming = bytearray()
        self.pieces = 0
        """How often something has come, read or not."""
        self.ended = self.closed = self.broken = False

    @classmethod
    def pair(cls, capacity: int = 1_000_000, point: Callable[[], object] = always) -> tuple[PlayedSocket, PlayedSocket]:
        one, other = cls(capacity, point), cls(capacity, point)
        one.peer, other.peer = other, one
        return one, other

    def setblocking(self, blocking: bool) -> None:
        assert not blocking

    def send(self, data: Any, /) -> int:
        self._check()
        if self.peer.closed:
            raise BrokenPipeError
        room = self.capacity - len(self.peer.coming)
        if room <= 0:
            raise BlockingIOError
        self.peer.coming += bytes(data[:room])
        self.peer.pieces += 1
        return min(room, len(data))

    def recv(self, size: int, /) -> bytes:
        self._check()
        if not self.coming and not self.ended:
            raise BlockingIOError
        data = bytes(self.coming[:size])
        del self.coming[:size]
        return data

    def close(self) -> None:
        self.closed = True
        self.coming.clear()  # nobody can read it any more
        self.peer.ended = True

    def is_closed(self) -> bool:
        """As :attr:`closed`."""
        return self.closed

    @property
    def readable(self) -> bool:
        return bool(self.coming) or self.ended or self.broken

    @property
    def writable(self) -> bool:
        return self.broken or self.peer.closed or len(self.peer.coming) < self.capacity

    def _check(self) -> None:
        self._point()
        assert not self.closed
        if self.broken:
            raise ConnectionResetError


class PlayedSelector(selectors.BaseSelector):
    """Watches played sockets, and real ones too (a server wakes itself up by one)."""

    def __init__(self, tasks: PlayedTasks) -> None:
        self._tasks = tasks
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        assert fileobj not in self._keys
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, id(fileobj), events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._tasks.pause(self._ready, timeout)
        return self._ready()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def fileno(self) -> int:
        """That it has one says that it sees what is registered while it waits."""
        return -1

    def _ready(self) -> list[tuple[selectors.SelectorKey, int]]:
        found = []
        for key in self._keys.values():
            if isinstance(key.fileobj, PlainSocket):
                mask = selectors.EVENT_READ if select([key.fileobj], [], [], 0)[0] else 0
            else:
                sock: Any = key.fileobj
                mask = (selectors.EVENT_READ if sock.readable else 0) | (selectors.EVENT_WRITE if sock.writable else 0)
            if mask & key.events:
                found.append((key, mask & key.events))
        return found
