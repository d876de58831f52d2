from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from roomcast_brokers.backends import memory
from roomcast_brokers.backends.memory import MemoryBroker
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Delivery, State
from roomcast_brokers.errors import BrokerClosedError, BrokerError, BrokerURLError, MessageTooLargeError


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    yield
    assert memory._exchanges == {}


async def opened(url: str = "memory://", *, max_deliveries: int = 100, max_bytes: int = 1_000_000) -> MemoryBroker:
    broker = MemoryBroker(url, max_deliveries=max_deliveries, max_bytes=max_bytes)
    await broker.open()
    return broker


async def received(broker: MemoryBroker) -> list[Delivery]:
    """Everything that waits; closes the broker."""
    await broker.close()
    return [delivery async for delivery in broker.deliveries()]


async def test_subscribers_of_one_name_hear_each_other_and_themselves() -> None:
    one, other = await opened("memory://a"), await opened("memory://a")
    for broker in (one, other):
        await broker.subscribe("c")
    await one.publish("c", b"1")
    await other.publish("c", b"2")
    assert await received(one) == [Delivery("c", b"1"), Delivery("c", b"2")]
    assert await received(other) == [Delivery("c", b"1"), Delivery("c", b"2")]


@pytest.mark.parametrize(("url", "same"), [("memory://a/", True), ("memory://b", False), ("memory://", False)])
async def test_a_name_is_a_world_of_its_own(url: str, same: bool) -> None:
    one, other = await opened("memory://a"), await opened(url)
    await other.subscribe("c")
    await one.publish("c", b"1")
    assert bool(await received(other)) is same
    await one.close()


async def test_only_what_was_published_while_subscribed_arrives() -> None:
    broker = await opened()
    await broker.publish("c", b"before")
    await broker.subscribe("c")
    await broker.subscribe("c")  # twice is the same as once
    await broker.publish("c", b"during")
    await broker.publish("d", b"elsewhere")
    await broker.unsubscribe("c")
    await broker.unsubscribe("c")
    await broker.publish("c", b"after")
    assert await received(broker) == [Delivery("c", b"during")]


async def test_first_in_first_out_across_channels() -> None:
    broker = await opened()
    await broker.subscribe("a")
    await broker.subscribe("b")
    for n in range(100):
        await broker.publish("ab"[n % 2], b"%d" % n)
    assert [int(delivery.payload) for delivery in await received(broker)] == list(range(100))


async def test_a_waiting_consumer_is_woken_and_ended() -> None:
    broker = await opened()
    await broker.subscribe("c")
    got: list[bytes] = []
    done = asyncio.Event()

    async def consume() -> None:
        async for delivery in broker.deliveries():
            got.append(delivery.payload)
            done.set()

    task = asyncio.create_task(consume())
    await asyncio.sleep(0)
    await broker.publish("c", b"1")
    await done.wait()
    await broker.close()
    await task
    assert got == [b"1"]


@pytest.mark.parametrize(("max_deliveries", "max_bytes"), [(2, 100), (100, 4)])
async def test_what_a_slow_consumer_cannot_take_is_dropped_and_counted(max_deliveries: int, max_bytes: int) -> None:
    slow, quick = await opened(max_deliveries=max_deliveries, max_bytes=max_bytes), await opened()
    await slow.subscribe("c")
    await quick.subscribe("c")
    for n in range(5):
        await quick.publish("c", b"%02d" % n)
    deliveries = slow.deliveries()
    assert (await anext(deliveries)).payload == b"00"
    await quick.publish("c", b"05")  # there is room again for one
    await slow.close()
    assert [delivery.payload async for delivery in deliveries] == [b"01", b"05"]
    assert (slow.dropped, quick.dropped) == (3, 0)
    assert len(await received(quick)) == 6


@pytest.mark.parametrize("extra", [-1, 0, 1])
async def test_the_largest_message(extra: int) -> None:
    broker = await opened()
    payload = bytes(MAX_MESSAGE_BYTES + extra)
    if extra > 0:
        with pytest.raises(MessageTooLargeError):
            await broker.publish("c", payload)
    else:
        await broker.publish("c", payload)
    await broker.close()


async def test_states_tell_the_present_then_every_change() -> None:
    broker = MemoryBroker()
    states = broker.states()
    assert await anext(states) is State.CONNECTING
    await broker.open()
    await broker.open()  # a second call does nothing
    assert await anext(states) is State.UP
    await broker.close()
    await broker.close()
    assert [state async for state in states] == [State.CLOSED]
    assert [state async for state in broker.states()] == [State.CLOSED]


async def test_before_opening_and_after_closing_nothing_works() -> None:
    broker = MemoryBroker()
    with pytest.raises(BrokerClosedError):
        await broker.publish("c", b"")
    await broker.close()
    with pytest.raises(BrokerClosedError):
        await broker.subscribe("c")
    with pytest.raises(BrokerClosedError):
        await broker.open()


async def test_deliveries_have_one_consumer() -> None:
    broker = await opened()
    assert await received(broker) == []
    with pytest.raises(BrokerError, match="one consumer"):
        await anext(broker.deliveries())


@pytest.mark.parametrize("url", ["memory://a?b=c", "memory://a#b", "memory://user:secret@a"])
def test_a_name_and_nothing_else(url: str) -> None:
    with pytest.raises(BrokerURLError) as caught:
        MemoryBroker(url)
    assert "secret" not in str(caught.value)


def test_a_second_loop_is_refused_while_the_first_lives_and_welcome_afterwards() -> None:
    first = asyncio.new_event_loop()
    broker = MemoryBroker("memory://shared")
    first.run_until_complete(broker.open())

    async def another() -> None:
        await (await opened("memory://shared")).close()

    with pytest.raises(BrokerError, match="one event loop"):
        asyncio.run(another())
    first.close()  # its broker was never closed
    asyncio.run(another())
    assert memory._exchanges == {}


async def test_a_broker_outlived_by_its_name_leaves_the_newcomer_alone() -> None:
    one, other = await opened("memory://a"), await opened("memory://a")
    await one.close()
    await other.subscribe("c")
    await other.publish("c", b"1")
    assert await received(other) == [Delivery("c", b"1")]
