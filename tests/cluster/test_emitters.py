"""Processes without clients: both emitters reach every client of a cluster, on every back end."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from roomcast_emitter import AsyncEmitter, Emitter
from tests.cluster.conftest import Standing
from tests.support.cluster_nodes import Nodes
from tests.support.scene import Scene, eventually
from tests.support.visitors import FENCE, Visitor

COLOURS = {"blocking": Emitter, "asyncio": AsyncEmitter}
MANY = 100

_numbers = itertools.count()


class Outside:
    """An emitter of either colour, and the clients that may hear it."""

    def __init__(self, emitter: Emitter | AsyncEmitter, scene: Scene) -> None:
        self._emitter = emitter
        self._scene = scene

    async def does(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the emitter; returns its receipt."""
        return await self._call(getattr(self._emitter, method), *args, **kwargs)

    async def emits(self, to: tuple[Any, ...], without: tuple[Any, ...], event: str, namespace: str = "/") -> Any:
        """Emit by a chain."""
        chain: Any = self._emitter.to(*to).except_(*without).in_namespace(namespace)
        return await self._call(chain.emit, event)

    async def _call(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        if inspect.iscoroutinefunction(method):
            return await method(*args, **kwargs)
        return await asyncio.to_thread(method, *args, **kwargs)

    async def fence(self, *visitors: Visitor) -> None:
        """Return when all that it emitted so far has come to these clients."""
        number = next(_numbers)
        for namespace in {visitor.namespace for visitor in visitors}:
            await self.does("emit", FENCE, ["emitter", number], namespace=namespace)
        for visitor in visitors:
            await visitor.fenced({("emitter", number)})

    async def until_in(self, node: int, visitor: Visitor, rooms: list[Any]) -> None:
        """Wait until a client is in these rooms, and its node hears them."""
        desk = self._scene.desks[node]

        async def inside() -> bool:
            return bool(await desk.do("rooms", visitor.sid, visitor.namespace) == rooms)

        await eventually(inside)
        for room in rooms:  # it is in; what this waits for is the subscription
            await desk.do("enter_room", visitor.sid, room, namespace=visitor.namespace)


@contextlib.asynccontextmanager
async def outside(standing: Standing, back_end: str, colour: str, scene: Scene) -> AsyncIterator[Outside]:
    nodes = standing.nodes(back_end)
    emitter: Any = COLOURS[colour](standing.service(back_end).url(), nodes.cluster)
    try:
        yield Outside(emitter, scene)
    finally:
        closing = await asyncio.to_thread(emitter.close)
        if inspect.isawaitable(closing):
            await closing


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.smoke
async def test_it_reaches_everybody_rooms_lists_and_single_clients(
    nodes: Nodes, standing: Standing, back_end: str, colour: str
) -> None:
    async with Scene(nodes) as scene, outside(standing, back_end, colour, scene) as emitter:
        inside = await scene.everywhere(rooms=("room", 7))
        others = await scene.everywhere()
        chat = await scene.everywhere("/chat")
        assert (await emitter.does("emit", "all", (1, b"bytes"))).delivered
        await emitter.does("send", "text", room="room")
        await emitter.does("emit", "number", to=7)
        await emitter.does("emit", "list", to=["room", others[1].sid, inside[1].sid, "nobody"])
        await emitter.does("emit", "one", to=others[2].sid)
        await emitter.does("emit", "skipping", skip_sid=[inside[0].sid, others[0].sid])
        await emitter.does("emit", "nobody", to=[])
        await emitter.does("emit", "chat", namespace="/chat")
        await emitter.emits(("room", others[0].sid), (inside[2].sid,), "chain")
        await emitter.emits((chat[1].sid,), (), "chain", "/chat")
        everybody = [*inside, *others, *chat]
        await emitter.fence(*everybody)
        heard = [scene.orderly([event[0] for event in visitor.take()]) for visitor in everybody]
        member = ["all", "message", "number", "list", "skipping", "chain"]
        expected = [[event for event in member if event != "skipping"], member]
        expected += [[event for event in member if event != "chain"]]
        expected += [member] * (len(nodes) - 3)
        expected += [["all", "chain"], ["all", "list", "skipping"], ["all", "one", "skipping"]]
        expected += [["all", "skipping"]] * (len(nodes) - 3)
        expected += [["chat"], ["chat", "chain"], *[["chat"]] * (len(nodes) - 2)]
        assert heard == [scene.orderly(events) for events in expected]


@pytest.mark.ordered
async def test_its_order_is_kept_across_targets(nodes: Nodes, standing: Standing, back_end: str, colour: str) -> None:
    async with Scene(nodes) as scene, outside(standing, back_end, colour, scene) as emitter:
        visitors = await scene.everywhere(rooms=("x", "y"))
        for number in range(MANY):
            await emitter.does("emit", "hello", number, to=(None, "x", ["x", "y"], "y")[number % 4])
        await emitter.fence(*visitors)
        assert [[number for _, number in visitor.take()] for visitor in visitors] == [list(range(MANY))] * len(nodes)


async def test_it_moves_clients_and_sends_them_away(
    nodes: Nodes, standing: Standing, back_end: str, colour: str
) -> None:
    async with Scene(nodes) as scene, outside(standing, back_end, colour, scene) as emitter:
        visitors = await scene.everywhere()
        chat = await scene.visitor(1, "/chat")
        for node, visitor in enumerate(visitors):
            await emitter.does("enter_room", visitor.sid, "room")
            await emitter.until_in(node, visitor, ["room"])
        await emitter.does("enter_room", chat.sid, "room", namespace="/chat")
        await emitter.until_in(1, chat, ["room"])
        await emitter.does("leave_room", visitors[0].sid, "room")
        await emitter.fence(*visitors)
        await emitter.does("emit", "hello", to="room")
        await emitter.fence(*visitors, chat)
        assert [visitor.take() for visitor in visitors] == [[], *[[["hello"]]] * (len(nodes) - 1)]
        await emitter.does("close_room", "room")
        await emitter.fence(*visitors)
        await emitter.does("emit", "hello", to="room")
        await emitter.does("emit", "hello", to="room", namespace="/chat")
        await emitter.fence(*visitors, chat)
        assert [visitor.take() for visitor in (*visitors, chat)] == [*[[]] * len(nodes), [["hello"]]]
        await emitter.does("disconnect", visitors[0].sid)
        await emitter.does("disconnect", visitors[1].sid, close=True)
        await visitors[0].until(visitors[0].left.is_set)
        await visitors[1].until(visitors[1].gone.is_set)
        assert not visitors[0].gone.is_set()
        await emitter.does("disconnect", f"{scene.nodes[2].tag}0123456789abcdef")
        await emitter.does("enter_room", "somebody", "room")
        await emitter.fence(visitors[2])


async def test_a_room_that_looks_like_a_sid_gets_each_emit_once(
    nodes: Nodes, standing: Standing, back_end: str, colour: str
) -> None:
    async with Scene(nodes) as scene, outside(standing, back_end, colour, scene) as emitter:
        room = f"{scene.nodes[1].tag}0123456789abcdef"
        inside = await scene.everywhere(rooms=(room,))
        for number in range(10):
            await emitter.does("emit", "hello", number, to=room)
        await emitter.fence(*inside)
        assert [[number for _, number in visitor.take()] for visitor in inside] == [list(range(10))] * len(nodes)
