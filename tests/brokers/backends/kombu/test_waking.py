from __future__ import annotations

import socket
import threading
import time  # time: what is woken must not wait for its time-out

import pytest

from roomcast_brokers.backends.kombu.waking import Readable, Waker
from tests.support.patience import PATIENCE


def waited(waker: Waker, timeout: float = PATIENCE) -> bool:
    """Whether it came back before its time-out."""
    began = time.monotonic()
    waker.wait(timeout)
    return time.monotonic() - began < timeout


def test_woken_before_and_while_it_waits() -> None:
    waker = Waker()
    waker.wake()
    waker.wake()
    assert waited(waker)
    assert not waited(waker, 0.01), "once, however often it was woken"
    threading.Timer(0.02, waker.wake).start()
    assert waited(waker)
    waker.wait(-1.0)
    waker.close()
    waker.wake()  # nobody waits any more


def test_a_descriptor_that_becomes_readable() -> None:
    one, other = socket.socketpair()
    third, fourth = socket.socketpair()
    with one, other, third, fourth:
        waker = Waker()
        waker.watch(one.fileno())
        other.send(b"x")
        assert waited(waker)
        assert waited(waker), "as long as nobody reads it"
        waker.watch(third.fileno())
        assert not waited(waker, 0.01)
        fourth.send(b"x")
        assert waited(waker)
        with pytest.raises((ValueError, OSError)):
            waker.watch(-1)
        waker.watch(None)
        assert not waited(waker, 0.01)
        waker.close()


class Decrypted(socket.socket):
    """One that has bytes which the system does not know of, as TLS may."""

    waiting = 0

    def pending(self) -> int:
        return self.waiting


@pytest.mark.parametrize("kind", [socket.socket, Decrypted])
def test_what_is_readable_now(kind: type[socket.socket]) -> None:
    one, other = socket.socketpair()
    with kind(fileno=one.detach()) as mine, other:
        readable = Readable(mine)
        assert not readable.now()
        if isinstance(mine, Decrypted):
            mine.waiting = 1
            assert readable.now()
            mine.waiting = 0
        other.send(b"x")
        assert readable.now()
        mine.recv(1)
        assert not readable.now()
        other.close()
        assert readable.now(), "the end is something to read as well"
        readable.close()
