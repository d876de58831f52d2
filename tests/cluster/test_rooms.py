"""Entering, leaving and closing rooms, from every node, for clients of every node."""

from __future__ import annotations

import asyncio

import pytest

from tests.cluster.conftest import LONG, SLOW
from tests.support.cluster_nodes import Nodes
from tests.support.scene import Scene
from tests.support.visitors import ApplicationError

FEW, ALL = 300, 10_000
PAIRS = 6
"""Clients that enter at the same time, each on a node, and each with somebody on another node who emits."""


@pytest.mark.parametrize("asked", [0, 1, 2])
async def test_a_client_of_any_node_is_put_into_a_room_and_taken_out(nodes: Nodes, asked: int) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere()
        desk = scene.desks[asked]
        for visitor in visitors:
            await desk.do("enter_room", visitor.sid, "room")
        assert [await scene.desks[node].do("rooms", each.sid) for node, each in enumerate(visitors)] == [
            ["room"]
        ] * len(nodes)
        await scene.desks[0].do("emit", "hello", to="room")
        await scene.fence()
        assert [visitor.take() for visitor in visitors] == [[["hello"]]] * len(nodes)
        await desk.do("leave_room", visitors[1].sid, "room")
        await desk.do("leave_room", visitors[1].sid, "never in it")
        await scene.fence()
        await scene.desks[2].do("emit", "hello", to="room")
        await scene.fence()
        assert [visitor.take() for visitor in visitors] == [[["hello"]], [], *[[["hello"]]] * (len(nodes) - 2)]


@pytest.mark.smoke
@pytest.mark.parametrize("asked", [0, 1, 2])
async def test_closing_a_room_empties_it_on_every_node(nodes: Nodes, asked: int) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere(rooms=("room", "other"))
        await scene.desks[asked].do("close_room", "room")
        await scene.fence()
        for room in ("room", "other"):
            await scene.desks[0].do("emit", "to", room, to=room)
        await scene.fence()
        assert [visitor.take() for visitor in visitors] == [[["to", "other"]]] * len(nodes)


async def test_namespaces_of_other_nodes_have_rooms_too(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        chat = await scene.visitor(1, "/chat")
        main = await scene.visitor(1)
        await scene.desks[0].do("enter_room", chat.sid, "room", namespace="/chat")
        with pytest.raises(ApplicationError) as caught:
            await scene.desks[0].do("enter_room", chat.sid, "room")
        assert caught.value.name == "KeyError"
        await scene.desks[2].do("emit", "hello", to="room", namespace="/chat")
        await scene.fence()
        assert (chat.take(), main.take()) == ([["hello"]], [])


async def test_who_is_not_there_cannot_enter(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        for sid, error in (
            (f"{nodes[0].tag}0123456789abcdef", "KeyError"),
            (f"{nodes[1].tag}0123456789abcdef", "KeyError"),
            ("somebody", "KeyError"),
        ):
            with pytest.raises(ApplicationError) as caught:
                await scene.desks[0].do("enter_room", sid, "room")
            assert caught.value.name == error
            await scene.desks[0].do("leave_room", sid, "room")


async def test_a_sid_is_no_room_on_any_node(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere()
        for desk in scene.desks:
            for visitor in visitors:
                for other in visitors:
                    if visitor is other:
                        continue
                    with pytest.raises(ApplicationError) as caught:
                        await desk.do("enter_room", visitor.sid, other.sid)
                    assert caught.value.name == "ValueError"
        for number, visitor in enumerate(visitors):
            await scene.desks[0].do("emit", "for one", number, to=visitor.sid)
        await scene.fence()
        assert [visitor.take() for visitor in visitors] == [[["for one", number]] for number in range(len(nodes))]


@pytest.mark.parametrize("joins", [FEW, pytest.param(ALL, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
async def test_what_is_emitted_elsewhere_right_after_entering_is_never_missed(
    nodes: Nodes, back_end: str, joins: int
) -> None:
    """F24: the emit is made on another node in the instant after ``await enter_room()`` has returned."""
    async with Scene(nodes) as scene:
        numbers = iter(range(joins // 10 if back_end in SLOW | LONG else joins))

        async def enters_again_and_again(pair: int) -> None:
            node, other = scene.desks[pair % len(nodes)], scene.desks[(pair + 1) % len(nodes)]
            visitor = await scene.visitor(pair % len(nodes))
            for number in numbers:
                await node.do("enter_room", visitor.sid, f"room {number}")
                await other.do("emit", "hello", number, to=f"room {number}")
                await visitor.hears(["hello", number])
                await node.do("leave_room", visitor.sid, f"room {number}")

        async with asyncio.TaskGroup() as group:
            for pair in range(PAIRS):
                group.create_task(enters_again_and_again(pair))


async def test_entering_and_leaving_in_a_row_ends_as_the_last_call_says(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere()
        for round_ in range(20):
            for visitor in visitors:
                calls = ["enter_room", "leave_room"] * 2 + ["enter_room"] * (round_ % 2)
                number = visitors.index(visitor)
                doing = (scene.desks[number].do(call, visitor.sid, "room") for call in calls)
                if nodes[number].threads:
                    for each in doing:
                        await each
                else:
                    await asyncio.gather(*doing)
            await scene.fence()
            await scene.desks[round_ % len(nodes)].do("emit", "hello", round_, to="room")
            await scene.fence()
            expected = [["hello", round_]] if round_ % 2 else []
            assert [visitor.take() for visitor in visitors] == [expected] * len(nodes)
