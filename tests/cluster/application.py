"""The application of every node in these tests: its clients call its server's methods by an event.

``do(method, args, kwargs)`` is acknowledged with ``{"value": …}`` or ``{"error": name, "text": …}``.
``CLUSTER_OPTIONS`` is JSON with options of the server, for a node that is a process of its own.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
from collections.abc import Callable
from typing import Any

import roomcast

METHODS = ("emit", "send", "call", "enter_room", "leave_room", "close_room", "disconnect")
"""Those of the server."""
OF_THE_DESK = ("emit_with_callback", "enter_and_emit", "look", "rooms")
NAMESPACES = ("/", "/chat")
MAX_PACKET = 4_000_000
"""Bytes; more than one message between nodes holds, so that tests can ask for too much."""
COMMON: dict[str, Any] = {"cors_allowed_origins": "*", "namespaces": "*", "max_http_buffer_size": MAX_PACKET}
"""Options of every server here."""


class Desk:
    """What clients may call beside the methods of a server of either kind."""

    def __init__(self, sio: Any) -> None:
        self._sio = sio
        self._answers: list[list[Any]] = []
        self._left: list[list[str]] = []
        self._gaps: list[list[Any]] = []
        sio.on("disconnect", self.gone)
        sio.cluster.on_gap(lambda gap: self._gaps.append([gap.origin, gap.channel, gap.count]))

    def gone(self, sid: str, reason: str) -> None:
        self._left.append([sid, reason])

    def look(self) -> dict[str, Any]:
        """What this node knows and has seen."""
        sio = self._sio
        bus = sio.bus
        with sio.looking:
            return {
                "tag": sio.cluster.tag,
                "nodes": {node.tag: node.clients for node in sio.cluster.nodes()},
                "self": [node.tag for node in sio.cluster.nodes() if node.is_self],
                "count": {name: sio.cluster.count(name) for name in NAMESPACES},
                "census": {**sio.census(), **({} if bus is None else bus.cluster.census())},
                "answers": list(self._answers),
                "left": list(self._left),
                "gaps": list(self._gaps),
            }

    def rooms(self, sid: str, namespace: str = "/") -> list[Any]:
        return [room for room in self._sio.rooms(sid, namespace) if room != sid]


class WaitingDesk(Desk):
    """That of an ``AsyncServer``."""

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


def methods_of(sio: Any, desk: Desk) -> dict[str, Callable[..., Any]]:
    """What clients may call, by its name."""
    return {**{name: getattr(sio, name) for name in METHODS}, **{name: getattr(desk, name) for name in OF_THE_DESK}}


def returned(value: Any) -> dict[str, Any]:
    """How clients are told what a method has returned."""
    return {"value": list(value) if isinstance(value, tuple) else value}


def raised(error: Exception) -> dict[str, Any]:
    """How they are told what it has raised."""
    return {"error": type(error).__name__, "text": str(error)}


def build(**options: Any) -> roomcast.AsyncServer:
    """A server with this application."""
    sio = roomcast.AsyncServer(**COMMON, **options)
    methods = methods_of(sio, WaitingDesk(sio))

    async def do(sid: str, method: str, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            value = methods[method](*args, **kwargs)
            return returned(await value if inspect.isawaitable(value) else value)
        except Exception as error:
            return raised(error)

    for namespace in NAMESPACES:
        sio.on("do", do, namespace=namespace)
    return sio


def chosen_options() -> dict[str, Any]:
    """Those of a node that is a process of its own."""
    options: dict[str, Any] = json.loads(os.environ.get("CLUSTER_OPTIONS", "{}"))
    return options


def make() -> roomcast.ASGIApp:
    """For a node that is a process of its own."""
    return roomcast.ASGIApp(build(**chosen_options()))
