"""What the bridges have to themselves: the moments that a real broker seldom shows. All else is in tests/contract."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from roomcast_brokers.backends.memory import MemoryBroker
from roomcast_brokers.bridge import LoopBroker, ThreadedBroker
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerError, BrokerUnreachableError, MessageTooLargeError
from tests.support.coroutines import turns
from tests.support.listeners import RecordingListener, ThreadListener
from tests.support.patience import PATIENCE
from tests.support.scripted_brokers import ScriptedAsyncBroker, ScriptedBroker


class Bridged:
    """A :class:`ThreadedBroker` over a scripted one; ``do`` runs something in its loop and waits for it."""

    def __init__(self, max_messages: int = 10_000, max_bytes: int = 10_000) -> None:
        self.inner = ScriptedAsyncBroker(Traits(durable=True))
        self.broker = ThreadedBroker(lambda: self.inner, max_messages=max_messages, max_bytes=max_bytes)
        self.listener = ThreadListener()

    def do(self, *calls: Callable[[], object]) -> None:
        """All of them in one turn of the loop."""
        done = threading.Event()

        def run() -> None:
            for call in calls:
                call()
            done.set()

        self.inner.loop.call_soon_threadsafe(run)
        assert done.wait(PATIENCE)

    def tell(self, state: State) -> Callable[[], None]:
        return lambda: self.inner.listener.changed(state, None)

    def settled(self) -> None:
        """Whatever was handed over before has been done."""
        for _ in range(2):
            self.do()


@contextmanager
def bridged(max_messages: int = 10_000, max_bytes: int = 10_000) -> Iterator[Bridged]:
    """Open and up."""
    found = Bridged(max_messages, max_bytes)
    found.broker.open(found.listener)
    try:
        found.do(found.tell(State.UP))
        yield found
    finally:
        found.broker.close()


@contextmanager
def held(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """The loop stands still inside: what is handed over waits."""
    holding, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        holding.set()
        go_on.wait(PATIENCE)

    loop.call_soon_threadsafe(hold)
    assert holding.wait(PATIENCE)
    try:
        yield
    finally:
        go_on.set()


# --- ThreadedBroker ---------------------------------------------------------------------------------------------------


def test_calls_are_made_in_the_thread_in_their_order_and_answers_told_there() -> None:
    with bridged() as b:
        assert b.broker.traits == Traits(durable=True)
        b.broker.subscribe("c", 1)
        b.broker.publish("c", b"1")
        b.broker.unsubscribe("c")
        b.broker.reset()
        b.broker.publish("d", b"2")
        b.settled()
        assert b.inner.calls == [
            ("open",), ("subscribe", "c", 1), ("publish", "c", b"1"), ("unsubscribe", "c"), ("reset",),
            ("publish", "d", b"2"),
        ]  # fmt: skip
        b.do(lambda: b.inner.listener.accepted(2))
        assert b.listener.accepted_count == 2
        assert len(b.listener.threads) == 1
        assert threading.get_ident() not in b.listener.threads


def test_many_calls_wake_the_loop_once() -> None:
    with bridged() as b:
        loop = b.inner.loop
        woken = 0
        wake = loop.call_soon_threadsafe

        def counted(*arguments: object) -> object:
            nonlocal woken
            woken += 1
            return wake(*arguments)  # type: ignore[arg-type]  # passed on as they came

        with held(loop):
            loop.call_soon_threadsafe = counted  # type: ignore[method-assign, assignment]  # counts
            for number in range(1_000):
                b.broker.publish("c", b"%d" % number)
            del loop.call_soon_threadsafe
        b.settled()
        assert woken == 1
        assert [int(payload) for _, payload in b.inner.published] == list(range(1_000))


def test_what_was_wanted_before_the_opening_is_subscribed_first() -> None:
    b = Bridged()
    b.broker.subscribe("c", 1)
    b.broker.subscribe("d", 2)
    b.broker.unsubscribe("c")
    b.broker.open(b.listener)
    b.broker.close()
    assert b.inner.calls == [("subscribe", "d", 2), ("open",), ("close",)]


def test_what_is_called_while_the_thread_begins_is_done_after_the_opening() -> None:
    b = Bridged()
    b.broker.open(b.listener)
    b.broker.reset()
    b.broker.subscribe("c", 1)
    b.broker.close()
    assert b.inner.calls == [("open",), ("reset",), ("subscribe", "c", 1), ("close",)]


def test_what_waits_over_a_break_is_not_written_after_it() -> None:
    with bridged() as b:
        with held(b.inner.loop):
            for state in (State.CONNECTING, State.UP):
                b.inner.loop.call_soon_threadsafe(b.tell(state))
            b.broker.publish("c", b"of before")
        b.settled()
        b.broker.publish("c", b"of after")
        b.settled()
        assert b.inner.published == [("c", b"of after")]
        assert b.listener.states == [State.UP, State.CONNECTING, State.UP]


def test_a_break_that_the_broker_knows_and_has_not_told_yet_loses_what_is_handed_over() -> None:
    with bridged() as b:
        b.inner.refuses = True
        b.broker.publish("c", b"lost")
        b.settled()
        b.do(b.tell(State.CONNECTING))
        assert b.inner.published == []
        with pytest.raises(BrokerUnreachableError):
            b.broker.publish("c", b"refused")


@pytest.mark.parametrize("bounds", [(3, 100), (100, 6)])
def test_what_waits_is_bounded(bounds: tuple[int, int]) -> None:
    with bridged(*bounds) as b:
        with held(b.inner.loop):
            for _ in range(3):
                b.broker.publish("c", b"xy")
            with pytest.raises(BrokerUnreachableError, match="more waits"):
                b.broker.publish("c", b"z")
        b.settled()
        b.broker.publish("c", b"z")
        b.settled()
        assert [payload for _, payload in b.inner.published] == [b"xy", b"xy", b"xy", b"z"]


def test_what_cannot_be_published_is_refused_where_it_is_handed_over() -> None:
    with bridged() as b:
        with pytest.raises(MessageTooLargeError):
            b.broker.publish("c", bytes(MAX_MESSAGE_BYTES + 1))
        with pytest.raises(TypeError):
            b.broker.publish("c", "text")  # type: ignore[arg-type]  # on purpose


def test_nothing_is_told_of_a_channel_after_its_unsubscribing_has_returned() -> None:
    with bridged() as b:
        b.broker.subscribe("c", 1)
        b.do(lambda: b.inner.listener.confirmed("c", 1), lambda: b.inner.listener.delivered("c", b"heard"))
        with held(b.inner.loop):
            b.broker.unsubscribe("c")
            b.broker.subscribe("c", 2)
            b.inner.loop.call_soon_threadsafe(b.inner.listener.delivered, "c", b"overtaken")
            b.inner.loop.call_soon_threadsafe(b.inner.listener.confirmed, "c", 1)
        b.settled()
        b.do(lambda: b.inner.listener.confirmed("c", 2), lambda: b.inner.listener.delivered("c", b"heard again"))
        assert b.listener.payloads("c") == [b"heard", b"heard again"]
        assert b.listener.confirmations == [("c", 1), ("c", 2)]


def test_a_call_that_fails_takes_no_other_with_it() -> None:
    with bridged() as b:
        faults: list[object] = []
        loop = b.inner.loop
        loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
        error = RuntimeError("a fault of the back end")

        def fail() -> None:
            raise error

        b.inner.reset = fail  # type: ignore[method-assign]  # fails once
        with held(loop):
            b.broker.reset()
            b.broker.publish("c", b"1")
        b.settled()
        b.settled()
        assert faults == [error]
        assert b.inner.published == [("c", b"1")]


def test_before_opening_and_after_closing() -> None:
    broker = ThreadedBroker(ScriptedAsyncBroker)

    def refused(call: Callable[[], None]) -> None:
        with pytest.raises(BrokerClosedError):
            call()

    refused(lambda: broker.publish("c", b""))
    refused(broker.reset)
    broker.unsubscribe("c")
    broker.close()
    refused(lambda: broker.publish("c", b""))
    refused(lambda: broker.subscribe("c", 1))
    refused(lambda: broker.open(ThreadListener()))
    broker.unsubscribe("c")


def test_an_unsubscribing_after_the_end_is_nothing() -> None:
    with bridged() as b:
        b.broker.subscribe("c", 1)
        b.broker.close()
        b.broker.unsubscribe("c")
    assert b.inner.calls[-1] == ("close",)


def test_a_broker_that_does_not_end_is_given_up() -> None:
    with bridged() as b:
        b.do(b.inner.may_close.clear)
        b.broker.close(0.01)
        b.listener.until(lambda heard: heard.state is State.CLOSED)
    assert b.listener.states == [State.UP, State.CLOSED]


def test_the_thread_may_close_and_others_wait_for_it() -> None:
    with bridged() as b:
        b.listener.on_event = lambda event: b.broker.close() if event[0] == "accepted" else None
        b.do(lambda: b.inner.listener.accepted(1))
        b.broker.close()
        assert b.listener.state is State.CLOSED
        assert not {thread.ident for thread in threading.enumerate()} & b.listener.threads


def test_a_broker_that_cannot_be_opened_says_why() -> None:
    b = Bridged()
    b.inner.opening_error = error = BrokerError("the configuration is wrong")
    b.broker.open(b.listener)
    b.listener.until(lambda heard: heard.states)
    assert b.listener.events == [("changed", State.CLOSED, error)]
    with pytest.raises(BrokerClosedError):
        b.broker.publish("c", b"")
    b.broker.close()


def test_a_wrong_make_fails_at_once() -> None:
    def make() -> MemoryBroker:
        return MemoryBroker("memory://user@name")

    with pytest.raises(BrokerError):
        ThreadedBroker(make)


# --- LoopBroker -------------------------------------------------------------------------------------------------------


class Looped:
    """A :class:`LoopBroker` over a scripted one; ``tell`` tells it in another thread, as a back end would."""

    def __init__(self) -> None:
        self.inner = ScriptedBroker(Traits(shortest_beat=1.0))
        self.broker = LoopBroker(lambda: self.inner)
        self.listener = RecordingListener()

    async def tell(self, *calls: Callable[[], object]) -> None:
        def run() -> None:
            for call in calls:
                call()

        await asyncio.to_thread(run)

    def changed(self, state: State) -> Callable[[], None]:
        return lambda: self.inner.listener.changed(state, None)


async def looped() -> Looped:
    found = Looped()
    found.broker.open(found.listener)
    await found.tell(found.changed(State.UP))
    await found.listener.until(lambda heard: heard.state is State.UP)
    return found


async def test_calls_go_straight_through_and_answers_come_in_the_loop() -> None:
    b = await looped()
    assert b.broker.traits == Traits(shortest_beat=1.0)
    b.broker.subscribe("c", 1)
    b.broker.publish("c", b"1")
    b.broker.reset()
    await b.tell(
        lambda: b.inner.listener.confirmed("c", 1),
        lambda: b.inner.listener.delivered("c", b"1"),
        lambda: b.inner.listener.accepted(1),
    )
    await b.listener.until(lambda heard: heard.accepted_count)
    b.broker.unsubscribe("c")
    await b.tell(lambda: b.inner.listener.delivered("c", b"2"))
    await b.broker.close()
    assert b.listener.payloads("c") == [b"1"]
    assert b.inner.calls == [
        ("open",), ("subscribe", "c", 1), ("publish", "c", b"1"), ("reset",), ("unsubscribe", "c"), ("close", 2.0),
    ]  # fmt: skip
    assert b.listener.state is State.CLOSED
    assert b.broker.dropped == 0


async def test_nothing_is_published_while_a_break_is_on_its_way_to_the_listener() -> None:
    """The broker is up again already; but who has not heard of the break would count it to the connection before."""
    b = await looped()
    b.inner.listener.changed(State.CONNECTING, None)  # in this thread, so that the loop does not come round
    b.inner.listener.changed(State.UP, None)
    with pytest.raises(BrokerUnreachableError):
        b.broker.publish("c", b"x")
    await turns()
    b.broker.publish("c", b"y")
    assert b.inner.published == [("c", b"y")]
    await b.broker.close()


async def test_what_a_loop_broker_refuses() -> None:
    b = Looped()
    with pytest.raises(BrokerClosedError):
        b.broker.publish("c", b"")
    b.broker.open(b.listener)
    with pytest.raises(BrokerUnreachableError):
        b.broker.publish("c", b"")
    with pytest.raises(MessageTooLargeError):
        b.broker.publish("c", bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(BrokerClosedError):
        b.broker.open(b.listener)
    await b.broker.close()
    with pytest.raises(BrokerClosedError):
        b.broker.publish("c", b"")


async def test_a_broker_that_does_not_say_that_it_is_closed_is_closed_all_the_same() -> None:
    b = Looped()
    b.inner.closes = False
    b.broker.open(b.listener)
    await b.broker.close()
    await b.broker.close()
    assert b.listener.states == [State.CLOSED]


async def test_one_that_was_never_opened() -> None:
    b = Looped()
    await b.broker.close()
    assert b.listener.events == []
    assert b.inner.calls == [("close", 2.0)]
