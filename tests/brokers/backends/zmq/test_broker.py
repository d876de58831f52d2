"""The broker on an event loop, with a forwarder in a process of its own that is killed, stopped and started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from roomcast_brokers.backends.zmq import Forwarder, ZmqBroker
from roomcast_brokers.backends.zmq.session import SILENCE
from roomcast_brokers.contracts import State
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, BrokerURLError
from tests.support.forwarders import HalfHeartedForwarder, forwarding
from tests.support.listeners import RecordingListener
from tests.support.patience import PATIENCE
from tests.support.server import python_path


@asynccontextmanager
async def opened(url: str, *channels: str) -> AsyncIterator[tuple[ZmqBroker, RecordingListener]]:
    broker, heard = ZmqBroker(url), RecordingListener()
    for generation, channel in enumerate(channels, 1):
        broker.subscribe(channel, generation)
    broker.open(heard)
    try:
        await heard.until(lambda heard: heard.state is State.UP)
        yield broker, heard
    finally:
        await broker.close()


async def exchange(url: str, count: int) -> None:
    """``count`` messages one by one, and as many in bursts: no edge of libzmq's descriptors may be missed."""
    async with opened(url, "a") as (broker, heard):
        for number in range(count):
            broker.publish("a", b"%d" % number)
            await heard.until(lambda heard, wanted=number + 1: len(heard.messages) >= wanted)  # type: ignore[misc]
        for burst in range(10):
            for number in range(count):
                broker.publish("a", b"%d" % number)
            wanted = count * (burst + 2)
            await heard.until(lambda heard, wanted=wanted: len(heard.messages) >= wanted)  # type: ignore[misc]
        await heard.until(lambda heard: heard.accepted_count == 11 * count)
        assert [int(payload) for payload in heard.payloads("a")] == 11 * list(range(count))


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_nothing_stalls_on_either_loop(loop: type[asyncio.AbstractEventLoop]) -> None:
    with forwarding() as forwarder, asyncio.Runner(loop_factory=loop) as runner:
        runner.run(exchange(forwarder.url, 300))


@pytest.mark.parametrize("size", [300_000, 1_040_000])
async def test_a_flood_of_large_messages_passes_both_ways(size: int) -> None:
    """More than every queue on the way holds, so each of them is full at times, on both sides."""
    with forwarding() as forwarder:
        async with opened(forwarder.url, "a") as (broker, heard), opened(forwarder.url, "a") as (_, other):
            count = 8 * 1_048_576 // size
            for round_ in range(6):
                for number in range(count):
                    broker.publish("a", bytes([round_, number]) * (size // 2))
                wanted = count * (round_ + 1)
                for each in (heard, other):
                    await each.until(lambda heard, wanted=wanted: len(heard.messages) >= wanted)  # type: ignore[misc]
            assert heard.accepted_count == 6 * count
            for each in (heard, other):
                assert [(payload[0], payload[1]) for payload in each.payloads("a")] == [
                    (round_, number) for round_ in range(6) for number in range(count)
                ]


async def test_a_forwarder_that_is_killed_is_noticed_and_the_next_one_knows_all_wishes() -> None:
    with forwarding() as forwarder:
        channels = [f"room:{number}" for number in range(500)]
        async with opened(forwarder.url, *channels) as (broker, heard):
            for round_ in range(3):
                await asyncio.to_thread(forwarder.kill)
                await heard.until(lambda heard: heard.state is State.CONNECTING)
                with pytest.raises(BrokerUnreachableError):
                    broker.publish(channels[0], b"lost")
                confirmed = len(heard.confirmations)
                await asyncio.to_thread(forwarder.start)
                await heard.until(lambda heard: heard.state is State.UP)
                assert len(heard.confirmations) == confirmed + len(channels)
                assert heard.events[-1][0] == "changed", "every channel first"
                broker.publish(channels[round_], b"heard")
                await heard.until(lambda heard, wanted=round_ + 1: len(heard.messages) >= wanted)  # type: ignore[misc]
            assert heard.causes[-2] is not None


async def test_a_forwarder_that_does_not_answer_is_noticed() -> None:
    """Its connections are open and its process is there, but it was stopped; afterwards it is simply there again."""
    with forwarding() as forwarder:
        async with opened(forwarder.url, "a") as (broker, heard):
            forwarder.suspend()
            await heard.until(lambda heard: heard.state is State.CONNECTING, timeout=SILENCE + PATIENCE)
            assert "stopped to answer" in str(heard.causes[-1])
            forwarder.resume()
            await heard.until(lambda heard: heard.state is State.UP)
            broker.publish("a", b"on")
            await heard.until(lambda heard: heard.messages)


FROZEN = """
import asyncio, json, sys
from roomcast_brokers.backends.zmq import Forwarder, ZmqBroker
from roomcast_brokers.contracts import State

class Listener:
    def delivered(self, channel, payload):
        numbers.append(int(payload.split()[0]))
        if numbers[-1] == int(sys.argv[2]):
            ended.set()
    def confirmed(self, channel, generation): pass
    def accepted(self, count): pass
    def changed(self, state, cause):
        print(state.value, flush=True)

async def main():
    broker = ZmqBroker(sys.argv[1])
    broker.subscribe("a", 1)
    broker.open(Listener())
    await ended.wait()
    await broker.close()
    print(json.dumps(numbers), flush=True)

numbers = []
ended = asyncio.Event()
asyncio.run(main())
"""


async def test_a_subscriber_that_is_stopped_harms_nobody_and_loses_what_does_not_fit() -> None:
    """100 MB for one that takes nothing: more than may wait for it, less than it may cost the others."""
    count, size = 100, 1_000_000
    with forwarding() as forwarder:
        frozen = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", FROZEN, forwarder.url, str(count)),
            env={**os.environ, "PYTHONPATH": python_path()},
            stdout=asyncio.subprocess.PIPE,
        )
        assert frozen.stdout is not None
        try:
            assert await frozen.stdout.readline() == b"up\n"
            frozen.send_signal(signal.SIGSTOP)
            async with opened(forwarder.url, "a") as (broker, heard):
                for number in range(count):
                    broker.publish("a", b"%d " % number + bytes(size))
                    await heard.until(lambda heard, wanted=number + 1: len(heard.messages) >= wanted)  # type: ignore[misc]
                frozen.send_signal(signal.SIGCONT)
                told = asyncio.create_task(frozen.stdout.read())
                while not told.done():  # until one gets through, which ends it
                    broker.publish("a", b"%d" % count)
                    await asyncio.wait({told}, timeout=0.1)
            lines = told.result().split(b"\n")
            numbers = json.loads(lines[-2])
            assert lines[0].startswith(b"closed"), "it never lost its connection"
            assert numbers[:20] == list(range(20))
            assert numbers == sorted(numbers)
            assert len(numbers) < count
        finally:
            if frozen.returncode is None:
                frozen.kill()
            await frozen.wait()


def stall(seconds: float) -> None:
    """Hold up the loop."""
    threading.Event().wait(seconds)


async def test_a_stall_of_the_loop_breaks_nothing() -> None:
    """Longer than a forwarder may be silent. uvloop runs timers before it reads."""
    with forwarding() as forwarder:
        async with opened(forwarder.url, "a") as (broker, heard):
            stall(SILENCE + 1.5)
            broker.publish("a", b"on")
            await heard.until(lambda heard: heard.messages)
            assert heard.states == [State.UP]


async def test_a_forwarder_that_comes_later_is_found() -> None:
    with forwarding() as forwarder:
        forwarder.kill()
        broker, heard = ZmqBroker(forwarder.url), RecordingListener()
        broker.open(heard)
        await heard.until(lambda heard: len(heard.states) >= 3)
        assert set(heard.states) == {State.CONNECTING}
        assert all(isinstance(cause, BrokerUnreachableError) for cause in heard.causes)
        await asyncio.to_thread(forwarder.start)
        await heard.until(lambda heard: heard.state is State.UP)
        await broker.close()


async def test_a_host_that_cannot_be_is_a_state_too() -> None:
    broker, heard = ZmqBroker("zmq+tcp://no host:5555"), RecordingListener()
    broker.open(heard)
    await heard.until(lambda heard: len(heard.states) >= 2)
    await broker.close()
    assert heard.state is State.CLOSED
    assert "no host" not in str(heard.causes[0])


async def test_reset_makes_a_new_connection_and_tells_later() -> None:
    with forwarding() as forwarder:
        async with opened(forwarder.url, "a") as (broker, heard):
            told = len(heard.events)
            broker.reset()
            broker.reset()
            with pytest.raises(BrokerUnreachableError):
                broker.publish("a", b"")
            assert len(heard.events) == told
            await heard.until(lambda heard: heard.states[-2:] == [State.CONNECTING, State.UP])
            assert heard.confirmations == [("a", 1), ("a", 1)]
            broker.publish("a", b"on")
            await heard.until(lambda heard: heard.messages == [("a", b"on")])


async def test_closing_waits_for_what_was_handed_over() -> None:
    with forwarding() as forwarder:
        async with opened(forwarder.url, "a") as (_, other):
            async with opened(forwarder.url) as (broker, heard):
                for number in range(1_000):
                    broker.publish("a", b"%d" % number)
                await asyncio.gather(broker.close(), broker.close())
                assert heard.accepted_count == 1_000
                assert heard.events[-1] == ("changed", State.CLOSED, None)
            await other.until(lambda heard: len(heard.messages) == 1_000)


async def test_what_was_accepted_before_the_end_is_told_before_it() -> None:
    for _ in range(5):
        with HalfHeartedForwarder(accepts=5, goes=True) as url:
            async with opened(url) as (broker, heard):
                for number in range(8):
                    broker.publish("a", b"%d" % number)
                await heard.until(lambda heard: heard.state is State.CONNECTING)
                assert heard.events[1] == ("accepted", 5)


async def test_a_forwarder_that_refuses_is_asked_again() -> None:
    with Forwarder("zmq+tcp://127.0.0.1:0") as forwarder:
        forwarder.board.max_peers = 0
        broker, heard = ZmqBroker(forwarder.url), RecordingListener()
        broker.open(heard)
        await heard.until(lambda heard: len(heard.states) >= 2)
        assert "too many clients" in str(heard.causes[0])
        forwarder.board.max_peers = 1
        await heard.until(lambda heard: heard.state is State.UP)
        await broker.close()


class Resetting(RecordingListener):
    """Gives up the connection at its first message."""

    def __init__(self, broker: ZmqBroker) -> None:
        super().__init__()
        self._broker = broker

    def delivered(self, channel: str, payload: bytes) -> None:
        super().delivered(channel, payload)
        if len(self.messages) == 1:
            self._broker.reset()


async def test_a_listener_may_reset() -> None:
    with forwarding() as forwarder:
        broker = ZmqBroker(forwarder.url)
        heard = Resetting(broker)
        broker.subscribe("a", 1)
        broker.open(heard)
        await heard.until(lambda heard: heard.state is State.UP)
        for number in range(5):
            broker.publish("a", b"%d" % number)
        await heard.until(lambda heard: heard.states == [State.UP, State.CONNECTING, State.UP])
        broker.publish("a", b"on")
        await heard.until(lambda heard: len(heard.messages) >= 2)
        assert heard.payloads("a") == [b"0", b"on"]
        await broker.close()


async def test_closing_does_not_wait_for_ever() -> None:
    with forwarding() as forwarder:
        async with opened(forwarder.url) as (broker, heard):
            forwarder.suspend()
            broker.publish("a", b"")
            await broker.close()
            assert heard.accepted_count == 0
            forwarder.resume()


async def test_a_forwarder_that_goes_meanwhile_ends_the_waiting() -> None:
    with forwarding() as forwarder:
        async with opened(forwarder.url) as (broker, heard):
            forwarder.suspend()
            broker.publish("a", b"")
            closing = asyncio.create_task(broker.close())
            await asyncio.sleep(0)
            forwarder.kill()
            await closing
            assert heard.states[-2:] == [State.CONNECTING, State.CLOSED]


async def test_before_open_and_after_close_it_is_closed() -> None:
    broker, heard = ZmqBroker("zmq+tcp://127.0.0.1:1"), RecordingListener()
    broker.subscribe("a", 1)
    broker.unsubscribe("a")
    with pytest.raises(BrokerClosedError):
        broker.publish("a", b"")
    with pytest.raises(BrokerClosedError):
        broker.reset()
    await broker.close()
    with pytest.raises(BrokerClosedError):
        broker.publish("a", b"")
    with pytest.raises(BrokerClosedError):
        broker.reset()
    with pytest.raises(BrokerClosedError):
        broker.subscribe("a", 1)
    with pytest.raises(BrokerClosedError):
        broker.open(heard)
    assert heard.events == []


async def test_it_is_opened_once() -> None:
    with forwarding() as forwarder:
        async with opened(forwarder.url) as (broker, heard):
            with pytest.raises(BrokerClosedError):
                broker.open(heard)
            assert broker.malformed == 0
            assert broker.traits.ordered_across_channels


def test_a_url_without_a_place_is_refused() -> None:
    with pytest.raises(BrokerURLError):
        ZmqBroker("zmq+tcp://127.0.0.1:0")


def descriptors() -> int:
    """How many this process has."""
    return len(os.listdir("/dev/fd"))


async def test_descriptors_do_not_pile_up_while_the_forwarder_is_away() -> None:
    with forwarding() as forwarder:
        forwarder.kill()
        broker, heard = ZmqBroker(forwarder.url), RecordingListener()
        broker.open(heard)
        await heard.until(lambda heard: len(heard.states) >= 2)
        before = descriptors()
        await heard.until(lambda heard: len(heard.states) >= 8, timeout=3 * PATIENCE)
        after = descriptors()
        await broker.close()
        assert after <= before + 4, "one attempt more may be on its way"
