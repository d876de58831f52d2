"""The forwarder without its sockets: who hears what, what a peer that does not read costs, and strangers."""

from __future__ import annotations

import pytest

from roomcast_brokers.backends.zmq import switchboard
from roomcast_brokers.backends.zmq.frames import (
    PAGE_BYTES,
    PROTOCOL,
    Count,
    Goodbye,
    Hello,
    Messages,
    Names,
    Refused,
    Welcome,
    cost_of,
    decode,
    encode,
)
from roomcast_brokers.backends.zmq.session import Phase
from roomcast_brokers.backends.zmq.switchboard import ASKED_AFTER, MAX_REFUSALS, SILENCE, Switchboard
from tests.support.zmq_wires import Client, Wires

STRANGER = b"\0????"


@pytest.fixture
def wires() -> Wires:
    return Wires()


def up(wires: Wires, *channels: str) -> Client:
    client = wires.client()
    for channel in channels:
        client.session.subscribe(channel, 1)
    wires.carry()
    assert client.session.phase is Phase.UP
    return client


def publish(wires: Wires, client: Client, channel: str, *payloads: bytes) -> None:
    for payload in payloads:
        client.session.publish(channel, payload)
    wires.carry()


def test_those_who_want_a_channel_hear_it_and_nobody_else(wires: Wires) -> None:
    first, second, neither, writer = up(wires, "a"), up(wires, "a", "b"), up(wires, "ab"), up(wires)
    publish(wires, writer, "a", b"1")
    publish(wires, writer, "b", b"2")
    assert first.heard.messages == [("a", b"1")]
    assert second.heard.messages == [("a", b"1"), ("b", b"2")]
    assert neither.heard.messages == []
    assert wires.board.peers == 4
    assert wires.board.subscribers("a") == 2


def test_messages_and_their_count_share_a_frame() -> None:
    board = Switchboard()
    for frame in (Hello(PROTOCOL), Names([("a", 1)]), Messages(0, [("a", b"1"), ("b", b"2")])):
        board.received(b"me", encode(frame), 0.0)
    (peer,) = board.outgoing()
    frames = []
    while (data := peer.next_frame()) is not None:
        assert peer.next_frame() is data, "the same until it is written"
        frames.append(decode(data))
        peer.written()
    assert frames == [Welcome(PROTOCOL), Names([("a", 1)]), Messages(2, [("a", b"1")])]
    assert list(board.outgoing()) == []


def test_a_peer_that_takes_nothing_harms_nobody_and_loses_what_does_not_fit() -> None:
    wires = Wires(Switchboard(high_water=10 * cost_of("a", b"0")))
    frozen, reader, writer = up(wires, "a"), up(wires, "a"), up(wires)
    frozen.frozen = True
    payloads = [b"%02d" % number for number in range(100)]
    for payload in payloads:
        publish(wires, writer, "a", payload)
    assert reader.heard.payloads("a") == payloads
    assert writer.heard.accepted_count == 100
    assert wires.board.blocked
    held = frozen.heard.payloads("a")
    assert held == []

    frozen.frozen = False
    wires.carry()
    assert frozen.heard.payloads("a") == [], "it is tried again when somebody says so"
    wires.board.again()
    wires.carry()
    kept = frozen.heard.payloads("a")
    assert kept == payloads[: len(kept)], "what fell out is the newest, and at one place"
    assert len(kept) == 100 - wires.board.dropped
    assert 9 <= len(kept) <= 11
    publish(wires, writer, "a", b"on")
    assert frozen.heard.payloads("a")[-1] == b"on"


def test_nobody_is_blocked_any_more_once_all_was_taken(wires: Wires) -> None:
    frozen, writer = up(wires, "a"), up(wires)
    frozen.frozen = True
    publish(wires, writer, "a", b"1")
    frozen.frozen = False
    wires.board.again()
    wires.carry()
    assert not wires.board.blocked
    assert frozen.heard.payloads("a") == [b"1"]


def test_counts_and_confirmations_are_never_dropped() -> None:
    wires = Wires(Switchboard(high_water=0))
    client = up(wires, "a")
    publish(wires, client, "a", b"1", b"2")
    client.session.subscribe("b", 7)
    wires.carry()
    assert client.heard.accepted_count == 2
    assert client.heard.messages == []
    assert client.heard.confirmations == [("a", 1), ("b", 7)]
    assert wires.board.dropped == 2


def test_who_asks_for_confirmations_and_does_not_read_is_shown_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard, "SHOWN_OUT", 10_000)
    wires = Wires()
    client = up(wires)
    client.frozen = True
    for number in range(200):
        client.session.subscribe("a", number)
        wires.carry()
        wires.board.again()
    assert wires.board.peers == 0
    assert "the forwarder refused: too many channels" in client.verdicts


def test_channels_and_peers_are_bounded() -> None:
    wires = Wires(Switchboard(max_peers=2, max_channels=2))
    one, two = up(wires, "a", "b"), up(wires)
    three = wires.client()
    wires.carry()
    assert three.verdicts == ["the forwarder refused: too many clients"]
    one.session.subscribe("c", 1)
    wires.carry()
    assert one.verdicts == ["the forwarder refused: too many channels"]
    assert wires.board.peers == 1
    assert wires.board.subscribers("a") == 0
    publish(wires, two, "a", b"")
    assert two.heard.accepted_count == 1


def test_a_channel_that_nobody_wants_any_more_is_forgotten(wires: Wires) -> None:
    client = up(wires, "a", "b")
    client.session.unsubscribe("a")
    wires.carry()
    assert wires.board.subscribers("a") == 0
    board = Switchboard()
    board.received(b"me", encode(Hello(PROTOCOL)), 0.0)
    board.received(b"me", encode(Names([("never", 0)])), 0.0)
    assert board.subscribers("never") == 0


def test_who_says_goodbye_is_forgotten(wires: Wires) -> None:
    client, other = up(wires, "a"), up(wires, "a")
    wires.board.received(client.identity, encode(Goodbye()), 0.0)
    assert wires.board.peers == 1
    assert wires.board.subscribers("a") == 1
    publish(wires, other, "a", b"1")
    assert other.heard.messages == [("a", b"1")]


def test_who_is_found_gone_is_forgotten(wires: Wires) -> None:
    client, writer = up(wires, "a"), up(wires)
    client.gone = True
    publish(wires, writer, "a", b"1")
    assert wires.board.peers == 1
    assert wires.board.subscribers("a") == 0


def test_a_second_hello_begins_anew(wires: Wires) -> None:
    client = up(wires, "a")
    client.session.lost(ConnectionError())
    client.session.unsubscribe("a")
    client.session.began(0.0)
    wires.carry()
    assert wires.board.peers == 1
    assert wires.board.subscribers("a") == 0


# --- those who say nothing --------------------------------------------------------------------------------------------


def test_the_silent_are_told_something_to_find_out_whether_they_are_there(wires: Wires) -> None:
    """A sender says nothing for hours; libzmq says only to who writes that a peer has gone."""
    there, gone = up(wires), up(wires)
    gone.gone = True
    wires.board.tick(ASKED_AFTER - 1)
    wires.carry()
    assert wires.board.peers == 2
    wires.board.tick(ASKED_AFTER + 1)
    assert len([peer.identity for peer in wires.board.outgoing()]) == 2
    wires.board.tick(2 * ASKED_AFTER + 2)
    wires.carry()
    assert wires.board.peers == 1
    publish(wires, there, "a", b"1")
    assert there.heard.accepted_count == 1


def test_subscribers_that_say_nothing_for_long_are_let_go_and_come_back(wires: Wires) -> None:
    client, sender = up(wires, "a"), up(wires)
    wires.board.tick(SILENCE + 1)
    assert wires.board.peers == 1
    publish(wires, sender, "a", b"1")
    assert sender.heard.accepted_count == 1, "who subscribes nothing may be silent for ever"
    publish(wires, client, "a", b"2")
    assert client.verdicts == ["the forwarder refused: say hello first"]


def test_who_beats_stays(wires: Wires) -> None:
    client = up(wires, "a")
    for _ in range(400):
        wires.now += 1.0
        client.session.tick(wires.now)
        wires.carry()
        wires.board.tick(wires.now)
    assert wires.board.peers == 1
    assert client.verdicts == []


# --- strangers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\xff" * 50, b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_frame_is_counted_and_nothing_else(wires: Wires, data: bytes) -> None:
    client = up(wires, "a")
    wires.board.received(client.identity, data, 0.0)
    wires.board.received(STRANGER, data, 0.0)
    assert wires.board.malformed == 2
    assert wires.board.peers == 1
    publish(wires, client, "a", b"1")
    assert client.heard.messages == [("a", b"1")]


@pytest.mark.parametrize("frame", [Welcome(PROTOCOL), Refused("you")], ids=["welcome", "refused"])
def test_what_only_a_forwarder_says_is_malformed(wires: Wires, frame: Welcome | Refused) -> None:
    client = up(wires)
    wires.board.received(client.identity, encode(frame), 0.0)
    assert wires.board.malformed == 1


def test_who_did_not_say_hello_is_refused(wires: Wires) -> None:
    wires.board.received(STRANGER, encode(Messages(0, [("a", b"1")])), 0.0)
    assert list(wires.board.refusals()) == [(STRANGER, encode(Refused("say hello first")))]
    assert wires.board.refused == 1


def test_another_protocol_is_refused(wires: Wires) -> None:
    wires.board.received(STRANGER, encode(Hello("roomcast-zmq/2")), 0.0)
    ((_, frame),) = wires.board.refusals()
    refusal = decode(frame)
    assert isinstance(refusal, Refused)
    assert PROTOCOL in refusal.why
    assert wires.board.peers == 0


def test_refusals_that_nobody_writes_do_not_pile_up(wires: Wires) -> None:
    for _ in range(3 * MAX_REFUSALS):
        wires.board.received(STRANGER, encode(Count(0)), 0.0)
    assert len(list(wires.board.refusals())) == MAX_REFUSALS
    assert wires.board.refused == 3 * MAX_REFUSALS


def test_large_messages_come_in_several_pages(wires: Wires) -> None:
    reader, writer = up(wires, "a"), up(wires)
    payloads = [bytes([number]) * (PAGE_BYTES // 2) for number in range(9)]
    publish(wires, writer, "a", *payloads)
    assert reader.heard.payloads("a") == payloads
