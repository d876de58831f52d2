"""The way to the broker for threads: who emits sends, and a thread keeps trying what has to wait."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from roomcast_brokers.errors import BrokerUnreachableError
from roomcast_brokers.messages import CloseRoom
from roomcast_emitter import Emitter, EmitterClosedError, NotDeliveredError, Outcome, delivery
from roomcast_emitter.delivery import Delivery
from tests.support.patience import PATIENCE
from tests.support.senders import FakeBroker


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def emitter(broker: FakeBroker) -> Iterator[Emitter]:
    with broker.emitter() as emitter:
        yield emitter
        broker.up = True  # closing must not wait


def delivery_of(emitter: Emitter) -> Delivery:
    return emitter._delivery()


def thread_of(emitter: Emitter) -> threading.Thread | None:
    return delivery_of(emitter)._thread


def in_threads(count: int, call: Callable[[int], object]) -> None:
    threads = [threading.Thread(target=call, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


# --- while the broker is there ----------------------------------------------------------------------------------------


def test_nothing_happens_before_the_first_emit(broker: FakeBroker) -> None:
    broker.up = False
    emitter = broker.emitter()
    assert broker.attempts == 0
    assert thread_of(emitter) is None
    emitter.close()
    assert broker.attempts == 0


def test_an_emit_returns_when_the_broker_has_it(emitter: Emitter, broker: FakeBroker) -> None:
    for number in range(3):
        assert emitter.emit("e", number).outcome is Outcome.DELIVERED
    assert broker.events() == [b'["e",0]', b'["e",1]', b'["e",2]']
    assert broker.connections == 1
    assert emitter.counts().delivered == 3


def test_what_concerns_nobody_needs_no_broker(emitter: Emitter, broker: FakeBroker) -> None:
    broker.up = False
    assert emitter.emit("e", to=[]).delivered
    assert broker.attempts == 0


def test_threads_share_one_connection_and_each_keeps_its_order(emitter: Emitter, broker: FakeBroker) -> None:
    def emits(thread: int) -> None:
        for number in range(100):
            assert emitter.emit("e", (thread, number), to=f"room {thread}").delivered

    in_threads(8, emits)
    for thread in range(8):
        expected = [f'["e",{thread},{number}]'.encode() for number in range(100)]
        assert [event for event in broker.events() if event.startswith(b'["e",%d,' % thread)] == expected
    assert broker.connections == 1


def test_who_comes_while_another_sends_goes_along_with_the_next(emitter: Emitter, broker: FakeBroker) -> None:
    emitter.emit("e", "first")
    broker.gate.clear()
    sent = broker.attempts
    first = threading.Thread(target=emitter.emit, args=("e", 0))
    first.start()
    broker.until(lambda broker: broker.attempts == sent + 1)
    rest = [threading.Thread(target=emitter.emit, args=("e", number)) for number in range(1, 5)]
    for thread in rest:
        thread.start()
    wait_until(lambda: emitter.counts().waiting == 5)
    broker.gate.set()
    for thread in (first, *rest):
        thread.join(PATIENCE)
    assert len(broker.events()) == 6
    assert broker.attempts - sent <= 3  # the first, and all others in one; perhaps a beat


def test_the_thread_sends_marks_and_ends(emitter: Emitter, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomcast_emitter.postbox.BEAT", 0.02)
    emitter.emit("e", to="room")
    emitter.emit("e", to="room")
    broker.until(lambda broker: len(broker.marks()) == 3)
    thread = thread_of(emitter)
    if thread is not None:
        thread.join(PATIENCE)
    assert thread_of(emitter) is None
    assert delivery_of(emitter) not in delivery._living
    assert {mark.last for marks in broker.marks() for mark in marks.marks} == {2}
    emitter.emit("e", to="room")
    assert thread_of(emitter) is not None


# --- a connection that breaks -----------------------------------------------------------------------------------------


def test_a_connection_that_was_cut_meanwhile_is_made_anew_at_once(emitter: Emitter, broker: FakeBroker) -> None:
    emitter.emit("e", 1)
    broker.cut()
    assert emitter.emit("e", 2).delivered
    assert broker.connections == 2
    assert broker.events() == [b'["e",1]', b'["e",2]']


def test_what_was_cut_in_the_middle_is_repeated_in_the_same_bytes(emitter: Emitter, broker: FakeBroker) -> None:
    emitter.emit("e", 0)
    broker.cut_after = 0  # it arrives, but its receipt does not
    assert emitter.emit("e", 1).delivered
    payloads = [payload for _, payload in broker.messages]
    assert payloads[1] == payloads[2]
    assert broker.events() == [b'["e",0]', b'["e",1]']  # receivers count the repeat and drop it


def test_what_takes_long_is_no_cut_connection(
    emitter: Emitter, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomcast_emitter.attempts.AT_ONCE", 0.0)
    emitter.emit("e", 1)
    broker.cut()
    receipt = emitter.emit("e", 2)
    assert receipt.wait(PATIENCE) is Outcome.DELIVERED  # the thread has done it
    assert delivery_of(emitter)._attempts.failures == 1


def test_a_sender_that_cannot_say_how_far_it_came(emitter: Emitter, broker: FakeBroker) -> None:
    emitter.emit("e", 1)
    broker.raise_next = BrokerUnreachableError("gone")
    assert emitter.emit("e", 2).delivered
    assert broker.events() == [b'["e",1]', b'["e",2]']


# --- while the broker is away -----------------------------------------------------------------------------------------


def test_what_is_queued_is_delivered_in_order_when_the_broker_is_back(emitter: Emitter, broker: FakeBroker) -> None:
    broker.up = False
    receipts = [emitter.emit("e", number) for number in range(5)]
    assert {receipt.outcome for receipt in receipts} == {Outcome.QUEUED}
    assert receipts[0].wait(0.0) is Outcome.QUEUED
    assert emitter.counts().waiting == 5
    broker.up = True
    assert {receipt.wait(PATIENCE) for receipt in receipts} == {Outcome.DELIVERED}
    assert broker.events() == [b'["e",%d]' % number for number in range(5)]
    assert emitter.emit("e", 5).delivered


def test_while_it_is_known_to_be_away_nobody_waits_for_it(emitter: Emitter, broker: FakeBroker) -> None:
    broker.up = False
    emitter.emit("e")
    before = broker.attempts
    for _ in range(1_000):
        assert emitter.emit("e").outcome is Outcome.QUEUED
    assert broker.attempts - before < 200  # as often as the thread tries, not as often as somebody emits


def test_who_emits_first_after_an_outage_hears_that_it_is_delivered(emitter: Emitter, broker: FakeBroker) -> None:
    broker.up = False
    assert emitter.emit("e", 1).outcome is Outcome.QUEUED
    delivery_of(emitter)._box.give_up(0.0)  # nothing waits any more: the thread has nothing to do
    broker.up = True
    delivery_of(emitter)._attempts.retry_at = 0.0
    assert emitter.emit("e", 2).delivered


def test_what_waits_too_long_is_dropped_and_said_so(broker: FakeBroker, caplog: pytest.LogCaptureFixture) -> None:
    with broker.emitter(max_buffer_seconds=0.05) as emitter:
        broker.up = False
        receipt = emitter.emit("e")
        assert receipt.wait(PATIENCE) is Outcome.DROPPED
        assert emitter.counts().dropped == 1
        wait_until(lambda: "given up" in caplog.text)
        broker.up = True
        wait_until(lambda: emitter.emit("e").wait(PATIENCE) is Outcome.DELIVERED)
        wait_until(lambda: "back;" in caplog.text)
    assert [record.name for record in caplog.records] == ["roomcast_emitter"] * 3
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    away, lost, back = (record.getMessage() for record in caplog.records)
    assert away == "the broker is away (nobody listens); what is emitted waits for 0.05 s"
    assert lost == "1 emitted operations were given up, for the broker did not come back in time"
    assert back.startswith("the broker is back; ")


def test_after_an_outage_in_which_all_was_lost_the_marks_still_come(broker: FakeBroker) -> None:
    with broker.emitter(max_buffer_seconds=0.05) as emitter:
        emitter.emit("e", to="room")
        broker.up = False
        broker.cut()
        assert emitter.emit("e", to="room").wait(PATIENCE) is not Outcome.DELIVERED
        assert thread_of(emitter) is not None
        broker.up = True
        broker.until(lambda broker: broker.marks())


def test_what_comes_first_after_an_outage_are_what_waited_and_the_marks(emitter: Emitter, broker: FakeBroker) -> None:
    emitter.emit("e", 1, to="room")
    broker.up = False
    broker.cut()
    emitter.emit("e", 2, to="room")
    sent = len(broker.messages)
    broker.up = True
    broker.until(lambda broker: broker.marks())
    (first, _), (second, _), *_ = broker.messages[sent:]
    assert first != second == "socketio:all"
    assert broker.marks()[0].marks[0].last == 2


def test_an_emit_may_be_made_by_a_handler_of_the_log(broker: FakeBroker) -> None:
    class Emits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            receipts.append(emitter.emit("log", record.getMessage()))

    receipts: list[Any] = []
    handler = Emits()
    with broker.emitter() as emitter:
        logging.getLogger("roomcast_emitter").addHandler(handler)
        try:
            broker.up = False
            emitter.emit("e")
            assert len(receipts) == 1
            broker.up = True
            assert receipts[0].wait(PATIENCE) is Outcome.DELIVERED
        finally:
            logging.getLogger("roomcast_emitter").removeHandler(handler)


# --- other policies ---------------------------------------------------------------------------------------------------


def test_raising(broker: FakeBroker) -> None:
    with broker.emitter(on_failure="raise") as emitter:
        assert emitter.emit("e", 1).delivered
        broker.up = False
        with pytest.raises(NotDeliveredError) as caught:
            emitter.emit("e", 2)
        assert caught.value.outcome is Outcome.UNCONFIRMED  # it was being written when the connection was found cut
        with pytest.raises(NotDeliveredError, match="nobody got it") as caught:
            emitter.emit("e", 3)
        assert caught.value.outcome is Outcome.DROPPED
        broker.up = True
        wait_until(lambda: delivered(lambda: emitter.emit("e", 4)))
    assert broker.events() == [b'["e",1]', b'["e",4]']


def delivered(emit: Callable[[], Any]) -> bool:
    try:
        return bool(emit().delivered)
    except NotDeliveredError:
        return False


def test_dropping(broker: FakeBroker) -> None:
    broker.up = False
    with broker.emitter(on_failure="drop") as emitter:
        assert {emitter.emit("e").outcome for _ in range(10)} == {Outcome.DROPPED}
        assert broker.attempts < 10
        assert emitter.counts() == emitter.counts().__class__(0, 10, 0, 0, 0)
        broker.up = True
        wait_until(lambda: emitter.emit("e").delivered)


# --- interrupted ------------------------------------------------------------------------------------------------------


class TimeLimit(Exception):
    """As Celery raises it, anywhere."""


def test_an_interrupted_emit_raises_and_is_delivered_all_the_same(emitter: Emitter, broker: FakeBroker) -> None:
    emitter.emit("e", 0)
    broker.raise_next = TimeLimit()
    with pytest.raises(TimeLimit):
        emitter.emit("e", 1)
    broker.until(lambda broker: len(broker.events()) == 2)
    assert emitter.emit("e", 2).delivered
    assert broker.events() == [b'["e",0]', b'["e",1]', b'["e",2]']


def test_an_interrupted_emit_that_must_not_wait_ends(broker: FakeBroker) -> None:
    with broker.emitter(on_failure="raise") as emitter:
        emitter.emit("e", 0)
        broker.raise_next = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            emitter.emit("e", 1)
        assert emitter.emit("e", 2).delivered
    assert broker.events() == [b'["e",0]', b'["e",2]']


# --- flush and close --------------------------------------------------------------------------------------------------


def test_a_flush_tells_how_far_the_numbers_are(emitter: Emitter, broker: FakeBroker) -> None:
    emitter.emit("e", to="room")
    assert emitter.flush()
    (marks,) = broker.marks()
    assert [mark.last for mark in marks.marks] == [1]


def test_a_flush_waits_for_what_waits(emitter: Emitter, broker: FakeBroker) -> None:
    broker.up = False
    emitter.emit("e", 1)
    assert not emitter.flush(0.05)
    threading.Timer(0.05, lambda: setattr(broker, "up", True)).start()
    assert emitter.flush(PATIENCE)
    assert broker.events() == [b'["e",1]']


def test_a_flush_of_what_falls_out_says_so(broker: FakeBroker) -> None:
    with broker.emitter(max_buffer_seconds=0.05) as emitter:
        broker.up = False
        emitter.emit("e")
        assert not emitter.flush(PATIENCE)
        assert emitter.flush(PATIENCE)  # nothing waited


def test_after_close_nothing_is_emitted(emitter: Emitter, broker: FakeBroker) -> None:
    emitter.emit("e")
    assert emitter.close()
    assert emitter.close()
    for call in (lambda: emitter.emit("e"), emitter.flush, emitter.counts):
        with pytest.raises(EmitterClosedError):
            call()


def test_closing_gives_up_what_the_broker_does_not_take(broker: FakeBroker) -> None:
    emitter = broker.emitter()
    broker.up = False
    receipt = emitter.emit("e")
    assert not emitter.close(0.0)
    assert receipt.wait() is Outcome.DROPPED


def test_a_delivery_is_closed_once(emitter: Emitter) -> None:
    mine = delivery_of(emitter)
    assert mine.close(0.0)
    assert mine.close(0.0)
    with pytest.raises(EmitterClosedError):
        mine.post(())


def test_the_thread_lets_a_closed_delivery_be(emitter: Emitter, broker: FakeBroker) -> None:
    broker.up = False
    emitter.emit("e")
    thread = thread_of(emitter)
    assert thread is not None
    emitter.close(0.0)
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_flush_does_not_wait_longer_for_who_is_sending(emitter: Emitter, broker: FakeBroker) -> None:
    emitter.emit("e")
    broker.gate.clear()
    attempts = broker.attempts
    thread = threading.Thread(target=emitter.emit, args=("e",))
    thread.start()
    broker.until(lambda broker: broker.attempts > attempts)
    assert not emitter.flush(0.01)
    broker.gate.set()
    thread.join(PATIENCE)
    assert emitter.flush()


def test_a_child_forgets(emitter: Emitter) -> None:
    emitter.emit("e")
    sender: Any = delivery_of(emitter)._sender
    delivery_of(emitter).forget()
    assert sender.forgotten


# --- the end of a process ---------------------------------------------------------------------------------------------


def test_leaving_flushes_who_owes_something(emitter: Emitter, broker: FakeBroker) -> None:
    broker.up = False
    emitter.close_room("room")
    assert delivery_of(emitter) in delivery._living
    threading.Timer(0.05, lambda: setattr(broker, "up", True)).start()
    delivery.leave()
    assert broker.bodies() == [CloseRoom("/", "room")]
    assert broker.marks()


def test_what_still_waits_at_the_end_is_told(broker: FakeBroker, caplog: pytest.LogCaptureFixture) -> None:
    with broker.emitter() as emitter:
        broker.up = False
        emitter.emit("e")
        delivery.leave(0.0)
        assert "1 emitted operations wait for the broker as the process ends" in caplog.text
        broker.up = True


def test_where_no_thread_can_be_started_the_end_flushes(
    emitter: Emitter, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert emitter.emit("e").delivered
    assert thread_of(emitter) is None
    delivery.leave()
    assert len(broker.marks()) == 1


def test_a_child_owes_nothing_of_its_parents(emitter: Emitter) -> None:
    emitter.emit("e")
    assert delivery._living
    delivery._forget_the_parents()
    assert not delivery._living


def wait_until(condition: Callable[[], object]) -> None:
    """Look again and again; what is waited for is the work of another thread."""
    waited = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError("in vain")
