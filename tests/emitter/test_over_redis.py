"""Emitters over a real Redis: connections that are cut, a server that is restarted, processes that fork."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, decode_body, new_origin
from roomcast_brokers.contracts import State
from roomcast_brokers.messages import Disconnect, Emit
from roomcast_brokers.registry import create
from roomcast_emitter import AsyncEmitter, AsyncRedisManager, Emitter, Outcome, RedisManager
from tests.support.listeners import RecordingListener
from tests.support.patience import PATIENCE
from tests.support.services import RedisServer

SID = "tagA" + "s" * 16
CHANNELS = Channels("shop")


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(shared: RedisServer) -> RedisServer:
    """A running Redis; what a test did to it is undone."""
    shared.start()
    return shared


class Hearing:
    """What a node of the cluster would hear on some channels."""

    def __init__(self, listener: RecordingListener) -> None:
        self.listener = listener
        self._codec = EnvelopeCodec(new_origin("test"), "shop")

    def envelopes(self) -> list[tuple[tuple[str, bytes], int, int]]:
        """(origin, number of the first operation, how many) of what was numbered."""
        found = []
        for channel, payload in self.listener.messages:
            envelope = self._codec.decode(channel, payload)
            if not envelope.control:
                origin = (envelope.origin.name, envelope.origin.epoch)
                found.append((origin, envelope.seq, len(envelope.operations)))
        return found

    def values(self) -> list[object]:
        """The first argument of each event that was heard, repeats included."""
        found = []
        for channel, payload in self.listener.messages:
            for operation in self._codec.decode(channel, payload).operations:
                body = decode_body(operation)
                if isinstance(body, Emit):
                    found.append(json.loads(body.args)[1])
        return found

    async def heard(self, condition: Callable[[list[object]], bool]) -> list[object]:
        await self.listener.until(lambda _: condition(self.values()))
        return self.values()


@asynccontextmanager
async def hearing(redis: RedisServer, *channels: str) -> AsyncIterator[Hearing]:
    listener = RecordingListener()
    broker = create(redis.url)
    broker.open(listener)
    for channel in channels or (CHANNELS.everyone,):
        broker.subscribe(channel, 1)
    await listener.until(lambda heard: heard.state is State.UP)
    try:
        yield Hearing(listener)
    finally:
        await broker.close()


async def test_it_arrives(redis: RedisServer) -> None:
    async with hearing(redis) as hears:
        with Emitter(redis.url, "shop") as emitter:
            assert (await asyncio.to_thread(emitter.emit, "e", 1)).delivered
            assert await hears.heard(lambda values: len(values) == 1) == [1]


async def test_connections_that_were_cut_are_not_noticed(redis: RedisServer) -> None:
    def emits() -> None:
        for number in range(20):
            assert emitter.emit("e", number).delivered
            if number % 4 == 2:
                for client in redis.clients("normal"):
                    if client["id"] not in others:
                        redis.command("CLIENT", "KILL", "ID", client["id"])

    async with hearing(redis) as hears:
        others = {client["id"] for client in await asyncio.to_thread(redis.clients, "normal")}
        with Emitter(redis.url, "shop") as emitter:
            await asyncio.to_thread(emits)
            assert await hears.heard(lambda values: len(values) == 20) == list(range(20))


async def test_what_waited_for_a_restart_is_delivered_in_order(redis: RedisServer) -> None:
    with Emitter(redis.url, "shop", max_buffer_seconds=PATIENCE) as emitter:
        assert (await asyncio.to_thread(emitter.emit, "e", "first")).delivered
        await asyncio.to_thread(redis.kill)
        receipts = [await asyncio.to_thread(emitter.emit, "e", number) for number in range(10)]
        assert {receipt.outcome for receipt in receipts} == {Outcome.QUEUED}
        await asyncio.to_thread(redis.start)
        assert {await asyncio.to_thread(receipt.wait, PATIENCE) for receipt in receipts} == {Outcome.DELIVERED}


async def test_a_redis_that_was_never_there(redis: RedisServer) -> None:
    await asyncio.to_thread(redis.kill)
    emitter = Emitter(redis.url, "shop", max_buffer_seconds=0.2)
    receipt = await asyncio.to_thread(emitter.emit, "e", 1)
    assert receipt.outcome is Outcome.QUEUED
    assert await asyncio.to_thread(receipt.wait, PATIENCE) is Outcome.DROPPED, "it never had a number"
    await asyncio.to_thread(emitter.close)


async def test_the_same_for_an_event_loop(redis: RedisServer) -> None:
    async with AsyncEmitter(redis.url, "shop", max_buffer_seconds=PATIENCE) as emitter:
        async with hearing(redis) as hears:
            for number in range(5):
                assert (await emitter.emit("e", number)).delivered
            assert await hears.heard(lambda values: len(values) == 5) == list(range(5))
        await asyncio.to_thread(redis.kill)
        receipt = await emitter.emit("e", 5)
        assert receipt.outcome is Outcome.QUEUED
        await asyncio.to_thread(redis.start)
        assert await receipt.wait(PATIENCE) is Outcome.DELIVERED


async def test_the_incumbents_names(redis: RedisServer) -> None:
    async with hearing(redis, CHANNELS.room("/", "room"), CHANNELS.node("tagA")) as hears:
        plain = RedisManager(redis.url, channel="shop", write_only=True)
        asynchronous = AsyncRedisManager(redis.url, channel="shop", write_only=True)
        await asyncio.to_thread(plain.emit, "e", 1, room="room")
        await asynchronous.emit("e", 2, room="room")
        await asyncio.to_thread(plain.disconnect, SID, "/")
        await hears.listener.until(lambda heard: heard.payloads(CHANNELS.node("tagA")))
        assert await hears.heard(lambda values: len(values) == 2) == [1, 2]
        (payload,) = hears.listener.payloads(CHANNELS.node("tagA"))
        envelope = hears._codec.decode(CHANNELS.node("tagA"), payload)
        assert decode_body(envelope.operations[0]) == Disconnect("/", SID)
        await asyncio.to_thread(plain.emitter.close)
        await asynchronous.emitter.close()


# --- processes --------------------------------------------------------------------------------------------------------

CHILDREN, THREADS, EMITS = 4, 3, 25


def emit_from_a_child(emitter: Emitter, child: int) -> None:
    def emits(thread: int) -> None:
        for number in range(EMITS):
            assert emitter.emit("e", [child, thread, number]).delivered

    threads = [threading.Thread(target=emits, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def in_a_thread(call: Callable[[], None]) -> None:
    """As asyncio.to_thread, but a child that is forked there does not wait for the executor's threads at its end."""
    failures: list[BaseException] = []
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def run() -> None:
        try:
            call()
        except BaseException as failure:
            failures.append(failure)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=run).start()
    await ended.wait()
    if failures:
        raise failures[0]


async def test_children_and_their_parent_emit_at_the_same_time(redis: RedisServer) -> None:
    """Each with a connection and an origin of its own, nothing lost, nothing twice, each thread's in order."""

    def fork_and_emit() -> None:
        emitter.emit("e", ["parent", 0, 0])  # so there is a connection to be inherited
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=emit_from_a_child, args=(emitter, child)) for child in range(CHILDREN)]
        for child in children:
            child.start()
        emit_from_a_child(emitter, CHILDREN)
        for child in children:
            child.join(4 * PATIENCE)
            assert child.exitcode == 0

    async with hearing(redis) as hears:
        with Emitter(redis.url, "shop") as emitter:
            await in_a_thread(fork_and_emit)
        expected = 1 + (CHILDREN + 1) * THREADS * EMITS
        values = await hears.heard(lambda values: len(values) == expected)
        numbered = hears.envelopes()
    for child in range(CHILDREN + 1):
        for thread in range(THREADS):
            own = [value for value in values if isinstance(value, list) and value[:2] == [child, thread]]
            assert own == [[child, thread, number] for number in range(EMITS)]
    origins = {origin for origin, _, _ in numbered}
    assert len(origins) == CHILDREN + 1
    for origin in origins:
        numbers = [seq + offset for name, seq, count in numbered if name == origin for offset in range(count)]
        assert numbers == list(range(1, len(numbers) + 1))
