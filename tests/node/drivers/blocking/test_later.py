"""Answers that are given later: on the socket that was taken, or in the task of the request."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from roomcast.drivers.blocking import later as later_module
from roomcast.drivers.blocking.handover import HandedOver
from roomcast.drivers.blocking.later import Later
from roomcast.engineio import response
from tests.support.patience import PATIENCE
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks

ANSWER = response.ok()


class Exposed:
    """A request on a real connection that its server shows: ``client`` is the other end."""

    def __init__(self, server: PlayedServer) -> None:
        self.server = server
        self.client, self.theirs = socket.socketpair()
        self.client.settimeout(PATIENCE)
        self.lost: list[str] = []
        self.later = Later(server.runtime, self.theirs.fileno())

    def holds(self) -> bool:
        with self.server.runtime.turn:
            return self.later.hold(self._is_lost)

    def _is_lost(self) -> Any:
        self.lost.append("lost")

    def gives(self) -> None:
        with self.server.runtime.turn:
            self.later.give(ANSWER)

    def reads(self) -> bytes:
        """Everything until the end of the connection."""
        found = bytearray()
        while data := self.client.recv(65_536):
            found += data
        return bytes(found)

    def close(self) -> None:
        self.client.close()
        self.theirs.close()


@pytest.fixture
def exposed(tasks: PlayedTasks) -> Iterator[Exposed]:
    server = PlayedServer(tasks)
    server.sio.start()
    found = Exposed(server)
    yield found
    found.close()


def test_an_answer_that_is_there_is_taken(tasks: PlayedTasks) -> None:
    later = Later(PlayedServer(tasks).runtime, None)
    assert not later.given
    later.give(ANSWER)
    later.give(response.empty(500))
    assert later.wait() is ANSWER


def test_where_no_socket_is_shown_the_task_waits(tasks: PlayedTasks) -> None:
    later = Later(PlayedServer(tasks).runtime, None)
    assert not later.hold(lambda: None)
    tasks.start(later.give, ANSWER)
    assert later.wait(5.0) is ANSWER


def test_it_waits_for_as_long_as_it_is_told(tasks: PlayedTasks) -> None:
    later = Later(PlayedServer(tasks).runtime, None)
    with pytest.raises(TimeoutError):
        later.wait(5.0)
    assert tasks.now == 1_005


def test_on_a_socket_that_was_taken_the_answer_ends_the_connection(exposed: Exposed) -> None:
    assert exposed.holds()
    with pytest.raises(HandedOver):
        exposed.later.wait()
    exposed.gives()
    exposed.gives()
    assert exposed.reads() == response.render(ANSWER)
    assert not exposed.lost


def test_what_its_server_says_on_it_reaches_nobody(exposed: Exposed) -> None:
    assert exposed.holds()
    exposed.theirs.send(b"HTTP/1.1 200 OK\r\n\r\n")
    exposed.theirs.close()
    exposed.server.tasks.others()
    exposed.gives()
    assert exposed.reads() == response.render(ANSWER)
    exposed.server.tasks.others()
    assert exposed.server.left() == {}


def test_a_client_that_goes_is_told_of(exposed: Exposed) -> None:
    assert exposed.holds()
    exposed.client.close()
    exposed.server.tasks.others()
    assert exposed.lost == ["lost"]
    exposed.gives()
    exposed.theirs.close()
    exposed.server.tasks.others()
    assert exposed.server.left() == {}


def test_what_the_client_sends_meanwhile_is_not_looked_at(exposed: Exposed) -> None:
    assert exposed.holds()
    exposed.client.send(b"GET /next HTTP/1.1\r\n\r\n")
    exposed.server.tasks.others()
    exposed.gives()
    assert exposed.reads() == response.render(ANSWER)


def test_a_client_that_does_not_take_its_answer_is_cut_off_in_the_end(exposed: Exposed) -> None:
    assert exposed.holds()
    with exposed.server.runtime.turn:
        exposed.later.give(response.poll(b"x" * 5_000_000))
    assert exposed.server.sio.census()["connections"] == 2  # the server has not closed its own, either
    exposed.server.tasks.advance(exposed.server.sio.settings.ping_timeout + 1)
    assert exposed.server.sio.census()["connections"] == 1


def test_where_there_are_no_descriptors_left_the_task_waits(exposed: Exposed, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(later_module, "take", full)
    assert not exposed.holds()
    exposed.server.tasks.start(exposed.gives)
    assert exposed.later.wait(5.0) is ANSWER
    exposed.theirs.send(b"by its own server")
    assert exposed.client.recv(100) == b"by its own server"


def test_the_descriptor_of_its_server_stays_what_it_was(exposed: Exposed) -> None:
    descriptor = exposed.theirs.fileno()
    blocking = os.get_blocking(descriptor)
    assert exposed.holds()
    assert exposed.theirs.fileno() == descriptor
    assert os.get_blocking(descriptor) is blocking
