"""Long polling by WSGI requests: what waits, where and how long, and POSTs of every kind."""

from __future__ import annotations

import io
import socket
from typing import Any

import pytest

from roomcast.drivers.blocking.calls import MAX_WAITING
from roomcast.drivers.blocking.polling import CATCH_UP_PATIENCE, FREE_POLLS, SHORT_POLL
from tests.support.patience import PATIENCE
from tests.support.played_server import PlayedPoller, PlayedServer
from tests.support.played_tasks import PlayedTasks
from tests.support.wsgi_requests import environ_of


@pytest.fixture
def server(tasks: PlayedTasks) -> PlayedServer:
    played = PlayedServer(tasks)
    played.sio.on("echo", lambda sid, value: value)
    return played


# --- opening ----------------------------------------------------------------------------------------------------------


def test_no_upgrade_is_announced_where_the_server_shows_no_connection(server: PlayedServer) -> None:
    assert server.poller().told["upgrades"] == []


def test_an_upgrade_is_announced_where_it_does(server: PlayedServer) -> None:
    one, other = socket.socketpair()
    with one, other:
        answer = server.request("GET", "EIO=4&transport=polling", **{"gunicorn.socket": one})
    assert b'"upgrades":["websocket"]' in answer.body


@pytest.mark.parametrize(
    ("method", "query", "status", "body"),
    [
        ("GET", "EIO=4&transport=carrier", 400, '{"code":0,"message":"Transport unknown"}'),
        ("GET", "EIO=3&transport=polling", 400, '{"code":5,"message":"Unsupported protocol version"}'),
        ("GET", "EIO=4&transport=polling&sid=no", 400, '{"code":1,"message":"Session ID unknown"}'),
        ("POST", "EIO=4&transport=polling", 400, '{"code":2,"message":"Bad handshake method"}'),
        ("HEAD", "EIO=4&transport=polling", 400, ""),
        ("GET", "EIO=4&transport=websocket", 400, '{"code":3,"message":"Bad request"}'),
    ],
)
def test_requests_that_are_refused(server: PlayedServer, method: str, query: str, status: int, body: str) -> None:
    answer = server.request(method, query)
    assert (answer.status, answer.text) == (status, body)
    assert not server.left()


def test_other_methods_of_an_open_session(server: PlayedServer) -> None:
    poller = server.poller()
    for method, status in (("PUT", 405), ("HEAD", 405), ("OPTIONS", 204)):
        answer = server.request(method, poller.query, HTTP_ORIGIN="http://example.org")
        assert answer.status == status
        assert answer.body == b"" or method == "PUT"


def test_a_browser_asks_what_it_may_send(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, cors_allowed_origins=["https://good.example"])
    asking = {"HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "x-thing", "HTTP_ORIGIN": "https://good.example"}
    answer = server.request("OPTIONS", "EIO=4&transport=polling", **asking)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "https://good.example"
    assert answer.headers["access-control-allow-headers"] == "x-thing"


def test_a_refused_origin(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, cors_allowed_origins=["https://good.example"])
    answer = server.request("GET", "EIO=4&transport=polling", HTTP_ORIGIN="https://evil.example")
    assert answer.status == 400
    assert "access-control-allow-origin" not in answer.headers
    assert server.sio.counters.refused["origin"] == 1


def test_a_node_that_is_full(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, max_sessions=1)
    server.poller()
    assert server.request("GET", "EIO=4&transport=polling").status == 503


# --- GET --------------------------------------------------------------------------------------------------------------


def test_a_get_is_answered_when_there_is_something(server: PlayedServer) -> None:
    poller = server.poller()
    poller.joins()
    waiting = poller.polls()
    server.tasks.others()
    assert not poller.answers
    server.sio.emit("news", 1)
    waiting.join()
    assert poller.answers[0].packets == ['42["news",1]']
    assert poller.answers[0].headers["content-type"] == "text/plain; charset=UTF-8"


def test_what_waits_is_answered_at_once(server: PlayedServer) -> None:
    poller = server.poller()
    poller.joins()
    server.sio.emit("news", 1)
    server.sio.emit("news", 2)
    assert poller.reads() == ['42["news",1]', '42["news",2]']
    assert server.tasks.now == 1_000


def test_the_ping_is_the_answer_if_nothing_else_is(server: PlayedServer) -> None:
    poller = server.poller()
    assert poller.reads() == ["2"]
    assert server.tasks.now == pytest.approx(1_025, abs=1)
    assert poller.posts("3").status == 200


def test_a_second_get_ends_the_session(server: PlayedServer) -> None:
    poller = server.poller()
    first = poller.polls()
    server.tasks.others()
    poller.polls().join()
    first.join()
    assert sorted(answer.status for answer in poller.answers) == [200, 400]
    assert not server.left()


def test_where_tasks_are_scarce_nobody_waits_long(server: PlayedServer) -> None:
    pollers = [server.poller() for _ in range(FREE_POLLS + 2)]
    for poller in pollers:
        poller.polls()
    server.tasks.others()
    assert server.sio.census()["polls_in_tasks"] == FREE_POLLS + 2
    server.tasks.advance(SHORT_POLL + 0.1)
    answered = [poller for poller in pollers if poller.answers]
    assert answered == pollers[FREE_POLLS:]
    assert answered[0].answers[0].packets == ["6"]
    assert server.sio.census()["polls_in_tasks"] == FREE_POLLS
    again = answered[0].polls()
    server.tasks.others()
    server.tasks.advance(SHORT_POLL + 0.1)
    again.join()
    assert [answer.packets for answer in answered[0].answers] == [["6"], ["6"]]


def test_a_get_that_is_answered_in_the_moment_in_which_it_may_wait_no_longer(server: PlayedServer) -> None:
    pollers = [server.poller() for _ in range(FREE_POLLS + 1)]
    for poller in pollers:
        poller.polls()
    server.tasks.others()
    with server.runtime.turn:
        server.tasks.advance(SHORT_POLL)  # its task wants to give up, and waits for its turn
        server.runtime.run(server.runtime.engine.close_some(FREE_POLLS + 1, "server disconnect", None))
    server.tasks.others()
    assert [answer.packets for answer in pollers[-1].answers] == [["1"]]
    assert not server.left()


def test_a_session_that_ends_answers_its_get(server: PlayedServer) -> None:
    poller = server.poller()
    sid = poller.joins()
    waiting = poller.polls()
    server.tasks.others()
    server.sio.disconnect(sid, close=True)
    waiting.join()
    assert poller.answers[0].packets == ["41"]
    assert poller.reads() == ["6", "1"]
    assert not server.left()


# --- POST -------------------------------------------------------------------------------------------------------------


def test_packets_are_handled_in_order(server: PlayedServer) -> None:
    poller = server.poller()
    poller.joins()
    answer = poller.posts(*[f'42{number}["echo",{number}]' for number in range(3)])
    assert (answer.status, answer.text) == (200, "ok")
    server.tasks.others()
    assert poller.reads() == [f"43{number}[{number}]" for number in range(3)]


@pytest.mark.parametrize(
    ("body", "extra", "status", "lives"),
    [
        (b"x" * 101, {}, 413, True),
        (b"x", {"HTTP_CONTENT_ENCODING": "gzip"}, 415, True),
        (b"x", {"CONTENT_LENGTH": "10"}, 408, False),
        (b"9", {}, 400, False),
        (b"2", {"CONTENT_TYPE": "application/octet-stream"}, 400, False),
    ],
    ids=["too large", "encoded", "cut off", "no packet", "octets"],
)
def test_bodies_that_are_refused(
    tasks: PlayedTasks, body: bytes, extra: dict[str, Any], status: int, lives: bool
) -> None:
    server = PlayedServer(tasks, max_http_buffer_size=100)
    poller = server.poller()
    answer = server.request("POST", poller.query, body, **extra)
    assert answer.status == status
    assert bool(server.sio.eio.sockets) is lives
    if lives:
        assert poller.posts("3").status == 200


def test_a_second_post_while_the_first_is_read_ends_the_session(server: PlayedServer) -> None:
    poller = server.poller()
    gate = server.tasks.concurrency.make_event()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            gate.wait()
            return super().read(size)

    answers = []
    server.tasks.start(
        lambda: answers.append(server.request("POST", poller.query, Slow(b"3"), CONTENT_LENGTH="1").status)
    )
    server.tasks.others()
    assert poller.posts("3").status == 400
    gate.set()
    server.tasks.others()
    assert not server.left()


def test_the_answer_of_a_client_that_sends_too_fast_comes_later(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, max_events_per_second=10)
    server.sio.on("x", lambda sid: None)
    poller = server.poller()
    poller.joins()
    began = tasks.now
    assert poller.posts(*['42["x"]'] * 30).text == "ok"
    assert 1.0 < tasks.now - began < 4.0
    assert not server.left().keys() & {"behind", "waiting"}


class Behind:
    """A polling client with more handlers than it may have, which wait until :meth:`catches_up`."""

    def __init__(self, server: PlayedServer) -> None:
        self.server = server
        self._gate = server.tasks.concurrency.make_event()
        server.sio.on("wait", lambda sid: self._gate.wait())
        self.poller = server.poller()
        self.poller.joins()
        self.events = ['42["wait"]'] * (MAX_WAITING + 1)
        self.answers: list[Any] = []

    def posts(self) -> None:
        self.server.tasks.start(lambda: self.answers.append(self.poller.posts(*self.events)))
        self.server.tasks.others()

    def catches_up(self) -> None:
        self._gate.set()
        self.server.tasks.others()


def test_the_answer_of_a_client_that_is_behind_comes_when_it_has_caught_up(server: PlayedServer) -> None:
    behind = Behind(server)
    behind.posts()
    assert not behind.answers
    behind.catches_up()
    assert [answer.text for answer in behind.answers] == ["ok"]
    server.ends()


def test_it_comes_in_any_case_in_the_end(server: PlayedServer) -> None:
    behind = Behind(server)
    behind.posts()
    server.tasks.advance(CATCH_UP_PATIENCE - 15)  # or its session would end
    assert not behind.answers
    behind.poller.polls()
    server.tasks.advance(15.1)
    assert [answer.text for answer in behind.answers] == ["ok"]
    behind.catches_up()


# --- on sockets that are shown ----------------------------------------------------------------------------------------


class Shown:
    """A request whose server shows its connection."""

    def __init__(self, poller: PlayedPoller, method: str = "GET", body: bytes = b"") -> None:
        self.client, self.theirs = socket.socketpair()
        self.client.settimeout(PATIENCE)
        environ = environ_of(method, poller.query, body, **{"gunicorn.socket": self.theirs})
        with pytest.raises(StopIteration):
            poller.server.app(environ, lambda *_: None)
        self.theirs.close()  # as its server does then
        poller.server.tasks.others()

    def reads(self) -> bytes:
        found = bytearray()
        while data := self.client.recv(65_536):
            found += data
        self.client.close()
        return bytes(found)


def test_a_get_waits_on_its_socket_and_holds_no_task(server: PlayedServer) -> None:
    poller = server.poller()
    poller.joins()
    alive = len(server.tasks.alive)
    shown = Shown(poller)
    assert len(server.tasks.alive) == alive + 1  # the poller
    assert server.sio.census()["polls_in_tasks"] == 0
    server.sio.emit("news", 1)
    head, _, body = shown.reads().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close" in head
    assert body == b'42["news",1]'


def test_a_client_that_drops_its_get_ends_its_session(server: PlayedServer) -> None:
    reasons: list[str] = []
    server.sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    poller = server.poller()
    poller.joins()
    Shown(poller).client.close()
    server.tasks.others()
    assert reasons == ["transport error"]
    assert not server.left()


def test_a_post_whose_answer_comes_later_waits_on_its_socket(server: PlayedServer) -> None:
    behind = Behind(server)
    shown = Shown(behind.poller, "POST", "\x1e".join(behind.events).encode())
    behind.catches_up()
    assert shown.reads().endswith(b"\r\n\r\nok")


def test_a_client_that_goes_before_its_post_is_answered_keeps_its_session(server: PlayedServer) -> None:
    behind = Behind(server)
    Shown(behind.poller, "POST", "\x1e".join(behind.events).encode()).client.close()
    server.tasks.others()
    assert len(server.sio.eio.sockets) == 1
    behind.catches_up()
    assert server.sio.census()["connections"] == 0
