"""Clients of a cluster's nodes that keep what they hear, answer what they are asked, and call their node's server.

anna = await Visitor.join(node.url)
await anna.do("emit", "hello", 1, to="room")
await anna.until(lambda: anna.heard)
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Self

from websockets.exceptions import ConnectionClosed

from tests.support.api_client import WebSocketClient
from tests.support.patience import PATIENCE

NOTHING: Any = object()
"""What an answer is that is not given."""
FENCE = "fence"
"""The event by which one knows that everything before it has come (:meth:`Visitor.fences`)."""

_PACKET = re.compile(r"4(\d)(?:(\d+)-)?(?:(/[^,\[]*),)?(\d+)?(\[.*)?", re.DOTALL)


class ApplicationError(Exception):
    """What the application raised; ``name`` is the class of the error."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class Packet:
    """An event or acknowledgement that waits for its attachments."""

    def __init__(self, kind: int, number: int | None, args: list[Any], missing: int) -> None:
        self.kind = kind
        self.number = number
        self.args = args
        self.missing = missing
        self._places = deque(sorted(_places(args), key=lambda place: place[2]))

    def feed(self, data: bytes) -> None:
        container, key, _ = self._places.popleft()
        container[key] = data
        self.missing -= 1


class Visitor:
    """A client of one namespace. ``answer(*args)`` gives what it answers: a value, a tuple of several, or NOTHING."""

    def __init__(self, client: WebSocketClient, namespace: str) -> None:
        self.sid = client.sid
        self.tag = client.sid[:4]
        self.namespace = namespace
        self.heard: list[list[Any]] = []
        self.fences: Counter[tuple[str, int]] = Counter()
        self.answer: Callable[..., Any] = lambda *args: NOTHING
        self.left = asyncio.Event()
        """It was told to leave its namespace, or its connection has ended."""
        self.gone = asyncio.Event()
        """Its connection has ended."""
        self._client = client
        self._prefix = "" if namespace == "/" else f"{namespace},"
        self._calls: dict[int, asyncio.Future[list[Any]]] = {}
        self._ids = itertools.count()
        self._something = asyncio.Event()
        self._packet: Packet | None = None
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def join(cls, url: str, namespace: str = "/") -> Self:
        client = await WebSocketClient.open(url)
        await client.connect(namespace)
        return cls(client, namespace)

    # --- what it does -------------------------------------------------------------------------------------------------

    async def event(self, *args: Any, id: int | None = None, acknowledging: bool = False) -> None:
        """Send an event (or an acknowledgement); bytes may stand anywhere in it."""
        attachments: list[bytes] = []
        body = json.dumps(_without_bytes(list(args), attachments))
        kind = (6 if attachments else 3) if acknowledging else 5 if attachments else 2
        count = f"{len(attachments)}-" if attachments else ""
        await self._client.send(f"4{kind}{count}{self._prefix}{'' if id is None else id}{body}", *attachments)

    async def do(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of its node's server; returns what that returned, or raises :class:`ApplicationError`."""
        number = next(self._ids)
        self._calls[number] = asyncio.get_running_loop().create_future()
        await self.event("do", method, list(args), kwargs, id=number)
        async with asyncio.timeout(3 * PATIENCE):
            (result,) = await self._calls[number]
        if "error" in result:
            raise ApplicationError(result["error"], result["text"])
        return result["value"]

    async def look(self) -> dict[str, Any]:
        """What its node knows (tests/cluster/application.py)."""
        found: dict[str, Any] = await self.do("look")
        return found

    async def fenced(self, fences: set[tuple[str, int]]) -> None:
        """Wait until all these have come."""
        await self.until(lambda: fences <= self.fences.keys())

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until what it heard makes the condition true."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._something.clear()
                await self._something.wait()

    async def hears(self, *events: list[Any]) -> None:
        """Wait until it has heard so many, see that they are these, and forget them."""
        await self.until(lambda: len(self.heard) >= len(events))
        assert self.take() == list(events)

    def take(self) -> list[list[Any]]:
        """What it heard since the last call."""
        heard, self.heard = self.heard, []
        return heard

    async def leave(self) -> None:
        """Disconnect from its namespace."""
        await self._client.send(f"41{self._prefix}")

    async def close(self) -> None:
        """End the connection, without ceremony."""
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        await self._client.aclose()

    # --- what it hears ------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        recv = self._client.connection.recv
        try:
            while True:
                await self._take(await recv())
                self._something.set()
        except ConnectionClosed:
            self.left.set()
            self.gone.set()
            self._something.set()
            for call in self._calls.values():
                if not call.done():
                    call.set_exception(ConnectionError("the connection has ended"))
                    call.exception()  # whoever waits still gets it

    async def _take(self, packet: str | bytes) -> None:
        if isinstance(packet, bytes):
            assert self._packet is not None, "an attachment of nothing"
            self._packet.feed(packet)
            await self._complete()
        elif packet == "2":
            await self._client.send("3")
        elif packet == f"41{self._prefix}":
            self.left.set()
        elif match := _PACKET.fullmatch(packet):
            kind, missing, namespace, number, body = match.groups()
            assert (namespace or "/") == self.namespace, packet
            args = json.loads(body)
            self._packet = Packet(int(kind), None if number is None else int(number), args, int(missing or 0))
            await self._complete()

    async def _complete(self) -> None:
        packet = self._packet
        if packet is None or packet.missing:
            return
        self._packet = None
        if packet.kind in (3, 6):
            assert packet.number is not None
            call = self._calls.pop(packet.number)
            if not call.done():  # who asked may have given up
                call.set_result(packet.args)
            return
        if packet.args[0] == FENCE:
            tag, number = packet.args[1]
            self.fences[tag, number] += 1
            return
        self.heard.append(packet.args)
        if packet.number is not None:
            answer = self.answer(*packet.args)
            if answer is not NOTHING:
                values = answer if isinstance(answer, tuple) else (answer,)
                await self.event(*values, id=packet.number, acknowledging=True)


def _places(value: Any) -> list[tuple[Any, Any, int]]:
    """Where attachments belong: (list or dict, index or key, number)."""
    found = []
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if isinstance(item, dict) and item.get("_placeholder") is True:
            found.append((value, key, item["num"]))
        elif isinstance(item, dict | list):
            found += _places(item)
    return found


def _without_bytes(value: Any, attachments: list[bytes]) -> Any:
    if isinstance(value, bytes):
        attachments.append(value)
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, dict):
        return {key: _without_bytes(item, attachments) for key, item in value.items()}
    return [_without_bytes(item, attachments) for item in value] if isinstance(value, list | tuple) else value
