"""F24: what another node emits to a room in the instant after ``await enter_room()`` returned arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import pytest

from tests.support.fault_cluster import FaultCluster
from tests.support.fault_member import LONG, Member
from tests.support.fault_results import Results
from tests.support.referee import Referee

AT_ONCE = 25
FULL = 20_000


class Joiner:
    """Enters one new room after another on one node, and has another node emit to it at once."""

    def __init__(self, member: Member, speaker: Member) -> None:
        self.member = member
        self._speaker = speaker
        self._heard: dict[str, asyncio.Event] = {}
        member.hear = self._hear

    def _hear(self, message: Sequence[Any], at: float) -> None:
        self._heard.pop(message[1]).set()

    async def joins(self, room: str) -> bool:
        """Whether the message came."""
        heard = self._heard[room] = asyncio.Event()
        await self.member.call("enter", [room])
        await self._speaker.tell("say", [[room, 1, 1, 0]])
        try:
            async with asyncio.timeout(LONG):
                await heard.wait()
        except TimeoutError:
            return False
        await self.member.tell("leave", [room])
        return True


@pytest.mark.parametrize("joins", [500, pytest.param(FULL, marks=pytest.mark.faults)])
async def test_nothing_is_missed_after_entering(cluster: FaultCluster, joins: int, results: Results) -> None:
    async with Referee(cluster.nodes):  # waits until all know each other; and nothing is left afterwards
        members = [await Member.join(node) for node in cluster.nodes]
        joiners = [Joiner(await Member.join(node), members[at - 1]) for at, node in enumerate(cluster.nodes)]
        unconfirmed = [(await node.metrics())["joins_unconfirmed_total"] for node in cluster.nodes]
        rooms = iter(range(joins))

        async def one_after_another(joiner: Joiner) -> int:
            missed = 0
            for number in rooms:
                missed += not await joiner.joins(f"room {number}")
            return missed

        each = cycle(joiners)
        missed = sum(await asyncio.gather(*(one_after_another(next(each)) for _ in range(AT_ONCE))))
        assert missed == 0
        assert unconfirmed == [(await node.metrics())["joins_unconfirmed_total"] for node in cluster.nodes]
        for member in (*members, *(joiner.member for joiner in joiners)):
            await member.close()
    if joins == FULL:
        results.add("F24", f"{FULL} times a room entered, and another node emits at once", f"{missed} missed")
