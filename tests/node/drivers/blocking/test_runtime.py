"""Turns, sockets that others share, and the options of a runtime."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from roomcast.drivers.blocking.runtime import GATHERING, handler_tasks
from roomcast.drivers.blocking.server import Server
from roomcast.drivers.blocking.threads import THREADS
from roomcast.errors import SettingsError
from roomcast.shared_socket import SHARED_SOCKET
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks

RESTART = (1012).to_bytes(2, "big") + b"server shutting down"


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
