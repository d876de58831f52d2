"""A forwarder's folder, and the lock in it that says whether one lives there.

libzmq takes a Unix socket's path from whoever listens there, without asking. So a forwarder holds a lock beside it,
which the kernel lets go of when its process ends, however it ends.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Final

from roomcast_brokers.backends.zmq.addresses import Address
from roomcast_brokers.errors import BrokerError, BrokerURLError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Another forwarder may be ending right now, and take its lock file with it: then it is made again.
ATTEMPTS: Final = 20

# The kernel's locks of this kind are those of a process and mean nothing within it. (The other kind is inherited by
# children of a fork, which would hold a dead forwarder's place.)
_held: set[str] = set()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_held.clear)


class ForwarderLock:
    """Holds the folder of ``address`` from construction to :meth:`release`.

    Raises :class:`BrokerError` if another forwarder lives there, :class:`BrokerURLError` if the folder is not fit.
    """

    def __init__(self, address: Address) -> None:
        assert address.folder is not None
        if fcntl is None:
            raise BrokerURLError("zmq+ipc:// needs Unix sockets; here there is zmq+tcp://")
        self._address = address
        try:
            _prepare(address.folder)
            self._name = os.path.realpath(address.lock)
            if self._name in _held:
                raise _taken()
            self._descriptor = _lock(self._name)
        except OSError as error:
            raise BrokerURLError(f"the folder of zmq+ipc:// cannot be used: {error.strerror}") from error
        _held.add(self._name)

    def protect(self) -> None:
        """The socket is there: let those use it who may write to the folder, whatever the umask."""
        shared = os.stat(os.path.dirname(self._address.socket)).st_mode & stat.S_IWGRP
        os.chmod(self._address.socket, 0o660 if shared else 0o600)

    def release(self) -> None:
        """Remove the socket and the lock. May be called twice."""
        if self._name in _held and self._descriptor >= 0:
            for path in (self._address.socket, self._name):
                with suppress(OSError):
                    os.unlink(path)
            os.close(self._descriptor)
            self._descriptor = -1
            _held.discard(self._name)


def _prepare(folder: str) -> None:
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        os.mkdir(folder, 0o700)
    except FileExistsError:
        found = os.stat(folder)
        if not stat.S_ISDIR(found.st_mode):
            raise BrokerURLError("zmq+ipc:// takes the path of a folder, and a file stands there") from None
        # Wherever everybody may write, anybody may put a socket and hear what is meant for us.
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & stat.S_IWOTH:
            raise BrokerURLError(
                "the folder of zmq+ipc:// belongs to somebody else, or everybody may write to it; name one that does "
                "not exist yet"
            ) from None


def _lock(path: str) -> int:
    for _ in range(ATTEMPTS):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    return descriptor
        except (BlockingIOError, PermissionError) as error:
            os.close(descriptor)
            raise _taken() from error
        os.close(descriptor)  # its owner has just removed it: a lock on a file that nobody finds any more
    raise _taken()


def _taken() -> BrokerError:
    return BrokerError("another forwarder is alive in this folder; one is enough for everybody")
