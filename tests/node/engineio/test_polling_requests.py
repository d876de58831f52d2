"""GETs and POSTs of polling sessions, played with plain calls: what each may do, and how it is answered."""

from __future__ import annotations

import pytest

from roomcast.engineio.bodies import TOO_LARGE, TOO_SLOW, BodyError
from roomcast.engineio.response import Response
from roomcast.engineio.work import CloseLink
from roomcast.settings import Settings
from roomcast.websocket.frames import binary_frame
from tests.support.bare_engine import empty, ends, polled, tell
from tests.support.played import BareStage, make_request


@pytest.fixture
def stage() -> BareStage:
    return BareStage()


# --- GET --------------------------------------------------------------------------------------------------------------


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


def test_long_answers_are_compressed_unless_told_otherwise() -> None:
    for compressed in (True, False):
        stage = BareStage(Settings(http_compression=compressed))
        client = stage.poller((b"accept-encoding", b"gzip"))
        tell(client, "x" * 2_000)
        client.polls()
        assert ((b"content-encoding", b"gzip") in client.answers[0].headers) is compressed


def test_a_second_get_ends_the_session(stage: BareStage) -> None:
    client = stage.poller()
    client.polls()
    client.polls()
    assert [(answer.status, answer.body) for answer in client.answers] == [(400, b""), (200, b"1")]
    assert ends(stage, client) == ["transport error"]
    assert empty(stage)


def test_a_get_that_may_wait_no_longer_is_answered_with_nothing(stage: BareStage) -> None:
    client = stage.poller()
    client.polls()
    stage.engine.poll_over(client.session)
    assert client.received() == ["6"]
    stage.engine.poll_over(client.session)  # none waits
    tell(client, "a")
    assert polled(client, 1) == [["4a"]]


def test_nothing_of_a_session_that_has_moved_on_may_wait(stage: BareStage) -> None:
    stage.engine.poll_over(stage.peer().session)


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


def test_a_session_without_polling_has_no_gets(stage: BareStage) -> None:
    peer = stage.peer()
    answers: list[Response] = []
    assert stage.engine.poll(peer.session, make_request(), answers.append) is None
    assert [answer.status for answer in answers] == [400]
    assert stage.engine.post_begins(peer.session, make_request())[0] is not None


# --- POST -------------------------------------------------------------------------------------------------------------


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


# --- the last GET -----------------------------------------------------------------------------------------------------


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
    # apart from the close packet: socket.io-client handles that one first, and drops what came with it
    assert client.received() == ["4last words"]
    client.polls()
    assert client.received() == ["6", "1"]
    assert ends(stage, client) == ["server disconnect"]
    assert empty(stage)


def test_a_client_between_two_gets_reads_everything_and_then_the_close(stage: BareStage) -> None:
    client = stage.poller()
    session = client.session
    tell(client, "a")
    stage.driver.do(stage.engine.close(session, "server disconnect"))
    assert ends(stage, client) == ["server disconnect"]
    assert stage.engine.close(session, "server disconnect") is None
    assert client.posts("4late").body == b"ok"  # a refusal would end the client's transport before it reads anything
    assert polled(client, 2) == [["4a"], ["6", "1"]]
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


@pytest.mark.parametrize(
    ("error", "alive"),
    [(BodyError(*TOO_LARGE), True), (BodyError(415, "content_encoding"), True), (BodyError(*TOO_SLOW), False)],
    ids=lambda value: getattr(value, "label", ""),
)
def test_a_body_that_is_not_taken(stage: BareStage, error: BodyError, alive: bool) -> None:
    client = stage.poller()
    session = client.session
    assert stage.engine.post_begins(session, client.request) == (None, None)
    answer, work = stage.engine.post_failed(session, client.request, error)
    stage.driver.do(work)
    assert (answer.status, answer.body) == (error.status, b"")
    assert stage.counts.refused == [error.label]
    assert session.alive is alive
    if alive:
        assert client.posts("4a").status == 200
