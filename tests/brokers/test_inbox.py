from __future__ import annotations

import asyncio
import threading

import pytest

from roomcast_brokers import inbox as module
from roomcast_brokers.contracts import State
from roomcast_brokers.inbox import TOLD_PER_TURN, Inbox
from tests.support.coroutines import turns
from tests.support.listeners import RecordingListener
from tests.support.patience import PATIENCE


def opened(inbox: Inbox) -> RecordingListener:
    listener = RecordingListener()
    inbox.open(listener)
    return listener


def hearing(inbox: Inbox, *channels: str) -> RecordingListener:
    """Opened, with these channels subscribed and confirmed."""
    for channel in channels:
        inbox.subscribed.subscribe(channel, 1)
        inbox.subscribed.confirm(channel, 1)
    return opened(inbox)


async def test_everything_is_told_in_order_and_later() -> None:
    inbox = Inbox()
    listener = opened(inbox)
    inbox.subscribed.subscribe("c", 7)
    inbox.confirmed("c", 7)
    inbox.delivered("c", b"1")
    inbox.changed(State.UP, None)
    inbox.delivered("c", b"2")
    inbox.accepted(3)
    assert listener.events == []
    await turns()
    assert listener.events == [
        ("confirmed", "c", 7),
        ("delivered", "c", b"1"),
        ("changed", State.UP, None),
        ("delivered", "c", b"2"),
        ("accepted", 3),
    ]


async def test_receipts_are_joined_but_not_over_a_change() -> None:
    inbox = Inbox()
    listener = opened(inbox)
    cause = ConnectionError("away")
    inbox.accepted(1)
    inbox.accepted(2)
    inbox.changed(State.CONNECTING, cause)
    inbox.changed(State.UP, None)
    inbox.accepted(4)
    await turns()
    assert listener.events == [
        ("accepted", 3),
        ("changed", State.CONNECTING, cause),
        ("changed", State.UP, None),
        ("accepted", 4),
    ]


async def test_one_turn_tells_so_much_and_the_loop_goes_on_in_between() -> None:
    inbox = Inbox()
    listener = hearing(inbox, "c")
    for _ in range(2 * TOLD_PER_TURN + 1):
        inbox.delivered("c", b"")
    inbox.accepted(1)
    told = []
    for _ in range(3):
        await asyncio.sleep(0)
        told.append((len(listener.messages), listener.accepted_count))
    assert told == [(TOLD_PER_TURN, 1), (2 * TOLD_PER_TURN, 1), (2 * TOLD_PER_TURN + 1, 1)]


async def test_what_comes_while_telling_is_told_in_a_later_turn() -> None:
    inbox = Inbox()
    listener = hearing(inbox, "c")

    def echo(event: tuple[object, ...]) -> None:
        if event[0] == "delivered" and len(listener.messages) < 5:
            listener.busy_elsewhere = True
            inbox.delivered("c", b"echo")
            listener.busy_elsewhere = False

    listener.on_event = echo
    inbox.delivered("c", b"first")
    await listener.until(lambda heard: len(heard.messages) == 5)
    assert listener.misplaced == []


@pytest.mark.parametrize(("max_deliveries", "max_bytes"), [(2, 100), (100, 4)])
async def test_deliveries_are_bounded_and_the_rest_is_not(max_deliveries: int, max_bytes: int) -> None:
    inbox = Inbox(max_deliveries, max_bytes)
    listener = hearing(inbox, "c")
    for number in range(5):
        inbox.delivered("c", b"%02d" % number)
        inbox.confirmed("c", 1)
    assert inbox.dropped == 3
    await turns()
    assert listener.payloads("c") == [b"00", b"01"]
    assert len(listener.confirmations) == 5
    inbox.delivered("c", b"05")  # there is room again
    await turns()
    assert listener.payloads("c") == [b"00", b"01", b"05"]
    assert inbox.dropped == 3


async def test_who_delivers_from_a_thread_may_wait_for_room() -> None:
    inbox = Inbox(max_deliveries=10, waits=True)
    listener = hearing(inbox, "c")

    def deliver() -> None:
        for number in range(1_000):
            inbox.delivered("c", b"%d" % number)

    await asyncio.to_thread(deliver)
    await listener.until(lambda heard: len(heard.messages) == 1_000)
    assert [int(payload) for payload in listener.payloads("c")] == list(range(1_000))
    assert inbox.dropped == 0


async def test_in_the_loop_itself_nobody_waits() -> None:
    inbox = Inbox(max_deliveries=1, waits=True)
    listener = hearing(inbox, "c")
    inbox.delivered("c", b"1")
    inbox.delivered("c", b"2")
    await turns()
    assert listener.payloads("c") == [b"1"]
    assert inbox.dropped == 1


def test_who_waits_gives_up_when_the_loop_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN", 0.01)
    loop = asyncio.new_event_loop()
    inbox = Inbox(max_deliveries=1, waits=True)

    async def open_it() -> None:
        hearing(inbox, "c")

    loop.run_until_complete(open_it())
    inbox.delivered("c", b"1")
    waiting = threading.Thread(target=inbox.delivered, args=("c", b"2"), daemon=True)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    loop.close()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert inbox.dropped == 1


async def test_nothing_is_told_of_what_is_not_wanted_any_more() -> None:
    inbox = Inbox()
    listener = hearing(inbox, "a", "b")
    inbox.delivered("a", b"1")
    inbox.delivered("b", b"1")
    inbox.confirmed("a", 1)
    inbox.subscribed.unsubscribe("a")
    inbox.subscribed.subscribe("a", 2)
    inbox.delivered("a", b"of before the confirmation")
    inbox.confirmed("a", 2)
    inbox.delivered("a", b"2")
    await turns()
    assert listener.payloads("a") == [b"2"]
    assert listener.payloads("b") == [b"1"]
    assert listener.confirmations == [("a", 2)]


async def test_it_is_up_only_as_long_as_the_listener_knows_all_there_is_to_know() -> None:
    inbox = Inbox()
    opened(inbox)
    seen = []
    inbox.changed(State.UP, None)
    seen.append(inbox.up)
    await turns()
    seen.append(inbox.up)
    inbox.changed(State.CONNECTING, None)
    seen.append(inbox.up)
    inbox.changed(State.UP, None)  # a break that was over before anybody heard of it
    seen.append(inbox.up)
    await turns()
    seen.append(inbox.up)
    assert seen == [False, True, False, False, True]


async def test_up_is_not_up_while_a_break_waits_behind_it() -> None:
    inbox = Inbox()
    listener = opened(inbox)
    seen: list[tuple[State, bool]] = []
    listener.on_event = lambda event: seen.append((event[1], inbox.up))
    for state in (State.UP, State.CONNECTING, State.UP):
        inbox.changed(state, None)
    await turns()
    assert seen == [(State.UP, False), (State.CONNECTING, False), (State.UP, True)]


async def test_closed_is_the_last() -> None:
    inbox = Inbox()
    listener = hearing(inbox, "c")
    inbox.delivered("c", b"1")
    inbox.accepted(1)
    inbox.changed(State.CLOSED, None)
    inbox.changed(State.UP, None)
    inbox.changed(State.CLOSED, None)
    inbox.delivered("c", b"2")
    inbox.confirmed("c", 1)
    assert not inbox.ended.is_set()
    await inbox.ended.wait()
    await turns()
    assert listener.events == [("delivered", "c", b"1"), ("accepted", 1), ("changed", State.CLOSED, None)]
    assert not inbox.up


async def test_other_threads_write_and_the_loop_is_woken() -> None:
    inbox = Inbox()
    listener = hearing(inbox, "c")

    def write(name: bytes) -> None:
        for number in range(500):
            inbox.delivered("c", b"%s %d" % (name, number))
            inbox.accepted(1)

    threads = [threading.Thread(target=write, args=(name,)) for name in (b"a", b"b")]
    for thread in threads:
        thread.start()
    await listener.until(lambda heard: len(heard.messages) == 1_000 and heard.accepted_count == 1_000)
    for name, thread in zip((b"a", b"b"), threads, strict=True):
        thread.join()
        of_this = [payload for payload in listener.payloads("c") if payload.startswith(name)]
        assert of_this == [b"%s %d" % (name, number) for number in range(500)]


async def test_a_listener_that_raises_does_not_stop_the_rest() -> None:
    """It must not raise; but a broker that went silent because of it would be the worst of all answers."""
    inbox = Inbox()
    listener = hearing(inbox, "c")
    uncaught: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: uncaught.append(context["exception"]))
    error = RuntimeError("a fault of the listener")

    def fail_first(_: object) -> None:
        if len(listener.events) == 1:
            raise error

    listener.on_event = fail_first
    inbox.delivered("c", b"1")
    inbox.delivered("c", b"2")
    await listener.until(lambda heard: len(heard.messages) == 2)
    assert uncaught == [error]


def test_a_loop_that_was_closed_is_found_out() -> None:
    inbox = Inbox()
    before = inbox.dead

    async def open_it() -> None:
        hearing(inbox, "c")
        inbox.delivered("c", b"1")
        await turns()

    asyncio.run(open_it())
    assert (before, inbox.dead) == (False, True)
    inbox.delivered("c", b"nobody is there")
    inbox.delivered("c", b"nor for this")
    inbox.changed(State.CLOSED, None)


async def test_what_comes_before_the_opening_waits_for_it() -> None:
    inbox = Inbox()
    assert not inbox.opened
    inbox.changed(State.UP, None)
    await turns()
    listener = opened(inbox)
    inbox.accepted(1)
    await turns()
    assert listener.events == [("changed", State.UP, None), ("accepted", 1)]
