"""The application of every node in these tests: it does what its clients tell it to, and tells what it has seen.

``FAULTS_OPTIONS`` is JSON with further options of the server. With ``FAULTS_REQUEUE`` = 3 it has RabbitMQ deliver
again what it was told, every third time (:mod:`tests.support.requeueing`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time  # time: tells when things happened, by the clock that all processes of a machine share
from typing import Any

import roomcast

if every := os.environ.get("FAULTS_REQUEUE"):
    from tests.support.requeueing import requeue

    requeue(int(every))

# The members of all nodes are one process, which reads late on a busy machine; slow clients are not what this is about.
PATIENT = {"max_backlog_bytes": 64 * 1024 * 1024, "max_backlog_packets": 100_000}

options = PATIENT | json.loads(os.environ.get("FAULTS_OPTIONS", "{}"))
sio = roomcast.AsyncServer(cors_allowed_origins="*", **options)
app = roomcast.ASGIApp(sio)

SAID = "m"  # the event that carries traffic: [emitter, room, number, padding]


class Journal(logging.Handler):
    """What the node has logged about its cluster: [moment, level, text]."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[float, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((time.monotonic(), record.levelname, record.getMessage()))


journal = Journal()
logging.getLogger("roomcast").addHandler(journal)
logging.getLogger("roomcast").setLevel(logging.INFO)

gaps: list[list[Any]] = []
ended: list[list[Any]] = []


@sio.cluster.on_gap
def lost(gap: Any) -> None:
    gaps.append([gap.origin, gap.channel, gap.count])


@sio.event
async def enter(sid: str, rooms: list[str], who: str | None = None) -> str:
    """Put a client, by default the one that asks, into rooms. Returns this node's tag."""
    for room in rooms:
        await sio.enter_room(who or sid, room)
    return sio.cluster.tag


@sio.event
async def leave(sid: str, rooms: list[str], who: str | None = None) -> None:
    for room in rooms:
        await sio.leave_room(who or sid, room)


@sio.event
async def say(sid: str, batch: list[list[Any]]) -> bool:
    """Emit numbered messages: a list of [room or None for everybody, first number, count, bytes of padding]."""
    for room, first, count, size in batch:
        padding = "x" * size
        for number in range(first, first + count):
            await sio.emit(SAID, (sio.cluster.tag, room, number, padding), to=room)
    return True


@sio.event
async def say_to(sid: str, rooms: list[str], number: int) -> None:
    """Emit one message to several rooms at once."""
    await sio.emit(SAID, (sio.cluster.tag, "several", number, ""), to=rooms)


@sio.event
async def ask(sid: str, who: str, value: Any, timeout: float | None) -> list[Any]:
    """Call a client of whatever node. Returns [its answer or None, the name of the error or None, seconds]."""
    began = time.monotonic()
    try:
        answer, error = await sio.call("ask", value, to=who, timeout=timeout), None
    except (roomcast.exceptions.SocketIOError, TimeoutError, ValueError) as raised:
        answer, error = None, type(raised).__name__
    return [answer, error, time.monotonic() - began]


@sio.event
async def ask_back(sid: str, target: str, value: Any) -> None:
    """Emit with a callback; what it was called with stands in ``ended`` of :func:`look`."""
    began = time.monotonic()

    def answered(*values: Any) -> None:
        ended.append([value, values, time.monotonic() - began])

    await sio.emit("ask", value, to=target, callback=answered)


@sio.event
async def ask_and_cancel(sid: str, who: str, tokens: list[Any], step: float) -> list[Any]:
    """Call a client once for each token, all at once; the call of number n is cancelled after n steps, each fifth not.

    Returns the answers in the same order, None for what was cancelled.
    """

    async def call(number: int, token: Any) -> Any:
        try:
            async with asyncio.timeout(None if number % 5 == 4 else number * step):
                return await sio.call("ask", token, to=who, timeout=None)
        except TimeoutError:
            return None

    return await asyncio.gather(*(call(number, token) for number, token in enumerate(tokens)))


@sio.event
async def enter_and_cancel(sid: str, rooms: list[str], step: float) -> list[bool]:
    """Enter rooms, all at once, the one of number n cancelled after n steps. Returns which were not."""

    async def enter_one(number: int, room: str) -> bool:
        try:
            async with asyncio.timeout(number * step):
                await sio.enter_room(sid, room)
        except TimeoutError:
            return False
        return True

    return await asyncio.gather(*(enter_one(number, room) for number, room in enumerate(rooms)))


@sio.event
async def look(sid: str) -> dict[str, Any]:
    """What this node knows and has seen."""
    cluster = sio.bus.cluster if sio.bus is not None else None
    return {
        "tag": sio.cluster.tag,
        "now": time.monotonic(),
        "count": sio.cluster.count("/"),
        "nodes": {node.tag: dict(node.clients) for node in sio.cluster.nodes()},
        "census": {**sio.census(), **(cluster.census() if cluster is not None else {})},
        "gaps": gaps,
        "journal": journal.lines,
        "ended": ended,
        "unready": list(cluster.unready()) if cluster is not None else [],
    }


@sio.event(namespace="/chat")
async def enter_chat(sid: str, room: str) -> None:
    await sio.enter_room(sid, room, namespace="/chat")


@sio.event(namespace="/elsewhere")
async def hello(sid: str) -> None:
    """Makes that namespace exist."""
