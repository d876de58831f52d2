"""Servers of all three kinds in one cluster, each of them killed. All other tests here run on such clusters, too."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.cluster.conftest import TURNS, Standing
from tests.support.cluster_nodes import ProcessNodes
from tests.support.scene import Scene, eventually
from tests.support.visitors import ApplicationError, Visitor

KINDS = TURNS["mixed"]
pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]


@pytest.fixture(scope="module", params=["redis-mixed", "aiopika-mixed", "kombu-amqp-mixed"])
def mixed(request: pytest.FixtureRequest, standing: Standing) -> ProcessNodes:
    """The servers that other tests use, too: who kills one starts it again."""
    nodes = standing.nodes(request.param)
    assert isinstance(nodes, ProcessNodes)
    return nodes


@pytest.mark.parametrize("victim", range(len(KINDS) - 1), ids=KINDS[:-1])
async def test_a_node_of_any_kind_that_is_killed_is_missed_by_all_kinds(mixed: ProcessNodes, victim: int) -> None:
    """Whoever waits for an answer of its clients is told, and nobody counts them any more."""
    async with Scene(mixed) as scene:
        visitors = await scene.everywhere(rooms=("room",))
        others = [number for number in range(len(KINDS)) if number != victim]
        for visitor in visitors:
            visitor.answer = lambda *args: "answer"
        lost = await scene.visitor(victim)
        asking = [
            asyncio.create_task(scene.desks[number].do("call", "question", number, to=lost.sid, timeout=None))
            for number in others
        ]
        await lost.until(lambda: len(lost.heard) == len(others))

        async def counts(total: int) -> bool:
            return all([(await scene.desks[number].look())["count"]["/"] == total for number in others])

        await eventually(lambda: counts(2 * len(KINDS) + 1))
        mixed[victim].kill()
        for each in asking:
            with pytest.raises(ApplicationError) as caught:
                await each
            assert caught.value.name == "NodeLostError"
        await eventually(lambda: counts(2 * len(others)))
        for number in others:
            assert mixed[victim].tag not in (await scene.desks[number].look())["nodes"]
            for visitor in (visitors[each] for each in others):
                assert await scene.desks[number].do("call", "question", to=visitor.sid, timeout=30) == "answer"
                visitor.take()
        mixed[victim].start()
        scene.desks[victim] = await Visitor.join(mixed[victim].url)
        await scene.until_known()
        back = await scene.visitor(victim, rooms=("room",))
        for desk in scene.desks:
            await desk.do("emit", "welcome back", desk.tag, to="room")
        await scene.fence()
        for visitor in (back, *(visitors[each] for each in others)):
            assert sorted(tag for _, tag in visitor.take()) == sorted(node.tag for node in mixed)
        scene.forget_troubles()


async def test_what_a_killed_node_asked_leaves_nothing_behind(mixed: ProcessNodes) -> None:
    """Its own question dies with it; who was asked may answer, and goes on."""
    async with Scene(mixed) as scene:
        for victim in range(len(KINDS) - 1):
            asked = [await scene.visitor(number) for number in range(len(KINDS)) if number != victim]
            asking = [
                asyncio.create_task(scene.desks[victim].do("call", "question", to=each.sid, timeout=None))
                for each in asked
            ]
            for each in asked:
                await each.until(partial(bool, each.heard))
            mixed[victim].kill()
            assert all(isinstance(each, Exception) for each in await asyncio.gather(*asking, return_exceptions=True))
            mixed[victim].start()
            scene.desks[victim] = await Visitor.join(mixed[victim].url)
            await scene.until_known()
            for each in asked:
                each.take()
                await each.do("emit", "hello", to=each.sid)
                await each.hears(["hello"])
        scene.forget_troubles()
