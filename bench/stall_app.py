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
        self.started = False
        self._wall = self._cpu = 0.0
        self.reset()

    def reset(self) -> None:
        """Begin a new measurement."""
        self.longest = self.longest_cpu = 0.0

    def start(self) -> None:
        """Tick from now on: by timers and not in a task, which the server would wait for when it stops."""
        if not self.started:
            self.started = True
            self._wall, self._cpu = time.perf_counter(), time.process_time()
            asyncio.get_running_loop().call_later(TICK, self._tick)

    def _tick(self) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.longest = max(self.longest, wall - self._wall - TICK)
        self.longest_cpu = max(self.longest_cpu, cpu - self._cpu)
        self._wall, self._cpu = wall, cpu
        asyncio.get_running_loop().call_later(TICK, self._tick)


ticker = Ticker()
left = 0


@sio.event
async def connect(sid: str, environ: dict[str, Any]) -> None:
    """Join a room that is shared with some others, and start the tick with the first client."""
    ticker.start()
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
        ticker.reset()
    state = {
        "clients": len(sio.environ),
        "left": left,
        "longest": ticker.longest,
        "longest_cpu": ticker.longest_cpu,
    }
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(state).encode()})


app = roomcast.ASGIApp(sio, look)
