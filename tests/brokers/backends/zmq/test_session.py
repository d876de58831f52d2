"""A client without its socket, on a switchboard without its own: what it may believe, and when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roomcast_brokers.backends.zmq.frames import (
    PROTOCOL,
    Count,
    Goodbye,
    Hello,
    Messages,
    Names,
    Refused,
    Welcome,
    decode,
    encode,
)
from roomcast_brokers.backends.zmq.session import BEAT, GREETING, SILENCE, Phase, Session
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, State
from roomcast_brokers.errors import AddressError, BrokerUnreachableError, MessageTooLargeError
from tests.support.zmq_wires import Client, PlainListener, Wires

GONE = BrokerUnreachableError("gone")


@pytest.fixture
def wires() -> Wires:
    return Wires()


def up(wires: Wires, *channels: str) -> Client:
    client = wires.client()
    for number, channel in enumerate(channels, 1):
        client.session.subscribe(channel, number)
    wires.carry()
    assert client.session.phase is Phase.UP
    return client


def test_the_first_word_is_hello_and_nothing_follows_before_it_is_answered() -> None:
    session = Session(lambda: None)
    session.subscribe("a", 1)
    assert session.next_frame() is None
    session.began(0.0)
    frame = session.next_frame()
    assert frame is not None
    assert decode(frame) == Hello(PROTOCOL)
    assert session.next_frame() is frame, "the same until it is written"
    session.written()
    assert session.next_frame() is None
    assert session.received(encode(Welcome(PROTOCOL)), 0.1) is None
    asked = session.next_frame()
    assert asked is not None
    assert decode(asked) == Names([("a", 1)])


def test_everything_wanted_is_confirmed_before_up(wires: Wires) -> None:
    client = up(wires, "a", "b")
    assert client.heard.events == [("confirmed", "a", 1), ("confirmed", "b", 2), ("changed", State.UP, None)]


def test_who_wants_nothing_is_up_at_once(wires: Wires) -> None:
    assert up(wires).heard.events == [("changed", State.UP, None)]


def test_what_is_published_is_accepted_and_comes_back(wires: Wires) -> None:
    client = up(wires, "a")
    client.session.publish("a", b"1")
    client.session.publish("elsewhere", b"2")
    assert not client.session.settled
    wires.carry()
    assert client.heard.accepted_count == 2
    assert client.heard.messages == [("a", b"1")]


def test_to_be_ready_is_said_once_until_it_is_written(wires: Wires) -> None:
    client = up(wires)
    before = client.ready
    client.session.publish("a", b"1")
    client.session.publish("a", b"2")
    assert client.ready == before + 1
    wires.carry()
    client.session.publish("a", b"3")
    assert client.ready == before + 2


def test_order_holds_across_channels_and_subscriptions(wires: Wires) -> None:
    writer, reader = up(wires), up(wires, "a", "b")
    for number in range(100):
        writer.session.publish("ab"[number % 2], b"%d" % number)
    writer.session.subscribe("a", 9)
    writer.session.publish("a", b"last")
    wires.carry()
    assert [payload for _, payload in reader.heard.messages] == [b"%d" % number for number in range(100)] + [b"last"]
    assert writer.heard.messages == [("a", b"last")]


def test_wanting_it_again_confirms_it_again_with_the_latest_generation(wires: Wires) -> None:
    client = up(wires, "a")
    client.session.subscribe("a", 5)
    client.session.publish("a", b"heard meanwhile")
    client.session.subscribe("a", 6)
    wires.carry()
    assert client.heard.confirmations == [("a", 1), ("a", 6), ("a", 6)]
    assert client.heard.payloads("a") == [b"heard meanwhile"]


def test_what_an_unsubscribe_overtook_is_not_heard(wires: Wires) -> None:
    reader, writer = up(wires, "a"), up(wires)
    writer.session.publish("a", b"on its way")
    writer.write()
    reader.session.unsubscribe("a")
    reader.session.unsubscribe("a")
    wires.carry()
    writer.session.publish("a", b"later")
    wires.carry()
    assert reader.heard.messages == []
    assert wires.board.subscribers("a") == 0


def test_a_new_subscription_does_not_hear_what_was_on_its_way_to_the_old_one(wires: Wires) -> None:
    reader, writer = up(wires, "a"), up(wires)
    writer.session.publish("a", b"for the old one")
    writer.write()
    reader.session.unsubscribe("a")
    reader.session.subscribe("a", 2)
    wires.carry()
    writer.session.publish("a", b"for the new one")
    wires.carry()
    assert reader.heard.events[2:] == [("confirmed", "a", 2), ("delivered", "a", b"for the new one")]


def test_the_confirmation_that_an_unsubscribe_overtook_is_not_told(wires: Wires) -> None:
    client = up(wires)
    client.session.subscribe("a", 1)
    client.session.unsubscribe("a")
    client.session.subscribe("a", 2)
    wires.carry()
    assert client.heard.confirmations == [("a", 2)]


def test_what_is_wanted_while_resuming_belongs_to_it(wires: Wires) -> None:
    client = wires.client()
    client.session.subscribe("a", 1)
    client.write()
    wires.answer()  # welcome
    assert client.session.phase is Phase.RESUMING
    client.session.subscribe("b", 2)
    client.session.subscribe("c", 3)
    client.session.unsubscribe("a")
    client.session.unsubscribe("c")
    wires.carry()
    assert client.heard.events == [("confirmed", "b", 2), ("changed", State.UP, None)]


def test_publishing_is_refused_unless_up(wires: Wires) -> None:
    client = wires.client()
    with pytest.raises(BrokerUnreachableError):
        client.session.publish("a", b"")
    wires.carry()
    client.session.publish("a", b"")
    client.session.lost(GONE)
    with pytest.raises(BrokerUnreachableError):
        client.session.publish("a", b"")


def test_what_cannot_travel_is_refused_first(wires: Wires) -> None:
    client = wires.client()
    with pytest.raises(MessageTooLargeError):
        client.session.publish("a", bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(AddressError):
        client.session.publish("a" * 2_000, b"")
    with pytest.raises(AddressError):
        client.session.subscribe("a" * 2_000, 1)
    assert client.session.channels == 0


def test_after_a_break_only_the_wishes_are_left(wires: Wires) -> None:
    client = up(wires, "a")
    client.session.publish("a", b"lost")
    client.session.lost(GONE)
    assert client.session.settled, "it will not be accepted any more"
    assert client.heard.events[-1] == ("changed", State.CONNECTING, GONE)
    client.session.subscribe("b", 2)

    client.session.began(1.0)
    client.session.subscribe("c", 3)
    wires.carry()
    assert client.heard.events[-4:] == [
        ("confirmed", "a", 1),
        ("confirmed", "b", 2),
        ("confirmed", "c", 3),
        ("changed", State.UP, None),
    ]
    client.session.publish("a", b"new")
    wires.carry()
    assert client.heard.messages == [("a", b"new")]
    assert client.heard.accepted_count == 1


def test_what_is_dropped_is_told_later(wires: Wires) -> None:
    client = up(wires, "a")
    before = list(client.heard.events)
    client.session.drop()
    assert client.session.phase is Phase.AWAY
    assert client.heard.events == before


def test_after_the_end_nothing_is_heard(wires: Wires) -> None:
    client = up(wires, "a")
    client.session.publish("a", b"on its way")
    client.write()
    client.session.closed()
    wires.carry()
    client.session.closed()
    client.session.lost(GONE)
    assert client.heard.events[-1] == ("changed", State.CLOSED, None)
    assert client.heard.messages == []
    assert client.session.channels == 0


# --- is it there? -----------------------------------------------------------------------------------------------------


def test_a_beat_asks_and_the_answer_counts(wires: Wires) -> None:
    client = up(wires)
    for _ in range(20):
        wires.now += BEAT
        assert client.session.tick(wires.now) is None
        wires.carry()


def test_silence_though_asked_is_a_break(wires: Wires) -> None:
    client = up(wires)
    while (why := client.session.tick(wires.now)) is None:
        wires.now += BEAT
        client.session.next_frame()
        client.session.written()
    assert "stopped to answer" in why
    assert SILENCE <= wires.now <= SILENCE + BEAT


def test_a_stall_of_our_own_is_not_held_against_the_forwarder(wires: Wires) -> None:
    client = up(wires)
    client.session.tick(wires.now)
    wires.now += 30.0
    assert client.session.tick(wires.now) is None
    wires.carry()
    assert client.session.tick(wires.now + BEAT) is None


def test_a_place_where_nobody_says_welcome_is_given_up(wires: Wires) -> None:
    client = wires.client()
    assert client.session.tick(BEAT) is None
    why = client.session.tick(GREETING)
    assert why is not None
    assert "answers" in why


def test_a_refusal_is_a_break_with_its_reason() -> None:
    session = Session(lambda: None)
    session.began(0.0)
    why = session.received(encode(Refused("too many clients" + "!" * 500)), 0.0)
    assert why is not None
    assert "too many clients" in why
    assert len(why) < 200


# --- bytes that are no good -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"no frame",
        encode(Hello(PROTOCOL)),
        encode(Goodbye()),
        encode(Welcome(PROTOCOL)),
        encode(Count(5)),
    ],
    ids=["empty", "garbage", "hello", "goodbye", "welcome twice", "more accepted than was sent"],
)
def test_what_makes_no_sense_is_counted_and_nothing_else(wires: Wires, frame: bytes) -> None:
    client = up(wires, "a")
    before = list(client.heard.events)
    assert client.session.received(frame, 0.0) is None
    assert client.session.malformed == 1
    assert client.heard.events == before
    client.session.publish("a", b"goes on")
    wires.carry()
    assert client.heard.messages == [("a", b"goes on")]


def test_what_was_never_asked_for_is_not_told(wires: Wires) -> None:
    client = up(wires, "a")
    client.session.received(encode(Names([("other", 1), ("a", 0)])), 0.0)
    client.session.received(encode(Messages(0, [("other", b"")])), 0.0)
    assert client.heard.confirmations == [("a", 1)]
    assert client.heard.messages == []


def test_a_count_never_goes_back(wires: Wires) -> None:
    client = up(wires)
    for _ in range(3):
        client.session.publish("x", b"")
    wires.carry()
    client.session.received(encode(Count(2)), 0.0)
    assert client.session.malformed == 1
    assert client.heard.accepted_count == 3


# --- listeners that act -----------------------------------------------------------------------------------------------


class ActingListener(PlainListener):
    """Does one thing at its first message."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act = act

    def delivered(self, channel: str, payload: bytes) -> None:
        super().delivered(channel, payload)
        self._act()


@pytest.mark.parametrize("act", ["unsubscribe", "lost", "drop", "closed"])
def test_a_listener_may_end_it_in_the_middle_of_a_frame(wires: Wires, act: str) -> None:
    client = up(wires, "a")
    actions: dict[str, Callable[[], None]] = {
        "unsubscribe": lambda: client.session.unsubscribe("a"),
        "lost": lambda: client.session.lost(GONE),
        "drop": client.session.drop,
        "closed": client.session.closed,
    }
    heard = ActingListener(actions[act])
    client.session.listener = heard
    for number in range(5):
        client.session.publish("a", b"%d" % number)
    wires.carry()
    assert heard.messages == [("a", b"0")]


def test_without_a_listener_nothing_is_told_to_nobody(wires: Wires) -> None:
    client = up(wires, "a")
    client.session.listener = None
    client.session.publish("a", b"1")
    client.session.subscribe("b", 1)
    wires.carry()
    client.session.lost(GONE)
    client.session.began(0.0)
    wires.carry()
    assert client.session.phase is Phase.UP
