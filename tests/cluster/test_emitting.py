"""Broadcasts, rooms, unions and exceptions over several nodes; who gets them, how often, in which order."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests.support.cluster_nodes import Nodes
from tests.support.scene import UNORDERED_FENCES, Scene
from tests.support.visitors import ApplicationError

DATA: list[Any] = [
    None,
    "é 😀",
    [1, -2.5, None, True],
    {"a": {"b": [b"\x00\xff"]}},
    b"bytes",
    b"",
    [[b"one", b"two"], 3],
]
MANY = 200


@pytest.mark.smoke
async def test_everybody_gets_a_broadcast_once(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitors = [*await scene.everywhere(), *await scene.everywhere()]
        elsewhere = await scene.everywhere("/chat")
        for visitor in visitors[: len(nodes)]:
            await visitor.do("emit", "hello", visitor.tag)
        await scene.fence()
        for visitor in visitors:
            assert sorted(visitor.take()) == sorted(["hello", node.tag] for node in nodes)
        assert not any(visitor.take() for visitor in elsewhere)


@pytest.mark.parametrize("data", DATA, ids=lambda data: type(data).__name__)
async def test_what_is_emitted_arrives_as_it_was(nodes: Nodes, data: Any) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere(rooms=("room",))
        await scene.desks[0].do("emit", "to all", data)
        await scene.desks[0].do("emit", "to room", data, to="room")
        await scene.desks[0].do("emit", "to one", data, to=visitors[2].sid)
        await scene.desks[0].do("send", data)
        await scene.fence()
        arguments = [] if data is None else [data]
        everybody = [["to all", *arguments], ["to room", *arguments], ["message", *arguments]]
        expected = [everybody] * len(nodes)
        expected[2] = [*everybody[:2], ["to one", *arguments], everybody[2]]
        heard = [visitor.take() for visitor in visitors]
        assert [scene.orderly(events) for events in heard] == [scene.orderly(events) for events in expected]


@pytest.mark.parametrize("kind", ["plain", "number", "strange", "long"])
async def test_a_room_reaches_its_members_and_no_node_without_any(nodes: Nodes, kind: str) -> None:
    token = secrets.token_hex(4)  # a room that nobody was in a moment ago: its channel would linger
    names: dict[str, Any] = {
        "plain": token,
        "number": -int(token, 16),
        "strange": f"ein Räumchen 😀 : * > # {token}",
        "long": token * 128,
    }
    room = names[kind]
    async with Scene(nodes) as scene:
        inside = [await scene.visitor(0, rooms=(room,)), await scene.visitor(1, rooms=(room,))]
        outside = await scene.everywhere()
        before = await scene.received(2)
        for number in range(20):
            await scene.desks[number % 3].do("emit", "hello", number, to=room)
        assert (await scene.received(2))["emit"] == before["emit"]  # node 2 gets none, not even to drop it
        await scene.fence()
        for visitor in inside:
            assert sorted(number for _, number in visitor.take()) == list(range(20))
        assert not any(visitor.take() for visitor in outside)
        after = await scene.received(2)
        fences = (2 if nodes.ordered else UNORDERED_FENCES) * (len(nodes) - 1)
        assert after["emit"] - before["emit"] == fences


async def test_a_union_is_counted_once_and_exceptions_are_left_out(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        both = await scene.everywhere(rooms=("x", "y"))
        one = await scene.everywhere(rooms=("y",))
        none = await scene.everywhere()
        await scene.desks[0].do("emit", "union", to=["x", "y", both[1].sid, none[2].sid, "nobody"])
        await scene.desks[1].do("emit", "skipping", to="y", skip_sid=[both[0].sid, one[2].sid])
        await scene.desks[2].do("emit", "skipping one", skip_sid=one[0].sid)
        await scene.desks[0].do("emit", "nobody", to=[])
        await scene.fence()
        heard = {
            name: [sorted(event for (event,) in visitor.take()) for visitor in visitors]
            for name, visitors in (("both", both), ("one", one), ("none", none))
        }
        all_three, more = ["skipping", "skipping one", "union"], len(nodes) - 3
        assert heard == {
            "both": [["skipping one", "union"], *[all_three] * (2 + more)],
            "one": [["skipping", "union"], all_three, ["skipping one", "union"], *[all_three] * more],
            "none": [["skipping one"], ["skipping one"], ["skipping one", "union"], *[["skipping one"]] * more],
        }


async def test_a_sid_is_reached_on_its_node_and_no_other_hears_of_it(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere()
        before = await scene.received(2)
        for number in range(20):
            await scene.desks[0].do("emit", "hello", number, to=visitors[1].sid)
        await visitors[1].until(lambda: len(visitors[1].heard) == 20)
        assert (await scene.received(2))["emit"] == before["emit"]
        await scene.desks[0].do("emit", "hello", 20, to=[visitors[1].sid])
        await scene.desks[1].do("emit", "hello", 21, to=visitors[1].sid)
        await scene.desks[0].do("emit", "not for you", to=visitors[1].sid, skip_sid=visitors[1].sid)
        await scene.fence()
        assert sorted(number for _, number in visitors[1].take()) == list(range(22))
        assert not any(visitor.take() for visitor in visitors)


async def test_namespaces_are_kept_apart(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        main = await scene.everywhere(rooms=("room",))
        chat = await scene.everywhere("/chat", rooms=("room",))
        await scene.desks[0].do("emit", "all of chat", namespace="/chat")
        await scene.desks[0].do("emit", "room of chat", to="room", namespace="/chat")
        await scene.desks[0].do("emit", "one of chat", to=chat[1].sid, namespace="/chat")
        await scene.desks[0].do("emit", "nobody", to=chat[1].sid)
        await scene.desks[0].do("emit", "room", to="room")
        await scene.fence()
        assert [visitor.take() for visitor in main] == [[["room"]]] * len(nodes)
        for index, visitor in enumerate(chat):
            heard = ["all", "one", "room"] if index == 1 else ["all", "room"]
            assert sorted(visitor.take()) == [[f"{each} of chat"] for each in heard]


@pytest.mark.smoke
@pytest.mark.ordered
async def test_the_order_of_one_node_is_kept_across_channels(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere(rooms=("x", "y"))
        for number in range(MANY):
            target = (None, "x", ["x", "y"], visitors[1].sid, "y")[number % 5]
            await scene.desks[0].do("emit", "hello", number, to=target)
        await scene.fence()
        for index in range(len(nodes)):
            wanted = [number for number in range(MANY) if index == 1 or number % 5 != 3]
            assert [number for _, number in visitors[index].take()] == wanted


async def test_a_room_that_looks_like_a_sid_of_a_node_works_like_any_other(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        room = f"{nodes[1].tag}0123456789abcdef"
        inside = await scene.everywhere(rooms=(room,))
        outside = await scene.everywhere()
        for desk in scene.desks:
            await desk.do("emit", "hello", desk.tag, to=room)
            await desk.do("emit", "hello", [desk.tag, "list"], to=[room, "nobody"])
            await desk.do("emit", "hello", [desk.tag, "skipping"], to=room, skip_sid=inside[2].sid)
        await scene.fence()
        for index, visitor in enumerate(inside):
            wanted = [["hello", what] for tag in (node.tag for node in nodes) for what in (tag, [tag, "list"])]
            wanted += [["hello", [node.tag, "skipping"]] for node in nodes if index != 2]
            assert sorted(map(repr, visitor.take())) == sorted(map(repr, wanted))
        assert not any(visitor.take() for visitor in outside)
        await scene.desks[0].do("close_room", room)
        await scene.fence()
        await scene.desks[1].do("emit", "nobody is there", to=room)
        await scene.fence()
        assert not any(visitor.take() for visitor in inside)


async def test_ignore_queue_stays_on_the_node(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere(rooms=("room",))
        for to in (None, "room", visitors[0].sid, visitors[1].sid):
            await scene.desks[0].do("emit", "here", to=to, ignore_queue=True)
        await scene.desks[0].do("send", "here", ignore_queue=True)
        await scene.fence()
        assert visitors[0].take() == [["here"], ["here"], ["here"], ["message", "here"]]
        assert not any(visitor.take() for visitor in visitors[1:])


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (("emit", "hello", "x" * 1_100_000), "MessageTooLargeError"),
        (("emit", "hello", None, 1.5), "RoomTypeError"),
        (("emit", "hello", None, ["x", None]), "RoomTypeError"),
        (("emit", "hello", None, True), "RoomTypeError"),
        (("emit", "connect"), "ValueError"),
    ],
)
async def test_what_cannot_travel_is_raised_before_anybody_has_it(
    nodes: Nodes, call: tuple[Any, ...], error: str
) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere()
        with pytest.raises(ApplicationError) as caught:
            await scene.desks[0].do(*call)
        assert caught.value.name == error
        await scene.fence()
        assert not any(visitor.take() for visitor in visitors)
