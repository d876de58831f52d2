"""The way to the broker of one event loop, over a broker that does what the test tells it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, decode_body, new_origin
from roomcast_brokers.contracts import State
from roomcast_brokers.messages import Emit, Marks
from roomcast_emitter import EmitterClosedError, Outcome
from roomcast_emitter.async_delivery import AsyncDelivery
from roomcast_emitter.operations import Operations, Order
from roomcast_emitter.postbox import Limits, Postbox
from roomcast_emitter.receipts import Parcel
from roomcast_emitter.selection import Selection
from tests.support.patience import PATIENCE
from tests.support.scripted_brokers import ScriptedAsyncBroker

CHANNELS = Channels("shop")
READER = EnvelopeCodec(new_origin("test"), "shop")
GONE = ConnectionError("gone")
SHORTLY = 0.002


def orders(number: int, *rooms: str) -> tuple[Order, ...]:
    return Operations(CHANNELS).emit("e", number, Selection("/", rooms or ("room",)))


class Stage:
    """A delivery over a scripted broker."""

    def __init__(self, up: bool = True, **limits: Any) -> None:
        self.broker = ScriptedAsyncBroker()
        self.delivery = AsyncDelivery(self.broker, Postbox(CHANNELS, None, Limits(**limits), lambda: 17))
        if up:
            self.broker.listener.changed(State.UP, None)

    def away(self) -> None:
        """The broker is lost, and an attempt to reach it fails."""
        self.broker.listener.changed(State.CONNECTING, GONE)
        self.broker.listener.changed(State.CONNECTING, GONE)

    async def posts(self, number: int) -> asyncio.Task[Parcel]:
        """A task that has begun to post, and what it posted has been handed over if the broker is there."""
        task = asyncio.ensure_future(self.delivery.post(orders(number)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return task

    def bodies(self) -> list[bytes | Marks]:
        """What was handed over: the arguments of events, and marks."""
        found: list[bytes | Marks] = []
        for channel, payload in self.broker.published:
            for operation in READER.decode(channel, payload).operations:
                body = decode_body(operation)
                assert isinstance(body, Emit | Marks)
                found.append(body.args if isinstance(body, Emit) else body)
        return found

    def marks(self) -> list[Marks]:
        return [body for body in self.bodies() if isinstance(body, Marks)]


async def ended(task: asyncio.Task[Parcel]) -> Outcome:
    return (await asyncio.wait_for(task, PATIENCE)).outcome


async def until(condition: Any) -> None:
    """Wait for what happens in turns of the loop to come, by timers too."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # nobody tells the end of a turn
            await asyncio.sleep(SHORTLY)


async def test_a_post_returns_when_the_broker_has_it() -> None:
    stage = Stage()
    first, second = await stage.posts(1), await stage.posts(2)
    assert not first.done()
    stage.broker.listener.accepted(1)
    assert await ended(first) is Outcome.DELIVERED
    assert not second.done()
    stage.broker.listener.accepted(1)
    assert await ended(second) is Outcome.DELIVERED
    assert stage.delivery.counts().delivered == 2


async def test_what_is_posted_in_one_turn_shares_a_message() -> None:
    stage = Stage()
    tasks = [asyncio.ensure_future(stage.delivery.post(orders(number))) for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(stage.broker.published) == 1
    stage.broker.listener.accepted(1)
    assert [await ended(task) for task in tasks] == [Outcome.DELIVERED] * 3
    assert stage.bodies() == [b'["e",0]', b'["e",1]', b'["e",2]']


async def test_what_concerns_nobody_waits_for_nobody() -> None:
    stage = Stage(up=False)
    assert (await stage.delivery.post(())).outcome is Outcome.DELIVERED


async def test_before_the_first_answer_it_is_waited_for() -> None:
    stage = Stage(up=False)
    there, away = await stage.posts(1), Stage(up=False)
    not_there = await away.posts(1)
    stage.broker.listener.changed(State.CONNECTING, None)
    assert not there.done()
    stage.broker.listener.changed(State.UP, None)
    await asyncio.sleep(0)
    stage.broker.listener.accepted(1)
    assert await ended(there) is Outcome.DELIVERED
    away.broker.listener.changed(State.CONNECTING, GONE)
    assert await ended(not_there) is Outcome.QUEUED


async def test_a_break_is_waited_out_and_what_was_handed_over_is_repeated() -> None:
    stage = Stage()
    task = await stage.posts(1)
    stage.broker.listener.changed(State.CONNECTING, GONE)
    assert not task.done()
    stage.broker.listener.changed(State.UP, None)
    await asyncio.sleep(0)
    first, again = stage.broker.published
    assert first == again
    stage.broker.listener.accepted(1)
    assert await ended(task) is Outcome.DELIVERED


async def test_while_the_broker_is_away_it_waits_in_order() -> None:
    stage = Stage()
    task = await stage.posts(0)
    stage.away()
    assert await ended(task) is Outcome.QUEUED
    parcels = [await stage.delivery.post(orders(number)) for number in (1, 2)]
    assert {parcel.outcome for parcel in parcels} == {Outcome.QUEUED}
    assert await stage.delivery.settle(parcels[1], 0.0) is Outcome.QUEUED
    settled = asyncio.ensure_future(stage.delivery.settle(parcels[1], None))
    stage.broker.listener.changed(State.UP, None)
    await until(lambda: len(stage.bodies()) == 4)
    stage.broker.listener.accepted(len(stage.broker.published) - 1)
    assert await settled is Outcome.DELIVERED
    assert stage.bodies() == [b'["e",0]', b'["e",0]', b'["e",1]', b'["e",2]']


async def test_a_break_that_is_found_before_it_is_told() -> None:
    stage = Stage()
    stage.broker.refuses = True
    task = await stage.posts(1)
    stage.broker.refuses = False
    stage.broker.listener.changed(State.CONNECTING, None)
    assert not task.done()
    stage.broker.listener.changed(State.UP, None)
    await asyncio.sleep(0)
    stage.broker.listener.accepted(1)
    assert await ended(task) is Outcome.DELIVERED


async def test_what_waits_too_long_is_dropped_and_told(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(max_seconds=0.02)
    stage.away()
    parcel = await stage.delivery.post(orders(1))
    assert await stage.delivery.settle(parcel, PATIENCE) is Outcome.DROPPED
    assert await stage.delivery.settle(parcel, None) is Outcome.DROPPED
    await until(lambda: len(caplog.records) == 2)
    stage.broker.listener.changed(State.UP, None)
    assert [record.getMessage() for record in caplog.records] == [
        "the broker is away (gone); what is emitted waits for 0.02 s",
        "1 emitted operations were given up, for the broker did not come back in time",
        "the broker is back; 1 emitted operations had been given up",
    ]


async def test_where_nothing_waits_it_ends() -> None:
    stage = Stage(on_failure="drop")
    task = await stage.posts(1)
    stage.away()
    assert await ended(task) is Outcome.UNCONFIRMED
    assert (await stage.delivery.post(orders(2))).outcome is Outcome.DROPPED


async def test_who_is_cancelled_has_emitted_all_the_same() -> None:
    stage = Stage()
    task = await stage.posts(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stage.broker.listener.accepted(1)
    assert stage.delivery.counts().delivered == 1


async def test_beats_tell_how_far_the_numbers_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomcast_emitter.postbox.BEAT", 0.01)
    stage = Stage()
    task = await stage.posts(1)
    stage.broker.listener.accepted(1)
    await ended(task)
    await until(lambda: len(stage.marks()) == 3)
    assert {mark.last for marks in stage.marks() for mark in marks.marks} == {1}
    await until(lambda: stage.delivery._timer is None)


async def test_a_timer_goes_off_for_what_is_due_first() -> None:
    stage = Stage(max_seconds=1_000.0)
    stage.away()
    await stage.delivery.post(orders(1))
    timer = stage.delivery._timer
    assert timer is not None
    await stage.delivery.post(orders(2))
    assert stage.delivery._timer is timer
    stage.broker.listener.changed(State.UP, None)
    await until(lambda: stage.broker.published)
    assert stage.delivery._timer is not timer  # the first beat comes sooner
    await stage.delivery.close(0.0)


async def test_nothing_is_subscribed() -> None:
    stage = Stage()
    stage.broker.listener.delivered("channel", b"")
    stage.broker.listener.confirmed("channel", 1)
    assert {call[0] for call in stage.broker.calls} == {"open"}


async def test_a_flush_waits_and_marks() -> None:
    stage = Stage()
    task = await stage.posts(1)
    flush = asyncio.ensure_future(stage.delivery.flush(PATIENCE))
    await asyncio.sleep(0)
    stage.broker.listener.accepted(1)
    assert await flush
    assert len(stage.marks()) == 1
    await task
    assert await stage.delivery.flush(0.0)


async def test_a_flush_has_an_end() -> None:
    stage = Stage()
    stage.away()
    await stage.delivery.post(orders(1))
    assert not await stage.delivery.flush(0.0)


async def test_closing_flushes_and_gives_up_the_rest() -> None:
    stage = Stage()
    task = await stage.posts(1)
    assert not await stage.delivery.close(0.0)
    assert await ended(task) is Outcome.UNCONFIRMED
    assert stage.broker.calls[-1] == ("close",)
    assert len(stage.marks()) == 1
    assert await stage.delivery.close(0.0)
    with pytest.raises(EmitterClosedError):
        await stage.delivery.post(orders(2))


async def test_what_was_never_used_is_closed_as_well() -> None:
    stage = Stage(up=False)
    stage.delivery._flush_soon()
    stage.delivery._flush_soon()
    await asyncio.sleep(0)
    assert await stage.delivery.close(0.0)
    assert stage.broker.published == []
