"""Sockets that never make anybody wait: what is kept, when it is written, and that the end is told once."""

from __future__ import annotations

import pytest

from roomcast.drivers.blocking.sockets import SocketConnection
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedSocket, PlayedTasks


class Recording(SocketConnection):
    """Notes what it is told."""

    def __init__(self, server: PlayedServer, sock: PlayedSocket) -> None:
        super().__init__(server.runtime, sock)  # type: ignore[arg-type]  # it does what is asked of one
        self.told: list[str | bytes] = []

    def received(self, data: bytes) -> None:
        self.told.append(data)

    def lost(self) -> None:
        self.told.append("lost")

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")


class Wire:
    """A connection that is watched, and the client's end of it, which takes ten bytes until it reads."""

    def __init__(self, tasks: PlayedTasks) -> None:
        self.server = PlayedServer(tasks)
        self.server.sio.start()
        self.tasks = tasks
        sock, self.client = PlayedSocket.pair(10)
        self.sock = sock
        self.connection = Recording(self.server, sock)
        with self.server.runtime.turn:
            self.connection.watch()

    def writes(self, data: bytes) -> None:
        with self.server.runtime.turn:
            self.connection.write(data)

    def reads(self) -> bytes:
        """What the client finds, once, with what the server writes into the room that this makes."""
        data = self.client.recv(100) if self.client.coming else b""
        self.tasks.others()
        return data


@pytest.fixture
def wire(tasks: PlayedTasks) -> Wire:
    return Wire(tasks)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_what_the_socket_takes_is_written_at_once(wire: Wire) -> None:
    wire.writes(b"0123456789")
    assert bytes(wire.client.coming) == b"0123456789"
    assert wire.connection.get_write_buffer_size() == 0
    assert wire.connection.told == []


def test_the_rest_is_written_when_there_is_room_and_everything_in_order(wire: Wire) -> None:
    wire.writes(b"0123456789abc")
    wire.writes(b"defghijklmnop")
    assert wire.connection.get_write_buffer_size() == 16
    assert wire.connection.told == ["pause"]
    assert [wire.reads() for _ in range(3)] == [b"0123456789", b"abcdefghij", b"klmnop"]
    assert wire.connection.told == ["pause", "resume"]
    assert wire.connection.get_write_buffer_size() == 0
    wire.writes(b"x")
    assert wire.reads() == b"x"


def test_a_full_socket_takes_nothing_for_now(wire: Wire) -> None:
    wire.writes(b"0123456789")
    wire.writes(b"abc")
    assert wire.connection.get_write_buffer_size() == 3
    assert [wire.reads(), wire.reads()] == [b"0123456789", b"abc"]


def test_a_peer_that_has_gone_is_found_out_by_writing_and_told_of_once_when_the_turn_is_over(wire: Wire) -> None:
    wire.sock.broken = True
    with wire.server.runtime.turn:
        wire.connection.write(b"x")
        wire.connection.write(b"y")
        assert wire.connection.told == []
    assert wire.connection.told == ["lost"]
    assert wire.sock.is_closed()
    assert wire.server.left() == {}


def test_a_peer_that_goes_while_something_waits(wire: Wire) -> None:
    wire.writes(b"0123456789abc")
    wire.client.close()
    wire.tasks.others()
    assert wire.connection.told == ["pause", "lost"]
    assert wire.connection.get_write_buffer_size() == 0


# --- reading ----------------------------------------------------------------------------------------------------------


def test_what_comes_is_told(wire: Wire) -> None:
    wire.client.send(b"abc")
    wire.tasks.others()
    wire.client.send(b"def")
    wire.tasks.others()
    assert wire.connection.told == [b"abc", b"def"]


def test_what_comes_is_left_in_the_socket_while_nothing_is_to_be_read(wire: Wire) -> None:
    with wire.server.runtime.turn:
        wire.connection.reading = False
        wire.connection.watch()
    wire.client.send(b"abc")
    wire.tasks.others()
    assert wire.connection.told == []
    with wire.server.runtime.turn:
        wire.connection.reading = True
        wire.connection.watch()
    wire.tasks.others()
    assert wire.connection.told == [b"abc"]


def test_to_be_told_for_nothing_is_no_harm(wire: Wire) -> None:
    with wire.server.runtime.turn:
        wire.connection.readable()
    assert wire.connection.told == []


@pytest.mark.parametrize("broken", [False, True])
def test_the_end_is_read_once(wire: Wire, broken: bool) -> None:
    wire.client.send(b"abc")
    wire.tasks.others()
    if broken:
        wire.sock.broken = True
    else:
        wire.client.close()
    wire.tasks.others()
    assert wire.connection.told == [b"abc", "lost"]


# --- the end ----------------------------------------------------------------------------------------------------------


def test_closing_waits_until_everything_is_written(wire: Wire) -> None:
    wire.writes(b"0123456789abc")
    with wire.server.runtime.turn:
        wire.connection.close()
        wire.connection.close()
        wire.connection.write(b"too late")
    assert not wire.sock.is_closed()
    assert [wire.reads(), wire.reads()] == [b"0123456789", b"abc"]
    assert wire.sock.is_closed()
    assert wire.connection.told == ["pause", "lost"]
    assert wire.server.left() == {}


def test_closing_with_nothing_to_write(wire: Wire) -> None:
    with wire.server.runtime.turn:
        wire.connection.close()
    assert wire.connection.told == ["lost"]
    with wire.server.runtime.turn:
        wire.connection.cut()
        wire.connection.close()
    assert wire.connection.told == ["lost"]


def test_who_does_not_take_the_last_is_cut_off_in_the_end(wire: Wire) -> None:
    wire.writes(b"0123456789abc")
    with wire.server.runtime.turn:
        wire.connection.close()
    timeout = wire.server.sio.settings.ping_timeout
    wire.tasks.advance(0.9 * timeout)
    assert not wire.sock.is_closed()
    wire.tasks.advance(0.2 * timeout)
    assert wire.sock.is_closed()
    assert wire.server.left() == {}


def test_cutting_drops_what_waits(wire: Wire) -> None:
    wire.writes(b"0123456789abc")
    with wire.server.runtime.turn:
        wire.connection.cut()
    assert wire.sock.is_closed()
    assert wire.connection.get_write_buffer_size() == 0
    assert wire.reads() == b"0123456789"
