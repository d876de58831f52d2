"""What arrives: order, bytes, limits, echo, and the count of what was accepted."""

from __future__ import annotations

import asyncio

import pytest

from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, PublishesBatches
from roomcast_brokers.errors import MessageTooLargeError
from tests.contract.members import Ground

EVERY_BYTE = bytes(range(256))


async def test_each_publisher_keeps_its_order_on_each_channel(ground: Ground) -> None:
    channels = ground.channels(3)
    async with ground.members(3) as (reader, one, other):
        await reader.hear_of(*channels)
        for number in range(200):
            for name, publisher in ((b"one", one), (b"other", other)):
                publisher.publish(channels[number % 3], b"%s %d" % (name, number))
        for channel in channels:
            await reader.received(channel, 2 * len(range(channels.index(channel), 200, 3)))
    for index, channel in enumerate(channels):
        for name in (b"one", b"other"):
            parts = [payload.split() for payload in reader.heard.payloads(channel)]
            assert [int(number) for who, number in parts if who == name] == list(range(index, 200, 3))


@pytest.mark.smoke
async def test_across_channels_order_is_kept_where_it_is_promised(ground: Ground) -> None:
    channels = ground.channels(5)
    async with ground.members(2) as (reader, publisher):
        await reader.hear_of(*channels)
        for number in range(500):
            publisher.publish(channels[number * 7 % 5], b"%d" % number)
        await reader.until(lambda heard: len(heard.messages) >= 500)
        numbers = [int(payload) for _, payload in reader.heard.messages]
        assert sorted(numbers) == list(range(500))
        if reader.traits.ordered_across_channels:
            assert numbers == list(range(500))


@pytest.mark.parametrize("payload", [b"", b"\0", EVERY_BYTE, EVERY_BYTE[::-1] * 257, b"\r\n$-1\r\n*3\r\n", b"\xff" * 5])
async def test_bytes_arrive_as_they_were(ground: Ground, payload: bytes) -> None:
    """Garbage is nobody's business here."""
    channel = ground.channel()
    async with ground.members(2) as (reader, publisher):
        await reader.hear_of(channel)
        publisher.publish(channel, payload)
        assert await reader.received(channel, 1) == [payload]
        assert type(reader.heard.payloads(channel)[0]) is bytes


@pytest.mark.smoke
async def test_the_largest_message_passes_and_one_byte_more_does_not(ground: Ground) -> None:
    channel = ground.channel()
    largest = (EVERY_BYTE * (MAX_MESSAGE_BYTES // 256 + 1))[:MAX_MESSAGE_BYTES]
    async with ground.members(2) as (reader, publisher):
        await reader.hear_of(channel)
        publisher.publish(channel, b"first")
        with pytest.raises(MessageTooLargeError) as caught:
            publisher.publish(channel, largest + b"x")
        publisher.publish(channel, largest)
        assert (caught.value.size, caught.value.limit) == (MAX_MESSAGE_BYTES + 1, MAX_MESSAGE_BYTES)
        assert await reader.received(channel, 2) == [b"first", largest]
        await publisher.until(lambda heard: heard.accepted_count == 2)
        await publisher.settled()
        assert publisher.heard.accepted_count == 5  # the settling took three


async def test_a_payload_is_bytes_and_nothing_like_them(ground: Ground) -> None:
    """It may have changed before it is written."""
    channel = ground.channel()
    async with ground.members(1) as (member,):
        with pytest.raises(TypeError, match="bytearray"):
            member.broker.publish(channel, bytearray(b"x"))  # type: ignore[arg-type]


async def test_a_batch_keeps_its_place_and_is_handed_over_whole_or_not_at_all(ground: Ground) -> None:
    """Where a back end has the ability."""
    channel = ground.channel()
    async with ground.members(1) as (member,):
        broker = member.broker
        if not isinstance(broker, PublishesBatches):
            return
        await member.hear_of(channel)
        member.publish(channel, b"1")
        broker.publish_batch([(channel, b"2"), (channel, b"3")])
        with pytest.raises(MessageTooLargeError):
            broker.publish_batch([(channel, b"not this"), (channel, bytes(MAX_MESSAGE_BYTES + 1))])
        broker.publish_batch([])
        member.publish(channel, b"4")
        broker.publish_batch([(channel, b"5")])
        assert await member.received(channel, 5) == [b"1", b"2", b"3", b"4", b"5"]
        await member.until(lambda heard: heard.accepted_count == 5)


async def test_a_publisher_hears_itself(ground: Ground) -> None:
    channel = ground.channel()
    async with ground.members(1) as (member,):
        await member.hear_of(channel)
        member.publish(channel, b"echo")
        assert await member.received(channel, 1) == [b"echo"]


async def test_a_channel_that_is_not_subscribed_is_not_heard(ground: Ground) -> None:
    mine, others = ground.channels(2)
    async with ground.members(2) as (reader, publisher):
        await reader.hear_of(mine)
        publisher.publish(others, b"not for you")
        publisher.publish(mine + "x", b"nor this")
        publisher.publish(mine[:-1], b"nor that")
        publisher.publish(mine, b"yours")
        await reader.received(mine, 1)
        await reader.settled()
        assert [message for message in reader.heard.messages if "settled" not in message[0]] == [(mine, b"yours")]


@pytest.mark.smoke
async def test_what_is_accepted_is_counted_exactly(ground: Ground) -> None:
    """Also for channels that nobody hears, and soon: others wait for it."""
    channels = ground.channels(4)
    async with ground.members(1) as (member,):
        for burst in (1, 10, 1_000):
            before = member.heard.accepted_count
            for number in range(burst):
                member.publish(channels[number % 4], b"%d" % number)
            await member.until(lambda heard, wanted=before + burst: heard.accepted_count >= wanted, timeout=5.0)  # type: ignore[misc]
            assert member.heard.accepted_count == before + burst


async def test_a_full_publish_buffer_passes_in_one_go(ground: Ground) -> None:
    """As after an outage: what a publisher may have in flight at most, all handed over in one turn."""
    channel = ground.channel()
    count = min(8_000, 10 * ground.service.many)
    async with ground.members(2) as (reader, publisher):
        await reader.hear_of(channel)
        for number in range(count):
            publisher.publish(channel, b"%01000d" % number)
        await publisher.until(lambda heard: heard.accepted_count == count)
        assert [int(payload) for payload in await reader.received(channel, count)] == list(range(count))


async def test_several_threads_share_a_broker(threaded: Ground) -> None:
    """Each of them keeps its order, and nothing is lost between them."""
    channel = threaded.channel()
    async with threaded.members(1) as (member,):
        await member.hear_of(channel)

        def publish(name: bytes) -> None:
            for number in range(500):
                member.broker.publish(channel, b"%s %d" % (name, number))

        names = (b"a", b"b", b"c", b"d")
        await asyncio.gather(*(asyncio.to_thread(publish, name) for name in names))
        payloads = [payload.split() for payload in await member.received(channel, 4 * 500)]
        for name in names:
            assert [int(number) for who, number in payloads if who == name] == list(range(500))
        await member.until(lambda heard: heard.accepted_count == 4 * 500)
