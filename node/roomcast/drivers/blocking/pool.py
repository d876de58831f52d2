"""Tasks that run the application's handlers: a bounded number of them, started when they are needed.

Jobs begin in the order in which they come. Those of one *key* run one after another; the others side by side.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable

from roomcast.drivers.blocking.concurrency import Concurrency

Job = Callable[[], object]

# Whether the jobs have ended is looked at so often (seconds) while somebody waits for that.
STEP = 0.01


class Pool:
    """``put`` never waits, and may be called from any task. A job must not raise: nobody would hear of it.

    How many jobs wait is bounded by who puts them: :attr:`waiting` and :meth:`count` tell.
    """

    def __init__(self, concurrency: Concurrency, size: int) -> None:
        self._concurrency = concurrency
        self._size = size
        self._lock = concurrency.make_lock()
        self._queue = concurrency.make_queue()
        self._chains: dict[Hashable, deque[Job]] = {}  # of keys that have a job running; it waits for its turn there
        self._workers = self._jobs = 0
        self._idle = 0  # tasks that wait, less the jobs that wait for one: below 0 when all tasks are busy

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
            self._queue.put((job, key))
            if self._idle <= 0 and self._workers < self._size:
                self._workers += 1
                self._concurrency.start(self._work)
            else:
                self._idle -= 1

    def _work(self) -> None:
        while True:
            job, key = self._queue.get()
            while job is not None:
                job()
                job = self._ended(key)

    def _ended(self, key: Hashable) -> Job | None:
        """The next job of this key, which goes on in the same task; None: the task takes another from the queue."""
        with self._lock:
            self._jobs -= 1
            chain = self._chains.get(key) if key is not None else None
            if chain:
                return chain.popleft()
            if chain is not None:
                del self._chains[key]
            self._idle += 1
            return None

    def drain(self, patience: float) -> bool:
        """Wait until nothing runs, ``patience`` seconds at most; whether that came about."""
        until = time.monotonic() + patience
        while self._jobs:
            if time.monotonic() >= until:
                return False
            self._concurrency.sleep(STEP)
        return True
