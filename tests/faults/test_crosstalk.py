"""F27: two clusters on one Redis do not hear each other, not even where somebody copies or forges messages."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from roomcast_brokers.channels import Channels
from tests.support import raw_envelope
from tests.support.fault_cluster import FaultCluster, FaultNode
from tests.support.fault_member import Member, eventually
from tests.support.referee import EVERYBODY, Referee
from tests.support.services import RedisServer

KEY, OTHER_KEY = b"ours", b"theirs"
ONE, TWO = "one-shop", "two-shop"
COPIES = 50
CHANNELS = {name: Channels(name) for name in (ONE, TWO)}


@asynccontextmanager
async def client(server: RedisServer) -> AsyncIterator[Any]:
    """Somebody who can write to Redis and read it."""
    redis: Any = Redis(port=server.port)
    try:
        yield redis
    finally:
        await redis.aclose()


async def dropped(node: FaultNode, reason: str, count: int) -> None:
    """Wait until the node has dropped so many messages for that reason."""

    async def has() -> bool:
        return (await node.metrics()).of("cluster_dropped_total", reason) >= count

    await eventually(has, f"{count} messages were not dropped because of {reason!r}")


async def test_two_clusters_on_one_redis() -> None:
    """The same rooms, the same clients' namespaces; and then every message of the one is said to the other."""
    with RedisServer() as server:
        one = FaultCluster(nodes=1, redis=server, name=ONE, proxied=False)
        two = FaultCluster(nodes=1, redis=server, name=TWO, proxied=False)
        async with (
            one.running(),
            two.running(),
            client(server) as redis,
            Referee(one.nodes) as here,
            Referee(two.nodes) as there,
        ):
            here.talk()
            there.talk()
            await copy(redis, COPIES)
            # Each referee faults what its members hear of emitters and rooms that are not of its own traffic.
            await here.settled()
            await there.settled()
            await dropped(two.nodes[0], "cluster", COPIES)
            for referee in (here, there):
                looked = await next(iter(referee.members.values())).look()
                assert list(looked["nodes"]) == [looked["tag"]]


async def copy(redis: Any, count: int) -> None:
    """Say so many messages of the one cluster to the other, where they belong and where they do not."""
    pubsub = redis.pubsub()
    await pubsub.psubscribe(f"{ONE}:*")
    async for message in pubsub.listen():
        if message["type"] != "pmessage":
            continue
        await redis.publish(message["channel"].decode().replace(ONE, TWO), message["data"])
        await redis.publish(CHANNELS[TWO].everyone, message["data"])
        count -= 1
        if not count:
            break
    await pubsub.aclose()


def data(channel: str, seq: int) -> list[Any]:
    """An emit to everybody, as another implementation would write it."""
    emit = [2, "/", "json", b'["m","evil",null,1,""]', [], None, [], [], [], None, False, False]
    return [ONE, channel, 1, seq, raw_envelope.SENT_MS, [[1, seq, None, emit]]]


async def test_forged_messages_are_dropped_and_counted() -> None:
    """Where there are keys: unsigned, signed with another key, altered, on another channel; and what is no message."""
    everyone = CHANNELS[ONE].everyone
    another = CHANNELS[ONE].room("/", "one")
    good = raw_envelope.envelope(data(another, 1), key=KEY)
    altered = raw_envelope.envelope(data(everyone, 2), key=KEY).replace(b"evil", b"EVIL")
    forged: dict[str, list[bytes]] = {
        "unsigned": [raw_envelope.envelope(data(everyone, 1))],
        "key": [raw_envelope.envelope(data(everyone, 1), key=OTHER_KEY)],
        "signature": [altered],
        "channel": [good],
        "short": [b"", b"rc"],
        "magic": [b"hello, is anybody there?" * 3],
    }
    chance = random.Random(27)
    noise = [chance.randbytes(chance.randrange(200)) for _ in range(200)]
    with RedisServer() as server:
        cluster = FaultCluster(nodes=2, redis=server, name=ONE, environment={"ROOMCAST_KEYS": KEY.decode()})
        async with cluster.running(), client(server) as redis, Referee(cluster.nodes) as referee:
            await referee.everybody_hears()
            bystander = await Member.join(cluster.nodes[0])
            heard: list[Any] = []
            bystander.hear = lambda message, at: heard.append(message)
            for payload in (*(each for payloads in forged.values() for each in payloads), *noise):
                await redis.publish(everyone, payload)
            for node in cluster.nodes:
                for reason, payloads in forged.items():
                    await dropped(node, reason, len(payloads))
            await referee.everybody_hears()
            await referee.settled()
            await bystander.close()
    tags = {member.tag for member in referee.members.values()}
    assert {(message[0] in tags, message[1]) for message in heard} == {(True, EVERYBODY)}
