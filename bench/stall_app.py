"""What :mod:`bench.mass_disconnect` looks into: clients in rooms, a disconnect handler, a tick that sees stalls."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import roomcast

TICK = 0.001
# Rooms of this many clients each, so that leaving them is part of the work.
ROOM_SIZE = 50

sio = roomcast.AsyncServer(cors_allowed_origins="*")


class Ticker:
    """Wants to run every millisecond and remembers by how much it was late at worst.

    ``longest`` is on the wall clock, which includes what other programs of the machine took; ``longest_cpu`` is the
    processor time of the process within one such gap. Both in seconds.
    """

    def __init__(self) -> None:
        self.longest = self.longest_cpu = 0.0
        self.task: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """Tick until cancelled."""
        wall, cpu = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(TICK)
            wall_now, cpu_now = time.perf_counter(), time.process_time()
            self.longest = max(self.longest, wall_now - wall - TICK)
            self.longest_cpu = max(self.longest_cpu, cpu_now - cpu)
            wall, cpu = wall_now, cpu_now


ticker = Ticker()
left = 0


@sio.event
async def connect(sid: str, environ: dict[str, Any]) -> None:
    """Join a room that is shared with some others, and start the tick with the first client."""
    if ticker.task is None:
        ticker.task = sio.start_background_task(ticker.run)
    number = len(sio.node.hub.namespaces["/"].sockets)
    await sio.enter_room(sid, f"room {number // ROOM_SIZE}")


@sio.event
async def disconnect(sid: str, reason: str) -> None:
    """Count, as an application does that keeps a list of who is there."""
    global left
    left += 1


async def look(scope: Any, receive: Any, send: Any) -> None:
    """Answer ``GET /``; ``?reset`` starts a new measurement."""
    if scope["type"] != "http":
        return
    if scope["query_string"] == b"reset":
        ticker.longest = ticker.longest_cpu = 0.0
    state = {
        "clients": len(sio.environ),
        "left": left,
        "longest": ticker.longest,
        "longest_cpu": ticker.longest_cpu,
    }
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(state).encode()})


app = roomcast.ASGIApp(sio, look)
