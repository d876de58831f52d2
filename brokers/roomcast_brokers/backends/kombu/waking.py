"""What a thread waits for: a connection that has become readable, or another thread that wants something of it."""

from __future__ import annotations

import selectors
import socket


class Waker:
    """For one thread that waits, and any that wake it. Between two waits it is woken once, however many want it to be:
    whoever waits looks for all that there is to do when it has woken.
    """

    def __init__(self) -> None:
        self._in, self._out = socket.socketpair()
        for end in (self._in, self._out):
            end.setblocking(False)
        # Not select(): it knows no descriptor above 1,023, and a node has a client on each of those.
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._in, selectors.EVENT_READ)
        self._watched: int | None = None
        self._woken = False

    def wake(self) -> None:
        """From any thread. Whatever the other one is to find has to be there before."""
        if not self._woken:
            self._woken = True
            try:
                self._out.send(b"\0")
            except OSError:
                pass  # it was closed: nobody waits any more

    def watch(self, descriptor: int | None) -> None:
        """Wait for this one as well from now on, and for no other. Raises ValueError or OSError if it is closed."""
        if self._watched is not None:
            self._selector.unregister(self._watched)
            self._watched = None
        if descriptor is not None:
            self._selector.register(descriptor, selectors.EVENT_READ)
            self._watched = descriptor

    def wait(self, timeout: float) -> None:
        """Return when something may have happened, or after ``timeout`` seconds."""
        for key, _ in self._selector.select(max(timeout, 0.0)):
            if key.fileobj is self._in:
                self._in.recv(64)
        self._woken = False  # only now, so that nobody's byte is taken for an earlier one

    def close(self) -> None:
        self._selector.close()
        self._in.close()
        self._out.close()


class Readable:
    """Whether there is something to read from a socket at this moment, what TLS has decrypted already included."""

    def __init__(self, sock: socket.socket) -> None:
        self._pending = getattr(sock, "pending", None)
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)

    def now(self) -> bool:
        return bool(self._selector.select(0)) or bool(self._pending is not None and self._pending())

    def close(self) -> None:
        self._selector.close()
