"""What a bridged sender knows and says; over real brokers it is tested by tests/contract."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from roomcast_brokers import bridged_sender
from roomcast_brokers.bridged_sender import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, BridgedSender
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Listener, State
from roomcast_brokers.errors import (
    BrokerClosedError,
    BrokerError,
    BrokerUnreachableError,
    MessageTooLargeError,
    SendError,
)
from tests.support.scripted_brokers import ScriptedBroker

SHORTLY = 0.01
"""A time-out for what will not happen."""


class Obliging(ScriptedBroker):
    """UP as soon as it is opened, and accepts at once; unless the test has set something else to be done."""

    def __init__(self) -> None:
        super().__init__()
        self.on_open: Callable[[Listener], None] = lambda listener: listener.changed(State.UP, None)
        self.on_publish: Callable[[Listener], None] = lambda listener: listener.accepted(1)

    def open(self, listener: Listener) -> None:
        super().open(listener)
        self.on_open(listener)

    def publish(self, channel: str, payload: bytes) -> None:
        super().publish(channel, payload)
        self.on_publish(self.listener)


class Made:
    """Makes obliging brokers and keeps them; ``prepare`` may change each before it is used."""

    def __init__(self, prepare: Callable[[Obliging], None] = lambda broker: None) -> None:
        self.brokers: list[Obliging] = []
        self.prepare = prepare

    def __call__(self) -> Obliging:
        broker = Obliging()
        self.prepare(broker)
        self.brokers.append(broker)
        return broker


def closed(broker: Obliging) -> bool:
    return "close" in [call[0] for call in broker.calls]


def test_one_broker_serves_as_long_as_nothing_fails() -> None:
    made = Made()
    sender = BridgedSender(made)
    assert made.brokers[0].calls == []
    assert sender.traits == made.brokers[0].traits
    for number in range(3):
        sender.send([("c", b"%d" % number), ("d", b"")])
    sender.send([])
    sender.close()
    sender.close()
    (broker,) = made.brokers
    assert [payload for _, payload in broker.published] == [b"0", b"", b"1", b"", b"2", b""]
    assert [call[0] for call in broker.calls].count("open") == 1
    assert closed(broker)
    with pytest.raises(BrokerClosedError):
        sender.send([])


def test_it_waits_for_what_is_accepted_later_and_elsewhere() -> None:
    def later(broker: Obliging) -> None:
        broker.on_open = lambda listener: threading.Timer(SHORTLY, listener.changed, (State.UP, None)).start()
        broker.on_publish = lambda listener: threading.Timer(SHORTLY, listener.accepted, (1,)).start()

    sender = BridgedSender(Made(later))
    sender.send([("c", b"1"), ("c", b"2")])
    sender.close()


def test_nothing_is_sent_if_one_is_too_large() -> None:
    made = Made()
    with pytest.raises(MessageTooLargeError):
        BridgedSender(made).send([("c", b"1"), ("c", bytes(MAX_MESSAGE_BYTES + 1))])
    assert made.brokers[0].calls == []


@pytest.mark.parametrize("state", [State.CONNECTING, State.CLOSED])
def test_a_first_attempt_that_fails_is_the_only_one(state: State) -> None:
    cause = ConnectionRefusedError("nobody there")

    def absent(broker: Obliging) -> None:
        broker.on_open = lambda listener: listener.changed(state, cause)

    made = Made(absent)
    with pytest.raises(SendError, match="not reached") as caught:
        BridgedSender(made).send([("c", b"1")])
    assert (caught.value.accepted, caught.value.__cause__) == (0, cause)
    assert closed(made.brokers[0])
    assert made.brokers[0].published == []


def test_a_broker_that_says_nothing_is_waited_for_so_long() -> None:
    def silent(broker: Obliging) -> None:
        broker.on_open = lambda listener: None

    with pytest.raises(SendError, match="not reached"):
        BridgedSender(Made(silent), timeout=SHORTLY).send([("c", b"1")])


def test_what_is_not_accepted_in_time_is_not_sure() -> None:
    def forgetful(broker: Obliging) -> None:
        broker.on_publish = lambda listener: listener.accepted(1) if len(broker.published) < 3 else None

    made = Made(forgetful)
    sender = BridgedSender(made, timeout=SHORTLY)
    with pytest.raises(SendError, match="not accepted everything") as caught:
        sender.send([("c", b"%d" % number) for number in range(5)])
    assert caught.value.accepted == 2
    assert closed(made.brokers[0])
    made.prepare = lambda broker: None
    made.brokers[0].listener.accepted(3)  # too late, and of no consequence
    sender.send([("c", b"again")])
    assert made.brokers[1].published == [("c", b"again")]


def test_a_break_while_waiting_ends_it_at_once() -> None:
    cause = ConnectionResetError("gone")

    def breaks(broker: Obliging) -> None:
        def publish(listener: Listener) -> None:
            if len(broker.published) == 2:
                listener.accepted(1)
                listener.changed(State.CONNECTING, cause)
                listener.changed(State.UP, None)  # it was back at once; what was handed over is not

        broker.on_publish = publish

    with pytest.raises(SendError) as caught:
        BridgedSender(Made(breaks)).send([("c", b"1"), ("c", b"2")])
    assert (caught.value.accepted, caught.value.__cause__) == (1, cause)


def test_a_break_while_handing_over() -> None:
    def breaks(broker: Obliging) -> None:
        def publish(listener: Listener) -> None:
            listener.accepted(1)
            broker.refuses = True

        broker.on_publish = publish

    with pytest.raises(SendError, match="lost") as caught:
        BridgedSender(Made(breaks)).send([("c", b"1"), ("c", b"2")])
    assert caught.value.accepted == 1
    assert isinstance(caught.value.__cause__, BrokerUnreachableError)


def test_a_connection_that_broke_meanwhile_is_not_used() -> None:
    made = Made()
    sender = BridgedSender(made)
    sender.send([("c", b"1")])
    made.brokers[0].listener.changed(State.CONNECTING, None)
    made.brokers[0].listener.changed(State.UP, None)
    sender.send([("c", b"2")])
    assert [broker.published for broker in made.brokers] == [[("c", b"1")], [("c", b"2")]]
    assert closed(made.brokers[0])


def test_large_amounts_go_in_batches() -> None:
    """Each is accepted before the next is handed over."""
    expected = iter((8, 8, 4, MAX_BATCH_MESSAGES, 1))
    handed_over, batch = 0, next(expected)
    awaited = threading.Event()
    too_early = 0

    def publish(listener: Listener) -> None:
        nonlocal handed_over, batch, too_early
        too_early += awaited.is_set()
        handed_over += 1
        if handed_over == batch:
            awaited.set()
            threading.Timer(SHORTLY, accept, (listener, batch)).start()
            handed_over, batch = 0, next(expected, 0)

    def accept(listener: Listener, count: int) -> None:
        awaited.clear()
        listener.accepted(count)

    def slow(broker: Obliging) -> None:
        broker.on_publish = publish

    assert 8 * 1_000_000 < MAX_BATCH_BYTES < 9 * 1_000_000
    sender = BridgedSender(Made(slow))
    sender.send([("c", bytes(1_000_000))] * 20)
    sender.send([("c", b"")] * (MAX_BATCH_MESSAGES + 1))
    assert (too_early, handed_over, next(expected, "all")) == (0, 0, "all")


def test_what_a_child_forgets_is_left_alone() -> None:
    made = Made()
    sender = BridgedSender(made)
    sender.send([("c", b"parent")])
    before = list(made.brokers[0].calls)
    sender.forget()
    sender.forget()
    assert bridged_sender._FORGOTTEN.pop().broker is made.brokers[0]
    sender.send([("c", b"child")])
    assert made.brokers[0].calls == before
    assert made.brokers[1].published == [("c", b"child")]


def test_an_interrupted_send_leaves_no_broker_that_owes_receipts() -> None:
    def interrupted(broker: Obliging) -> None:
        def publish(_: Listener) -> None:
            raise KeyboardInterrupt

        broker.on_publish = publish

    made = Made(interrupted)
    sender = BridgedSender(made)
    with pytest.raises(KeyboardInterrupt):
        sender.send([("c", b"1")])
    assert closed(made.brokers[0])


def test_a_wrong_make_fails_at_once() -> None:
    def make() -> Obliging:
        raise BrokerError("the configuration is wrong")

    with pytest.raises(BrokerError):
        BridgedSender(make)


def test_its_listener_hears_of_no_messages() -> None:
    made = Made()
    sender = BridgedSender(made)
    sender.send([])
    made.brokers[0].listener.delivered("c", b"")
    made.brokers[0].listener.confirmed("c", 1)
    sender.close()
