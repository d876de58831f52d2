"""Answers of clients of other nodes: ``call`` and callbacks, with bytes, with time-outs, and when somebody goes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.cluster_nodes import Nodes
from tests.support.scene import Scene, eventually
from tests.support.visitors import NOTHING, ApplicationError, Visitor

ANSWERS: list[tuple[Any, Any]] = [
    (NOTHING, "TimeoutError"),
    ((), None),
    (1, 1),
    (("two", 2), ["two", 2]),
    (b"\x00\xff" * 1_000, b"\x00\xff" * 1_000),
    ({"deep": [b"bytes", {"more": b""}]}, {"deep": [b"bytes", {"more": b""}]}),
    ((b"one", "two", [b"three"]), [b"one", "two", [b"three"]]),
]
TOO_LARGE = 1_200_000
"""Bytes that fit into a packet of a client here, and not into a message between nodes."""


@pytest.mark.parametrize(("answer", "expected"), ANSWERS, ids=lambda value: type(value).__name__)
@pytest.mark.smoke
async def test_calling_clients_of_every_node(nodes: Nodes, answer: Any, expected: Any) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere()
        for visitor in visitors:
            visitor.answer = lambda *args: answer
        for visitor in visitors:
            if answer is NOTHING:
                with pytest.raises(ApplicationError) as caught:
                    await scene.desks[0].do("call", "question", b"bytes", to=visitor.sid, timeout=0.2)
                assert caught.value.name == expected
            else:
                got = await scene.desks[0].do("call", "question", b"bytes", to=visitor.sid, timeout=10)
                assert got == expected
            assert visitor.take() == [["question", b"bytes"]]


async def test_a_callback_gets_the_answer_of_a_client_elsewhere(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere()
        for number, visitor in enumerate(visitors):
            visitor.answer = lambda *args, number=number: (number, b"bytes", args[1])
        before = len((await scene.desks[0].look())["answers"])
        for visitor in visitors:
            await scene.desks[0].do("emit_with_callback", "question", "why", visitor.sid)

        async def answered() -> bool:
            return len((await scene.desks[0].look())["answers"]) == before + len(nodes)

        await eventually(answered)
        answers = (await scene.desks[0].look())["answers"][before:]
        assert sorted(answers, key=lambda answer: answer[0]) == [
            [number, b"bytes", "why"] for number in range(len(nodes))
        ]


async def test_a_callback_on_a_room_gets_the_first_answer_whoever_gives_it(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere(rooms=("room",))
        visitors[2].answer = lambda *args: "the only answer"
        desk = scene.desks[0]
        before = len((await desk.look())["answers"])
        await desk.do("emit_with_callback", "question", None, "room")

        async def answered() -> bool:
            return len((await desk.look())["answers"]) > before

        await eventually(answered)
        await scene.fence()
        assert (await desk.look())["answers"][before:] == [["the only answer"]]
        assert [visitor.take() for visitor in visitors] == [[["question"]]] * len(nodes)
        assert (await desk.look())["census"]["asks"] == 0
        for visitor in visitors:  # their nodes wait a minute for those who are silent; who goes is waited for no longer
            await visitor.close()


async def test_hundreds_of_questions_in_every_direction_are_answered_each_by_its_own(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere()
        for visitor in visitors:
            visitor.answer = lambda *args: args[1]

        async def ask(desk: Visitor, visitor: Visitor, number: int) -> None:
            what = [desk.tag, visitor.tag, number]
            assert await desk.do("call", "question", what, to=visitor.sid, timeout=30) == what

        async with asyncio.TaskGroup() as group:
            for desk in scene.desks:
                for visitor in visitors:
                    for number in range(40):
                        group.create_task(ask(desk, visitor, number))


@pytest.mark.parametrize("how", ["leaves", "is sent away", "vanishes"])
@pytest.mark.parametrize("timeout", [30, None])
async def test_a_client_elsewhere_that_goes_ends_the_call_at_once(
    nodes: Nodes, how: str, timeout: float | None
) -> None:
    async with Scene(nodes) as scene:
        visitor = await scene.visitor(1)
        asking = asyncio.create_task(scene.desks[0].do("call", "question", to=visitor.sid, timeout=timeout))
        await visitor.until(lambda: visitor.heard)
        if how == "leaves":
            await visitor.leave()
        elif how == "vanishes":
            await visitor.close()
        else:
            await scene.desks[2].do("disconnect", visitor.sid)
        with pytest.raises(ApplicationError) as caught:
            await asking
        assert caught.value.name == "DisconnectedError"


async def test_who_is_not_there_is_told_at_once(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        for tag in (nodes[0].tag, nodes[1].tag):
            with pytest.raises(ApplicationError) as caught:
                await scene.desks[0].do("call", "question", to=f"{tag}0123456789abcdef", timeout=None)
            assert caught.value.name == "DisconnectedError"


async def test_an_answer_that_is_too_large_between_nodes_is_an_error(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitor = await scene.visitor(1)
        visitor.answer = lambda *args: "x" * TOO_LARGE
        with pytest.raises(ApplicationError) as caught:
            await scene.desks[0].do("call", "question", to=visitor.sid, timeout=30)
        assert caught.value.name == "AnswerTooLargeError"
        assert len(await scene.desks[1].do("call", "question", to=visitor.sid, timeout=30)) == TOO_LARGE


async def test_ignore_queue_asks_clients_here_alone(nodes: Nodes) -> None:
    async with Scene(nodes) as scene:
        visitors = await scene.everywhere()
        for visitor in visitors:
            visitor.answer = lambda *args: "answer"
        desk = scene.desks[0]
        assert await desk.do("call", "question", to=visitors[0].sid, ignore_queue=True) == "answer"
        with pytest.raises(ApplicationError) as caught:
            await desk.do("call", "question", to=visitors[1].sid, ignore_queue=True)
        assert caught.value.name == "DisconnectedError"
        await scene.fence()
        assert visitors[1].take() == []
