"""When a channel is heard, and when no longer: confirmations, generations, unsubscribing."""

from __future__ import annotations

import pytest

from roomcast_brokers.contracts import State
from tests.contract.members import Ground

MANY_CHANNELS = 1_000


async def heard_at_once(ground: Ground, rounds: int) -> None:
    async with ground.members(2) as (reader, publisher):
        for number in range(rounds):
            channel = ground.channel()
            await reader.hear_of(channel)
            publisher.publish(channel, b"%d" % number)
            await reader.until(lambda heard, channel=channel: heard.payloads(channel))  # type: ignore[misc]
            assert reader.heard.payloads(channel) == [b"%d" % number]
            reader.unsubscribe(channel)


@pytest.mark.smoke
async def test_what_is_published_in_the_instant_after_the_confirmation_arrives(ground: Ground) -> None:
    await heard_at_once(ground, 200)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_it_arrives_thousands_of_times(ground: Ground) -> None:
    await heard_at_once(ground, ground.service.many)


async def test_a_confirmation_brings_its_generation(ground: Ground) -> None:
    channels = ground.channels(3)
    async with ground.members(1) as (member,):
        for channel, generation in zip(channels, (7, 1, 2**62), strict=True):
            member.subscribe(channel, generation)
        await member.until(lambda heard: len(heard.confirmations) == 3)
        assert sorted(member.heard.confirmations) == sorted(zip(channels, (7, 1, 2**62), strict=True))


async def test_a_channel_that_is_subscribed_again_is_confirmed_anew(ground: Ground) -> None:
    channel = ground.channel()
    async with ground.members(1) as (member,):
        await member.hear_of(channel)
        confirmations = len(member.heard.confirmations)
        generation = member.subscribe(channel)
        await member.until(lambda heard: len(heard.confirmations) > confirmations)
        assert member.heard.confirmations[-1] == (channel, generation)
        member.publish(channel, b"once")  # and not twice
        await member.until(lambda heard: b"once" in heard.payloads(channel))
        await member.settled()
        assert member.heard.payloads(channel) == [b"once"]


async def test_the_last_of_several_changes_in_one_turn_counts(ground: Ground) -> None:
    """Subscribed in the end: confirmed with the last generation. Unsubscribed in the end: nothing is heard of it.

    In an event loop what was overtaken is not told at all; a thread may have told it in the meantime.
    """
    kept, left = ground.channels(2)
    async with ground.members(2) as (member, publisher):
        member.subscribe(kept, 1)
        member.unsubscribe(kept)
        member.subscribe(kept, 2)
        member.subscribe(left, 3)
        member.unsubscribe(left)
        await member.until(lambda heard: heard.generations.get(kept) == 2)
        await member.certain(kept)
        publisher.publish(left, b"unheard")
        publisher.publish(kept, b"heard")
        await member.until(lambda heard: b"heard" in heard.payloads(kept))
        await member.settled()
        assert member.heard.payloads(left) == []
        generations = [generation for channel, generation in member.heard.confirmations if channel == kept]
        assert generations == sorted(generations)
        if not member.threads:
            assert 1 not in generations
            assert left not in member.heard.generations


async def test_nothing_is_heard_after_unsubscribing_not_even_what_was_on_its_way(ground: Ground) -> None:
    channel = ground.channel()
    async with ground.members(2) as (member, witness):
        await member.hear_of(channel)
        await witness.hear_of(channel)
        for number in range(100):
            witness.publish(channel, b"on its way %d" % number)
        # With threads a delivery that is being made may still end: what counts is what comes after the call.
        member.unsubscribe(channel)
        await member.settled()
        before = len(member.heard.payloads(channel))
        if not member.threads:
            assert member.heard.payloads(channel) == []
        witness.publish(channel, b"later")
        await witness.until(lambda heard: b"later" in heard.payloads(channel))
        await member.settled()
        assert len(member.heard.payloads(channel)) == before


@pytest.mark.smoke
async def test_whoever_comes_back_hears_what_is_published_from_then_on(ground: Ground) -> None:
    channel = ground.channel()
    async with ground.members(2) as (member, publisher):
        for round_ in range(20):
            await member.hear_of(channel)
            publisher.publish(channel, b"in %d" % round_)
            await member.until(lambda heard, wanted=b"in %d" % round_: wanted in heard.payloads(channel))  # type: ignore[misc]
            member.unsubscribe(channel)
            publisher.publish(channel, b"out %d" % round_)
            await publisher.until(lambda heard, wanted=2 * round_ + 2: heard.accepted_count >= wanted)  # type: ignore[misc]
            await member.settled()
        assert member.heard.payloads(channel) == [b"in %d" % round_ for round_ in range(20)]


async def test_unsubscribing_what_was_never_subscribed_is_nothing(ground: Ground) -> None:
    channel, other = ground.channels(2)
    async with ground.members(1) as (member,):
        member.unsubscribe(channel)
        await member.hear_of(other)
        member.unsubscribe(other)
        member.unsubscribe(other)
        await member.settled()
        assert set(member.heard.states) == {State.UP}


async def test_what_was_wanted_before_opening_is_confirmed_before_up(ground: Ground) -> None:
    wanted, unwanted = ground.channels(2)
    member = ground.member()
    member.subscribe(wanted, 1)
    member.subscribe(unwanted, 2)
    member.unsubscribe(unwanted)
    member.open()
    try:
        await member.up()
        told = [event[:3] for event in member.heard.events if event[0] == "confirmed" or event[1] is State.UP]
        assert [event[1] for event in told] == [wanted, State.UP]
        await member.certain(wanted)
        member.publish(wanted, b"heard")
        await member.until(lambda heard: b"heard" in heard.payloads(wanted))
    finally:
        await member.close()


async def test_a_thousand_channels_at_once(ground: Ground) -> None:
    channels = ground.channels(MANY_CHANNELS)
    async with ground.members(2) as (reader, publisher):
        for generation, channel in enumerate(channels, 1):
            reader.subscribe(channel, generation)
        await reader.until(lambda heard: len(heard.generations) == MANY_CHANNELS)
        assert reader.heard.generations == {channel: number for number, channel in enumerate(channels, 1)}
        await reader.certain(*channels)
        for channel in channels:
            publisher.publish(channel, channel.encode())
        await reader.until(lambda heard: len(heard.messages) >= MANY_CHANNELS)
        assert all(reader.heard.payloads(channel) == [channel.encode()] for channel in channels)
        for channel in channels:
            reader.unsubscribe(channel)
        await reader.settled()
