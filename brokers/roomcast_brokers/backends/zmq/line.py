"""One connection from a client to a forwarder: a DEALER socket, and the monitor that tells when it breaks.

A line is made for one connection and never reconnects: libzmq would send what waited for the old forwarder to the new
one, unasked. It has two descriptors that become readable when there may be something to do. They are those of libzmq,
whose signals are edges: after each of them, and after each :meth:`Line.send`, ask :meth:`Line.events` until there is
nothing left to do.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import ClassVar, Final, cast

import zmq

from roomcast_brokers.backends.zmq.addresses import Address
from roomcast_brokers.backends.zmq.frames import MAX_FRAME_BYTES

# Frames that libzmq holds for us in each direction, most of them small; 40 MB if every message is as large as it can
# be. What it does not take waits here, and what it does not hold waits in the kernel and with the forwarder.
HIGH_WATER_FRAMES: Final = 32

# A goodbye, and what was handed over before it, may still be written when the line has been closed.
LINGER_MS: Final = 500

# When libzmq would connect again by itself: an hour later, when the line has long been closed. (Forbidden, -1, it
# throws away with the connection what has come over it and was not read yet.)
NEVER_MS: Final = 3_600_000

_ENDS = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)

# Plain numbers: an enum's operators cost a microsecond.
_EVENTS: Final = int(zmq.EVENTS)
READABLE: Final = int(zmq.POLLIN)
WRITABLE: Final = int(zmq.POLLOUT)
_NOBLOCK: Final = int(zmq.NOBLOCK)

_Context = zmq.Context[zmq.Socket[bytes]]


class _Process:
    """What libzmq has in this process. Its threads are not copied by a fork: what belonged to the parent is kept in the
    child and never touched again, nor let go of, because that would be touching it.
    """

    context: _Context | None = None
    making = threading.Lock()
    of_parents: ClassVar[list[object]] = []


def _forked() -> None:
    if _Process.context is not None:
        _Process.of_parents.append(_Process.context)
        _Process.context = None
    _Process.making = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forked)


def context() -> _Context:
    """The context that all lines of this process share; it ends with the process."""
    with _Process.making:
        if _Process.context is None:
            _Process.context = zmq.Context()
        return _Process.context


def reason(error: zmq.ZMQError) -> str:
    """What is wrong, in the system's words alone: the error itself names the address."""
    return zmq.strerror(error.errno or 0)


class Line:
    """See the module. ``descriptors`` are those to watch: that of the messages, and that of the connection's end."""

    def __init__(self, address: Address) -> None:
        self._socket = context().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.RECONNECT_IVL, NEVER_MS)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER_FRAMES)
        self._socket.setsockopt(zmq.RCVHWM, HIGH_WATER_FRAMES)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        self._socket.setsockopt(zmq.LINGER, 0)
        if address.is_ipv6:
            self._socket.setsockopt(zmq.IPV6, 1)
        self._get = cast("Callable[[int], int]", self._socket.get)
        self._monitor = self._socket.get_monitor_socket(int(_ENDS))
        self.descriptors = tuple(cast("int", each.getsockopt(zmq.FD)) for each in (self._socket, self._monitor))
        try:
            self._socket.connect(address.endpoint)
        except zmq.ZMQError:
            self.close()
            raise

    def send(self, frame: bytes) -> bool:
        """Whether it was taken; if not, ask again when a descriptor has become readable."""
        try:
            self._socket.send(frame, _NOBLOCK)
        except zmq.Again:
            return False
        return True

    def events(self) -> int:
        """READABLE: there is something to receive. WRITABLE: send would take something. (2 µs; finding out by receiving
        in vain costs 5.)
        """
        return self._get(_EVENTS)

    def receive(self) -> bytes:
        """The next frame; call it only if there is one. One of several parts comes as several frames."""
        return self._socket.recv(_NOBLOCK)

    def broken(self) -> bool:
        """Whether the connection has ended, or could not be made."""
        return bool(cast("int", self._monitor.get(_EVENTS)) & READABLE)

    def close(self, farewell: bytes | None = None) -> None:
        """End it now; ``farewell`` is a last frame that may still be written. May be called twice."""
        if self._socket.closed:
            return
        if farewell is not None:
            self._socket.setsockopt(zmq.LINGER, LINGER_MS)
            self.send(farewell)
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()

    def abandon(self) -> None:
        """Let a parent process go on with it: nothing is closed, written or freed here."""
        _Process.of_parents.append(self)
