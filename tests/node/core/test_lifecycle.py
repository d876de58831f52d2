"""The life of a client: every way in and every way out."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from roomcast.core.lifecycle import refusal_of
from roomcast.core.work import CallConnect, CallDisconnect, SettleAck
from roomcast.engineio.outbox import STUCK_AFTER
from roomcast.exceptions import ConnectionRefusedError, DisconnectedError
from roomcast.settings import Settings
from tests.support.handler_log import HandlerLog
from tests.support.played import Closing, Stage

REJECTED = '44{"message":"Connection rejected by server"}'


@pytest.fixture
def stage() -> Stage:
    return Stage()


# --- connecting -------------------------------------------------------------------------------------------------------


def test_a_client_without_handlers_comes_and_goes(stage: Stage) -> None:
    stage.on("x", lambda sid: None)
    peer, sid = stage.joins()
    assert len(sid) == 20
    assert stage.node.counters.connects == 1
    peer.vanishes()
    assert stage.node.counters.disconnects["transport close"] == 1
    assert stage.left() == {}


def test_the_auth_reaches_the_connect_handler(stage: Stage) -> None:
    log = HandlerLog(stage)
    for packet in ('40{"key":1}', "40", "40{}"):
        stage.peer().sends(packet)
    assert log.calls == [("connect", {"key": 1}), ("connect", None), ("connect", None)]


@pytest.mark.parametrize(
    ("result", "error", "told"),
    [
        (None, None, None),
        (0, None, None),
        ("", None, None),
        (False, None, {"message": "Connection rejected by server"}),
        (None, ConnectionRefusedError("no", 1), {"message": "no", "data": 1}),
        (None, OSError("secret"), {"message": "Internal server error"}),
        (None, builtins.ConnectionRefusedError(), {"message": "Connection refused by server"}),
    ],
)
def test_what_an_outcome_tells_the_client(result: Any, error: Any, told: Any) -> None:
    assert refusal_of(result, error) == told


def test_connect_goes_out_before_what_the_handler_sent(stage: Stage) -> None:
    def connect(sid: str, environ: Any) -> None:
        stage.node.emit("early", 1, target=sid)
        stage.node.emit("to all", 2)

    stage.on("connect", connect)
    peer = stage.peer()
    peer.sends("40")
    first, *rest = peer.received()
    assert str(first).startswith('40{"sid":')
    assert rest == ['42["early",1]', '42["to all",2]']


def test_events_are_held_until_the_connect_handler_has_ended(stage: Stage) -> None:
    log = HandlerLog(stage, "connect")
    peer = stage.peer()
    peer.sends("40", '42["x",1]', '421["x",2]')
    assert log.names() == ["connect"]
    assert stage.node.census()["held"] == 2
    stage.driver.finish(CallConnect)
    assert log.calls[1:] == [("x", (1,)), ("x", (2,))]
    assert [str(packet)[:3] for packet in peer.received()] == ["40{", "431"]
    assert stage.node.census()["held"] == 0


@pytest.mark.parametrize(("extra", "closed"), [(0, False), (1, True)])
def test_no_more_events_are_held_than_may_be(extra: int, closed: bool) -> None:
    stage = Stage(Settings(max_held_packets=3))
    HandlerLog(stage, "connect")
    peer = stage.peer()
    peer.sends("40", *['42["x"]'] * (3 + extra))
    assert (peer.closing is not None) is closed
    assert stage.node.counters.parse_errors["event"] == extra


def test_a_refused_client_leaves_nothing_and_may_try_again(stage: Stage) -> None:
    log = HandlerLog(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    stage.node.enter_room(next(iter(stage.node.hub.namespaces["/"].sockets)), "room", "/")
    stage.driver.finish(CallConnect, False)
    assert peer.received() == [REJECTED]
    assert set(stage.left()) <= {"sessions", "heartbeats", "deadlines", "unconnected"}
    assert stage.node.counters.refused["connect_handler"] == 1
    peer.sends("40")
    stage.driver.finish(CallConnect)
    assert str(peer.received()[0]).startswith("40{")
    assert log.names() == ["connect", "connect"]


def test_a_refusal_that_has_no_form_is_told_without_its_data(stage: Stage) -> None:
    HandlerLog(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    stage.driver.finish(CallConnect, error=ConnectionRefusedError("no", object()))
    assert peer.received() == [REJECTED]


def test_always_connect_answers_first_and_takes_it_back(stage: Stage) -> None:
    stage = Stage(always_connect=True)
    HandlerLog(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    assert str(peer.received()[0]).startswith("40{")
    stage.driver.finish(CallConnect, False)
    assert peer.received() == ["41"]
    peer.sends("40")
    peer.received()
    stage.driver.finish(CallConnect)
    assert peer.received() == []


def test_always_connect_without_a_handler_answers_once() -> None:
    stage = Stage(namespaces=["/"], always_connect=True)
    peer = stage.peer()
    peer.sends("40")
    assert [str(packet)[:3] for packet in peer.received()] == ["40{"]


def test_a_binary_codec_sends_its_own_packets() -> None:
    stage = Stage(namespaces=["/"], serializer="msgpack")
    peer = stage.peer()
    peer.sends(b"\x82\xa4type\x00\xa3nsp\xa1/")
    (answer,) = peer.received()
    assert isinstance(answer, bytes)


@pytest.mark.parametrize("during", ["after", "while connecting"])
def test_a_second_connect_closes_the_connection(stage: Stage, during: str) -> None:
    log = HandlerLog(stage, *(["connect"] if during == "while connecting" else []))
    peer = stage.peer()
    peer.sends("40", "40")
    assert peer.closing == Closing(None, "")
    assert stage.node.counters.parse_errors["namespace"] == 1
    if during == "while connecting":
        stage.driver.finish(CallConnect)
    assert log.calls[-1] == ("disconnect", "parse error")
    assert stage.left() == {}


@pytest.mark.parametrize("held", [False, True])
def test_a_polling_client_reads_what_came_before_its_fault(stage: Stage, held: bool) -> None:
    HandlerLog(stage)
    client = stage.poller()
    if held:
        client.polls()
    client.posts("40", "40")
    first, *rest = client.reads()
    assert first.startswith("40{")
    assert rest == ["6", "1"]
    assert stage.left() == {}


@pytest.mark.parametrize("name", ["/nowhere", "/" + "x" * 256])
def test_a_namespace_that_is_not_there(stage: Stage, name: str) -> None:
    HandlerLog(stage)
    peer = stage.peer()
    peer.sends(f"40{name},")
    assert peer.received() == [f'44{name},{{"message":"Invalid namespace"}}']
    assert stage.node.counters.refused["namespace"] == 1
    peer.sends("40")
    assert str(peer.received()[-1]).startswith("40{")


@pytest.mark.parametrize(("limit", "told"), [(2, "40"), (1, "44")])
def test_a_connection_may_be_in_so_many_namespaces(limit: int, told: str) -> None:
    stage = Stage(Settings(max_namespaces=limit), namespaces="*")
    peer, _ = stage.joins("/one")
    peer.sends("40/two,")
    assert str(peer.received()[0]).startswith(told + "/two,")


def test_strangers_may_name_so_many_namespaces() -> None:
    stage = Stage(Settings(max_dynamic_namespaces=2), namespaces="*")
    stage.on("x", lambda sid: None, "/named")
    first, _ = stage.joins("/one")
    stage.joins("/two")
    stage.joins("/named")
    stage.joins("/two")
    refused = stage.peer()
    refused.sends("40/three,")
    assert refused.received() == ['44/three,{"message":"Too many namespaces"}']
    first.vanishes()
    refused.sends("40/three,")
    assert str(refused.received()[0]).startswith("40/three,{")


def test_who_never_connects_is_closed() -> None:
    stage = Stage(Settings(connect_timeout=5.0, ping_interval=100.0), namespaces=["/"])
    early, gone = stage.peer(), stage.peer()
    stage.driver.advance(3.0)
    late, connected = stage.peer(), stage.peer()
    gone.vanishes()
    connected.sends("40")
    stage.driver.advance(2.0)
    assert early.closing == Closing(None, "")
    assert len(stage.node.engine.sessions) == 2
    stage.driver.advance(2.9)
    assert len(stage.node.engine.sessions) == 2
    stage.driver.advance(0.2)
    assert late.closing is not None
    assert connected.closing is None
    connected.vanishes()
    assert stage.left() == {}


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_the_server_disconnects_one_namespace(stage: Stage) -> None:
    log = HandlerLog(stage)
    peer, sid = stage.joins()
    stage.driver.do(stage.node.disconnect(sid, "/"))
    assert peer.received() == ["41"]
    assert peer.closing is None
    assert log.calls[-1] == ("disconnect", "server disconnect")
    assert stage.node.disconnect(sid, "/") is None
    peer.sends('42["x"]')  # it may have been under way
    assert peer.closing is None


def test_the_server_ends_the_connection(stage: Stage) -> None:
    log, other = HandlerLog(stage), HandlerLog(stage, namespace="/other")
    peer, sid = stage.joins()
    peer.sends("40/other,")
    peer.received()
    stage.driver.do(stage.node.disconnect(sid, "/", close=True))
    assert peer.received() == ["41", "41/other,"]
    assert peer.closing == Closing(None, "")
    assert log.calls[-1] == other.calls[-1] == ("disconnect", "server disconnect")
    assert stage.left() == {}


def test_a_polling_client_reads_that_it_was_disconnected_although_its_connection_ends(stage: Stage) -> None:
    HandlerLog(stage)
    client = stage.poller()
    client.posts("40")
    client.reads()
    sid = next(iter(stage.node.hub.namespaces["/"].sockets))
    assert client.session.polling is not None
    assert client.session.polling.waiting
    stage.driver.do(stage.node.disconnect(sid, "/", close=True))
    assert client.received() == ["41"]
    assert client.reads() == ["6", "1"]
    assert stage.left() == {}


def test_nobody_else_can_be_disconnected(stage: Stage) -> None:
    assert stage.node.disconnect("unknown", "/") is None


def test_disconnecting_while_the_connect_handler_runs_refuses(stage: Stage) -> None:
    log = HandlerLog(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    sid = next(iter(stage.node.hub.namespaces["/"].sockets))
    stage.driver.do(stage.node.disconnect(sid, "/"))
    stage.driver.finish(CallConnect)
    assert peer.received() == [REJECTED]
    assert log.names() == ["connect"]


def test_a_client_that_leaves_while_its_connect_handler_runs_has_left() -> None:
    """With always_connect it has been told that it is connected, so it may leave; the application must hear of it."""
    stage = Stage(always_connect=True)
    log = HandlerLog(stage, "connect")
    peer = stage.peer()
    peer.sends("40", "41")
    peer.received()
    stage.driver.finish(CallConnect)
    assert log.calls[-1] == ("disconnect", "client disconnect")
    assert peer.received() == []
    peer.sends("40")
    assert log.names() == ["connect", "disconnect", "connect"]


def test_a_client_may_leave_and_come_back_at_once(stage: Stage) -> None:
    log = HandlerLog(stage)
    peer = stage.peer()
    peer.sends("40", "41", "40")
    assert log.names() == ["connect", "disconnect", "connect"]
    assert peer.closing is None


def test_while_the_disconnect_handler_runs_the_client_can_still_be_looked_up(stage: Stage) -> None:
    HandlerLog(stage, "disconnect")
    peer, sid = stage.joins()
    stage.node.enter_room(sid, "room", "/")
    peer.sends("41")
    socket = stage.node.socket(sid, "/")
    assert stage.node.hub.rooms_of(socket) == [sid, "room"]
    stage.node.emit("x", None, target=[sid, "room"])
    assert peer.received() == []
    stage.driver.finish(CallDisconnect)
    with pytest.raises(KeyError):
        stage.node.socket(sid, "/")


# --- acknowledgements of those who go ---------------------------------------------------------------------------------


def settled(stage: Stage) -> list[str]:
    return [type(each.error).__name__ for each in stage.driver.settled]


@pytest.mark.parametrize("handler", [True, False])
def test_what_waits_for_a_client_that_goes_ends(stage: Stage, handler: bool) -> None:
    if handler:
        HandlerLog(stage)
    else:
        stage.on("x", lambda sid: None)
    peer, sid = stage.joins()
    stage.asks(sid)
    peer.vanishes()
    (ended,) = stage.driver.settled
    assert isinstance(ended, SettleAck)
    assert ended.waiter == "waiter"
    assert isinstance(ended.error, DisconnectedError)
    assert stage.left() == {}


@pytest.mark.parametrize("alive", [True, False])
def test_what_waits_for_a_client_that_is_refused_ends(stage: Stage, alive: bool) -> None:
    HandlerLog(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    stage.asks(next(iter(stage.node.hub.namespaces["/"].sockets)))
    assert settled(stage) == []
    if not alive:
        peer.vanishes()
    stage.driver.finish(CallConnect, False)
    assert settled(stage) == [DisconnectedError.__name__]


def test_a_connect_handler_that_waits_for_its_client_is_told_when_it_has_gone(stage: Stage) -> None:
    HandlerLog(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    stage.asks(next(iter(stage.node.hub.namespaces["/"].sockets)))
    peer.vanishes()
    assert settled(stage) == [DisconnectedError.__name__]


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_what_is_held_back_while_connecting_is_bounded() -> None:
    stage = Stage(Settings(max_backlog_packets=10))
    log = HandlerLog(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    stage.driver.flush()
    woken = stage.driver.woken
    for _ in range(1_000):
        stage.node.emit("much", None)
    assert stage.node.census()["outboxes"] <= 10
    assert len(stage.node.engine.slow) == 1
    assert stage.driver.woken - woken <= 12
    stage.driver.flush()
    assert peer.closing == Closing(1013, "slow consumer")
    stage.driver.finish(CallConnect)
    assert log.calls[-1] == ("disconnect", "slow consumer")
    stage.driver.advance(STUCK_AFTER)
    assert stage.left() == {}
