"""Whether other processes accept connections from the socket on which this one is served: workers of one server.

A client that polls makes a connection for nearly every request, and any of the workers may get it. Under WSGI the
server says so in each request. ASGI has no word for it: there a process looks who holds its listening sockets beside
itself, which it can where there is a ``/proc``.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

SHARED_SOCKET = (
    "several workers share one socket: the requests of a polling client go to any of them, and most end its session. "
    "Set transports=['websocket'], or run one worker for each port behind a balancer that keeps clients on theirs"
)
# So many seconds after the start it is looked for others. All start together, and each takes a moment; but a server
# that is told to load its application anew has the old worker beside the new one, as long as that has something to do.
# So only the last look minds who is much older or younger.
LOOKS = (2.0, 10.0)
LAST_LOOK = 60.0
# Born within so many seconds: started together.
TOGETHER = 10.0
# Of how many processes, and how many of their descriptors, it is found out what they are: a worker has its listening
# sockets from its first moment on, so their numbers are small. 2 µs each.
MAX_PROCESSES, MAX_DESCRIPTORS = 64, 256
PROC = Path("/proc")


class SharedSocket:
    """What a server knows of it, and says once. Nobody minds who has no ``polling`` clients."""

    def __init__(self, logger: logging.Logger, polling: bool) -> None:
        self._logger = logger
        self._polling = polling
        self.known = False

    def tell(self) -> None:
        """There are others. Later calls do nothing."""
        if self._polling and not self.known:
            self.known = True
            self._logger.error("%s", SHARED_SOCKET)

    @property
    def degraded(self) -> tuple[str, ...]:
        """As :class:`~roomcast.exposition.health.Readiness` has it."""
        return (SHARED_SOCKET,) if self.known else ()


class Lookout:
    """Looks for others a few times after the start, where the server does not tell."""

    def __init__(self, shared: SharedSocket, find: Callable[[bool], bool] | None = None) -> None:
        self._shared = shared
        self._find = others_accept if find is None else find
        self._looks = [*LOOKS, LAST_LOOK]

    def look(self, seconds: float) -> None:
        """So long ago it was started; to be called every second or so."""
        if self._looks and seconds >= self._looks[0]:
            last = self._looks.pop(0) == LAST_LOOK
            if self._find(last):
                self._looks.clear()
                self._shared.tell()


def others_accept(whatever_age: bool) -> bool:
    """Whether another child of this one's parent holds a socket on which this process listens; ``whatever_age``: or
    only one that was born when this one was. False where nobody can know.
    """
    own = {_target(os.getpid(), number) for number in _listening()}
    if not own:
        return False
    born = _born(os.getpid())
    others = [pid for pid in _siblings() if whatever_age or abs(_born(pid) - born) < TOGETHER]
    return any(_target(pid, number) in own for pid in others for number in range(MAX_DESCRIPTORS))


def _listening() -> Iterator[int]:
    """The descriptors of this process's listening sockets."""
    for number in range(MAX_DESCRIPTORS):
        if _target(os.getpid(), number).startswith("socket:"):
            with suppress(OSError), socket.socket(fileno=os.dup(number)) as found:
                if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    yield number


def _siblings() -> list[int]:
    parent = os.getppid()
    try:
        children = (PROC / str(parent) / "task" / str(parent) / "children").read_text().split()
    except OSError:  # no /proc, or none of our business
        return []
    return [int(pid) for pid in children[:MAX_PROCESSES] if int(pid) != os.getpid()]


def _born(pid: int) -> float:
    """When that process began, in seconds since the machine did."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0.0
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _target(pid: int, number: int) -> str:
    """What that descriptor is; empty where nobody may know."""
    try:
        return os.readlink(f"{PROC}/{pid}/fd/{number}")
    except OSError:
        return ""
