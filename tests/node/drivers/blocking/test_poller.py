"""The task that watches all sockets."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from roomcast.drivers.blocking.poller import Poller
from roomcast.drivers.blocking.runtime import Runtime
from roomcast.drivers.blocking.server import Server
from roomcast.drivers.blocking.threads import THREADS
from tests.support.descriptors import leaves_none_open
from tests.support.patience import PATIENCE
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks


class Line:
    """A watched connection on a real socket: notes what it reads, and how often it may write."""

    def __init__(self, runtime: Runtime) -> None:
        self.sock, self.other = socket.socketpair()
        self.sock.setblocking(False)
        self.runtime = runtime
        self.read: list[bytes] = []
        self.written = threading.Event()
        self.came = threading.Event()
        self.fails = False
        self.is_cut = False

    def watch(self, read: bool = True, write: bool = False) -> None:
        with self.runtime.turn:
            self.runtime.watch(self, read=read, write=write)

    def readable(self) -> None:
        if self.fails:
            raise ZeroDivisionError
        self.read.append(self.sock.recv(100))
        self.came.set()

    def writable(self) -> None:
        self.written.set()
        self.runtime.watch(self, read=True, write=False)

    def cut(self) -> None:
        self.is_cut = True
        self.runtime.watch(self, read=False, write=False)
        self.sock.close()
        self.came.set()

    def close(self) -> None:
        with self.runtime.turn:
            self.cut()
        self.other.close()


@pytest.fixture(params=[selectors.DefaultSelector, selectors.PollSelector, selectors.SelectSelector])
def runtime(request: pytest.FixtureRequest) -> Any:
    """On threads, with every kind of selector: those of the second half have to be woken up."""
    sio = Server(async_mode=_with_selector(request.param), drain_seconds=0)
    sio.start()
    yield sio.runtime
    sio.shutdown()


def _with_selector(make: Callable[[], selectors.BaseSelector]) -> Any:
    fields = {name: getattr(THREADS, name) for name in THREADS.__struct_fields__}
    return type(THREADS)(**{**fields, "make_selector": make})


def test_a_connection_is_told_when_something_has_come(runtime: Runtime) -> None:
    line = Line(runtime)
    line.watch()
    line.other.send(b"abc")
    assert line.came.wait(PATIENCE)
    assert line.read == [b"abc"]
    line.close()


def test_one_that_is_watched_while_others_are_waited_for(runtime: Runtime) -> None:
    lines = [Line(runtime) for _ in range(20)]
    for line in lines:
        line.watch()
        line.other.send(b"x")
    assert all(line.came.wait(PATIENCE) for line in lines)
    for line in lines:
        line.close()


def test_a_connection_is_told_when_it_may_write_as_long_as_it_wants_to_know(runtime: Runtime) -> None:
    line = Line(runtime)
    line.watch()
    line.watch()
    line.watch(write=True)
    assert line.written.wait(PATIENCE)
    line.other.send(b"x")
    assert line.came.wait(PATIENCE)
    line.close()


def test_one_that_is_not_watched_hears_nothing(runtime: Runtime) -> None:
    deaf, other = Line(runtime), Line(runtime)
    deaf.watch()
    deaf.watch(read=False)
    deaf.other.send(b"x")
    other.watch()
    other.other.send(b"x")
    assert other.came.wait(PATIENCE)
    assert not deaf.read
    deaf.close()
    other.close()


def test_a_fault_in_one_ends_that_one_and_no_other(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    bad, good = Line(runtime), Line(runtime)
    bad.fails = True
    bad.watch()
    good.watch()
    bad.other.send(b"x")
    assert bad.came.wait(PATIENCE)
    assert bad.is_cut
    good.other.send(b"x")
    assert good.came.wait(PATIENCE)
    assert "serving a connection has failed" in caplog.text
    good.close()
    bad.other.close()


def test_at_the_end_all_are_cut_and_no_descriptor_is_left() -> None:
    leaves_none_open(live_and_end)


def live_and_end() -> None:
    sio = Server(drain_seconds=0)
    sio.start()
    lines = [Line(sio.runtime) for _ in range(3)]
    for line in lines:
        line.watch()
    sio.shutdown()
    assert all(line.is_cut for line in lines)
    for line in lines:
        line.other.close()
    for thread in threading.enumerate():
        if thread.name == "roomcast":
            thread.join(PATIENCE)


def test_nothing_is_watched_any_more_after_the_end(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks)
    client = server.joined()
    server.sio.shutdown()
    with server.runtime.turn:
        server.runtime.watch(client.connection, read=False, write=False)
    assert server.sio.census()["connections"] == 0
    tasks.others()
    assert not tasks.alive


def test_one_that_was_ended_by_another_in_the_same_go_is_not_told(tasks: PlayedTasks) -> None:
    """Both are ready; what the first is told ends the second."""
    server = PlayedServer(tasks)
    one, other = server.joined(), server.joined()
    server.sio.on("end", lambda sid: None)
    received: list[bytes] = []

    def ends_the_other(data: bytes) -> None:
        other.connection.cut()

    one.connection.received = ends_the_other  # type: ignore[method-assign]  # what a handler's work could do
    other.connection.received = received.append  # type: ignore[method-assign, assignment]  # must not be called
    one.sends("x")
    other.sends("x")
    tasks.others()
    assert not received


def test_waking_up_one_that_has_enough_to_wake_up_for(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks)
    poller = Poller(server.runtime)
    for _ in range(3_000):  # more than its socket takes
        with server.runtime.turn:
            poller._wake()
    with server.runtime.turn:
        poller.close()
    tasks.start(poller.run)
    tasks.others()
    assert not [task for task in tasks.alive if "Poller" in task.name]
