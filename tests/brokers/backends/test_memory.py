"""What the memory back end has to itself; all else is tested by tests/contract."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from roomcast_brokers.backends import memory
from roomcast_brokers.backends.memory import MemoryBroker, exchange_of
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, BrokerURLError, MessageTooLargeError
from tests.support.coroutines import turns
from tests.support.listeners import RecordingListener


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = dict(memory._exchanges)
    yield
    assert memory._exchanges == before


async def opened(url: str, *channels: str, **bounds: int) -> tuple[MemoryBroker, RecordingListener]:
    """Up, with the channels subscribed and confirmed."""
    broker, listener = MemoryBroker(url, **bounds), RecordingListener()
    for generation, channel in enumerate(channels):
        broker.subscribe(channel, generation)
    broker.open(listener)
    await listener.until(lambda heard: heard.state is State.UP)
    return broker, listener


async def test_subscribers_of_one_name_hear_each_other_and_themselves() -> None:
    one, heard_by_one = await opened("memory://a", "c")
    other, heard_by_other = await opened("memory://a", "c")
    one.publish("c", b"1")
    other.publish("c", b"2")
    assert heard_by_one.messages == heard_by_other.messages == []
    await turns()
    assert heard_by_one.payloads("c") == heard_by_other.payloads("c") == [b"1", b"2"]
    assert (heard_by_one.accepted_count, heard_by_other.accepted_count) == (1, 1)
    await one.close()
    await other.close()


@pytest.mark.parametrize(("url", "same"), [("memory://a/", True), ("memory://b", False), ("memory://", False)])
async def test_a_name_is_a_world_of_its_own(url: str, same: bool) -> None:
    one, _ = await opened("memory://a")
    other, heard = await opened(url, "c")
    one.publish("c", b"1")
    await turns()
    assert bool(heard.messages) is same
    await one.close()
    await other.close()


async def test_what_a_slow_loop_does_not_take_is_dropped_and_counted() -> None:
    slow, heard_by_slow = await opened("memory://", "c", max_deliveries=2)
    small, heard_by_small = await opened("memory://", "c", max_bytes=4)
    quick, heard_by_quick = await opened("memory://", "c")
    for number in range(5):
        quick.publish("c", b"%02d" % number)
    await turns()
    assert heard_by_slow.payloads("c") == heard_by_small.payloads("c") == [b"00", b"01"]
    assert len(heard_by_quick.payloads("c")) == heard_by_quick.accepted_count == 5
    assert (slow.dropped, small.dropped, quick.dropped) == (3, 3, 0)
    for broker in (slow, small, quick):
        await broker.close()


async def test_only_bytes_and_not_too_many() -> None:
    broker, listener = await opened("memory://")
    for wrong in ("text", bytearray(b"x"), memoryview(b"x"), 5):
        with pytest.raises(TypeError, match="a payload is bytes"):
            broker.publish("c", wrong)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(MessageTooLargeError):
        broker.publish("c", bytes(MAX_MESSAGE_BYTES + 1))
    broker.publish("c", bytes(MAX_MESSAGE_BYTES))
    await broker.close()
    assert listener.accepted_count == 1


async def test_only_what_was_published_while_subscribed_arrives() -> None:
    broker, heard = await opened("memory://")
    other, _ = await opened("memory://", "c")
    broker.publish("c", b"before")
    broker.subscribe("c", 1)
    broker.publish("c", b"during")
    await turns()
    assert heard.events[1:] == [("confirmed", "c", 1), ("delivered", "c", b"during"), ("accepted", 2)]
    broker.unsubscribe("c")
    broker.unsubscribe("c")
    broker.publish("c", b"after")
    other.unsubscribe("c")
    await turns()
    assert heard.payloads("c") == [b"during"]
    assert exchange_of("").subscribers == {}
    await broker.close()
    await other.close()


def test_traits() -> None:
    assert MemoryBroker().traits == Traits(ordered_across_channels=True)


@pytest.mark.parametrize("url", ["memory://a?b=c", "memory://a#b", "memory://user:secret@a"])
def test_a_name_and_nothing_else(url: str) -> None:
    with pytest.raises(BrokerURLError) as caught:
        MemoryBroker(url)
    assert "secret" not in str(caught.value)


async def test_before_opening_and_after_closing_nothing_is_published() -> None:
    broker = MemoryBroker()
    with pytest.raises(BrokerClosedError):
        broker.publish("c", b"")
    with pytest.raises(BrokerClosedError):
        broker.reset()
    broker.open(RecordingListener())
    with pytest.raises(BrokerUnreachableError):
        broker.publish("c", b"")  # the listener has not been told that it is up
    await broker.close()
    with pytest.raises(BrokerClosedError):
        broker.publish("c", b"")
    with pytest.raises(BrokerClosedError):
        broker.subscribe("c", 1)
    with pytest.raises(BrokerClosedError):
        broker.open(RecordingListener())
    broker.unsubscribe("c")
    await broker.close()


async def test_one_that_was_never_opened_is_closed() -> None:
    await MemoryBroker().close()


async def test_one_name_in_several_loops() -> None:
    """A thread with a loop of its own, as a bridged broker has."""
    here, heard_here = await opened("memory://shared", "here")
    there_is_up, done = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def there() -> None:
        broker, heard = await opened("memory://shared", "there")
        there_is_up.set()
        await heard.until(lambda heard: len(heard.payloads("there")) == 500)
        assert heard.payloads("there") == [b"%d" % number for number in range(500)]
        for number in range(500):
            broker.publish("here", b"%d" % number)
        await broker.close()
        assert heard.accepted_count == 500
        loop.call_soon_threadsafe(done.set)

    thread = threading.Thread(target=asyncio.run, args=(there(),))
    thread.start()
    await asyncio.to_thread(there_is_up.wait)
    for number in range(500):
        here.publish("there", b"%d" % number)
    await heard_here.until(lambda heard: len(heard.payloads("here")) == 500)
    assert heard_here.payloads("here") == [b"%d" % number for number in range(500)]
    await done.wait()
    thread.join()
    await here.close()


def test_a_broker_that_died_with_its_loop_is_forgotten() -> None:
    async def never_closed() -> None:
        await opened("memory://shared", "c")

    async def lives_on() -> None:
        broker, heard = await opened("memory://shared", "c")
        assert len(exchange_of("shared").members) == 1
        broker.publish("c", b"1")
        await broker.close()
        assert heard.payloads("c") == [b"1"]

    asyncio.run(never_closed())
    assert len(exchange_of("shared").members) == 1
    asyncio.run(lives_on())


async def test_a_broker_that_dies_with_its_loop_is_found_out_when_something_is_published() -> None:
    broker, heard = await opened("memory://shared")

    def dies() -> None:
        with asyncio.Runner() as runner:
            runner.run(never_closed())

    async def never_closed() -> None:
        await opened("memory://shared", "c")

    await asyncio.to_thread(dies)
    assert len(exchange_of("shared").members) == 2
    broker.publish("c", b"1")
    assert len(exchange_of("shared").members) == 1
    await broker.close()
    assert heard.accepted_count == 1


async def test_a_broker_outlived_by_its_name_leaves_the_newcomer_alone() -> None:
    one, _ = await opened("memory://a", "c")
    other, heard = await opened("memory://a", "c")
    await one.close()
    other.publish("c", b"1")
    await other.close()
    assert heard.payloads("c") == [b"1"]


async def test_an_exchange_that_is_down() -> None:
    exchange = exchange_of("a")
    broker, heard = await opened("memory://a", "c")
    broker.publish("c", b"before")
    exchange.take_down()
    with pytest.raises(BrokerUnreachableError):
        broker.publish("c", b"while it is down")
    broker.reset()
    broker.subscribe("d", 5)
    await turns()
    assert heard.states == [State.UP, State.CONNECTING, State.CONNECTING]
    assert all(isinstance(cause, BrokerUnreachableError) for cause in heard.causes[1:])
    assert heard.payloads("c") == [b"before"]
    exchange.cut()  # there is nothing to cut
    exchange.bring_back()
    exchange.bring_back()
    await turns()
    assert heard.events[-3:] == [("confirmed", "c", 0), ("confirmed", "d", 5), ("changed", State.UP, None)]
    assert heard.accepted_count == 1
    exchange.cut()
    await turns()
    assert heard.states[-2:] == [State.CONNECTING, State.UP]
    await broker.close()


async def test_an_exchange_that_is_down_is_remembered() -> None:
    exchange_of("a").take_down()
    broker, heard = MemoryBroker("memory://a"), RecordingListener()
    broker.open(heard)
    await broker.close()
    assert exchange_of("a").down
    assert heard.states == [State.CONNECTING, State.CLOSED]
    exchange_of("a").bring_back()
