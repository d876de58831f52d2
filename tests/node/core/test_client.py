"""What a client sends, from the two forms that nearly everything is to everything else."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.client import STARVATION, Client
from roomcast.core.work import CallConnect, CallHandler, PauseReading, Several
from roomcast.settings import Settings
from tests.support.played import LATER, Closing, Peer, Stage


class Events:
    """Handlers that note what they were called with."""

    def __init__(self, stage: Stage, *namespaces: str) -> None:
        self.calls: list[tuple[Any, ...]] = []
        for namespace in namespaces or ("/",):
            stage.on("x", lambda sid, *args: self.calls.append(args), namespace)


class Lines:
    """A logger of events."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def event(self, name: Any, sid: str, namespace: str) -> None:
        self.lines.append((name, namespace))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def client_of(peer: Peer) -> Client:
    upper: Any = peer.session.upper
    assert isinstance(upper, Client)
    return upper


def faults(stage: Stage) -> list[str]:
    return [kind for kind, number in stage.node.counters.parse_errors.items() for _ in range(number)]


# --- events -----------------------------------------------------------------------------------------------------------

ACCEPTED = [
    ('42["x"]', ()),
    ('42["x",1,"two",[3]]', (1, "two", [3])),
    ('427["x",1]', (1,)),
    ('42123456789012345["x",1]', (1,)),
    ('429007199254740991["x"]', ()),
    ('42/,["x",1]', (1,)),
]


@pytest.mark.parametrize(("packet", "args"), ACCEPTED)
def test_an_event_calls_its_handler(stage: Stage, packet: str, args: tuple[Any, ...]) -> None:
    events = Events(stage)
    peer, _ = stage.joins()
    peer.sends(packet)
    assert events.calls == [args]
    assert stage.node.counters.events_in == 1
    assert peer.closing is None


BROKEN = [
    "42", "421", "4212", "42[", "421[", "42[]", '42{"x":1}', '42[1]', '42["connect"]', '42["x"', '42 ["x"]', '4212x',
    '429007199254740992["x"]', '42/nowhere,["x"]', "4", "49", "43", "431", '43[1]', '40[]', "44{}", "4abc",
    '42["\\u0000"]', '450-["x"]', '4511-["x"]', '451-["x",{"_placeholder":true,"num":1}]',
]  # fmt: skip


@pytest.mark.parametrize("packet", BROKEN)
def test_what_is_no_packet_closes_the_connection(stage: Stage, packet: str) -> None:
    events = Events(stage)
    peer, _ = stage.joins()
    peer.sends(packet, '42["x"]')
    assert events.calls == []
    assert peer.closing == Closing(None, "")
    assert len(faults(stage)) == 1
    assert stage.left() == {}


def test_an_event_without_a_handler_is_dropped(stage: Stage) -> None:
    Events(stage)
    peer, _ = stage.joins()
    peer.sends('421["y"]')
    assert peer.received() == []
    assert stage.node.counters.events_in == 1


def test_events_of_several_namespaces(stage: Stage) -> None:
    events = Events(stage, "/", "/chat")
    peer, _ = stage.joins()
    peer.sends("40/chat,", '42/chat,["x",1]', '42["x",2]', '421["x",3]')
    assert events.calls == [(1,), (2,), (3,)]
    assert peer.received()[1:] == ["431[]"]
    peer.sends("41", '42["x",4]', '42/chat,["x",5]')
    assert events.calls[3:] == [(5,)]
    assert client_of(peer).find("/") is None
    assert client_of(peer).find("/chat") is not None


def test_an_event_before_connect_closes_the_connection(stage: Stage) -> None:
    Events(stage)
    peer = stage.peer()
    peer.sends('42["x"]')
    assert faults(stage) == ["namespace"]
    assert peer.closing is not None


def test_whoever_wants_to_know_is_told_of_events_on_both_ways(stage: Stage) -> None:
    Events(stage, "/", "/chat")
    lines: Any = Lines()
    stage.node.trace = lines
    peer, _ = stage.joins()
    peer.sends('42["x"]', "40/chat,", '42/chat,["x"]', '42["y"]')
    assert lines.lines == [("x", "/"), ("x", "/chat"), ("y", "/")]


# --- who left ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packet", ['42["x"]', "41", "430[]", '451-["x",{"_placeholder":true,"num":0}]'])
def test_what_crosses_with_a_disconnect_is_harmless(stage: Stage, packet: str) -> None:
    events = Events(stage)
    peer, sid = stage.joins()
    stage.driver.do(stage.node.disconnect(sid, "/"))
    peer.sends(packet)
    if packet[1] == "5":
        peer.sends(b"attachment")
    assert events.calls == []
    assert peer.closing is None


@pytest.mark.parametrize("packet", ["41/nowhere", "43/nowhere,0[]", '451-/nowhere,["x",{"_placeholder":true,"num":0}]'])
def test_what_nobody_can_have_sent_by_mistake_is_not(stage: Stage, packet: str) -> None:
    Events(stage)
    peer, _ = stage.joins()
    peer.sends(packet)
    assert faults(stage) == ["namespace"]
    assert peer.closing is not None


def test_not_every_name_that_was_ever_left_is_kept() -> None:
    stage = Stage(Settings(max_namespaces=3), namespaces="*")
    peer = stage.peer()
    for number in range(20):
        peer.sends(f"40/{number},", f"41/{number},")
        assert f"/{number}" in client_of(peer).left
        assert len(client_of(peer).left) <= 3
    assert peer.closing is None


# --- attachments ------------------------------------------------------------------------------------------------------

HEADER = '451-["x",{"_placeholder":true,"num":0}]'


def test_an_event_with_attachments(stage: Stage) -> None:
    events = Events(stage)
    peer, _ = stage.joins()
    peer.sends('452-["x",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}]]')
    assert stage.node.census()["assemblies"] == 1
    peer.sends(b"zero")
    peer.sends(b"one", '42["x"]')
    assert events.calls == [(b"one", [b"zero"]), ()]
    assert stage.node.census()["assemblies"] == 0


def test_an_acknowledgement_with_attachments(stage: Stage) -> None:
    Events(stage)
    peer, sid = stage.joins()
    stage.node.emit_with_ack("q", None, "waiter", sid)
    peer.sends('461-0[{"_placeholder":true,"num":0}]', b"answer")
    assert [(each.waiter, each.args) for each in stage.driver.settled] == [("waiter", (b"answer",))]


@pytest.mark.parametrize("after", [[HEADER, '42["x"]'], [b"unannounced"], [HEADER, HEADER], [HEADER, "3", b"x" * 11]])
def test_attachments_out_of_place_close_the_connection(after: list[Any]) -> None:
    stage = Stage(Settings(max_payload=1_000))
    Events(stage)
    peer, _ = stage.joins()
    if len(after) == 3:
        after = ['4510-["x"]', *[b"x" * 1_000] * 10, b"unannounced"]
    peer.sends(*after)
    assert faults(stage) == ["attachments"]
    assert peer.closing is not None
    assert stage.left() == {}


def test_too_many_bytes_of_attachments_close_the_connection() -> None:
    stage = Stage(Settings(max_payload=1_000, max_attachments=11))
    Events(stage)
    peer, _ = stage.joins()
    peer.sends('4511-["x"]', *[b"x" * 1_000] * 10)
    assert faults(stage) == []
    peer.sends(b"x")
    assert faults(stage) == ["attachments"]


def test_attachments_must_come_in_time(stage: Stage) -> None:
    events = Events(stage)
    peer, _ = stage.joins()
    stage.driver.now += 20.0  # no heartbeat has been due since
    peer.sends(HEADER)
    stage.driver.advance(9.9)
    peer.sends("3")
    peer.sends(b"in time", HEADER)
    assert events.calls == [(b"in time",)]
    stage.driver.advance(10.1)
    assert faults(stage) == ["attachments"]
    assert peer.closing is not None
    assert stage.left() == {}


def test_events_on_the_short_way_wait_for_the_attachments_too(stage: Stage) -> None:
    Events(stage)
    peer, _ = stage.joins()
    peer.sends(HEADER, '42["x",1]')
    assert peer.closing is not None


# --- MessagePack ------------------------------------------------------------------------------------------------------


def test_a_binary_codec_reads_binary_messages_only() -> None:
    stage = Stage(serializer="msgpack")
    events = Events(stage)
    peer = stage.peer()
    codec = stage.node.codec
    peer.sends(b"\x82\xa4type\x00\xa3nsp\xa1/")
    peer.sends(codec.encode_event("/", ["x", 1, b"two"])[0])
    assert events.calls == [(1, b"two")]
    peer.sends(b"\xc1")
    assert len(faults(stage)) == 1
    other = stage.peer()
    other.sends("40")
    assert other.closing is not None


# --- too many events --------------------------------------------------------------------------------------------------


def test_who_sends_faster_than_it_may_is_not_read_for_a_while() -> None:
    stage = Stage(Settings(max_events_per_second=2.0))
    Events(stage)
    peer, _ = stage.joins()
    client = client_of(peer)
    works = [client.receive_text(b'42["x"]') for _ in range(4)]
    assert [type(work) for work in works] == [CallHandler, CallHandler, Several, Several]
    assert works[2].works[1] == PauseReading(0.5)
    assert works[3].works[1] == PauseReading(1.0)


def test_who_never_slows_down_is_closed() -> None:
    stage = Stage(Settings(max_events_per_second=2.0, ping_interval=100.0))
    events = Events(stage)
    peer, _ = stage.joins()
    started = stage.driver.now
    while peer.closing is None:
        assert stage.driver.now <= started + STARVATION + 1.0
        peer.sends('42["x"]', '42["x"]')
        stage.driver.advance(0.5)
    assert peer.closing == Closing(1008, "slow consumer")
    assert stage.driver.now > started + STARVATION
    assert len(events.calls) > 2 * STARVATION
    assert stage.left() == {}


# --- the environ ------------------------------------------------------------------------------------------------------


def test_the_environ_is_one_object_for_all_namespaces() -> None:
    stage = Stage()
    environs: list[Any] = []
    for namespace in ("/", "/chat"):
        stage.on("connect", lambda sid, environ: environs.append(environ), namespace)
    peer = stage.peer()
    peer.sends("40", "40/chat,")
    assert environs[0] is environs[1] is client_of(peer).environ
    assert environs[0]["PATH_INFO"] == "/socket.io/"


def test_a_packet_for_a_namespace_that_is_connecting(stage: Stage) -> None:
    stage.on("connect", lambda sid, environ: LATER)
    events = Events(stage)
    peer = stage.peer()
    peer.sends("40", '42["x",1]', "430[]", HEADER, b"a")
    assert events.calls == []
    stage.driver.finish(CallConnect)
    assert events.calls == [(1,), (b"a",)]


@pytest.mark.parametrize(("extra", "closed"), [(0, False), (1, True)])
def test_so_many_events_may_come_before_the_connect_handler_has_ended(extra: int, closed: bool) -> None:
    stage = Stage(Settings(max_held_packets=2))
    stage.on("connect", lambda sid, environ: LATER)
    peer = stage.peer()
    peer.sends("40", *['42["x"]'] * (2 + extra))
    assert (peer.closing is not None) is closed
    assert faults(stage) == ["event"] * extra
