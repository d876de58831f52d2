"""Taking the socket of a request: where it is shown, when it may be taken, and how its server is told."""

from __future__ import annotations

import os
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import closing
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from roomcast.drivers.blocking.handover import exposed, leave, take
from tests.support.descriptors import leaves_none_open
from tests.support.patience import PATIENCE
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks
from tests.support.wsgi_requests import environ_of


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's end of a connection, and the client's."""
    theirs, client = socket.socketpair()
    client.settimeout(PATIENCE)
    with theirs, client:
        yield theirs, client


def start_response(*_: Any) -> None:
    """As most servers have it: it knows of no socket."""


class Handler:
    """As gevent.pywsgi has it."""

    def __init__(self, sock: Any) -> None:
        self.socket = sock

    def start_response(self, *_: Any) -> None:
        """A bound method: its object has the socket."""


class EventletInput:
    """As ``environ["eventlet.input"]``."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def get_socket(self) -> Any:
        return self._sock


# --- where it is shown ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["gunicorn.socket", "werkzeug.socket"])
def test_in_the_environ(key: str, pair: tuple[socket.socket, socket.socket]) -> None:
    theirs, _ = pair
    assert exposed(environ_of(**{key: theirs}), start_response) == theirs.fileno()


def test_by_eventlet(pair: tuple[socket.socket, socket.socket]) -> None:
    theirs, _ = pair
    assert exposed(environ_of(**{"eventlet.input": EventletInput(theirs)}), start_response) == theirs.fileno()


def test_by_gevent(pair: tuple[socket.socket, socket.socket]) -> None:
    theirs, _ = pair
    assert exposed(environ_of(), Handler(theirs).start_response) == theirs.fileno()


def test_by_uwsgi(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("uwsgi")
    monkeypatch.setattr(module, "connection_fd", lambda: 42, raising=False)
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    assert exposed(environ_of(**{"uwsgi.version": b"2.0"}), start_response) == 42
    assert exposed(environ_of(), start_response) is None  # another server in a process that has the module


def test_nowhere() -> None:
    assert exposed(environ_of(), start_response) is None
    assert exposed(environ_of(), Handler(None).start_response) is None


def test_one_that_is_closed_already(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].close()
    assert exposed(environ_of(**{"gunicorn.socket": pair[0]}), start_response) is None


def test_one_that_encrypts_is_of_no_use(pair: tuple[socket.socket, socket.socket]) -> None:
    theirs, client = pair
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    encrypting = context.wrap_socket(theirs, do_handshake_on_connect=False)
    with encrypting:
        for scheme in ("http", "https"):
            environ = environ_of(**{"gunicorn.socket": encrypting, "wsgi.url_scheme": scheme})
            assert exposed(environ, start_response) is None
    assert client


def test_behind_a_proxy_that_decrypts_it_is_plain(pair: tuple[socket.socket, socket.socket]) -> None:
    theirs, _ = pair
    environ = environ_of(**{"gunicorn.socket": theirs, "wsgi.url_scheme": "https"})
    assert exposed(environ, start_response) == theirs.fileno()


def test_where_https_may_be_anything_it_is_not_taken() -> None:
    assert exposed(environ_of(**{"uwsgi.version": b"2.0", "wsgi.url_scheme": "https"}), start_response) is None


# --- taking it --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocking", [False, True])
def test_the_connection_is_ours_and_the_server_has_another(
    tasks: PlayedTasks, pair: tuple[socket.socket, socket.socket], blocking: bool
) -> None:
    server = PlayedServer(tasks)
    server.sio.start()
    theirs, client = pair
    theirs.setblocking(blocking)
    with server.runtime.turn:
        ours = take(server.runtime, theirs.fileno())
    with closing(ours):
        assert os.get_blocking(theirs.fileno()) is blocking
        ours.send(b"from us")
        assert client.recv(100) == b"from us"
        client.send(b"for us")
        assert ours.recv(100) == b"for us"
        theirs.send(b"from the server")
        theirs.shutdown(socket.SHUT_WR)
        tasks.others()
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(100)
        theirs.close()
        tasks.others()
        ours.send(b"still here")
        assert client.recv(100) == b"still here"
    assert not server.left()


def test_what_cannot_be_taken_changes_nothing(
    tasks: PlayedTasks, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = PlayedServer(tasks)
    server.sio.start()
    theirs, client = pair

    def full(descriptor: int) -> int:
        raise OSError(24, "Too many open files")

    def try_to_take() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(os, "dup", full)
            with pytest.raises(OSError, match="Too many"), server.runtime.turn:
                take(server.runtime, theirs.fileno())

    leaves_none_open(try_to_take)
    theirs.send(b"x")
    assert client.recv(1) == b"x"
    assert not server.left()


# --- how its server is told -------------------------------------------------------------------------------------------


def test_gunicorn_is_told_that_the_application_has_answered() -> None:
    with pytest.raises(StopIteration):
        leave(environ_of(**{"gunicorn.socket": object()}), start_response)


def test_werkzeug_is_told_that_the_client_has_gone() -> None:
    with pytest.raises(ConnectionError):
        leave(environ_of(**{"werkzeug.socket": object()}), start_response)


def test_eventlet_is_told_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    local = SimpleNamespace(already_handled=False)
    monkeypatch.setitem(sys.modules, "eventlet.wsgi", SimpleNamespace(WSGI_LOCAL=local))
    assert leave(environ_of(**{"eventlet.input": object()}), start_response) == []
    assert local.already_handled


def test_the_others_may_answer_whomever_they_have() -> None:
    started: list[Any] = []
    assert leave(environ_of(), lambda status, headers: started.append((status, headers))) == [b""]
    ((status, headers),) = started
    assert status == "200 OK"
    assert ("Connection", "close") in headers
