"""The server as a WSGI application: what is whose, static files, and WebSocket handshakes on sockets that are shown."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roomcast.drivers.blocking import handover
from roomcast.drivers.blocking.server import Server
from roomcast.drivers.blocking.wsgi import Middleware, WSGIApp, own_paths, respond
from roomcast.engineio import response
from tests.support.patience import PATIENCE
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks
from tests.support.wsgi_requests import HANDSHAKE_HEADERS, environ_of, respond_to

OPEN = "EIO=4&transport=polling"


def other_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """An application beside it: says where it was asked."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"other {environ['PATH_INFO']}".encode()]


# --- what is whose ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("socketio_path", "script", "path", "ours"),
    [
        ("socket.io", "", "/socket.io/", True),
        ("/socket.io/", "", "/socket.io/", True),
        ("socket.io", "", "/socket.io", True),
        ("socket.io", "", "/socket.io/more", True),
        ("socket.io", "", "/socket.iox/", False),
        ("socket.io", "", "/", False),
        ("socket.io", "/mount", "/socket.io/", True),
        ("mount/socket.io", "/mount", "/socket.io/", True),
        ("", "", "/anything", True),
    ],
)
def test_which_requests_are_the_servers(
    server: PlayedServer, socketio_path: str, script: str, path: str, ours: bool
) -> None:
    app = WSGIApp(server.sio, other_app, socketio_path=socketio_path)
    answer = respond_to(app, environ_of("GET", OPEN, PATH_INFO=path, SCRIPT_NAME=script))
    assert (answer.body[:1] == b"0") is ours, answer


def test_whatever_is_nobodys_is_not_found(server: PlayedServer) -> None:
    answer = respond_to(WSGIApp(server.sio), environ_of(PATH_INFO="/elsewhere"))
    assert (answer.status, answer.text) == (404, "Not Found")
    assert respond_to(WSGIApp(server.sio), environ_of("HEAD", PATH_INFO="/elsewhere")).body == b""


def test_a_path_that_is_not_ascii(server: PlayedServer) -> None:
    app = WSGIApp(server.sio, socketio_path="gr\u00fc\u00dfe")
    assert respond_to(app, environ_of("GET", OPEN, PATH_INFO="/gr\u00c3\u00bc\u00c3\u009fe/")).status == 200


def test_paths_under_a_mount() -> None:
    assert own_paths({"PATH_INFO": "/a"}) == ("/a",)
    assert own_paths({"PATH_INFO": "/a", "SCRIPT_NAME": "/m"}) == ("/m/a", "/a")
    assert own_paths({}) == ("",)


def test_the_old_name(server: PlayedServer) -> None:
    app = Middleware(server.sio, other_app, "chat")
    assert respond_to(app, environ_of("GET", OPEN, PATH_INFO="/chat/")).status == 200
    assert respond_to(app, environ_of(PATH_INFO="/x")).text == "other /x"
    with pytest.raises(TypeError):
        Middleware(server.sio, other_app, "chat", {})  # type: ignore[call-arg]  # static files came later


def test_handle_request_serves_any_path(server: PlayedServer) -> None:
    answer = respond_to(server.sio.handle_request, environ_of("GET", OPEN, PATH_INFO="/anywhere"))
    assert answer.status == 200


# --- static files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "index.html").write_text("<p>index")
    (tmp_path / "app.js").write_text("script")
    return {"/": str(tmp_path / "index.html"), "/static": str(tmp_path), "/gone.txt": str(tmp_path / "gone.txt")}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", (200, "text/html", b"<p>index")),
        ("GET", "/static/app.js", (200, "application/javascript", b"script")),
        ("HEAD", "/static/app.js", (200, "application/javascript", b"")),
        ("GET", "/static/../secret", (200, "text/plain", b"other /static/../secret")),
        ("GET", "/gone.txt", (200, "text/plain", b"other /gone.txt")),
        ("POST", "/", (200, "text/plain", b"other /")),
    ],
)
def test_static_files_before_the_other_application(
    server: PlayedServer, files: dict[str, Any], method: str, path: str, expected: tuple[int, str, bytes]
) -> None:
    app = WSGIApp(server.sio, other_app, static_files=files)
    answer = respond_to(app, environ_of(method, PATH_INFO=path))
    assert (answer.status, answer.headers["content-type"], answer.body) == expected
    if path.endswith(".js"):
        assert answer.headers["content-length"] == "6"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_static_files_under_a_mount(server: PlayedServer, files: dict[str, Any]) -> None:
    app = WSGIApp(server.sio, static_files=files)
    assert respond_to(app, environ_of(SCRIPT_NAME="/mount", PATH_INFO="/static/app.js")).text == "script"


def test_under_uwsgi_an_answer_says_that_it_is_the_last(server: PlayedServer) -> None:
    """uWSGI ends the connection and does not say so: clients that keep theirs would send the next request into it."""
    for extra, connection in (({}, None), ({"uwsgi.version": b"2.0"}, "close")):
        for environ in (environ_of("GET", OPEN, **extra), environ_of(PATH_INFO="/elsewhere", **extra)):
            assert respond_to(WSGIApp(server.sio), environ).headers.get("connection") == connection


def test_an_answer_as_wsgi_has_it() -> None:
    started: list[Any] = []

    def start_response(status: str, headers: Any) -> None:
        started.append((status, headers))

    assert respond({"REQUEST_METHOD": "GET"}, start_response, response.text(404, "no")) == [b"no"]
    assert respond({"REQUEST_METHOD": "HEAD"}, start_response, response.text(404, "no")) == [b""]
    assert {status for status, _ in started} == {"404 Not Found"}
    assert all(("content-length", "2") in headers for _, headers in started)


# --- WebSockets -------------------------------------------------------------------------------------------------------

WEBSOCKET = "EIO=4&transport=websocket"


class Shown:
    """A connection that a WSGI server shows, and the client's end of it."""

    def __init__(self) -> None:
        self.client, self.theirs = socket.socketpair()
        self.client.settimeout(PATIENCE)

    def environ(self, query: str = WEBSOCKET, **extra: Any) -> dict[str, Any]:
        return environ_of("GET", query, **{**HANDSHAKE_HEADERS, "gunicorn.socket": self.theirs, **extra})

    def close(self) -> None:
        self.client.close()
        self.theirs.close()


@pytest.fixture
def shown() -> Iterator[Shown]:
    found = Shown()
    yield found
    found.close()


def test_a_websocket_takes_the_connection(server: PlayedServer, shown: Shown) -> None:
    with pytest.raises(StopIteration):
        server.app(shown.environ(), lambda *_: None)
    shown.theirs.close()  # as its server does
    assert b" 101 " in shown.client.recv(65_536)
    assert len(server.sio.eio.sockets) == 1
    shown.client.close()
    server.tasks.others()
    assert not server.left()


def test_with_compression(tasks: PlayedTasks, shown: Shown) -> None:
    server = PlayedServer(tasks, websocket_compression=True)
    with pytest.raises(StopIteration):
        server.app(shown.environ(HTTP_SEC_WEBSOCKET_EXTENSIONS="permessage-deflate"), lambda *_: None)
    assert b"permessage-deflate" in shown.client.recv(65_536)


@pytest.mark.parametrize(
    ("query", "extra", "status"),
    [
        ("EIO=3&transport=websocket", {}, 400),
        (f"{WEBSOCKET}&sid=unknown", {}, 400),
        (WEBSOCKET, {"HTTP_SEC_WEBSOCKET_VERSION": "8"}, 426),
        (WEBSOCKET, {"HTTP_ORIGIN": "https://evil.example"}, 400),
        (WEBSOCKET, {"gunicorn.socket": None}, 501),
    ],
)
def test_websockets_that_are_refused(
    server: PlayedServer, shown: Shown, query: str, extra: dict[str, Any], status: int
) -> None:
    answer = respond_to(server.app, shown.environ(query, **extra))
    assert answer.status == status
    assert not server.left()
    assert sum(server.sio.counters.refused.values()) == 1


def test_a_node_that_is_full(tasks: PlayedTasks, shown: Shown) -> None:
    server = PlayedServer(tasks, max_sessions=0)
    assert respond_to(server.app, shown.environ()).status == 503


def test_a_process_without_descriptors_is_a_node_that_is_full(
    server: PlayedServer, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(handover, "take", full)
    answer = respond_to(server.app, shown.environ())
    assert answer.status == 503
    assert not server.left()
    assert server.sio.counters.refused["busy"] == 1


def test_an_application_can_be_made_before_the_server_runs() -> None:
    app = WSGIApp(Server())
    assert app.engineio_path == "socket.io"
