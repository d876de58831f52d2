"""``sio.manager`` of the blocking server."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from roomcast.drivers.blocking.manager import Manager
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks


@pytest.fixture
def server(tasks: PlayedTasks) -> PlayedServer:
    return PlayedServer(tasks, namespaces="*")


def test_rooms_and_strangers(server: PlayedServer) -> None:
    client, manager = server.joined(), server.sio.manager
    sid = client.sid
    assert [each for each, _ in manager.get_participants("/", None)] == [sid]
    manager.enter_room(sid, "/", "room")
    assert server.sio.rooms(sid) == manager.get_rooms(sid, "/") == [sid, "room"]
    manager.emit("hello", 1, "/", room="room", skip_sid="somebody")
    manager.emit("hello", 2, "/", to="room", skip_sid=sid)
    assert client.received() == ['42["hello",1]']
    assert len(manager.rooms["/"]["room"]) == 1
    manager.leave_room(sid, "/", "room")
    manager.leave_room("stranger", "/", "room")
    manager.close_room("room", "/")
    assert server.sio.rooms(sid) == [sid]
    assert manager.can_disconnect(sid, "/")
    assert not manager.can_disconnect("stranger", "/")
    manager.disconnect(sid, "/")
    assert not manager.can_disconnect(sid, "/")


def test_entering_what_cannot_be_entered(server: PlayedServer) -> None:
    one, other = server.joined(), server.joined()
    with pytest.raises(ValueError, match="sid room"):
        server.sio.enter_room(one.sid, other.sid)
    with pytest.raises(KeyError):
        server.sio.enter_room("stranger", "room")


@pytest.mark.parametrize("namespace", ["/", "/other"])
def test_acknowledging_in_the_name_of_a_client(server: PlayedServer, namespace: str) -> None:
    client, manager = server.joined(namespace), server.sio.manager
    heard: list[Any] = []
    manager.emit("question", None, namespace, room=client.sid, callback=lambda *args: heard.append(args))
    assert manager.callbacks == {client.sid: {0: None}}
    manager.trigger_callback("stranger", 0, [1])
    manager.trigger_callback(client.sid, 0, ["a", "b"])
    manager.trigger_callback(client.sid, 0, ["again"])
    server.tasks.others()
    assert heard == [("a", "b")]
    assert manager.callbacks == {}


def test_what_is_written_with_a_talkative_logger(tasks: PlayedTasks, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.manager")
    with caplog.at_level(logging.INFO, "test.manager"):
        server = PlayedServer(tasks, logger=logger)
        sid, manager = server.joined().sid, server.sio.manager
        caplog.clear()
        manager.enter_room(sid, "/", "lobby")
        manager.emit("news", 1, "/", room="lobby")
        manager.leave_room(sid, "/", "lobby")
        manager.close_room("lobby", "/")
    written = " ".join(record.getMessage() for record in caplog.records)
    assert written.count("lobby") == 4
    assert 'emitting event "news" to lobby [/]' in written


def test_a_manager_that_overrides_emit_is_asked(tasks: PlayedTasks) -> None:
    class Counting(Manager):
        emitted = started = 0

        def emit(self, *args: Any, **options: Any) -> None:
            self.emitted += 1
            super().emit(*args, **options)

        def initialize(self) -> None:
            self.started += 1

    manager = Counting()
    server = PlayedServer(tasks, client_manager=manager)
    server.sio.emit("e")
    assert manager.emitted == 1
    assert manager.started == 0
    server.sio.start()
    server.sio.start()
    assert manager.started == 1
    assert server.sio.manager_initialized


def test_tables_that_change_while_they_are_read(server: PlayedServer) -> None:
    """A reader holds a view; clients come and go between two steps of it."""
    for _ in range(3):
        server.sio.manager.enter_room(server.joined().sid, "/", "room")
    manager = server.sio.manager
    for view in (
        manager.rooms["/"],
        manager.rooms["/"]["room"],
        manager.rooms,
        server.sio.environ,
        server.sio.eio.sockets,
    ):
        for number, _ in enumerate(view):
            if number == 0:
                server.joined(f"/{id(view)}")
                manager.enter_room(server.joined().sid, "/", "room")
    for number, _ in enumerate(manager.get_participants("/", None)):
        if number == 0:
            server.joined()
