"""Turns, and the life of a server: its start, its end, and what a fork leaves of it."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from roomcast.drivers.blocking.concurrency import Concurrency
from roomcast.drivers.blocking.runtime import CLOSING_PATIENCE, GATHERING, handler_tasks
from roomcast.drivers.blocking.server import Server
from roomcast.drivers.blocking.threads import THREADS
from roomcast.errors import SettingsError
from roomcast.exceptions import DisconnectedError
from roomcast.shared_socket import SHARED_SOCKET
from tests.support.own_process import run_alone
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks

RESTART = (1012).to_bytes(2, "big") + b"server shutting down"


@pytest.fixture
def server(tasks: PlayedTasks) -> PlayedServer:
    return PlayedServer(tasks)


def emit(server: PlayedServer, value: Any) -> None:
    server.sio.emit("news", value)


# --- turns ------------------------------------------------------------------------------------------------------------


def test_everything_made_in_a_turn_is_written_at_its_end_in_one_go(server: PlayedServer) -> None:
    client = server.joined()
    with server.runtime.turn:
        emit(server, 1)
        emit(server, 2)
        assert not client.sock.coming
    assert client.received() == ['42["news",1]', '42["news",2]']


@pytest.fixture
def gathering(tasks: PlayedTasks) -> PlayedServer:
    """A server on tasks that cost less than a write."""
    tasks.concurrency = msgspec.structs.replace(tasks.concurrency, gathers=True)
    return PlayedServer(tasks)


def test_where_tasks_are_cheap_one_of_them_writes_what_several_turns_made(gathering: PlayedServer) -> None:
    client = gathering.joined()
    gathering.tasks.others()
    before = client.sock.pieces
    for number in range(3):
        emit(gathering, number)
    assert client.sock.pieces == before
    gathering.tasks.others()
    assert client.sock.pieces == before + 1
    assert client.received() == [f'42["news",{number}]' for number in range(3)]
    emit(gathering, 3)
    assert client.received() == ['42["news",3]']


def test_a_task_that_lets_no_other_go_on_writes_by_itself(gathering: PlayedServer) -> None:
    client = gathering.joined()
    gathering.tasks.others()
    before = client.sock.pieces
    emit(gathering, 1)
    gathering.tasks.now += 2 * GATHERING
    emit(gathering, 2)
    assert client.sock.pieces == before + 1
    emit(gathering, 3)
    assert client.received() == [f'42["news",{number}]' for number in (1, 2, 3)]


def test_what_waits_for_its_task_at_the_end_is_written(gathering: PlayedServer) -> None:
    client = gathering.joined()
    gathering.sio.on("disconnect", lambda sid, reason: gathering.sio.emit("left", reason))
    other = gathering.joined()
    other.sends("41")
    assert client.received() == ['42["left","client disconnect"]']
    emit(gathering, "last")
    gathering.runtime._close(0.0)
    assert '42["news","last"]' in client.received()


def test_a_turn_inside_a_turn_ends_with_the_outer(server: PlayedServer) -> None:
    client = server.joined()
    done: list[str] = []
    with server.runtime.turn:
        with server.runtime.turn:
            emit(server, 1)
            server.runtime.outside.append(lambda: done.append("outside"))
        assert not client.sock.coming
        assert not done
    assert client.received() == ['42["news",1]']
    assert done == ["outside"]


def test_another_task_waits_for_its_turn(server: PlayedServer) -> None:
    order: list[str] = []

    def other() -> None:
        with server.runtime.turn:
            order.append("other")

    with server.runtime.turn:
        server.tasks.start(other)
        server.tasks.others()
        order.append("first")
    server.tasks.others()
    assert order == ["first", "other"]


def test_what_raises_in_a_turn_lets_go_of_the_lock(server: PlayedServer) -> None:
    def fails() -> None:
        with server.runtime.turn:
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    server.tasks.start(emit, server, 1)
    server.tasks.others()
    server.tasks.check()


def test_what_is_done_outside_may_take_turns_and_leave_more(server: PlayedServer) -> None:
    done: list[int] = []

    def again() -> None:
        with server.runtime.turn:
            done.append(1)
            server.runtime.outside.append(lambda: done.append(2))

    with server.runtime.turn:
        server.runtime.outside.append(again)
    assert done == [1, 2]


def test_clients_that_are_lost_while_they_are_written_to_leave_in_the_same_go(server: PlayedServer) -> None:
    reasons: list[str] = []
    server.sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    clients = [server.joined() for _ in range(3)]
    for client in clients[:2]:
        client.connection.sock.broken = True  # type: ignore[attr-defined]  # a played socket
    emit(server, 1)
    server.tasks.others()
    assert reasons == ["transport close"] * 2
    assert clients[2].received() == ['42["news",1]']
    assert len(server.sio.eio.sockets) == 1


def test_who_was_found_too_slow_ends_in_the_turn_that_found_it(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, max_backlog_packets=4)
    reasons: list[str] = []
    server.sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    server.joined(capacity=200)
    other = server.joined()
    for number in range(200):
        emit(server, number)
    tasks.others()
    assert reasons == ["slow consumer"]
    assert len(other.received()) == 200


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


# --- sockets that others share ----------------------------------------------------------------------------------------


def test_several_workers_on_one_socket_are_told_of_once(server: PlayedServer, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        server.request("GET", "EIO=4&transport=polling", **{"wsgi.multiprocess": True})
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR] == [SHARED_SOCKET]
    assert server.sio.readiness().degraded == (SHARED_SOCKET,)


def test_without_polling_several_workers_may_share_a_socket(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, transports=["websocket"])
    server.request("GET", "EIO=4&transport=polling", **{"wsgi.multiprocess": True})
    assert server.sio.readiness().degraded == ()


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"), [({}, 64), ({"handler_threads": None}, 64), ({"handler_threads": 5}, 5)]
)
def test_how_many_handlers_may_run(given: dict[str, Any], expected: int) -> None:
    assert handler_tasks(given, THREADS) == expected
    assert not given


@pytest.mark.parametrize("wrong", [0, -1, "many", 2.5])
def test_a_number_of_handlers_that_cannot_be(wrong: Any) -> None:
    with pytest.raises(SettingsError, match="handler_threads"):
        Server(handler_threads=wrong)


def test_the_limit_of_sessions_is_that_of_descriptors_unless_it_was_set(tasks: PlayedTasks) -> None:
    for given in (None, 7):
        server = PlayedServer(tasks, max_sessions=given)
        server.sio.start()
        assert (server.sio.node.engine.max_sessions == 7) is (given == 7)


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
