"""Bodies of requests as WSGI servers give them: too large, cut off, slow, without a length."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Any

import pytest

from roomcast.drivers.blocking.bodies import read_body
from roomcast.drivers.blocking.requests import read_request
from roomcast.engineio.bodies import BodyError
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks
from tests.support.wsgi_requests import environ_of

# Seconds of played time.
HALF_A_MINUTE = 30.0

LIMIT = 100


@pytest.fixture
def server(tasks: PlayedTasks) -> PlayedServer:
    played = PlayedServer(tasks, max_http_buffer_size=LIMIT, body_timeout=20)
    played.sio.start()
    return played


def read(server: PlayedServer, body: Any, theirs: int | None = None, /, **extra: Any) -> bytes:
    environ = environ_of("POST", "", body, **extra)
    return read_body(server.runtime, read_request(environ), environ, theirs)


@pytest.mark.parametrize("body", [b"", b"4a", b"x" * LIMIT])
def test_bodies_that_are_taken(server: PlayedServer, body: bytes) -> None:
    assert read(server, body) == body


def test_no_more_than_announced_is_read(server: PlayedServer) -> None:
    coming = io.BytesIO(b"4aGET /next")
    assert read(server, coming, CONTENT_LENGTH="2") == b"4a"
    assert coming.read() == b"GET /next"


def test_without_length_and_coding_there_is_none(server: PlayedServer) -> None:
    assert read(server, io.BytesIO(b"something else")) == b""


def test_in_chunks_where_the_server_knows_their_end(server: PlayedServer) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    assert read(server, io.BytesIO(b"4abc"), **chunked) == b"4abc"
    assert refusal(lambda: read(server, io.BytesIO(b"x" * (LIMIT + 1)), **chunked)) == (413, "body_too_large")


def refusal(reading: Callable[[], bytes]) -> tuple[int, str]:
    with pytest.raises(BodyError) as caught:
        reading()
    return caught.value.status, caught.value.label


@pytest.mark.parametrize(
    ("body", "extra", "expected"),
    [
        (b"x" * (LIMIT + 1), {}, (413, "body_too_large")),
        (b"x", {"HTTP_CONTENT_ENCODING": "gzip"}, (415, "content_encoding")),
        (b"x", {"CONTENT_LENGTH": "many"}, (400, "bad_request")),
        (b"x", {"CONTENT_LENGTH": "-1"}, (400, "bad_request")),
        (b"x", {"CONTENT_LENGTH": "2"}, (408, "body_too_slow")),
        (b"x", {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}, (411, "bad_request")),
    ],
)
def test_bodies_that_are_not_taken(
    server: PlayedServer, body: bytes, extra: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert refusal(lambda: read(server, body, **extra)) == expected


def test_one_that_is_too_large_is_not_even_read(server: PlayedServer) -> None:
    assert refusal(lambda: read(server, Unreadable(), CONTENT_LENGTH="1000"))[0] == 413


class Unreadable:
    """As the input of a server that has errors of its own."""

    def read(self, size: int) -> bytes:
        raise ValueError("the client sent nonsense")


def test_whatever_reading_raises_the_body_has_not_come(server: PlayedServer) -> None:
    assert refusal(lambda: read(server, Unreadable(), CONTENT_LENGTH="10")) == (408, "body_too_slow")


def test_where_its_socket_is_shown_a_body_has_so_long_and_no_longer(server: PlayedServer) -> None:
    theirs, client = socket.socketpair()
    theirs.setblocking(False)

    class Connection:
        """Reads as a server's input does: until everything has come or the client has ended."""

        def read(self, size: int) -> bytes:
            found = b""
            while len(found) < size:
                server.tasks.pause(lambda: readable(theirs))
                data = theirs.recv(size)
                if not data:
                    break
                found += data
            return found

    with theirs, client:
        client.send(b"4")
        began = server.tasks.now
        assert refusal(lambda: read(server, Connection(), theirs.fileno(), CONTENT_LENGTH="10")) == (
            408,
            "body_too_slow",
        )
        assert server.tasks.now - began == pytest.approx(20, abs=0.5)
    assert not server.left()


def readable(sock: socket.socket) -> bool:
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    return True


def test_one_that_comes_in_time_leaves_the_connection_as_it_was(server: PlayedServer) -> None:
    theirs, client = socket.socketpair()
    with theirs, client:
        client.send(b"4abc")
        assert read(server, theirs.makefile("rb"), theirs.fileno(), CONTENT_LENGTH="4") == b"4abc"
        assert not server.left()
        server.tasks.advance(30)
        client.send(b"next")
        assert theirs.recv(10) == b"next"


def test_a_client_that_has_gone_when_its_time_is_over(server: PlayedServer) -> None:
    theirs = socket.socket()  # as one that is not connected any more

    class Patient:
        def read(self, size: int) -> bytes:
            server.tasks.sleep(HALF_A_MINUTE)
            return b""

    with theirs:
        assert refusal(lambda: read(server, Patient(), theirs.fileno(), CONTENT_LENGTH="1"))[0] == 408
