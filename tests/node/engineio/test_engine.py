"""The rules that move sessions, played with plain calls: opening, what WebSockets send, heartbeat."""

from __future__ import annotations

import msgspec
import pytest

from roomcast.engineio.admission import Handshake
from roomcast.engineio.cors import OriginPolicy
from roomcast.engineio.response import Response
from roomcast.settings import Settings
from roomcast.websocket.frames import text_frame
from tests.support.bare_engine import empty, tell
from tests.support.limits import AROUND
from tests.support.played import BareStage, Closing, make_request
from tests.support.sinks import RecordingTrace


@pytest.fixture
def stage() -> BareStage:
    return BareStage()


# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_polling_handshake_announces_the_upgrade(stage: BareStage) -> None:
    client = stage.poller()
    told = msgspec.json.decode(client.handshake.body[1:])
    assert list(told) == ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]
    assert told["upgrades"] == ["websocket"]
    assert (b"x-roomcast-node", b"node") in client.handshake.headers
    assert stage.counts.sessions == ["polling"]


@pytest.mark.parametrize("settings", [Settings(allow_upgrades=False), Settings(transports=("polling",))])
def test_an_upgrade_that_is_not_possible_is_not_announced(settings: Settings) -> None:
    told = msgspec.json.decode(BareStage(settings).poller().handshake.body[1:])
    assert told["upgrades"] == []


def test_an_upgrade_that_the_server_of_this_request_cannot_carry_is_not_announced(stage: BareStage) -> None:
    answer = stage.engine.open_polling(make_request(), 0.0, upgradable=False)
    assert msgspec.json.decode(answer.body[1:])["upgrades"] == []


def test_the_node_of_an_answer_is_the_one_that_its_sids_name(stage: BareStage) -> None:
    stage.engine.sids.draw()  # another node had the tag
    client = stage.poller()
    assert (b"x-roomcast-node", client.sid[:4].encode()) in client.handshake.headers


def test_the_open_packet_of_a_websocket_announces_nothing(stage: BareStage) -> None:
    peer = stage.peer()
    packet = stage.engine.open_packet(peer.session)
    assert packet.startswith(b'0{"sid":"node')
    assert msgspec.json.decode(packet[1:])["upgrades"] == []
    assert stage.counts.sessions == ["websocket"]


def test_the_cookie_is_set_by_polling_handshakes() -> None:
    client = BareStage(cookie="io").poller()
    cookies = [value for name, value in client.handshake.headers if name == b"set-cookie"]
    assert cookies
    assert cookies[0].startswith(b"io=" + client.sid.encode())


def test_requests_are_judged_before_any_state(stage: BareStage) -> None:
    assert stage.engine.admit(make_request(), upgrade=False) == Handshake("polling")
    assert not stage.engine.sessions


def test_a_node_takes_as_many_sessions_as_it_may() -> None:
    stage = BareStage(Settings(max_sessions=2))
    for _ in range(2):
        assert stage.engine.busy(make_request(), 0.0) is None
        stage.poller()
    refusal = stage.engine.busy(make_request(), 0.0)
    assert isinstance(refusal, Response)
    assert refusal.status == 503
    assert dict(refusal.headers)[b"retry-after"] in (b"2", b"3")
    assert stage.counts.refused == ["busy"]


def test_a_node_takes_as_many_handshakes_a_second_as_it_may() -> None:
    engine = BareStage(Settings(max_handshakes_per_second=2)).engine
    assert [engine.busy(make_request(), 0.0) is None for _ in range(3)] == [True, True, False]
    assert engine.busy(make_request(), 0.5) is None


@AROUND
def test_an_address_begins_as_many_sessions_a_second_as_it_may(offset: int) -> None:
    stage = BareStage(Settings(max_handshakes_per_second_per_address=3))
    request, other = (make_request(client=(host, 5)) for host in ("192.0.2.1", "192.0.2.2"))
    refusals = [stage.engine.busy(request, 0.0) for _ in range(3 + offset)]
    assert refusals.count(None) == min(3 + offset, 3)
    assert stage.counts.refused == ["address_rate"] * (offset == 1)
    assert stage.engine.busy(other, 0.0) is None
    if offset == 1:
        refusal = refusals[-1]
        assert isinstance(refusal, Response)
        assert refusal.status == 503
        assert dict(refusal.headers)[b"retry-after"] in (b"2", b"3")
        assert stage.engine.busy(request, 0.5) is None


def test_one_address_does_not_use_up_what_the_node_has_for_all() -> None:
    stage = BareStage(Settings(max_handshakes_per_second=2, max_handshakes_per_second_per_address=1))
    clients = [("192.0.2.1", 5)] * 9 + [("192.0.2.2", 5), ("192.0.2.3", 5)]
    taken = [stage.engine.busy(make_request(client=client), 0.0) is None for client in clients]
    assert taken == [True] + [False] * 8 + [True, False]
    assert stage.counts.refused == ["address_rate"] * 8 + ["busy"]


def test_a_page_of_another_origin_may_read_that_the_node_is_busy() -> None:
    stage = BareStage(Settings(max_sessions=0), policy=OriginPolicy("https://elsewhere"))
    refusal = stage.engine.busy(make_request(b"", (b"origin", b"https://elsewhere")), 0.0)
    assert refusal is not None
    headers = dict(refusal.headers)
    assert headers[b"access-control-allow-origin"] == b"https://elsewhere"
    assert headers[b"vary"] == b"Origin"


def test_a_node_that_stops_takes_nobody(stage: BareStage) -> None:
    stage.engine.accepting = False
    assert stage.engine.busy(make_request(), 0.0) is not None


def test_an_engine_without_a_driver_wakes_nobody() -> None:
    stage = BareStage()
    fresh = BareStage().engine
    stage.engine.on_wake = fresh.on_wake
    stage.engine.on_deadline = fresh.on_deadline
    client = stage.poller()
    tell(client, "a")
    assert client.reads() == ["4a"]


# --- WebSocket --------------------------------------------------------------------------------------------------------


def test_messages_of_a_websocket(stage: BareStage) -> None:
    peer = stage.peer()
    session = peer.session
    peer.sends("4a", b"\x01", "bAQIDBA==", "5", "4b")
    assert stage.applications[session.sid].messages == [b"4a", b"\x01", b"\x01\x02\x03\x04", b"4b"]
    peer.sends("1")
    assert stage.applications[session.sid].ends == ["client disconnect"]
    assert peer.closing == Closing(None, "")
    assert empty(stage)


@pytest.mark.parametrize(("text", "reason"), [("abc", "parse error"), ("", "parse error"), ("2", "transport error")])
def test_what_a_websocket_must_not_send(stage: BareStage, text: str, reason: str) -> None:
    peer = stage.peer()
    sid = peer.session.sid
    peer.sends(text)
    assert stage.applications[sid].ends == [reason]
    assert peer.closing == Closing(None, "")


# --- heartbeat --------------------------------------------------------------------------------------------------------


def test_a_silent_client_is_closed(stage: BareStage) -> None:
    peer, poller = stage.peer(), stage.poller()
    sids = [peer.session.sid, poller.sid]
    stage.driver.advance(25.0)
    assert peer.received() == ["2"]
    stage.driver.advance(19.9)
    assert poller.known
    stage.driver.advance(0.2)
    assert [stage.applications[sid].ends for sid in sids] == [["ping timeout"]] * 2
    assert stage.counts.ping_timeouts == 2
    assert empty(stage)


def test_a_pong_or_any_packet_buys_time(stage: BareStage) -> None:
    peer, poller = stage.peer(), stage.poller()
    stage.driver.advance(25.0)
    stage.driver.advance(10.0)
    peer.sends("3")
    poller.posts("4a")
    stage.driver.advance(19.0)
    assert len(stage.engine.sessions) == 2
    assert poller.reads() == ["2"]


def test_the_next_deadline_is_the_earliest(stage: BareStage) -> None:
    assert stage.engine.due() is None
    now = stage.driver.now
    stage.engine.deadlines.add(now + 100.0, lambda now: None)
    assert stage.engine.due() == now + 100.0
    poller = stage.poller()
    assert stage.engine.due() == now + 25.0
    visitor = stage.visitor()
    visitor.probes(poller.session)
    assert stage.engine.due() == now + 10.0
    assert stage.driver.deadlines[-1] == now + 10.0


# --- tracing ----------------------------------------------------------------------------------------------------------


def test_whoever_wants_to_know_is_told_what_passes_through(stage: BareStage) -> None:
    trace = RecordingTrace()
    stage.engine.set_trace(trace)
    client, visitor = stage.poller(), stage.visitor()
    client.posts("4a")
    visitor.probes(client.session)
    visitor.sends("5")
    tell(client, "b")
    stage.driver.flush()
    assert trace.lines == [
        ("packet", b"0"),
        ("received", b"4a"),
        ("note", "Received request to upgrade to websocket"),
        ("received", b"5"),
        ("note", "Upgrade to websocket successful"),
        ("sent", text_frame(b"4b")),
    ]
