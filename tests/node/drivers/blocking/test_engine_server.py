"""Bare Engine.IO for threads and greenlets."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.drivers.blocking.engine_server import EngineServer
from roomcast.drivers.blocking.wsgi import WSGIApp
from tests.support.played_server import PlayedPoller, PlayedWebSocket
from tests.support.played_tasks import PlayedTasks
from tests.support.wsgi_requests import Answer, environ_of, respond_to


class BareStage:
    """A server that sends back what it gets, and what its handlers were told."""

    def __init__(self, tasks: PlayedTasks, **options: Any) -> None:
        self.tasks = tasks
        self.eio = self.sio = EngineServer(async_mode=tasks.concurrency, **{"drain_seconds": 0.0, **options})
        self.runtime = self.eio.runtime
        self.app = WSGIApp(self.eio)
        self.told: list[Any] = []
        self.eio.on("connect", lambda sid, environ: self.told.append(("connect", environ["QUERY_STRING"][:5])))
        self.eio.on("disconnect", lambda sid, reason: self.told.append(("disconnect", reason)))

        @self.eio.on("message")
        def message(sid: str, data: str | bytes) -> None:
            self.told.append(("message", data))
            self.eio.send(sid, data)

        tasks.closing.append(self.eio.shutdown)

    def request(self, method: str = "GET", query: str = "", body: Any = b"", /, **extra: Any) -> Answer:
        return respond_to(self.app, environ_of(method, query, body, **extra))

    def poller(self) -> PlayedPoller:
        return PlayedPoller(self)

    def websocket(self) -> PlayedWebSocket:
        client = PlayedWebSocket(self, "", 1_000_000)
        assert str(client.receives()).startswith("0{")
        return client


@pytest.fixture
def stage(tasks: PlayedTasks) -> BareStage:
    return BareStage(tasks)


def test_messages_of_both_kinds_over_a_websocket(stage: BareStage) -> None:
    client = stage.websocket()
    client.sends("4grüße")
    client.writes(b"\x82\x82\0\0\0\0\x00\xff")
    assert client.received() == ["4grüße", b"\x00\xff"]
    client.vanishes()
    stage.tasks.others()
    assert stage.told == [
        ("connect", "EIO=4"),
        ("message", "grüße"),
        ("message", b"\x00\xff"),
        ("disconnect", "transport close"),
    ]


def test_messages_of_both_kinds_by_polling(stage: BareStage) -> None:
    poller = stage.poller()
    assert poller.posts("4grüße", "bAP8=").text == "ok"
    stage.tasks.others()
    assert poller.reads() == ["4grüße", "bAP8="]
    assert stage.eio.transport(poller.sid) == "polling"


def test_messages_of_one_session_are_handled_one_after_another(stage: BareStage) -> None:
    gate = stage.tasks.concurrency.make_event()
    handled: list[Any] = []

    @stage.eio.on("message")
    def message(sid: str, data: str) -> None:
        if data == "slow":
            gate.wait()
        handled.append(data)

    slow, other = stage.websocket(), stage.websocket()
    slow.sends("4slow", "4after")
    other.sends("4other")
    stage.tasks.others()
    assert handled == ["other"]
    gate.set()
    stage.tasks.others()
    assert handled == ["other", "slow", "after"]


def test_who_sends_faster_than_it_is_served_is_read_later(stage: BareStage) -> None:
    gate = stage.tasks.concurrency.make_event()
    stage.eio.on("message", lambda sid, data: gate.wait())
    client = stage.websocket()
    client.sends(*["4x"] * 200)
    stage.tasks.others()
    assert not client.is_read()
    assert stage.runtime.pool.running < 100
    gate.set()
    stage.tasks.others()
    assert client.is_read()
    assert not stage.runtime.census()["waiting"]


def test_a_message_that_is_no_text_ends_the_session(stage: BareStage) -> None:
    poller = stage.poller()
    assert stage.request("POST", poller.query, b"4\xff\xfe").status == 200
    stage.tasks.others()
    assert stage.told[-1] == ("disconnect", "parse error")


def test_a_connect_handler_may_refuse(stage: BareStage) -> None:
    stage.eio.on("connect", lambda sid, environ: False)
    poller = stage.poller()
    assert poller.reads() == ["6", "1"]
    stage.tasks.others()
    assert not stage.eio.sockets


def test_what_handlers_raise_is_told_of_and_ends_nothing(stage: BareStage, caplog: pytest.LogCaptureFixture) -> None:
    stage.eio.on("connect", lambda sid, environ: 1 / 0)
    stage.eio.on("message", lambda sid, data: [][0])
    client = stage.websocket()
    client.sends("4x")
    stage.tasks.others()
    assert stage.eio.counters.handler_errors["callback"] == 2
    assert "the connect handler raised ZeroDivisionError" in caplog.text
    assert "raised IndexError" in caplog.text
    assert len(stage.eio.sockets) == 1


def test_without_handlers_everything_is_ignored(tasks: PlayedTasks) -> None:
    stage = BareStage(tasks)
    stage.eio.handlers.clear()
    client = stage.websocket()
    client.sends("4x")
    client.vanishes()
    tasks.others()
    assert not stage.eio.sockets


def test_events_that_do_not_exist(stage: BareStage) -> None:
    with pytest.raises(ValueError, match="'echo' is no event of Engine"):
        stage.eio.on("echo")


def test_sending_to_a_stranger_and_ending_everybody(stage: BareStage) -> None:
    stage.eio.send("stranger", "x")
    clients = [stage.websocket() for _ in range(2)]
    stage.eio.disconnect("stranger")
    stage.eio.disconnect()
    for client in clients:
        client.received()
        assert client.closed_with is not None


def test_sessions(stage: BareStage) -> None:
    sid = stage.poller().sid
    stage.eio.get_session(sid)["name"] = "Ann"
    assert stage.eio.get_session(sid) == {"name": "Ann"}
    stage.eio.save_session(sid, {"new": 1})
    assert stage.eio.get_session(sid) == {"new": 1}
    with pytest.raises(KeyError):
        stage.eio.get_session("stranger")


def test_start_and_end(stage: BareStage) -> None:
    stage.eio.start()
    stage.websocket()
    stage.eio.shutdown()
    assert stage.told[-1] == ("disconnect", "server shutting down")
    assert stage.request("GET", "EIO=4&transport=polling").status == 503
    stage.tasks.others()
    assert not stage.tasks.alive
    assert not any(stage.runtime.census().values())
