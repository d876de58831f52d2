"""Where a channel per room is too dear, nodes and emitters of both colours meet on the rooms' shards; also where nobody
says that those are subscribed.
"""

from __future__ import annotations

import asyncio
import secrets

import pytest

from roomcast_brokers.channels import SHARDS, Channels
from roomcast_emitter import AsyncEmitter, Emitter
from roomcast_emitter.terms import Options
from tests.cluster.application import build
from tests.support.cluster_nodes import ThreadServers
from tests.support.dear_memory import TABLE
from tests.support.scene import Scene

SHARDED = Channels("shop", shards=True)


def same_shard(room: str) -> str:
    """Another room that shares the channel of this one; 1 in 256 does."""
    channel = SHARDED.room("/", room)
    return next(name for name in map(str, range(100 * SHARDS)) if SHARDED.room("/", name) == channel)


@pytest.mark.parametrize("scheme", TABLE)
async def test_nodes_and_emitters_meet_on_shards(scheme: str) -> None:
    url, dear = f"{scheme}://{secrets.token_hex(4)}", {"table": TABLE}
    servers = {
        tag: build(tag=tag, broker=url, cluster="shop", broker_options=dear, drain_seconds=0.1)
        for tag in ("aaaa", "bbbb")
    }
    options: Options = {"broker_options": dear}
    with ThreadServers(servers) as nodes:
        async with Scene(nodes) as scene, AsyncEmitter(url, "shop", **options) as emitter:
            anna, bert = await scene.visitor(0, rooms=("x",)), await scene.visitor(1, rooms=(same_shard("x"),))
            assert (await emitter.emit("asynchronous", to="x")).delivered
            with Emitter(url, "shop", **options) as blocking:
                assert (await asyncio.to_thread(blocking.emit, "blocking", to="x")).delivered
            await scene.desks[1].do("emit", "node", to="x")
            await scene.fence()
            assert anna.take() == [["asynchronous"], ["blocking"], ["node"]]
            assert bert.take() == []
