"""One test's clients on the nodes of a cluster that stands for many tests.

    async with Scene(nodes) as scene:
        anna, bert = await scene.visitor(0), await scene.visitor(1)
        await anna.do("emit", "hello")
        await scene.fence()
        assert bert.take() == [["hello"]]

A *desk* is a client on each node that does things which nobody's client is to do.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from tests.support.cluster_nodes import Nodes
from tests.support.patience import PATIENCE
from tests.support.visitors import FENCE, Visitor

LOOK_AGAIN = 0.02
"""Seconds between two looks at what nodes know of each other."""
NAMESPACES = ("/", "/chat")
ONLY_IN_USE = ("asks", "asked_by", "rooms_on", "acks", "rooms", "held", "polls", "assemblies", "unconnected")
"""Tables of a node that are empty when nobody but the desk is there."""

UNORDERED_FENCES = 8
"""Round trips through all channels that take longer than what is on its way on any of them."""

_fences = itertools.count()


async def eventually(condition: Callable[[], Awaitable[object]], timeout: float = 3 * PATIENCE) -> None:
    """Ask again and again until the coroutine function says yes."""
    async with asyncio.timeout(timeout):
        while not await condition():  # noqa: ASYNC110  # other processes tell nobody
            await asyncio.sleep(LOOK_AGAIN)


class Scene:
    """``desks`` are in the order of ``nodes``. On leaving, everybody goes, and no node may have anything left of them,
    nor have lost or dropped anything meanwhile.
    """

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.desks: list[Visitor] = []
        self._visitors: list[Visitor] = []
        self._troubles: list[dict[str, int]] = []

    async def visitor(self, node: int, namespace: str = "/", rooms: tuple[Any, ...] = ()) -> Visitor:
        """A client of the node of that number, in these rooms."""
        visitor = await Visitor.join(self.nodes[node].url, namespace)
        self._visitors.append(visitor)
        for room in rooms:
            await self.desks[node].do("enter_room", visitor.sid, room, namespace=namespace)
        return visitor

    async def everywhere(self, namespace: str = "/", rooms: tuple[Any, ...] = ()) -> list[Visitor]:
        """One on each node."""
        return [await self.visitor(number, namespace, rooms) for number in range(len(self.nodes))]

    def orderly(self, events: list[Any]) -> list[Any]:
        """What a client has heard on several channels, comparable: in its order where the broker keeps one."""
        return events if self.nodes.ordered else sorted(events, key=repr)

    async def fence(self) -> None:
        """Return when all that was emitted on any node so far has come to every client.

        Twice: what one node forwards for another is behind the other's first fence, and before its own second one.
        Where channels keep no order among each other a fence proves less, so there are more of them.
        """
        for _ in range(2 if self.nodes.ordered else UNORDERED_FENCES):
            number = next(_fences)
            there = {namespace for namespace in NAMESPACES if any(each.namespace == namespace for each in self._here())}
            for desk in self.desks:
                for namespace in there:
                    await desk.do("emit", FENCE, [desk.tag, number], namespace=namespace)
            for visitor in self._here():
                await visitor.fenced({(desk.tag, number) for desk in self.desks})

    def _here(self) -> list[Visitor]:
        return [visitor for visitor in (*self.desks, *self._visitors) if not visitor.left.is_set()]

    async def received(self, node: int) -> dict[str, int]:
        """Operations of others that came to that node's broker client so far, by kind."""
        metrics = await self.nodes[node].metrics()
        return {kind: metrics.of("cluster_in_total", kind) for kind in ("emit", "join", "leave", "close_room")}

    def forget_troubles(self) -> None:
        """This test makes trouble: what nodes have lost or dropped is not judged."""
        self._troubles = []

    # --- beginning and end --------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self.desks = [await Visitor.join(node.url) for node in self.nodes]
        await self.until_known()
        self._troubles = [await self._trouble(number) for number in range(len(self.nodes))]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for visitor in self._visitors:
            await visitor.close()
        try:
            if error is None:
                await self._until_empty()
                for number, before in enumerate(self._troubles):
                    assert await self._trouble(number) == before
        finally:
            for desk in self.desks:
                await desk.close()

    async def until_known(self) -> None:
        """Wait until all nodes know each other."""
        tags = {node.tag for node in self.nodes}

        async def known() -> bool:
            return all([set((await desk.look())["nodes"]) == tags for desk in self.desks])

        await eventually(known)

    async def _until_empty(self) -> None:
        left: list[dict[str, int]] = []

        async def empty() -> bool:
            looks = [(await desk.look())["census"] for desk in self.desks]
            left[:] = [{name: census[name] for name in ONLY_IN_USE if census[name]} for census in looks]
            return not any(left) and all(census["sockets"] == 1 for census in looks)

        try:
            await eventually(empty)
        except TimeoutError as late:
            raise AssertionError(f"still there: {left}") from late

    async def _trouble(self, node: int) -> dict[str, int]:
        metrics = await self.nodes[node].metrics()
        names = (
            "messages_lost_total",
            "messages_duplicate_total",
            "cluster_dropped_total",
            "publish_dropped_total",
            "joins_unconfirmed_total",
            "peers_lost_total",
            "handler_errors_total",
        )
        return {name: metrics[name] for name in names}
