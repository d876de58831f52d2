"""The end of a broker: told last, once, and after what was handed over has been written."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from roomcast_brokers.contracts import Broker, State
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError
from tests.contract.members import Ground


async def test_closed_is_the_last_that_is_heard(ground: Ground) -> None:
    channel = ground.channel()
    async with ground.members(2) as (member, publisher):
        await member.hear_of(channel)
        await member.close()
        assert member.heard.events[-1] == ("changed", State.CLOSED, None)
        heard = len(member.heard.events)
        publisher.publish(channel, b"too late")
        await publisher.settled()
        await member.close()
        assert len(member.heard.events) == heard
        with pytest.raises((BrokerClosedError, BrokerUnreachableError)):
            member.publish(channel, b"by whom?")


@pytest.mark.smoke
async def test_what_was_handed_over_is_written_before_the_end(ground: Ground) -> None:
    channel = ground.channel()
    count = min(1_000, ground.service.many)
    async with ground.members(2) as (reader, publisher):
        await reader.hear_of(channel)
        await publisher.settled()
        accepted = publisher.heard.accepted_count
        for number in range(count):
            publisher.publish(channel, b"%d" % number)
        await publisher.close()
        assert [int(payload) for payload in await reader.received(channel, count)] == list(range(count))
        assert publisher.heard.accepted_count - accepted == count
        assert publisher.heard.state is State.CLOSED


async def test_after_the_end_nothing_can_be_asked_for(ground: Ground) -> None:
    channel = ground.channel()
    async with ground.members(1) as (member,):
        await member.close()
        with pytest.raises(BrokerClosedError):
            member.broker.subscribe(channel, 1)
        with pytest.raises(BrokerClosedError):
            member.broker.reset()
        member.broker.unsubscribe(channel)


async def test_one_that_was_never_opened_is_closed_as_well(ground: Ground) -> None:
    member = ground.member()
    member.subscribe(ground.channel())
    await member.close()
    await member.close()
    assert member.heard.states in ([], [State.CLOSED])
    with pytest.raises(BrokerClosedError):
        member.open()


async def test_a_broker_is_opened_once(ground: Ground) -> None:
    async with ground.members(1) as (member,):
        with pytest.raises(BrokerClosedError):
            member.open()
        assert member.heard.states == [State.UP]


async def test_closing_right_after_opening(ground: Ground) -> None:
    member = ground.member()
    member.open()
    await member.close()
    assert member.heard.states[-1] is State.CLOSED
    assert member.heard.states.count(State.CLOSED) == 1


async def test_closing_twice_at_once(ground: Ground) -> None:
    async with ground.members(1) as (member,):
        await asyncio.gather(member.close(), member.close())
        assert member.heard.states == [State.UP, State.CLOSED]


async def test_closing_while_the_broker_is_away(breakable: Ground) -> None:
    async with breakable.members(2) as (one, other):
        await one.hear_of(breakable.channel())
        await breakable.stop()
        await one.until(lambda heard: heard.state is State.CONNECTING)
        await one.close()
        await other.close()
        assert one.heard.states[-1] is State.CLOSED
        assert other.heard.states[-1] is State.CLOSED


async def test_the_thread_that_tells_may_close(threaded: Ground) -> None:
    """Who hears that something is wrong may want to end it at once."""
    member = threaded.member()
    broker = cast("Broker", member.broker)
    member.listener.on_event = lambda event: broker.close() if event[0] == "accepted" else None
    member.open()
    await member.up()
    member.publish(threaded.channel(), b"the only one")
    await member.until(lambda heard: heard.state is State.CLOSED)
    await member.close()
