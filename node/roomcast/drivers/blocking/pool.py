"""Tasks that run the application's handlers: a bounded number of them, started when they are needed.

Jobs begin in the order in which they come. Those of one *key* run one after another; the others side by side.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable
from contextvars import ContextVar

from roomcast.drivers.blocking.concurrency import Concurrency

logger = logging.getLogger("roomcast.server")

Job = Callable[[], object]

# Whether the jobs have ended is looked at so often (seconds) while somebody waits for that.
STEP = 0.01

# Whose job is running here: one that waits for the others must not wait for itself.
_working_for: ContextVar[Pool | None] = ContextVar("roomcast_pool", default=None)


class Crew:
    """The tasks from one start to the next close."""

    __slots__ = ("idle", "queue", "size")

    def __init__(self, concurrency: Concurrency) -> None:
        self.queue = concurrency.make_queue()
        self.size = 0
        self.idle = 0
        """Tasks that wait, less the jobs that wait for one: below 0 when all are busy."""


class Pool:
    """``put`` never waits, and may be called from any task.

    How many jobs wait is bounded by who puts them: :attr:`running` tells.
    """

    def __init__(self, concurrency: Concurrency, size: int) -> None:
        self._concurrency = concurrency
        self._size = size
        self._lock = concurrency.make_lock()
        self._crew = Crew(concurrency)
        self._chains: dict[Hashable, deque[Job]] = {}  # of keys that have a job running: what comes after it
        self._jobs = 0

    @property
    def running(self) -> int:
        """Jobs that were put and have not ended."""
        return self._jobs

    def put(self, job: Job, key: Hashable = None) -> None:
        """Run a job; with a key, after the earlier ones of that key."""
        with self._lock:
            self._jobs += 1
            if key is not None:
                chain = self._chains.get(key)
                if chain is not None:
                    chain.append(job)
                    return
                self._chains[key] = deque()
            crew = self._crew
            crew.queue.put((job, key))
            crew.idle -= 1
            if crew.idle < 0 and crew.size < self._size:
                self._hire(crew)

    def _hire(self, crew: Crew) -> None:
        crew.size += 1
        crew.idle += 1
        try:
            self._concurrency.start(self._work, crew)
        except RuntimeError:  # the job waits for one that there is, or for the next try
            crew.size -= 1
            crew.idle -= 1
            logger.exception("no more than %d tasks can be started for handlers", crew.size)

    def _work(self, crew: Crew) -> None:
        _working_for.set(self)
        while (entry := crew.queue.get()) is not None:
            job, key = entry
            while job is not None:
                try:
                    job()
                except Exception:  # a fault of the server's ends this job and no other
                    logger.exception("a job of the server has failed")
                job = self._ended(crew, key)

    def _ended(self, crew: Crew, key: Hashable) -> Job | None:
        """The next job of this key, which goes on in the same task; None: the task takes another from the queue."""
        with self._lock:
            self._jobs -= 1
            chain = self._chains.get(key) if key is not None else None
            if chain:
                return chain.popleft()
            if chain is not None:
                del self._chains[key]
            crew.idle += 1
            return None

    def drain(self, patience: float) -> bool:
        """Wait until nothing runs but the job that calls this, for ``patience`` seconds at most; whether that is so."""
        own = _working_for.get() is self
        clock = self._concurrency.clock
        until = clock() + patience
        while self._jobs > own:
            if clock() >= until:
                return False
            self._concurrency.sleep(STEP)
        return True

    def close(self) -> None:
        """Let all tasks end when they have done what was put; what is put later starts others."""
        with self._lock:
            crew, self._crew = self._crew, Crew(self._concurrency)
            for _ in range(crew.size):
                crew.queue.put(None)
