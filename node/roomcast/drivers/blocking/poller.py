"""One task that watches the sockets of all connections, so that none of them needs a task of its own."""

from __future__ import annotations

import selectors
import socket
from _socket import socket as PlainSocket
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime

# Bytes that wake it up: one would do, and more that were written meanwhile are read in one go.
WAKE = b"."
WAKE_READ = 4_096


class Watched(Protocol):
    """A connection with a socket that does not block. All methods are called in a turn of the runtime."""

    @property
    def sock(self) -> PlainSocket:
        """What is watched."""

    def readable(self) -> None:
        """Something has come, or the other end is gone."""

    def writable(self) -> None:
        """The socket takes more again; called as long as it is watched for that."""

    def cut(self) -> None:
        """Close it now, and have it watched no more."""


class Poller:
    """Calls connections when their sockets are ready.

    All that are ready at once are called in one turn, so that what they cause is written together.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._selector = runtime.concurrency.make_selector()
        self._interests: dict[Watched, int] = {}
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        # Those of Linux, BSD and macOS look at a socket that is registered while they wait; the others wait on.
        self._sees_changes = hasattr(self._selector, "fileno")
        self._closed = False
        self._selector.register(self._reading, selectors.EVENT_READ, None)

    # --- in a turn ----------------------------------------------------------------------------------------------------

    @property
    def watched(self) -> list[Watched]:
        """The connections that it watches."""
        return list(self._interests)

    def watch(self, connection: Watched, *, read: bool, write: bool) -> None:
        """Watch its socket for these from now on; for neither: no longer, and it may be closed at once."""
        interest = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        known = self._interests.get(connection, 0)
        if interest == known:
            return
        if not interest:
            del self._interests[connection]
            self._selector.unregister(connection.sock)
        elif known:
            self._interests[connection] = interest
            self._selector.modify(connection.sock, interest, connection)
        else:
            self._interests[connection] = interest
            self._selector.register(connection.sock, interest, connection)
        if not self._sees_changes:
            self._wake()

    def close(self) -> None:
        """Cut all connections and end the task."""
        for connection in self.watched:
            connection.cut()
        self._closed = True
        self._wake()

    def abandon(self) -> None:
        """In the child of a fork: let go of its copies, and leave alone what it shares with its parent."""
        for connection in self._interests:
            connection.sock.close()
        self._let_go()

    def _wake(self) -> None:
        try:
            self._writing.send(WAKE)
        except BlockingIOError:
            pass  # it has enough to wake up for

    # --- the task -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Watch until :meth:`close`."""
        while not self._closed:
            ready = self._wait()
            with self._runtime.turn:
                for key, mask in ready:
                    if key.data is None:
                        self._reading.recv(WAKE_READ)
                    else:
                        self._call(key.data, mask)
        with self._runtime.turn:
            self._let_go()

    def _wait(self) -> list[tuple[selectors.SelectorKey, int]]:
        try:
            return self._selector.select()
        except OSError:  # one was closed meanwhile, which not every selector takes; it is not registered any more
            return []

    def _call(self, connection: Any, mask: int) -> None:
        """Tell one connection; it may have been closed since it was found ready."""
        try:
            if mask & selectors.EVENT_WRITE and connection in self._interests:
                connection.writable()
            if mask & selectors.EVENT_READ and connection in self._interests:
                connection.readable()
        except Exception:  # a fault in serving one client ends its connection and no other
            self._runtime.logger.exception("serving a connection has failed")
            connection.cut()

    def _let_go(self) -> None:
        self._selector.close()
        self._reading.close()
        self._writing.close()
