"""Who is in the cluster, how many clients it has, and sending clients of any node away."""

from __future__ import annotations

import contextlib

import pytest

from tests.cluster.conftest import Standing
from tests.support.cluster_nodes import Nodes, ProcessNodes
from tests.support.scene import Scene, eventually
from tests.support.visitors import Visitor


@pytest.mark.parametrize("asked", [0, 1, 2])
@pytest.mark.parametrize("close", [False, True])
async def test_a_client_of_any_node_is_disconnected(nodes: Nodes, asked: int, close: bool) -> None:
    async with Scene(nodes) as scene:
        visitors = [*await scene.everywhere(), *await scene.everywhere("/chat")]
        for visitor in visitors:
            await scene.desks[asked].do("disconnect", visitor.sid, namespace=visitor.namespace, close=close)
        for visitor in visitors:
            await visitor.until(visitor.left.is_set)
            if close:
                await visitor.until(visitor.gone.is_set)
        looks = [await desk.look() for desk in scene.desks]
        left = [entry for look in looks for entry in look["left"]]
        for visitor in visitors[: len(nodes)]:
            assert left.count([visitor.sid, "server disconnect"]) == 1
        assert close or not any(visitor.gone.is_set() for visitor in visitors)


async def test_who_is_not_there_cannot_be_disconnected_and_nobody_minds(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitor = await scene.visitor(1)
        for sid in ("somebody", f"{nodes[0].tag}0123456789abcdef", f"{nodes[1].tag}0123456789abcdef"):
            await scene.desks[0].do("disconnect", sid)
        await scene.desks[0].do("disconnect", visitor.sid, ignore_queue=True)
        await scene.fence()
        assert not visitor.left.is_set()


async def test_nodes_and_clients_are_counted_for_the_whole_cluster(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        for _ in range(2):
            await scene.everywhere()
        await scene.visitor(1, "/chat")
        desks = len(nodes)

        async def counted() -> bool:
            return all([(await desk.look())["count"] == {"/": 3 * desks, "/chat": 1} for desk in scene.desks])

        await eventually(counted)
        looks = [await desk.look() for desk in scene.desks]
        tags = [node.tag for node in nodes]
        for tag, look in zip(tags, looks, strict=True):
            assert look["tag"] == tag
            assert look["self"] == [tag]
            assert next(iter(look["nodes"])) == tag  # itself first, the others in order
            assert sorted(look["nodes"]) == sorted(tags)
            assert look["nodes"][tags[1]] == {"/": 3, "/chat": 1}


async def test_a_node_of_a_cluster_is_ready_and_says_whom_it_knows(nodes: Nodes) -> None:
    async with Scene(nodes):
        for node in nodes:
            assert await node.readiness() == {"status": "ready", "code": 200}
            metrics = await node.metrics()
            assert (metrics["broker_up"], metrics["peers"], metrics["deaf_total"]) == (1, len(nodes) - 1, 0)
            assert metrics["broker_reconnects_total"] == 0


@pytest.mark.parametrize(("back_end", "how"), [("zmq", "stop"), ("redis", "kill")])
async def test_a_node_that_goes_takes_its_clients_out_of_everybodys_count(
    standing: Standing, back_end: str, how: str
) -> None:
    """F14 in short; at once when it says goodbye, within a lease and two beats when it cannot."""
    with contextlib.ExitStack() as stack:
        nodes = standing.more_nodes(stack, back_end, 2)
        assert isinstance(nodes, ProcessNodes)
        async with Scene(nodes) as scene:
            await scene.everywhere()

            async def counts(total: int) -> bool:
                return bool((await scene.desks[0].look())["count"]["/"] == total)

            await eventually(lambda: counts(4))
            (nodes[1].stop if how == "stop" else nodes[1].kill)()
            await eventually(lambda: counts(2))
            assert list((await scene.desks[0].look())["nodes"]) == [nodes[0].tag]
            assert ("counts as lost" in nodes[0].log()) == (how == "kill")
            nodes[1].start()
            scene.desks[1] = await Visitor.join(nodes[1].url)
            await scene.until_known()
            visitor = await scene.visitor(1)
            await scene.desks[0].do("emit", "welcome back", to=visitor.sid)
            await scene.fence()
            assert visitor.take() == [["welcome back"]]
            scene.forget_troubles()
