"""Senders: they block until the broker has it, and say exactly how much it has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Sender
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, MessageTooLargeError, SendError
from tests.contract.members import Ground


async def sent(sender: Sender, messages: Sequence[tuple[str, bytes]]) -> None:
    await asyncio.to_thread(sender.send, messages)


@pytest.mark.smoke
async def test_what_is_sent_arrives_in_order(sending: Ground) -> None:
    channels = sending.channels(3)
    sender = sending.sender()
    async with sending.members(1) as (reader,):
        await reader.hear_of(*channels)
        for batch in range(10):
            await sent(sender, [(channels[number % 3], b"%d" % (batch * 50 + number)) for number in range(50)])
        await sent(sender, [])
        await reader.until(lambda heard: len(heard.messages) >= 500)
        numbers = [int(payload) for _, payload in reader.heard.messages]
        assert sorted(numbers) == list(range(500))
        if reader.traits.ordered_across_channels:
            assert numbers == list(range(500))
        for channel in channels:
            of_channel = [int(payload) for payload in reader.heard.payloads(channel)]
            assert of_channel == sorted(of_channel)
    await asyncio.to_thread(sender.close)


async def test_bytes_and_the_largest_message(sending: Ground) -> None:
    channel = sending.channel()
    largest = (bytes(range(256)) * (MAX_MESSAGE_BYTES // 256 + 1))[:MAX_MESSAGE_BYTES]
    sender = sending.sender()
    async with sending.members(1) as (reader,):
        await reader.hear_of(channel)
        with pytest.raises(MessageTooLargeError):
            await sent(sender, [(channel, b"not even this"), (channel, largest + b"x")])
        await sent(sender, [(channel, b""), (channel, largest), (channel, b"\r\n\0")])
        assert await reader.received(channel, 3) == [b"", largest, b"\r\n\0"]
    await asyncio.to_thread(sender.close)


async def test_twenty_megabytes_in_one_go(sending: Ground) -> None:
    """More than any queue on the way may hold at once."""
    channel = sending.channel()
    sender = sending.sender()
    async with sending.members(1) as (reader,):
        await reader.hear_of(channel)
        await sent(sender, [(channel, bytes([number]) * 1_000_000) for number in range(20)])
        assert [payload[0] for payload in await reader.received(channel, 20)] == list(range(20))
    await asyncio.to_thread(sender.close)


async def test_while_the_broker_is_away_nothing_is_accepted(sending: Ground) -> None:
    if not sending.service.can_break:
        pytest.skip("this service does not break")
    channel = sending.channel()
    sender = sending.sender()
    async with sending.members(1) as (reader,):
        await reader.hear_of(channel)
        await sent(sender, [(channel, b"before")])
        await sending.stop()
        with pytest.raises(SendError) as caught:
            await sent(sender, [(channel, b"unheard")] * 10)
        assert caught.value.accepted == 0
        assert isinstance(caught.value, BrokerUnreachableError)
        assert "://" not in str(caught.value)
        await reader.until(lambda heard: heard.breaks)
        await sending.start()
        await reader.up()
        await reader.hear_of(channel)
        await sent_at_last(sender, channel, b"after")
        await reader.until(lambda heard: heard.payloads(channel)[-1:] == [b"after"])
        assert b"unheard" not in reader.heard.payloads(channel)
    await asyncio.to_thread(sender.close)


async def sent_at_last(sender: Sender, channel: str, payload: bytes) -> None:
    """It tries once, not again: what finds a connection dead is the sending."""
    for _ in range(3):
        try:
            return await sent(sender, [(channel, payload)])
        except SendError:
            continue
    await sent(sender, [(channel, payload)])


async def test_a_sender_made_while_the_broker_is_away(sending: Ground) -> None:
    if not sending.service.can_break:
        pytest.skip("this service does not break")
    await sending.stop()
    sender = sending.sender()
    channel = sending.channel()
    with pytest.raises(SendError):
        await sent(sender, [])
    with pytest.raises(SendError) as caught:
        await sent(sender, [(channel, b"unheard")])
    assert caught.value.accepted == 0
    await sending.start()
    await sent(sender, [(channel, b"heard, if anybody listened")])
    await asyncio.to_thread(sender.close)


async def test_cut_connections_are_found_out(sending: Ground) -> None:
    """A message on a dead connection is not said to be accepted; the next one has a new connection."""
    if not sending.service.can_break:
        pytest.skip("this service does not break")
    channel = sending.channel()
    sender = sending.sender()
    async with sending.members(1) as (reader,):
        accepted = []
        for number in range(5):
            async with reader.back_after_a_break():
                await sending.cut()
            await reader.hear_of(channel)
            try:
                await sent(sender, [(channel, b"%d" % number)])
            except SendError:
                await sent(sender, [(channel, b"%d" % number)])
            accepted.append(b"%d" % number)
            await reader.until(lambda heard, wanted=b"%d" % number: wanted in heard.payloads(channel))  # type: ignore[misc]
        assert set(reader.heard.payloads(channel)) == set(accepted)
    await asyncio.to_thread(sender.close)


async def test_closing_twice_and_without_sending(sending: Ground) -> None:
    sender = sending.sender()
    sender.close()
    sender.close()
    with pytest.raises((BrokerClosedError, BrokerUnreachableError)):
        sender.send([(sending.channel(), b"")])


async def test_a_sender_that_forgot_begins_anew(sending: Ground) -> None:
    channel = sending.channel()
    sender = sending.sender()
    async with sending.members(1) as (reader,):
        await reader.hear_of(channel)
        await sent(sender, [(channel, b"parent")])
        await asyncio.to_thread(sender.forget)
        await sent(sender, [(channel, b"child")])
        assert await reader.received(channel, 2) == [b"parent", b"child"]
    await asyncio.to_thread(sender.close)


async def test_a_sender_has_the_traits_of_its_brokers(sending: Ground) -> None:
    sender = sending.sender()
    assert sender.traits == sending.member().traits
    await asyncio.to_thread(sender.close)
