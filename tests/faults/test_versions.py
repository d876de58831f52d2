"""F31: nodes of the next minor and the next major version in one cluster with this one, as golden messages play them.

What is new in a minor version is ignored and the rest works; of another major version nothing is read. Both are
counted, and nothing else suffers.
"""

from __future__ import annotations

import json
from typing import Any

from redis.asyncio import Redis

from tests.support import raw_envelope
from tests.support.fault_cluster import FaultCluster, FaultNode, Metrics
from tests.support.fault_member import Member, eventually
from tests.support.raw_client import RawSocketIO
from tests.support.raw_packet import EVENT, Packet
from tests.support.referee import Referee

PLAYED = raw_envelope.TAG.decode()
CHANNEL = {
    "1.1/longer": raw_envelope.LOBBY,
    "1.0/emit-room": raw_envelope.LOBBY,
    "1.0/emit-numbered-room": raw_envelope.SEVEN,
}
"""Where golden messages go that do not go to everybody."""


def golden(name: str) -> bytes:
    return raw_envelope.path_of(name).read_bytes()


async def play(redis: Any, name: str) -> None:
    await redis.publish(CHANNEL.get(name, raw_envelope.ALL), golden(name))


async def grown(node: FaultNode, before: Metrics, name: str, label: str, count: int) -> None:
    """Wait until a counter of the node has grown by so much."""

    async def has() -> bool:
        return (await node.metrics()).of(name, label) - before.of(name, label) >= count

    await eventually(has, f"{name} of {label!r} has not grown by {count}")


async def test_messages_of_other_versions() -> None:
    cluster = FaultCluster(nodes=1, name="shop", proxied=False)
    async with cluster.running(), Referee(cluster.nodes) as referee:
        redis: Any = Redis(port=cluster.redis.port)
        node = cluster.nodes[0]
        async with await RawSocketIO.open(node.url) as client:
            await client.connect("/chat")
            await client.emit("enter_chat", "lobby", namespace="/chat", id=1)
            await client.receive()
            before = await node.metrics()
            for name in ("2.0/anything", "1.1/unknown-control", "1.1/longer-beat", "1.1/longer", "1.0/emit-all"):
                await play(redis, name)
            # Of the longer one the emit is known, and of the one that is as old as this node everything.
            for _ in range(2):
                assert await client.receive() == Packet(EVENT, "/chat", ["said", "hi"])
            await grown(node, before, "cluster_dropped_total", "major", 1)
            await grown(node, before, "cluster_dropped_total", "kind", 2)
            await grown(node, before, "cluster_in_total", "beat", 1)
            await grown(node, before, "cluster_in_total", "join", 1)
            # The longer beat has made a member of its sender, with the clients that it told of.
            watcher = await Member.join(node)
            nodes = (await watcher.look())["nodes"]
            assert PLAYED in nodes, json.dumps(nodes)
            await watcher.close()
        await redis.aclose()
        await referee.everybody_hears()
        await referee.settled()
        log = node.log()
        assert "Traceback" not in log, log
