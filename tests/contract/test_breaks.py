"""What a break does: nobody is lied to, and what was wanted is heard again without anybody asking."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from roomcast_brokers.contracts import State
from roomcast_brokers.errors import BrokerUnreachableError
from tests.contract.members import Ground, Member
from tests.support.listeners import Event, Heard

# What the test of breaks publishes at most while it waits for one.
MOST_IN_FLIGHT = 20_000

Break = Callable[[Ground, Member], Awaitable[None]]


async def restarted(ground: Ground, _: Member) -> None:
    await ground.restart()


async def cut(ground: Ground, _: Member) -> None:
    await ground.cut()


async def reset(_: Ground, member: Member) -> None:
    member.reset()


BREAKS: dict[str, Break] = {"restart": restarted, "cut": cut, "reset": reset}


@pytest.fixture(params=BREAKS)
def broken(request: pytest.FixtureRequest) -> Break:
    return BREAKS[request.param]


async def echoed(member: Member, channel: str, payload: bytes) -> None:
    """``payload`` goes out and comes back. Where the broker confirms nothing it may take more than one."""
    while payload not in member.heard.payloads(channel):
        member.publish(channel, payload)
        if member.traits.confirms_subscriptions:
            await member.until(lambda heard: payload in heard.payloads(channel))
        else:
            seen = len(member.heard.events)
            await member.until(lambda heard, seen=seen: len(heard.events) > seen)  # type: ignore[misc]


async def eventually_echoed(member: Member, channel: str, payload: bytes) -> None:
    """``payload`` comes back, though breaks may still be on their way to the listener."""
    while payload not in member.heard.payloads(channel):
        await member.up()
        seen = len(member.heard.events)
        try:
            member.publish(channel, payload)
        except BrokerUnreachableError:
            pass
        await member.until(lambda heard, seen=seen: len(heard.events) > seen)  # type: ignore[misc]


class Ledger:
    """Counts what a member hands over before a break, as its listener knows it."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.breaks = member.heard.breaks
        self.first_event = len(member.heard.events)
        self.handed_over = 0
        self.perhaps_later = 0  # with threads the break may have been told and be over before publish() has returned

    def publish(self, channel: str, payload: bytes) -> None:
        try:
            self.member.publish(channel, payload)
        except BrokerUnreachableError:
            return
        self.handed_over += 1
        self.perhaps_later += self.member.heard.breaks != self.breaks

    def check(self) -> None:
        """No more was accepted before the break than was handed over, and nothing between the break and UP."""
        events = self.member.heard.events[self.first_event :]
        broken = next(index for index, event in enumerate(events) if event[:2] == ("changed", State.CONNECTING))
        up = next(index for index, event in enumerate(events) if index > broken and event[:2] == ("changed", State.UP))
        assert accepted(events[:broken]) <= self.handed_over
        assert accepted(events[broken:up]) == 0


def accepted(events: list[Event]) -> int:
    return sum(event[1] for event in events if event[0] == "accepted")


def last_up(heard: Heard) -> int:
    return max(index for index, event in enumerate(heard.events) if event[:2] == ("changed", State.UP))


async def test_what_is_wanted_is_heard_again_after_a_break(breakable: Ground, broken: Break) -> None:
    channels = breakable.channels(20)
    async with breakable.members(1) as (member,):
        await member.hear_of(*channels)
        for round_ in range(2):
            confirmed = len(member.heard.confirmations)
            async with member.back_after_a_break():
                await broken(breakable, member)
            before_up = [event for event in member.heard.events[: last_up(member.heard)] if event[0] == "confirmed"]
            assert {event[1] for event in before_up[confirmed:]} == set(channels)
            for channel in channels:
                await echoed(member, channel, b"after break %d" % round_)


async def test_what_changed_while_away_is_what_is_wanted(breakable: Ground) -> None:
    kept, left, new = breakable.channels(3)
    async with breakable.members(1) as (member,):
        await member.hear_of(kept, left)
        await breakable.stop()
        await member.until(lambda heard: heard.state is State.CONNECTING)
        member.unsubscribe(left)
        generation = member.subscribe(new)
        await breakable.start()
        await member.up()
        assert member.heard.generations[new] == generation
        for channel in (kept, left, new):
            if channel != left:
                await echoed(member, channel, b"here")
            else:
                member.publish(channel, b"not here")
        await member.settled()
        assert member.heard.payloads(left) == []


async def test_publishing_while_the_broker_is_away_raises(breakable: Ground) -> None:
    channel = breakable.channel()
    async with breakable.members(2) as members:
        await breakable.stop()
        for member in members:
            await member.until(lambda heard: heard.state is State.CONNECTING)
            accepted = member.heard.accepted_count
            with pytest.raises(BrokerUnreachableError):
                member.publish(channel, b"unheard")
            assert member.heard.accepted_count == accepted
        causes = [cause for member in members for cause in member.heard.causes if cause is not None]
        assert causes, "why it is away is known to somebody"
        await breakable.start()
        for member in members:
            await member.up()
        assert members[0].heard.payloads(channel) == []


async def counted_over_breaks(breakable: Ground, broken: Break, rounds: int) -> None:
    channel = breakable.channel()
    async with breakable.members(1) as (member,):
        for _ in range(rounds):
            ledger = Ledger(member)
            async with member.back_after_a_break():
                breaking = asyncio.ensure_future(broken(breakable, member))
                while member.heard.breaks == ledger.breaks and ledger.handed_over < MOST_IN_FLIGHT:
                    ledger.publish(channel, b"meanwhile")
                    await asyncio.sleep(0)
                await breaking
            ledger.check()
            for _ in range(10):
                member.publish(channel, b"later")
            await member.until(lambda heard: accepted(heard.events[last_up(heard) :]) >= 10)
            await member.settled()
            late = accepted(member.heard.events[last_up(member.heard) :]) - 10 - 3  # the settling took three
            assert 0 <= late <= ledger.perhaps_later


async def test_nothing_of_before_a_break_is_accepted_after_it(breakable: Ground, broken: Break) -> None:
    """Or else whoever counts would take one message for another."""
    await counted_over_breaks(breakable, broken, 2)


@pytest.mark.long
async def test_nothing_of_before_any_of_thirty_breaks_is_accepted_after_it(breakable: Ground, broken: Break) -> None:
    service = breakable.service
    if (broken is restarted and service.restarts_slowly) or (broken is cut and service.cuts_slowly):
        pytest.skip("a service that takes seconds to come back is restarted in the short test alone")
    await counted_over_breaks(breakable, broken, 30)


async def test_a_broker_that_is_absent_at_first_is_reached_when_it_appears(breakable: Ground) -> None:
    channel = breakable.channel()
    await breakable.stop()
    async with breakable.members(2, up=False) as members:
        for generation, member in enumerate(members):
            member.subscribe(channel, generation)
            await member.until(lambda heard: heard.states)
            assert member.heard.states[-1] is State.CONNECTING
            assert member.heard.causes[-1] is not None
            with pytest.raises(BrokerUnreachableError):
                member.publish(channel, b"unheard")
            assert member.heard.confirmations == []
        await breakable.start()
        for generation, member in enumerate(members):
            await member.up()
            assert member.heard.generations == {channel: generation}
        await echoed(members[0], channel, b"here")
        await members[1].until(lambda heard: b"here" in heard.payloads(channel))


async def test_a_break_right_after_a_break(breakable: Ground) -> None:
    channel = breakable.channel()
    async with breakable.members(1) as (member,):
        await member.hear_of(channel)
        for _ in range(2):
            await breakable.cut()
            member.reset()
            await breakable.restart()
            member.reset()
        await eventually_echoed(member, channel, b"after all of it")


@pytest.mark.smoke
async def test_one_that_resets_does_not_disturb_another(ground: Ground) -> None:
    channel = ground.channel()
    async with ground.members(2) as (member, other):
        await other.hear_of(channel)
        for _ in range(3):
            async with member.back_after_a_break():
                member.reset()
        await echoed(other, channel, b"undisturbed")
        assert other.heard.states == [State.UP]
