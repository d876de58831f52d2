"""How servers come to be in one cluster, and which hear each other: names, keys, managers, a broker that is away."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import roomcast
from tests.cluster.application import build
from tests.cluster.conftest import Standing, make_service
from tests.support.cluster_nodes import ClusterNode, ThreadNodes, ThreadServers, new_cluster, random_tags
from tests.support.scene import Scene, eventually
from tests.support.visitors import ApplicationError, Visitor

FIRST_KEY, SECOND_KEY = "a key that some of them have", "another one"
DURING = 30
"""Emits while the broker is away."""


class Group:
    """Nodes of one thread that need not be one cluster, each with a client in a room."""

    def __init__(self, nodes: list[ClusterNode]) -> None:
        self.nodes = nodes
        self.visitors: list[Visitor] = []

    async def join(self) -> None:
        self.visitors = [await Visitor.join(node.url) for node in self.nodes]
        for visitor in self.visitors:
            await visitor.do("enter_room", visitor.sid, "room")

    async def leave(self) -> None:
        for visitor in self.visitors:
            await visitor.close()


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


async def test_two_clusters_on_one_broker_do_not_hear_each_other(
    standing: Standing, back_end: str, stack: contextlib.ExitStack
) -> None:
    """F27, for every back end: the same broker, namespaces and rooms; another name."""
    url = standing.service(back_end).url()
    shop, office = (stack.enter_context(ThreadNodes(url, 2)) for _ in range(2))
    async with Scene(shop) as here, Scene(office) as there:
        ours, theirs = await here.everywhere(rooms=("room",)), await there.everywhere(rooms=("room",))
        for scene, name in ((here, "shop"), (there, "office")):
            for to in (None, "room", ["room", "x"], ours[1].sid, theirs[1].sid):
                await scene.desks[0].do("emit", name, to=to)
            await scene.desks[0].do("disconnect", theirs[1].sid if name == "shop" else ours[1].sid)
        await here.desks[0].do("close_room", "not this one")
        await here.fence()
        await there.fence()
        for name, visitors in (("shop", ours), ("office", theirs)):
            assert visitors[0].take() == [[name]] * 3
            assert visitors[1].take() == [[name]] * 4
            assert not any(visitor.left.is_set() for visitor in visitors)
        for scene, nodes in ((here, shop), (there, office)):
            assert sorted((await scene.desks[0].look())["nodes"]) == sorted(node.tag for node in nodes)
            assert [(await node.metrics())["cluster_dropped_total"] for node in nodes] == [0, 0]


async def test_keys_decide_who_is_believed(standing: Standing, back_end: str, stack: contextlib.ExitStack) -> None:
    url, cluster = standing.service(back_end).url(), new_cluster()
    keys: list[list[str] | None] = [[FIRST_KEY], [FIRST_KEY, SECOND_KEY], [SECOND_KEY], None]
    nodes: list[ClusterNode] = []
    for each in keys:
        options = {} if each is None else {"keys": each}
        nodes += stack.enter_context(ThreadNodes(url, 1, cluster=cluster, options=options))
    first, both, second, none = (node.tag for node in nodes)
    group = Group(nodes)
    await group.join()
    believed = {first: {first, both}, both: {first, both, second}, second: {second}, none: {first, both, second, none}}
    for visitor in group.visitors:
        for to in (None, "room"):
            await visitor.do("emit", "hello", visitor.tag, to=to)
    for visitor in group.visitors:
        await visitor.until(partial(has_heard, visitor, believed[visitor.tag]))
    # what is not believed is counted, and nothing of it is ever heard
    for node, reasons in zip(nodes, ({"key", "unsigned"}, {"unsigned"}, {"key", "unsigned"}, set[str]()), strict=True):
        await _until_dropped(group, node, reasons)
    for visitor in group.visitors:
        assert {args[1] for args in visitor.heard} == believed[visitor.tag]
    await group.leave()


def has_heard(visitor: Visitor, what: set[Any]) -> bool:
    return {args[1] for args in visitor.heard} >= what


async def _until_dropped(group: Group, node: ClusterNode, reasons: set[str]) -> None:
    """Wait until the node has dropped something for each of these reasons, and see that it did for no other."""

    async def counted() -> dict[str, int]:
        metrics = await node.metrics()
        return {reason: metrics.of("cluster_dropped_total", reason) for reason in ("key", "unsigned", "signature")}

    async def done() -> bool:
        return {reason for reason, count in (await counted()).items() if count} >= reasons

    await eventually(done)
    assert {reason for reason, count in (await counted()).items() if count} == reasons


async def test_the_incumbents_manager_and_the_broker_option_make_one_cluster(
    standing: Standing, stack: contextlib.ExitStack
) -> None:
    url, cluster = standing.service("redis").url(), new_cluster()
    by_manager, by_option, by_both = random_tags(3)
    servers = {
        by_manager: build(tag=by_manager, client_manager=roomcast.AsyncRedisManager(url, channel=cluster)),
        by_option: build(tag=by_option, broker=url, cluster=cluster),
        by_both: build(
            tag=by_both,
            client_manager=roomcast.AsyncRedisManager(url, channel=cluster),
            broker="memory://",
            cluster="x",
        ),
    }
    nodes = stack.enter_context(ThreadServers(servers))
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere(rooms=("room",))
        for desk in scene.desks:
            await desk.do("emit", "hello", desk.tag, to="room")
        await scene.fence()
        assert all(sorted(tag for _, tag in visitor.take()) == sorted(servers) for visitor in visitors)
        assert servers[by_manager].manager.server is servers[by_manager]


async def test_write_only_managers_of_that_name_reach_it(standing: Standing, stack: contextlib.ExitStack) -> None:
    url, cluster = standing.service("redis").url(), new_cluster()
    nodes = stack.enter_context(ThreadNodes(url, 2, cluster=cluster))
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere(rooms=("room",))
        blocking: Any = roomcast.RedisManager(url, channel=cluster, write_only=True)
        waiting: Any = roomcast.AsyncRedisManager(url, channel=cluster, write_only=True)
        try:
            blocking.emit("progress", 1, room="room")
            await waiting.emit("progress", 2, room="room")
        finally:
            blocking.emitter.close()
            await waiting.emitter.close()
        for visitor in visitors:
            await visitor.until(partial(has_heard, visitor, {1, 2}))
            assert sorted(number for _, number in visitor.take()) == [1, 2]


async def test_a_broker_that_is_away_changes_nothing_for_clients_of_one_node(
    back_end: str, stack: contextlib.ExitStack
) -> None:
    """F25."""
    service = make_service(back_end)
    stack.callback(service.close)
    service.start()
    nodes = stack.enter_context(ThreadNodes(service.url(), 2))
    async with Scene(nodes) as scene:
        here, there = await scene.everywhere(rooms=("room",))
        service.stop()

        async def up(wanted: int) -> bool:
            return all([(await node.metrics())["broker_up"] == wanted for node in nodes])

        await eventually(partial(up, 0))
        for number in range(DURING):
            await scene.desks[0].do("emit", "during", number, to=(None, "room", ["room", "x"])[number % 3])
            await here.hears(["during", number])
        here.answer = lambda *args: "answer"
        assert await scene.desks[0].do("call", "question", to=here.sid, timeout=30) == "answer"
        late = await scene.visitor(0)
        await scene.desks[0].do("enter_room", late.sid, "another room")  # returns, though nobody confirms it
        await scene.desks[0].do("emit", "there", to="another room")
        await late.until(lambda: late.heard)
        with pytest.raises(ApplicationError) as caught:
            await scene.desks[0].do("call", "question", to=there.sid, timeout=0.2)
        assert caught.value.name == "TimeoutError"
        assert (await nodes[0].readiness()) == {"status": "degraded", "reasons": ["the broker is away"], "code": 200}
        service.start()
        await eventually(partial(up, 1))
        heard = [args[0] for event, *args in there.take() if event == "during"]
        assert heard == sorted(set(heard))  # what was lost is counted, as tests/faults shows
        assert (await nodes[0].readiness())["status"] == "ready"
        await scene.desks[1].do("emit", "after", to="room")
        await here.hears(["question"], ["after"])
        scene.forget_troubles()


async def test_nodes_that_start_before_their_broker_find_each_other_when_it_comes(
    back_end: str, stack: contextlib.ExitStack
) -> None:
    service = make_service(back_end)
    stack.callback(service.close)
    service.start()
    url = service.url()
    service.stop()
    nodes = stack.enter_context(ThreadNodes(url, 2))
    visitor = await Visitor.join(nodes[0].url)
    await visitor.do("enter_room", visitor.sid, "room")
    await visitor.do("emit", "hello", to="room")
    await visitor.hears(["hello"])
    assert (await nodes[0].readiness())["code"] == 200
    service.start()
    other = await Visitor.join(nodes[1].url)

    async def known() -> bool:
        return len((await other.look())["nodes"]) == 2

    await eventually(known)
    await other.do("emit", "hello from there", to="room")
    await visitor.hears(["hello from there"])
    for each in (visitor, other):
        await each.close()
