"""The life of a blocking server: its start, its end, and what a fork leaves of it."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from roomcast.drivers.blocking.concurrency import Concurrency
from roomcast.drivers.blocking.runtime import CLOSING_PATIENCE
from roomcast.drivers.blocking.server import Server
from roomcast.exceptions import DisconnectedError
from tests.support.own_process import run_alone
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks

RESTART = (1012).to_bytes(2, "big") + b"server shutting down"


def emit(server: PlayedServer, value: Any) -> None:
    server.sio.emit("news", value)


# --- start and end ----------------------------------------------------------------------------------------------------


def test_nothing_runs_before_the_first_request(server: PlayedServer) -> None:
    emit(server, 1)
    assert server.sio.rooms("nobody") == []
    assert not server.tasks.tasks
    assert not server.sio.readiness().started
    server.poller()
    assert server.runtime.started
    assert server.sio.readiness().reasons == ()
    server.ends()


def test_starting_twice_starts_once(server: PlayedServer) -> None:
    told: list[int] = []
    server.runtime.on_start = lambda: told.append(1)
    server.sio.start()
    server.sio.start()
    assert len(server.tasks.tasks) == 1
    assert told == [1]


def test_a_server_that_never_served_stops_at_once(server: PlayedServer) -> None:
    server.sio.shutdown()
    assert server.tasks.now == 1_000
    assert not server.tasks.tasks


def test_stopping_ends_clients_handlers_and_everything_else(server: PlayedServer) -> None:
    reasons: list[str] = []
    server.sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    clients = [server.joined(), server.joined("/")]
    poller = server.poller()
    poller.joins()
    for client in clients:
        server.tasks.start(closing, client)
    server.ends()
    assert reasons == ["server shutting down"] * 3
    for client in clients:
        assert client.closed_with == RESTART
        assert client.has_ended()
    assert server.sio.readiness().reasons == ("not started", "draining")


def closing(client: Any) -> None:
    """A client that answers the server's close frame."""
    client.server.tasks.pause(lambda: client.has_ended() or client.closed_with is not None)
    if not client.sock.ended:
        client.closes()


def test_who_does_not_answer_the_close_frame_is_waited_for_and_told_of(
    server: PlayedServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = server.joined()
    with caplog.at_level(logging.WARNING, "roomcast.drain"):
        server.ends()
    assert client.has_ended()
    assert server.tasks.now <= 1_000 + CLOSING_PATIENCE + 0.1
    assert [each.getMessage() for each in caplog.records] == ["of 1 clients that were told to move 1 have not read all"]


def test_clients_are_told_over_the_time_that_there_is(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, drain_seconds=4.0)
    clients = [server.joined() for _ in range(400)]
    for client in clients:
        tasks.start(closing, client)
    stopping = tasks.start(server.sio.shutdown)
    tasks.advance(2.0)
    assert 150 < sum(client.has_ended() for client in clients) < 250
    stopping.join()
    assert all(client.has_ended() for client in clients)


def test_handlers_that_run_on_are_told_of(server: PlayedServer, caplog: pytest.LogCaptureFixture) -> None:
    gate = server.tasks.concurrency.make_event()
    server.sio.on("wait", lambda sid: gate.wait())
    client = server.joined()
    client.sends('42["wait"]')
    server.tasks.others()
    with caplog.at_level(logging.WARNING, "socketio.server"):
        server.sio.shutdown()
    assert "1 handlers were still running at shutdown" in caplog.text
    gate.set()
    server.tasks.others()
    assert not server.tasks.alive
    assert not server.left()


def test_a_handler_may_stop_the_server(server: PlayedServer) -> None:
    server.sio.on("stop", lambda sid: server.sio.shutdown())
    client = server.joined()
    client.sends('42["stop"]')
    server.tasks.start(closing, client)
    server.tasks.pause(lambda: not server.runtime.started)
    assert server.tasks.now < 1_000 + CLOSING_PATIENCE
    server.tasks.others()
    assert not server.left()


def test_who_stops_it_too_waits_for_the_one_who_does(server: PlayedServer) -> None:
    server.joined()
    ended: list[str] = []

    def stop(name: str) -> None:
        server.sio.shutdown()
        assert not server.runtime.started
        ended.append(name)

    for name in "ab":
        server.tasks.start(stop, name)
    server.tasks.pause(lambda: len(ended) == 2)
    server.sio.shutdown()
    assert not server.left()


def test_who_waits_for_another_to_stop_it_does_not_for_ever(server: PlayedServer) -> None:
    server.joined()
    gate = server.tasks.concurrency.make_event()
    server.runtime.bus = StubbornBus(gate)
    server.tasks.start(server.sio.shutdown)
    server.tasks.others()
    server.tasks.advance(1.0)
    began = server.tasks.now
    server.sio.shutdown()
    assert server.tasks.now - began <= CLOSING_PATIENCE + 5.1
    gate.set()
    server.tasks.others()
    server.runtime.bus = None


class StubbornBus:
    """Closes when it is allowed to."""

    def __init__(self, gate: Any) -> None:
        self._gate = gate

    def flush(self) -> None:
        """There is never anything."""

    def close(self) -> None:
        self._gate.wait()


def test_after_a_stop_nobody_is_let_in_until_it_is_started_again(server: PlayedServer) -> None:
    server.poller()
    server.sio.shutdown()
    answer = server.request("GET", "EIO=4&transport=polling")
    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert not server.runtime.started
    server.sio.start()
    client = server.joined()
    emit(server, "again")
    assert client.received() == ['42["news","again"]']
    client.vanishes()
    server.ends()


def test_a_client_of_before_is_unknown_after_a_stop(server: PlayedServer) -> None:
    poller = server.poller()
    server.sio.shutdown()
    assert poller.posts("40").status == 400


def test_stopped_in_the_middle_of_everything_nothing_is_left(server: PlayedServer) -> None:
    """A candidate, a client that is being asked, one that is behind, one that polls and one that reads nothing."""
    gate = server.tasks.concurrency.make_event()
    server.sio.on("wait", lambda sid: gate.wait())
    asked = server.joined()
    server.tasks.start(lambda: swallow(lambda: server.sio.call("question", to=asked.sid)))
    behind = server.joined()
    behind.sends(*['42["wait"]'] * 100)
    server.joined(capacity=300)
    for _ in range(50):
        emit(server, "x" * 100)
    poller = server.poller()
    poller.joins()
    poller.polls()
    moving = server.poller()
    moving.joins()
    candidate = server.websocket(f"&sid={moving.sid}")
    candidate.sends("2probe")
    server.tasks.others()
    assert server.left()
    server.tasks.start(gate.set)
    server.ends()


def swallow(call: Callable[[], object]) -> None:
    """Whoever asks a client that goes is told so."""
    with pytest.raises(DisconnectedError):
        call()


# --- fork -------------------------------------------------------------------------------------------------------------

FORKING = """
import os, sys, socket
from roomcast.drivers.blocking.server import Server
from tests.support.patience import PATIENCE
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks
from tests.support.server import ROOT, python_path

def in_child(check):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, repr(check()).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as answer:
        found = eval(answer.read() or "None")
    os.waitpid(pid, 0)
    return found
"""


def forking(program: str) -> None:
    """Run it in a process of its own, which has no threads; it has ``in_child(function)``, what that returns there."""
    ended = run_alone(FORKING + textwrap.dedent(program))
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("tag", [None, "aaaa"])
def test_a_child_has_ids_of_its_own(tag: str | None) -> None:
    forking(f"""
        sio = Server(tag={tag!r})
        sio.node.sids.new()  # there are more drawn in advance
        child, parent = in_child(sio.node.sids.new), sio.node.sids.new()
        assert child[4:] != parent[4:], (child, parent)
        assert (child[:4] == parent[:4]) is {tag is not None}, (child, parent)
    """)


def test_a_child_of_a_server_that_runs_starts_anew_and_keeps_no_connection_open() -> None:
    forking("""
        server = PlayedServer(PlayedTasks())
        client = server.joined()

        def check():
            runtime = server.runtime
            assert not runtime.started
            assert client.connection.sock.closed
            assert runtime.pool.running == 0
            runtime.awaken()
            return runtime.started

        assert in_child(check) is True
        assert server.runtime.started
        server.sio.emit("news", 1)
        assert client.received() == ['42["news",1]']
    """)


def test_a_child_says_nothing_to_the_clients_of_its_parent_and_nothing_about_them(server: PlayedServer) -> None:
    reasons: list[str] = []
    server.sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    client = server.joined()
    server.sio.emit("news", 1)
    client.received()
    server.tasks.tasks.clear()  # what runs is not in the child
    server.runtime.forked()
    server.sio.emit("news", 2)
    server.sio.start()
    server.tasks.advance(100.0)
    assert client.received() == []
    assert reasons == []
    assert not server.left()


def test_a_child_of_a_server_on_threads_serves_too() -> None:
    forking("""
        sio = Server(drain_seconds=0)
        sio.start()
        answer = sio.make_answer()
        sio.runtime.pool.put(lambda: answer.settle((1,), None))
        assert answer.wait(10) == (1,)

        def check():
            answer = sio.make_answer()
            sio.start()
            sio.runtime.pool.put(lambda: answer.settle((2,), None))
            found = answer.wait(10)
            sio.shutdown()
            return found

        assert in_child(check) == (2,)
        sio.shutdown()
    """)


def test_the_record_says_what_tasks_are(tasks: PlayedTasks) -> None:
    assert isinstance(tasks.concurrency, Concurrency)
    assert Server(async_mode=tasks.concurrency).async_mode == "played"
