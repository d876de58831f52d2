"""The referee of fault tests: the same traffic and the same checks, whatever goes wrong meanwhile.

**Traffic.** Every message carries (emitter, room, number). Each node has one *member*: a client that is in all rooms,
that tells its node what to emit, and that keeps all it receives. So each room has one member on each node, and what a
node misses of others and what its member misses are the same number.

**Checks**, always on: nothing is received that was not sent (I1), nor in a room one is not in (I2), nor twice (I3), nor
in another order than sent (I4). What a node's own emits bring its member is complete, whatever became of the broker.

**Loss** (I8), by :meth:`Referee.settled`: what each member missed is what its node has confessed, minus what it
recanted, plus what the publishers have dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgspec
from websockets.exceptions import ConnectionClosed

from tests.support.fault_cluster import FaultNode, Metrics
from tests.support.fault_member import LONG, LOOK_AGAIN, Fault, Member, eventually
from tests.support.patience import PATIENCE

Flow = tuple[str, str | None]
"""(emitter, room): what has an order. No room: everybody."""

EVERYBODY = None
SEVERAL_BEATS = 4.5
ASKING = 0.1
"""How likely a node calls somebody when it emits."""
DEADLINE = 1.0
LATE = PATIENCE
"""Seconds that a call may end after its deadline: times are not judged here, but an end there must be."""
ENDS = {"TimeoutError", "DisconnectedError", "NodeLostError"}
TURN = 0.02
"""Seconds between two batches of traffic."""
DROPPED = "publish_dropped_total"
ONLY_IN_USE = {"asks", "asked_by", "acks", "held", "unconnected", "polls", "assemblies", "rooms_on"}
"""Tables of a node that are empty when nobody does anything (:meth:`AsyncServer.census`)."""


class _Heard:
    """What one member has received of one flow."""

    __slots__ = ("count", "first", "last")

    def __init__(self, first: int) -> None:
        self.first = first  # numbers up to this were sent before it came
        self.last = first
        self.count = 0


class Loss(msgspec.Struct, frozen=True):
    """Of one node: what its member missed of other nodes, and how much of that was confessed, and by whom."""

    missing: int
    lost: int
    recanted: int
    dropped: int
    beside: int
    """Of ``lost``, what is no traffic (answers between nodes), or of emitters that were killed."""

    @property
    def agrees(self) -> bool:
        return self.missing == self.lost - self.recanted - self.beside + self.dropped


class Referee:
    """Watches nodes for the length of an ``async with`` block. ``rooms`` are those of the members, None: everybody."""

    def __init__(self, nodes: Sequence[FaultNode], rooms: Sequence[str | None] = ("one", "two", EVERYBODY)) -> None:
        self.nodes = list(nodes)
        self.rooms = list(rooms)
        self.members: dict[FaultNode, Member] = {}
        self.sent: Counter[Flow] = Counter()
        self.faults: list[str] = []
        self.arrived: dict[FaultNode, dict[str, float]] = {}
        """When each node's member received the latest message of each other node."""
        self.excused: set[str] = set()
        """Emitters whose last messages may be missing unconfessed: those killed."""
        self.thorough = False
        """Whether :meth:`settled` looks once more, later: nothing may be confessed that was not missed."""
        self.patience = LONG
        """Seconds after which the referee gives up on what has to come."""
        self.padding = 0
        """Bytes added to each message."""
        self._heard: dict[FaultNode, dict[Flow, _Heard]] = {}
        self._since: dict[FaultNode, tuple[Metrics, int]] = {}
        self._drops: dict[tuple[FaultNode, FaultNode], int] = {}
        self.ends: Counter[str] = Counter()
        """How calls ended."""
        self._talking: asyncio.Task[None] | None = None
        self._asks: set[asyncio.Task[None]] = set()
        self._questions = itertools.count()
        self._chance = random.Random(5)
        self.outsiders: list[Member] = []

    async def __aenter__(self) -> Self:
        await self.whole()
        await asyncio.gather(*(self.join(node) for node in self.nodes))
        self.members = {node: self.members[node] for node in self.nodes}
        outsider = await Member.join(self.nodes[-1])
        outsider.hear = self._hear_outside
        self.outsiders.append(outsider)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.quiet()
        elif self._talking is not None:
            self._talking.cancel()
        members = [*self.members.values(), *self.outsiders]
        await asyncio.gather(*(member.close() for member in members))
        if kind is None:
            self.check()
            for node in [node for node in self.nodes if node.alive]:
                await self._residue(node)

    async def whole(self) -> None:
        """Wait until all nodes know each other."""
        for node in self.nodes:

            async def knows_all(node: FaultNode = node) -> bool:
                metrics = await node.metrics()
                return bool(metrics["broker_up"]) and metrics["peers"] == len(self.nodes) - 1

            await eventually(knows_all, "a node does not know the others")

    async def _residue(self, node: FaultNode) -> None:
        """Nothing is left of what was going on (I10)."""

        async def is_quiet() -> bool:
            metrics = await node.metrics()
            return not any(metrics[name] for name in ("clients", "pending_acks", "publish_buffer_bytes"))

        await eventually(
            is_quiet, "a node has clients, answers or messages that wait, after all have gone", self.patience
        )
        last = await Member.join(node)
        census = (await last.look())["census"]
        await last.close()
        left = {name: count for name, count in census.items() if count and name in ONLY_IN_USE}
        if left or census["sessions"] != 1:
            raise Fault(f"of what is over this is left: {census}")

    # --- members ------------------------------------------------------------------------------------------------------

    async def join(self, node: FaultNode) -> Member:
        """Put a member on a node. While nothing is being said, or its losses cannot be told."""
        member = await Member.join(node, [room for room in self.rooms if room is not None])
        heard: dict[Flow, _Heard] = {}
        for flow, sent in self.sent.items():
            heard[flow] = _Heard(sent)
        self._heard[node] = heard
        self.arrived[node] = {}
        member.hear = lambda message, at: self._hear(node, message, at)
        self._since[node] = await node.metrics(), len((await member.look())["gaps"])
        self.members[node] = member
        for other in [other for other in self.members if other is not node]:
            # What was dropped before both of them were there concerns neither.
            self._drops[node, other] = (await other.metrics())[DROPPED]
            self._drops[other, node] = (await node.metrics())[DROPPED]
        return member

    async def leave(self, node: FaultNode) -> None:
        """Take a node out of the game: it is dead, or its member has gone."""
        member = self.members.pop(node)
        if not node.alive:
            self.excused.add(member.tag)
        await member.close()

    def _hear(self, node: FaultNode, message: Sequence[Any], at: float) -> None:
        emitter, room, number, _ = message
        flow = (emitter, room)
        who = f"the member on {self.members[node].tag if node in self.members else 'a node'}"
        if not 0 < number <= self.sent[flow]:
            self.faults.append(f"{who} received number {number} of {flow}, of which {self.sent[flow]} were sent")
            return
        heard = self._heard[node].get(flow)
        if heard is None:
            heard = self._heard[node][flow] = _Heard(0)
        if number <= heard.last:
            self.faults.append(
                f"{who} received number {number} of {flow} after number {heard.last}: twice or disordered"
            )
            return
        heard.last = number
        heard.count += 1
        self.arrived[node][emitter] = at

    def _hear_outside(self, message: Sequence[Any], at: float) -> None:
        if message[1] is not EVERYBODY:
            self.faults.append(f"a client that is in no room received a message of room {message[1]!r}")

    # --- traffic ------------------------------------------------------------------------------------------------------

    async def say(self, node: FaultNode, count: int = 1, rooms: Sequence[str | None] | None = None) -> None:
        """Have a node emit so many messages to each room."""
        member = self.members[node]
        batch = []
        for room in self.rooms if rooms is None else rooms:
            first = self.sent[member.tag, room] + 1
            self.sent[member.tag, room] += count
            batch.append([room, first, count, self.padding])
        with contextlib.suppress(ConnectionClosed):
            await member.tell("say", batch)

    def talk(self, per_second: float = 50.0, asks: bool = False) -> None:
        """Have all nodes emit to all rooms, so many messages a second each, until :meth:`quiet`.

        With ``asks`` they also call members of other nodes, now and then; each call has to end by its answer or an
        error, by its deadline. Not where Redis is away for so long that what waits is dropped: answers would be among
        that.
        """
        assert self._talking is None
        self._talking = asyncio.create_task(self._talk(per_second, asks))

    async def _talk(self, per_second: float, asks: bool) -> None:
        loop = asyncio.get_running_loop()
        began, said = loop.time(), 0
        while True:
            due = int((loop.time() - began) * per_second)
            for node in [node for node in self.members if node.alive] if due > said else ():
                await self.say(node, due - said)
                if asks and self._chance.random() < ASKING:
                    self._asks.add(asyncio.create_task(self._ask(node)))
            said = due
            await asyncio.sleep(TURN)

    async def _ask(self, node: FaultNode) -> None:
        """Have a node call the member of another one (I5)."""
        value = next(self._questions)
        other = self._chance.choice([each for each in self.members if each is not node])
        call = self.members[node].call("ask", self.members[other].sid, value, DEADLINE)
        answer, error, seconds = await call
        self.ends[error or "answered"] += 1
        if (answer, error) != (value, None) and (answer is not None or error not in ENDS):
            self.faults.append(f"a call that was to be answered {value} ended with {answer!r}, {error}")
        if seconds > DEADLINE + LATE:
            self.faults.append(f"a call with a deadline of {DEADLINE:g} s ended after {seconds:.1f} s")

    async def quiet(self) -> None:
        """Have nobody say anything more; returns when all that live have emitted what they were told."""
        talking, self._talking = self._talking, None
        if talking is not None:
            talking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await talking
        asks, self._asks = self._asks, set()
        await asyncio.gather(*asks)
        await asyncio.gather(
            *(member.call("say", []) for node, member in self.members.items() if node.alive and not node.frozen)
        )

    async def everybody_hears(self, timeout: float = LONG, among: Iterable[FaultNode] | None = None) -> None:
        """Wait until each member hears each other node again, from now on. There must be traffic, or there is."""
        since = time.monotonic()
        nodes = list(self.members if among is None else among)
        tags = {self.members[node].tag for node in nodes}

        def missing() -> list[str]:
            return [
                f"{self.members[node].tag} does not hear {tag}"
                for node in nodes
                for tag in tags - {self.members[node].tag}
                if self.arrived[node].get(tag, 0.0) < since
            ]

        deadline = since + timeout
        while missing():
            if time.monotonic() > deadline:
                raise Fault(f"after {timeout:g} s: {'; '.join(missing())}")
            if self._talking is None:
                await asyncio.gather(*(self.say(node) for node in nodes))
            await asyncio.sleep(LOOK_AGAIN / 2)

    # --- checks -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Nothing was received that should not have been (I1 to I5)."""
        unexpected = [packet for member in self.members.values() for packet in member.unexpected]
        if faults := [*self.faults, *unexpected]:
            raise Fault(f"{len(faults)} faults, first: {'; '.join(faults[:5])}")

    def missed(self, node: FaultNode, own: bool) -> int:
        """How much the node's member has missed so far: of its own node, or of the others."""
        tag = self.members[node].tag
        emitters = {flow[0] for flow in self.sent} - self.excused
        return sum(self.missed_of(node, emitter) for emitter in emitters if (emitter == tag) is own)

    def missed_of(self, node: FaultNode, emitter: str) -> int:
        """How much of one emitter's messages the node's member has missed so far."""
        missing = 0
        for flow, sent in self.sent.items():
            if flow[0] == emitter:
                heard = self._heard[node].get(flow)
                missing += sent if heard is None else sent - heard.first - heard.count
        return missing

    def received(self, node: FaultNode, emitter: str) -> int:
        """How many messages of ``emitter`` the node's member has received."""
        return sum(heard.count for flow, heard in self._heard[node].items() if flow[0] == emitter)

    async def losses(self) -> dict[FaultNode, Loss]:
        """What is missing, and what was confessed."""
        nodes = [node for node in self.members if node.alive]
        missing = {node: self.missed(node, own=False) for node in nodes}
        found = dict(zip(nodes, await asyncio.gather(*(node.metrics() for node in nodes)), strict=True))
        looks = await asyncio.gather(*(self.members[node].look() for node in nodes))

        def grown(node: FaultNode, name: str) -> int:
            return found[node][name] - self._since[node][0][name]

        def beside(node: FaultNode, gaps: Sequence[Sequence[Any]]) -> int:
            new = gaps[self._since[node][1] :]
            return sum(count for origin, channel, count in new if ":node:" in channel or origin in self.excused)

        return {
            node: Loss(
                missing[node],
                grown(node, "messages_lost_total"),
                grown(node, "messages_recanted_total"),
                sum(found[other][DROPPED] - self._drops[node, other] for other in nodes if other is not node),
                beside(node, look["gaps"]),
            )
            for node, look in zip(nodes, looks, strict=True)
        }

    async def settled(self, timeout: float = LONG) -> dict[FaultNode, Loss]:
        """End the traffic and see that loss confessed is loss observed, on each node (I8). Nothing local is missing.

        What was lost last is known with the beats that follow, so this takes up to some seconds.
        """
        await self.quiet()
        deadline = time.monotonic() + timeout
        while (found := await self.losses()) and (trouble := self._disagreement(found)):
            if time.monotonic() > deadline:
                raise Fault(trouble)
            await asyncio.sleep(LOOK_AGAIN)
        if self.thorough:
            await asyncio.sleep(SEVERAL_BEATS)
            if trouble := self._disagreement(await self.losses()):
                raise Fault(f"later: {trouble}")
        self.check()
        return found

    def _disagreement(self, found: dict[FaultNode, Loss]) -> str:
        local = {self.members[node].tag: self.missed(node, own=True) for node in found}
        if all(loss.agrees for loss in found.values()) and not any(local.values()):
            return ""
        told = {self.members[node].tag: loss for node, loss in found.items()}
        return f"loss reported is not loss observed: {told}; missing of their own: {local}"
