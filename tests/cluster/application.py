"""The application of every node in these tests: its clients call its server's methods by an event.

``do(method, args, kwargs)`` is acknowledged with ``{"value": …}`` or ``{"error": name, "text": …}``.
``CLUSTER_OPTIONS`` is JSON with options of the server, for a node that is a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import roomcast

METHODS = ("emit", "send", "call", "enter_room", "leave_room", "close_room", "disconnect")
"""Those of the server; the others are :class:`Desk`'s."""
MAX_PACKET = 4_000_000
"""Bytes; more than one message between nodes holds, so that tests can ask for too much."""


class Desk:
    """What clients may call beside the server's own methods."""

    def __init__(self, sio: roomcast.AsyncServer) -> None:
        self._sio = sio
        self._answers: list[list[Any]] = []
        self._left: list[list[str]] = []
        self._gaps: list[list[Any]] = []
        sio.on("disconnect", self.gone)
        sio.cluster.on_gap(lambda gap: self._gaps.append([gap.origin, gap.channel, gap.count]))

    def gone(self, sid: str, reason: str) -> None:
        self._left.append([sid, reason])

    async def emit_with_callback(self, event: str, data: Any = None, to: Any = None, namespace: str = "/") -> None:
        """Emit, and keep what the callback is called with."""

        async def answered(*values: Any) -> None:
            await asyncio.sleep(0)  # that it may wait, as any handler
            self._answers.append(list(values))

        await self._sio.emit(event, data, to=to, namespace=namespace, callback=answered)

    async def enter_and_emit(self, sid: str, room: str, count: int) -> None:
        """Enter a room and emit to it, again and again."""
        for number in range(count):
            await self._sio.enter_room(sid, room)
            await self._sio.emit("entered", number, to=room)
            await self._sio.leave_room(sid, room)

    async def look(self) -> dict[str, Any]:
        """What this node knows and has seen."""
        sio = self._sio
        bus = sio.bus
        return {
            "tag": sio.cluster.tag,
            "nodes": {node.tag: node.clients for node in sio.cluster.nodes()},
            "self": [node.tag for node in sio.cluster.nodes() if node.is_self],
            "count": {name: sio.cluster.count(name) for name in ("/", "/chat")},
            "census": {**sio.census(), **({} if bus is None else bus.cluster.census())},
            "answers": self._answers,
            "left": self._left,
            "gaps": self._gaps,
        }

    async def rooms(self, sid: str, namespace: str = "/") -> list[Any]:
        return [room for room in self._sio.rooms(sid, namespace) if room != sid]


def build(**options: Any) -> roomcast.AsyncServer:
    """A server with this application."""
    sio = roomcast.AsyncServer(cors_allowed_origins="*", namespaces="*", max_http_buffer_size=MAX_PACKET, **options)
    desk = Desk(sio)
    methods: dict[str, Callable[..., Awaitable[Any]]] = {name: getattr(sio, name) for name in METHODS}
    methods |= {name: getattr(desk, name) for name in ("emit_with_callback", "enter_and_emit", "look", "rooms")}

    async def do(sid: str, method: str, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            value = await methods[method](*args, **kwargs)
        except Exception as error:
            return {"error": type(error).__name__, "text": str(error)}
        return {"value": list(value) if isinstance(value, tuple) else value}

    for namespace in ("/", "/chat"):
        sio.on("do", do, namespace=namespace)
    return sio


def make() -> roomcast.ASGIApp:
    """For a node that is a process of its own."""
    return roomcast.ASGIApp(build(**json.loads(os.environ.get("CLUSTER_OPTIONS", "{}"))))
