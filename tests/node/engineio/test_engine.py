"""The rules that move sessions, played with plain calls: opening, polling, upgrading, heartbeat, closing."""

from __future__ import annotations

import msgspec
import pytest

from roomcast.engineio import outbox
from roomcast.engineio.admission import Handshake
from roomcast.engineio.response import Response
from roomcast.engineio.work import CloseLink
from roomcast.settings import Settings
from roomcast.websocket.frames import binary_frame, text_frame
from tests.support.played import BareStage, Closing, Peer, Poller, make_request
from tests.support.sinks import RecordingTrace

SLOW = 1_000_000  # bytes


@pytest.fixture
def stage() -> BareStage:
    return BareStage()


def tell(poller_or_peer: Poller | Peer, *texts: str) -> None:
    """The application sends messages to one client."""
    for text in texts:
        poller_or_peer.session.outbox.put(text_frame(b"4" + text.encode()))


def ends(stage: BareStage, client: Poller | Peer) -> list[str]:
    sid = client.sid if isinstance(client, Poller) else client.session.sid
    return stage.applications[sid].ends


def empty(stage: BareStage) -> bool:
    engine = stage.engine
    return not engine.sessions and engine.wheel.due() is None and not len(engine.deadlines) and not engine.slow


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


def test_long_answers_are_compressed_unless_told_otherwise() -> None:
    for compressed in (True, False):
        stage = BareStage(Settings(http_compression=compressed))
        client = stage.poller((b"accept-encoding", b"gzip"))
        tell(client, "x" * 2_000)
        client.polls()
        assert ((b"content-encoding", b"gzip") in client.answers[0].headers) is compressed


def test_requests_are_judged_before_any_state(stage: BareStage) -> None:
    assert stage.engine.admit(make_request(), upgrade=False) == Handshake("polling")
    assert not stage.engine.sessions


def test_a_node_takes_as_many_sessions_as_it_may() -> None:
    stage = BareStage(Settings(max_sessions=2))
    for _ in range(2):
        assert stage.engine.busy(0.0) is None
        stage.poller()
    refusal = stage.engine.busy(0.0)
    assert isinstance(refusal, Response)
    assert refusal.status == 503
    assert dict(refusal.headers)[b"retry-after"] in (b"2", b"3")
    assert stage.counts.refused == ["busy"]


def test_a_node_takes_as_many_handshakes_a_second_as_it_may() -> None:
    engine = BareStage(Settings(max_handshakes_per_second=2)).engine
    assert [engine.busy(0.0) is None for _ in range(3)] == [True, True, False]
    assert engine.busy(0.5) is None


def test_a_node_that_stops_takes_nobody(stage: BareStage) -> None:
    stage.engine.accepting = False
    assert stage.engine.busy(0.0) is not None


def test_an_engine_without_a_driver_wakes_nobody() -> None:
    stage = BareStage()
    fresh = BareStage().engine
    stage.engine.on_wake = fresh.on_wake
    stage.engine.on_deadline = fresh.on_deadline
    client = stage.poller()
    tell(client, "a")
    assert client.reads() == ["4a"]


# --- polling ----------------------------------------------------------------------------------------------------------


def test_a_get_is_held_until_there_is_something(stage: BareStage) -> None:
    client = stage.poller()
    client.polls()
    assert client.answers == []
    tell(client, "a", "b")
    session = client.session
    session.outbox.put(binary_frame(b"\x01\x02\x03\x04"))
    assert client.received() == ["4a", "4b", "bAQIDBA=="]


def test_what_waits_is_the_answer_at_once(stage: BareStage) -> None:
    client = stage.poller()
    tell(client, "a")
    stage.driver.flush()
    tell(client, "b")
    client.polls()
    assert [answer.body for answer in client.answers] == [b"4a\x1e4b"]


def test_a_second_get_ends_the_session(stage: BareStage) -> None:
    client = stage.poller()
    client.polls()
    client.polls()
    assert [(answer.status, answer.body) for answer in client.answers] == [(400, b""), (200, b"1")]
    assert ends(stage, client) == ["transport error"]
    assert empty(stage)


def test_a_get_that_loses_its_connection_ends_the_session(stage: BareStage) -> None:
    client = stage.poller()
    session = client.session
    assert stage.engine.poll_lost(session) is None
    assert ends(stage, client) == []
    client.polls()
    stage.driver.do(stage.engine.poll_lost(session))
    assert ends(stage, client) == ["transport error"]
    assert client.answers == []
    assert stage.engine.poll_lost(session) is None
    assert empty(stage)


def test_packets_of_a_post_arrive_in_order(stage: BareStage) -> None:
    client = stage.poller()
    answer = client.posts("4a", "bAQIDBA==", "3", "4b", "6")
    assert (answer.status, answer.body) == (200, b"ok")
    assert stage.applications[client.sid].messages == [b"4a", b"\x01\x02\x03\x04", b"4b"]
    assert stage.counts.packets_in == 5
    assert client.posts("4c").status == 200


@pytest.mark.parametrize("body", [["abc"], [""], ["4a", "abc", "4b"], ["b!!"]])
def test_a_broken_payload_ends_the_session_at_once(stage: BareStage, body: list[str]) -> None:
    client = stage.poller()
    assert client.posts(*body).status == 400
    assert ends(stage, client) == ["parse error"]
    assert stage.applications[client.sid].messages == ([b"4a"] if len(body) > 1 else [])
    assert empty(stage)


@pytest.mark.parametrize(("extra", "status"), [(0, 200), (1, 400)])
def test_a_payload_may_have_so_many_packets(extra: int, status: int) -> None:
    stage = BareStage(Settings(max_decode_packets=5))
    client = stage.poller()
    assert client.posts(*["4a"] * (5 + extra)).status == status
    assert len(stage.applications[client.sid].messages) == (0 if extra else 5)


def test_only_the_server_pings(stage: BareStage) -> None:
    client = stage.poller()
    assert client.posts("2", "4a").status == 200
    assert ends(stage, client) == ["transport error"]
    assert stage.applications[client.sid].messages == []


def test_posts_do_not_overlap(stage: BareStage) -> None:
    client = stage.poller()
    session = client.session
    assert stage.engine.post_begins(session, client.request) == (None, None)
    refusal, work = stage.engine.post_begins(session, client.request)
    assert refusal is not None
    assert refusal.status == 400
    assert work is None
    assert ends(stage, client) == ["transport error"]
    assert stage.engine.post_begins(session, client.request)[0] is not None
    stage.engine.post_ends(session)


def test_a_post_of_binary_ends_the_session(stage: BareStage) -> None:
    client = stage.poller((b"content-type", b"application/octet-stream"))
    assert client.posts("4a").status == 400
    assert ends(stage, client) == ["transport error"]


def test_a_post_cut_off_ends_the_session(stage: BareStage) -> None:
    client = stage.poller()
    stage.engine.post_begins(client.session, client.request)
    stage.driver.do(stage.engine.post_lost(client.session))
    assert ends(stage, client) == ["transport error"]


def test_work_of_a_packet_is_done_before_the_next_is_read(stage: BareStage) -> None:
    client = stage.poller()
    session = client.session
    application = stage.applications[client.sid]
    application.work = CloseLink(None)
    steps = stage.engine.post(session, client.request, b"4a\x1e4b", stage.driver.now)
    assert next(steps) == CloseLink(None)
    assert application.messages == [b"4a"]
    stage.driver.do(stage.engine.close(session, "server disconnect"))
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value.status == 200
    assert application.messages == [b"4a"]


def test_a_client_that_closes_is_answered_with_a_noop(stage: BareStage) -> None:
    client = stage.poller()
    client.polls()
    assert client.posts("1").body == b"ok"
    assert [answer.body for answer in client.answers] == [b"6"]
    assert ends(stage, client) == ["client disconnect"]
    assert empty(stage)


# --- closing ----------------------------------------------------------------------------------------------------------


def test_a_get_that_is_held_reads_the_close_packet(stage: BareStage) -> None:
    client = stage.poller()
    client.polls()
    stage.driver.do(stage.engine.close(client.session, "server disconnect"))
    assert client.received() == ["1"]
    assert empty(stage)


def test_what_was_sent_before_the_close_is_read_before_it(stage: BareStage) -> None:
    client = stage.poller()
    client.polls()
    tell(client, "last words")
    stage.driver.do(stage.engine.close(client.session, "server disconnect"))
    assert client.received() == ["4last words", "1"]
    assert empty(stage)


def test_a_client_between_two_gets_reads_everything_and_then_the_close(stage: BareStage) -> None:
    client = stage.poller()
    session = client.session
    tell(client, "a")
    stage.driver.do(stage.engine.close(session, "server disconnect"))
    assert ends(stage, client) == ["server disconnect"]
    assert stage.engine.close(session, "server disconnect") is None
    assert client.posts("4late").status == 400
    client.polls()
    assert client.received() == ["4a"]
    client.polls()
    assert client.received() == ["6", "1"]
    assert ends(stage, client) == ["server disconnect"]
    assert empty(stage)


def test_nobody_waits_for_ever_for_the_last_get(stage: BareStage) -> None:
    client = stage.poller()
    stage.driver.now += 20.0
    stage.driver.flush()  # the engine learns what time it is, while no heartbeat has been due
    stage.driver.do(stage.engine.close(client.session, "server disconnect"))
    stage.driver.advance(29.9)
    assert client.known
    stage.driver.advance(0.2)
    assert empty(stage)


def test_a_websocket_is_closed_behind_what_was_sent(stage: BareStage) -> None:
    peer = stage.peer()
    session = peer.session
    tell(peer, "last words")
    stage.driver.do(stage.engine.close(session, "server disconnect"))
    assert peer.received() == ["4last words"]
    assert peer.closing == Closing(None, "")
    assert stage.engine.close(session, "server disconnect") is None
    assert empty(stage)


def test_stopping_ends_every_session(stage: BareStage) -> None:
    held, idle, owed, closing, peer = stage.poller(), stage.poller(), stage.poller(), stage.poller(), stage.peer()
    held.polls()
    tell(held, "last words")
    tell(owed, "last words")
    stage.driver.do(stage.engine.close(closing.session, "server disconnect"))
    for work in stage.engine.close_some(len(stage.engine.sessions), "server shutting down", 1012):
        stage.driver.do(work)
    assert held.received() == ["4last words", "6"]  # no close packet, after which some clients would not come back
    assert not idle.known
    assert peer.closing == Closing(1012, "server shutting down")
    assert owed.reads() == ["4last words"]
    assert not owed.known
    assert closing.reads() == ["6", "1"]
    assert empty(stage)


def test_a_session_without_polling_has_no_gets(stage: BareStage) -> None:
    peer = stage.peer()
    answers: list[Response] = []
    assert stage.engine.poll(peer.session, make_request(), answers.append) is None
    assert [answer.status for answer in answers] == [400]
    assert stage.engine.post_begins(peer.session, make_request())[0] is not None


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


# --- upgrading --------------------------------------------------------------------------------------------------------


def test_a_get_after_the_probe_is_released_at_once(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    visitor.probes(client.session)
    visitor.sends("2probe")
    client.polls()
    assert client.received() == ["6"]


def test_a_websocket_that_never_probes_leaves_polling_as_it_is(stage: BareStage) -> None:
    """A proxy that answers 101 and swallows the frames must not make its clients poll in circles."""
    client, visitor = stage.poller(), stage.visitor()
    visitor.probes(client.session)
    client.polls()
    assert client.received() == []
    tell(client, "a")
    assert client.received() == ["4a"]
    stage.driver.advance(10.0)
    assert visitor.closing == Closing(None, "")
    assert client.session.transport == "polling"
    assert stage.counts.upgrades_failed == 1
    again = stage.visitor()
    again.probes(client.session)
    again.sends("5")  # without a probe, as Node's server takes it
    assert client.session.transport == "websocket"


def test_a_held_get_is_released_by_an_upgrade_without_probe(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    client.polls()
    visitor.probes(client.session)
    visitor.sends("5")
    assert client.received() == ["6"]


def test_any_other_packet_drops_the_candidate(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    client.polls()
    visitor.probes(client.session)
    visitor.sends("2probe", "4a")
    assert client.received() == ["6"]
    assert visitor.closing == Closing(None, "")
    assert visitor.received() == ["3probe"]


def test_a_second_candidate_is_closed_and_changes_nothing(stage: BareStage) -> None:
    client, first, second = stage.poller(), stage.visitor(), stage.visitor()
    first.probes(client.session)
    second.probes(client.session)
    assert second.closing == Closing(None, "")
    first.sends("2probe", "5")
    assert client.session.transport == "websocket"
    third = stage.visitor()
    third.probes(client.session)
    assert third.closing == Closing(None, "")
    assert first.closing is None


def test_a_candidate_that_was_given_up_can_be_told_so(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    session = client.session
    assert stage.engine.candidate_lost(session, visitor.link) is None
    assert stage.engine.candidate_lost(session, visitor.link, close=True) == CloseLink(visitor.link)
    assert stage.counts.upgrades_failed == 0


def test_the_end_of_a_session_ends_its_candidate(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    visitor.probes(client.session)
    client.posts("1")
    assert visitor.closing == Closing(None, "")
    assert empty(stage)


def test_a_candidate_whose_transport_is_full_takes_nothing_yet(stage: BareStage) -> None:
    client, visitor = stage.poller(), stage.visitor()
    visitor.link.paused = True
    visitor.probes(client.session)
    tell(client, "a")
    visitor.sends("5")
    assert visitor.received() == []
    client.session.outbox.resume()
    assert visitor.received() == ["4a"]


# --- slow readers -----------------------------------------------------------------------------------------------------


def fill(client: Poller | Peer, times: int) -> None:
    for _ in range(times):
        tell(client, "x" * 10_000)


def test_a_reader_that_takes_nothing_is_closed_a_moment_later(stage: BareStage) -> None:
    peer = stage.peer(waiting=SLOW)
    sid = peer.session.sid
    peer.session.outbox.pause()
    fill(peer, 6)
    stage.driver.now += 20.0  # no heartbeat has been due since
    stage.driver.flush()
    stage.driver.advance(outbox.STUCK_AFTER - 0.01)
    stage.driver.flush()
    assert stage.applications[sid].ends == []
    stage.driver.advance(0.02)
    stage.driver.flush()
    assert stage.applications[sid].ends == ["slow consumer"]
    assert peer.closing == Closing(1013, "slow consumer")
    assert stage.counts.slow_consumers == 1
    assert empty(stage)


def test_several_readers_are_looked_at_together(stage: BareStage) -> None:
    peers = [stage.peer(waiting=SLOW) for _ in range(3)]
    for peer in peers:
        peer.session.outbox.pause()
        fill(peer, 7)
    stage.driver.flush()
    assert len(stage.engine.deadlines) == 1
    peers[1].sink.waiting = 0
    stage.driver.advance(outbox.STUCK_AFTER)
    stage.driver.flush()
    assert [peer.closing is None for peer in peers] == [False, True, False]


def test_a_reader_that_takes_something_is_given_more_time(stage: BareStage) -> None:
    peer = stage.peer(waiting=2 * SLOW)
    peer.session.outbox.pause()
    fill(peer, 6)
    for _ in range(3):
        stage.driver.flush()
        peer.sink.waiting -= 1
        stage.driver.advance(outbox.STUCK_AFTER)
        stage.driver.flush()
    assert peer.closing is None
    peer.sink.waiting = 0
    stage.driver.advance(outbox.STUCK_AFTER)
    peer.session.outbox.resume()
    stage.driver.flush()
    assert peer.closing is None
    assert not len(stage.engine.deadlines)


@pytest.mark.parametrize("takes", [True, False])
def test_a_reader_that_falls_behind_twice_as_far_is_closed_unless_it_takes(stage: BareStage, takes: bool) -> None:
    peer = stage.peer(waiting=SLOW)
    box = peer.session.outbox
    box.pause()
    fill(peer, 6)
    stage.driver.flush()
    fill(peer, 1)
    peer.sink.waiting = 3 * SLOW
    if takes:
        box.taken += 1
    stage.engine.flusher.mark(box)
    stage.driver.flush()
    assert (peer.closing is None) is takes


def test_who_is_slow_twice_in_a_turn_is_closed_once(stage: BareStage) -> None:
    peer = stage.peer(waiting=20 * SLOW)
    sid = peer.session.sid
    peer.session.outbox.pause()
    for _ in range(3):
        fill(peer, 10)
    stage.driver.flush()
    assert stage.applications[sid].ends == ["slow consumer"]
    assert stage.counts.slow_consumers == 1


def test_who_ends_before_it_is_found_too_slow_has_ended(stage: BareStage) -> None:
    peer = stage.peer(waiting=20 * SLOW)
    sid = peer.session.sid
    peer.session.outbox.pause()
    fill(peer, 10)
    peer.vanishes()
    stage.driver.flush()
    assert stage.applications[sid].ends == ["transport close"]
    assert stage.counts.slow_consumers == 0


def test_a_slow_polling_client_is_told_at_its_next_get(stage: BareStage) -> None:
    client = stage.poller()
    fill(client, 2_000)
    stage.driver.flush()
    assert ends(stage, client) == ["slow consumer"]
    assert client.reads() == ["6", "1"]


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
