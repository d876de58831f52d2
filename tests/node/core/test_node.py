"""The node as the application uses it: emitting, asking, rooms, and counting what is there."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.questions import Question
from roomcast.core.work import CallConnect, SettleAck
from roomcast.errors import UnencodableError
from roomcast.exceptions import DisconnectedError, TooManyPendingError
from roomcast.exceptions import TimeoutError as CallTimeoutError
from roomcast.settings import Settings
from tests.support.played import LATER, Peer, Stage


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.on("x", lambda sid, *args: args or None)
    return stage


# --- emitting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "packet"),
    [
        (None, '42["e"]'),
        ((), '42["e"]'),
        ((None,), '42["e",null]'),
        ((1, [2]), '42["e",1,[2]]'),
        ([1, 2], '42["e",[1,2]]'),
        ({"a": "é"}, '42["e",{"a":"é"}]'),
        (False, '42["e",false]'),
    ],
)
def test_what_data_means(stage: Stage, data: Any, packet: str) -> None:
    peer, _ = stage.joins()
    stage.node.emit("e", data)
    assert peer.received() == [packet]


def test_attachments_are_one_unit_with_their_header(stage: Stage) -> None:
    peer, _ = stage.joins()
    stage.node.emit("e", (b"one", {"two": [b"two"]}))
    header, *attachments = peer.received()
    assert str(header).startswith('452-["e",')
    assert attachments == [b"one", b"two"]
    assert stage.node.counters.packets_out == 2  # the answer to CONNECT, and this


def test_everybody_gets_the_same_bytes(stage: Stage) -> None:
    peers = [stage.joins()[0] for _ in range(3)]
    for peer in peers:
        peer.sink.taken()
    stage.node.emit("e", "data")
    stage.driver.flush()
    assert peers[0].sink.blocks[0] is peers[1].sink.blocks[0] is peers[2].sink.blocks[0]
    assert stage.node.counters.events_out == 3


def test_targets_and_exceptions(stage: Stage) -> None:
    (one, sid_one), (two, sid_two), (three, _) = (stage.joins() for _ in range(3))
    stage.node.enter_room(sid_one, "room", "/")
    stage.node.enter_room(sid_two, "room", "/")
    stage.node.emit("a", None, target="room", skip=sid_one)
    stage.node.emit("b", None, target=[])
    stage.node.emit("c", None, target=sid_one)
    stage.node.emit("d", None, namespace="/nowhere")
    assert (one.received(), two.received(), three.received()) == (['42["c"]'], ['42["a"]'], [])


def test_volatile_packets_skip_who_is_behind() -> None:
    stage = Stage(Settings(volatile_backlog_bytes=10), namespaces=["/"])
    (free, _), (behind, _) = stage.joins(), stage.joins()
    behind.session.outbox.pause()
    behind.sink.waiting = 10
    stage.node.emit("e", None, volatile=True)
    assert (free.received(), behind.received()) == (['42["e"]'], [])
    assert stage.node.counters.volatile_dropped == 1


@pytest.mark.parametrize("namespace", ["/", "/nowhere"])
def test_mistakes_are_told_whether_or_not_anybody_listens(stage: Stage, namespace: str) -> None:
    for event, data, error in (
        ("connect", None, ValueError),
        (7, None, TypeError),
        ("e", object(), UnencodableError),
    ):
        with pytest.raises(error):
            stage.node.emit(event, data, namespace=namespace)  # type: ignore[arg-type]  # the point of the test


# --- events and their acknowledgements --------------------------------------------------------------------------------


def test_an_event_is_acknowledged_with_what_its_handler_returned(stage: Stage) -> None:
    stage.on("bytes", lambda sid: b"raw")
    peer, _ = stage.joins()
    peer.sends('421["x"]', '422["x",1,2]', '423["bytes"]')
    first, second, third, attachment = peer.received()
    assert (first, second, attachment) == ("431[]", "432[1,2]", b"raw")
    assert str(third).startswith("461-3[")
    assert stage.node.counters.acks_out == 3


class Lines:
    """A logger of events."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def event(self, name: Any, sid: str, namespace: str) -> None:
        self.lines.append((name, namespace))


def test_an_event_of_any_namespace_finds_its_handler(stage: Stage) -> None:
    called: list[Any] = []
    stage.on("*", lambda event, sid, *args: called.append((event, *args)), "/chat")
    lines: Any = Lines()
    stage.node.trace = lines
    peer, _ = stage.joins("/chat")
    stage.node.trace = None
    peer.sends('42/chat,["e",1]')
    stage.node.trace = lines
    peer.sends('42/chat,["f"]', "40", '42["unknown"]')
    assert called == [("e", 1), ("f",)]
    assert lines.lines == [("f", "/chat"), ("unknown", "/")]
    assert stage.node.counters.events_in == 3


def test_a_binary_codec_needs_no_attachments() -> None:
    stage = Stage(namespaces=["/"], serializer="msgpack")
    peer = stage.peer()
    peer.sends(b"\x82\xa4type\x00\xa3nsp\xa1/")
    peer.received()
    stage.node.emit("e", b"raw")
    (packet,) = peer.received()
    assert isinstance(packet, bytes)
    assert b"raw" in packet


def test_who_has_gone_is_not_acknowledged(stage: Stage) -> None:
    stage.on("slow", lambda sid: LATER)
    peer, sid = stage.joins()
    socket = stage.node.socket(sid, "/")
    peer.sends('421["slow"]')
    peer.sends("41")
    stage.driver.finish(type(stage.driver.running[0]))
    assert peer.received() == []
    assert stage.node.event(socket, ["x"], 1) is None


# --- asking -----------------------------------------------------------------------------------------------------------


def asked(
    stage: Stage, target: Any = None, waiter: Any = "waiter", namespace: str = "/", timeout: float | None = None
) -> Question:
    question, work = stage.node.ask("q", 1, waiter, target, namespace, timeout)
    stage.driver.do(work)
    return question


def test_an_answer_ends_what_waits(stage: Stage) -> None:
    peer, sid = stage.joins()
    asked(stage, sid)
    assert peer.received() == ['420["q",1]']
    peer.sends("430[1,2]", "430[3]", "439[]")
    assert stage.driver.settled == [SettleAck("waiter", (1, 2))]
    assert stage.node.counters.acks_in == 1
    asked(stage, sid)
    assert peer.received() == ['421["q",1]']


def test_several_who_are_asked_for_the_first_answer(stage: Stage) -> None:
    (one, _), (two, _) = stage.joins(), stage.joins()
    asked(stage, timeout=60)
    one.sends('430["first"]')
    assert stage.left().get("acks") is None
    assert stage.left().get("deadlines") is None
    two.sends('430["second"]')
    assert stage.driver.settled == [SettleAck("waiter", ("first",))]
    assert stage.left().get("acks") is None


def test_several_who_are_asked_for_every_answer(stage: Stage) -> None:
    (one, _), (two, _) = stage.joins(), stage.joins()
    found, work = stage.node.emit_with_ack("q", (b"raw", 1), "waiter")
    assert work is None
    assert len(found) == 2
    assert str(one.received()[0]).startswith('451-0["q",')
    one.sends("430[1]")
    two.sends("430[2]")
    assert stage.driver.settled == [SettleAck("waiter", (1,)), SettleAck("waiter", (2,))]


@pytest.mark.parametrize("namespace", ["/", "/nowhere"])
def test_asking_nobody_ends_at_once(stage: Stage, namespace: str) -> None:
    stage.joins()
    assert asked(stage, "unknown", namespace=namespace, timeout=60).asked == []
    (ended,) = stage.driver.settled
    assert isinstance(ended.error, DisconnectedError)


def test_the_last_of_several_who_go_ends_what_waits(stage: Stage) -> None:
    peers = [stage.joins()[0] for _ in range(2)]
    asked(stage)
    peers[0].vanishes()
    assert stage.driver.settled == []
    peers[1].vanishes()
    (ended,) = stage.driver.settled
    assert isinstance(ended.error, DisconnectedError)


def test_a_question_ends_at_its_deadline_for_all_who_were_asked(stage: Stage) -> None:
    (one, _), (two, _) = stage.joins(), stage.joins()
    asked(stage, timeout=5)
    stage.driver.advance(4.9)
    assert stage.driver.settled == []
    stage.driver.advance(0.2)
    (ended,) = stage.driver.settled
    assert isinstance(ended.error, CallTimeoutError)
    assert "'q' within 5 seconds" in str(ended.error)
    one.sends("430[]")
    two.vanishes()
    assert len(stage.driver.settled) == 1
    assert stage.left().get("acks") is None


def test_the_last_who_goes_ends_a_question_and_its_deadline(stage: Stage) -> None:
    (one, _), (two, _) = stage.joins(), stage.joins()
    asked(stage, timeout=5)
    one.vanishes()
    two.vanishes()
    (ended,) = stage.driver.settled
    assert isinstance(ended.error, DisconnectedError)
    assert stage.left() == {}


def test_a_question_that_is_withdrawn_ends_nothing_later(stage: Stage) -> None:
    peer, sid = stage.joins()
    question = asked(stage, sid, timeout=5)
    question.withdraw()
    question.withdraw()
    peer.sends("430[]")
    stage.driver.advance(10)
    assert stage.driver.settled == []
    assert stage.left().get("acks") is None


def test_so_many_answers_may_be_awaited_of_one_client() -> None:
    stage = Stage(Settings(max_pending_acks=2), namespaces=["/"])
    peer, sid = stage.joins()
    for waiter in ("oldest", "older", "newest"):
        asked(stage, sid, waiter)
    (ended,) = stage.driver.settled
    assert ended.waiter == "oldest"
    assert isinstance(ended.error, TooManyPendingError)
    peer.received()
    peer.sends("430[]", "431[]", "432[]")
    assert [each.waiter for each in stage.driver.settled[1:]] == ["older", "newest"]


def test_an_acknowledgement_needs_an_id(stage: Stage) -> None:
    _, sid = stage.joins()
    socket = stage.node.socket(sid, "/")
    assert stage.node.acknowledged(socket, None, []) is not None
    assert stage.node.counters.parse_errors["id"] == 1


def test_an_answer_that_comes_too_late_is_ignored(stage: Stage) -> None:
    peer, sid = stage.joins()
    socket = stage.node.socket(sid, "/")
    assert stage.node.acknowledged(socket, 0, []) is None
    question = asked(stage, sid)
    peer.vanishes()
    assert len(stage.driver.settled) == 1
    assert stage.node.acknowledged(socket, 0, []) is None
    question.withdraw()
    assert len(stage.driver.settled) == 1


def test_a_client_that_is_connecting_may_answer() -> None:
    """With always_connect it has been told that it is connected."""
    stage = Stage(always_connect=True)
    stage.on("connect", lambda sid, environ: LATER)
    peer = stage.peer()
    peer.sends("40")
    asked(stage)
    peer.sends("430[1]")
    assert stage.driver.settled == [SettleAck("waiter", (1,))]
    stage.driver.finish(CallConnect)


# --- rooms and census -------------------------------------------------------------------------------------------------


def test_entering_a_room_by_sid(stage: Stage) -> None:
    _, sid = stage.joins()
    stage.node.enter_room(sid, "room", "/")
    assert stage.node.hub.rooms_of(stage.node.socket(sid, "/")) == [sid, "room"]
    with pytest.raises(ValueError, match="not connected to requested namespace"):
        stage.node.enter_room(sid, "room", "/nowhere")
    with pytest.raises(KeyError):
        stage.node.enter_room("unknown", "room", "/")
    with pytest.raises(KeyError, match="Session not found"):
        stage.node.socket("unknown", "/")


def census(stage: Stage) -> dict[str, int]:
    return {name: number for name, number in stage.node.census().items() if number}


def test_everything_is_counted(stage: Stage) -> None:
    assert census(stage) == {}
    peer, sid = stage.joins()
    stage.node.enter_room(sid, "room", "/")
    asked(stage, sid)
    peer.sends('451-["x",{"_placeholder":true,"num":0}]')
    waiting: Peer = stage.peer()
    poller = stage.poller()
    poller.polls()
    visitor = Peer(stage.driver, poller.request)
    visitor.probes(poller.session)
    assert stage.node.census() == {
        "sessions": 3,
        "heartbeats": 1,
        "deadlines": 3,
        "namespaces": 1,
        "sockets": 1,
        "rooms": 1,
        "acks": 1,
        "held": 0,
        "unconnected": 2,
        "polls": 1,
        "candidates": 1,
        "assemblies": 1,
        "outboxes": 1,
    }
    peer.vanishes()
    waiting.vanishes()
    poller.posts("1")
    stage.driver.flush()
    assert census(stage) == {}


def test_the_child_of_a_fork_forgets_everybody_without_a_word() -> None:
    stage = Stage()
    ends: list[str] = []
    stage.on("disconnect", lambda sid, reason: ends.append(reason))
    peer, sid = stage.joins()
    stage.node.enter_room(sid, "room", "/")
    asked(stage, sid)
    stage.peer()
    stage.poller().polls()
    stage.node.emit("news", 1)
    peer.received()
    stage.node.emit("news", 2)
    stage.node.abandon()
    assert census(stage) == {}
    stage.driver.advance(100)
    assert peer.received() == []
    assert ends == []
    other, _ = stage.joins()
    stage.node.emit("news", 3)
    assert other.received() == ['42["news",3]']
