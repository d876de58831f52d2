"""A member of a cluster under test: a client that tells its node what to do, answers when asked, and keeps count."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Self

from websockets.exceptions import ConnectionClosed

from tests.support.fault_cluster import FaultNode
from tests.support.patience import PATIENCE
from tests.support.raw_client import RawSocketIO
from tests.support.raw_engine import RawWebSocket

LONG = 3 * PATIENCE
LOOK_AGAIN = 0.1
"""Seconds between two looks at what nodes report."""
SAID = '42["m",'
NOTHING: Any = object()
"""What :attr:`Member.answer` returns where there is to be no answer."""


class Fault(AssertionError):
    """What must not happen has happened; the message says what."""


class Member:
    """A client of one node. Whatever it receives of the traffic is judged by ``hear`` at once."""

    def __init__(self, client: RawSocketIO, node: FaultNode) -> None:
        self.node = node
        self.sid = client.sids["/"]
        self.tag = self.sid[:4]
        self.gone = asyncio.Event()
        self.hear: Callable[[Sequence[Any], float], None] = lambda message, at: None
        self.answer: Callable[[Any], Any] = lambda value: value
        """What it answers to ``ask``; :data:`NOTHING` for no answer."""
        self.asked: Counter[str] = Counter()
        self.unexpected: list[str] = []
        """Packets that nobody should have sent: answers that come twice, events that there are not."""
        self._client = client
        assert isinstance(client.transport, RawWebSocket)
        self._connection = client.transport.connection
        self._unanswered: dict[str, str] = {}
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._next = 0
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def join(cls, node: FaultNode, rooms: Iterable[str] = ()) -> Self:
        """Connect to the node, and enter rooms."""
        client = await RawSocketIO.open(node.url)
        await client.connect("/")
        member = cls(client, node)
        if rooms:
            await member.call("enter", list(rooms))
        return member

    async def call(self, event: str, *args: Any, timeout: float | None = LONG) -> Any:
        """Send an event to the node; returns what its handler returned."""
        self._next += 1
        answer = self._calls[self._next] = asyncio.get_running_loop().create_future()
        await self._connection.send(f"42{self._next}{json.dumps([event, *args])}")
        async with asyncio.timeout(timeout):
            return await answer

    async def tell(self, event: str, *args: Any) -> None:
        """Send an event and wait for nothing."""
        await self._connection.send(f"42{json.dumps([event, *args])}")

    async def answers(self, value: Any) -> None:
        """Answer late what it was asked, with the same value."""
        number = self._unanswered.pop(json.dumps(value))
        await self._connection.send(f"43{number}{json.dumps([value])}")

    async def look(self) -> dict[str, Any]:
        """What the node knows (``look`` of tests/faults/application.py)."""
        found: dict[str, Any] = await self.call("look")
        return found

    async def close(self) -> None:
        """Leave, or vanish where the node does not answer."""
        self._reading.cancel()
        with contextlib.suppress(ConnectionClosed, TimeoutError, OSError):
            if self.node.alive and not self.node.frozen:
                await self._client.close()
        self._client.abort()

    def vanish(self) -> None:
        """End without a word."""
        self._client.abort()

    async def _read(self) -> None:
        recv = self._connection.recv
        try:
            while True:
                packet = await recv()
                if isinstance(packet, str):
                    await self._take(packet)
        except ConnectionClosed:
            self.gone.set()
            for answer in self._calls.values():
                if not answer.done():
                    answer.set_exception(ConnectionError("the node has gone"))
                    answer.exception()  # whoever waits still gets it

    async def _take(self, packet: str) -> None:
        if packet.startswith(SAID):
            self.hear(json.loads(packet[2:])[1:], time.monotonic())
        elif packet == "2":
            await self._connection.send("3")
        elif packet.startswith("43"):
            number, _, _ = packet[2:].partition("[")
            values = json.loads(packet[2 + len(number) :])
            answer = self._calls.pop(int(number), None)
            if answer is None:
                self.unexpected.append(packet)
            elif not answer.done():
                answer.set_result(values[0] if values else None)
        elif packet.startswith("42"):
            number, _, _ = packet[2:].partition("[")
            event, *args = json.loads(packet[2 + len(number) :])
            if event == "ask":
                self.asked[json.dumps(args[0])] += 1
                answered = self.answer(args[0])
                if answered is not NOTHING and number:
                    await self._connection.send(f"43{number}{json.dumps([answered])}")
                elif number:
                    self._unanswered[json.dumps(args[0])] = number
            else:
                self.unexpected.append(packet)


async def eventually(condition: Callable[[], Awaitable[object]], what: str, timeout: float = LONG) -> None:
    """Look again and again until ``condition`` holds."""
    deadline = time.monotonic() + timeout
    while not await condition():
        if time.monotonic() > deadline:
            raise Fault(f"in vain after {timeout:g} s: {what}")
        await asyncio.sleep(LOOK_AGAIN)
