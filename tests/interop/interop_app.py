"""An application as users of python-socketio write it: nothing but its public names. The official clients talk to it.

Three servers in one process: ``/socket.io/`` as it comes, ``/msgpack.io/`` with the MessagePack serializer, and
``/quick.io/`` with a heartbeat that finds a silent client within half a second, for pages of one origin. Beside them a
static file and an application of another framework. ``interop_wsgi.py`` is the same for the blocking server.
"""

from __future__ import annotations

import os
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import roomcast as socketio
from tests.interop.served import ORIGIN, PING_INTERVAL, STATIC_FILES


class Rooms(socketio.AsyncNamespace):
    """``/room``: members of a room hear each other, not themselves."""

    async def on_join(self, sid: str, room: str) -> list[str]:
        await self.enter_room(sid, room)
        return [name for name in self.rooms(sid) if name != sid]

    async def on_leave(self, sid: str, room: str) -> None:
        await self.leave_room(sid, room)

    async def on_say(self, sid: str, room: str, text: str) -> str:
        await self.emit("said", text, room=room, skip_sid=sid)
        return "said"


def add_life(sio: socketio.AsyncServer) -> None:
    """Who may come, and who hears of those that go."""

    @sio.event
    async def connect(sid: str, environ: dict[str, Any], auth: dict[str, Any] | None) -> None:
        if auth and "refuse" in auth:
            raise socketio.exceptions.ConnectionRefusedError("not welcome", {"because": auth["refuse"]})
        await sio.save_session(sid, {"tag": (auth or {}).get("tag")})
        await sio.emit("welcome", {"auth": auth, "pid": os.getpid()}, to=sid)

    @sio.event
    async def disconnect(sid: str, reason: str) -> None:
        print("left:", reason, flush=True)  # noqa: T201  # who sees this process end hears of it in no other way
        session = await sio.get_session(sid)
        await sio.emit("left", {"tag": session["tag"], "reason": reason}, namespace="/observer")

    @sio.on("connect", namespace="/observer")
    def observe(sid: str, environ: dict[str, Any]) -> None:
        pass


def add_events(sio: socketio.AsyncServer) -> None:
    """What comes back: events, acknowledgements, and questions to the client."""

    @sio.event
    async def echo(sid: str, *args: Any) -> None:
        await sio.emit("echo", args, to=sid)

    @sio.event
    def same(sid: str, *args: Any) -> tuple[Any, ...]:
        return args

    @sio.event
    def types(sid: str, *args: Any) -> list[str]:
        return [type(value).__name__ for value in args]

    @sio.event
    async def ask(sid: str, question: Any) -> None:
        answer = await sio.call("question", question, to=sid, timeout=10)
        await sio.emit("answered", {"call": answer}, to=sid)

    @sio.on("ask with callback")
    async def ask_with_callback(sid: str, question: Any) -> None:
        async def answered(*answer: Any) -> None:
            await sio.emit("answered", {"callback": answer}, to=sid)

        await sio.emit("question", question, to=sid, callback=answered)

    @sio.event
    def transport(sid: str) -> str:
        return sio.transport(sid)

    @sio.event
    async def kick(sid: str) -> None:
        await sio.disconnect(sid)

    @sio.event
    async def dismiss(sid: str, whom: str, close: bool) -> None:
        for words in ("text", b"bytes"):
            await sio.emit("last words", words, to=whom)
        await sio.disconnect(whom, close=close)

    @sio.event
    async def message(sid: str, text: str) -> None:
        await sio.send(text, to=sid)


def add_hall(sio: socketio.AsyncServer) -> None:
    """``/hall``: several rooms at once, events without a handler of their own, sessions, work behind the scenes."""

    @sio.event(namespace="/hall")
    async def enter(sid: str, *rooms: str) -> None:
        for room in rooms:
            await sio.enter_room(sid, room, namespace="/hall")

    @sio.event(namespace="/hall")
    async def tell(sid: str, rooms: list[str], skipped: list[str], text: str) -> None:
        await sio.emit("told", text, room=rooms, skip_sid=skipped, namespace="/hall")

    @sio.event(namespace="/hall")
    async def close(sid: str, room: str) -> None:
        await sio.close_room(room, namespace="/hall")

    @sio.event(namespace="/hall")
    async def visit(sid: str) -> int:
        async with sio.session(sid, namespace="/hall") as session:
            session["visits"] = session.get("visits", 0) + 1
        return int((await sio.get_session(sid, namespace="/hall"))["visits"])

    @sio.event(namespace="/hall")
    def work(sid: str, steps: int) -> None:
        sio.start_background_task(work_on, sid, steps)

    async def work_on(sid: str, steps: int) -> None:
        for step in range(steps):
            await sio.sleep(0)
            await sio.emit("worked", step, to=sid, namespace="/hall")

    @sio.on("*", namespace="/hall")
    async def anything(event: str, sid: str, *args: Any) -> tuple[Any, ...]:
        return event, *args

    @sio.on("where", namespace="*")
    async def where(namespace: str, sid: str, *args: Any) -> tuple[Any, ...]:
        return namespace, *args


def build(origins: Any = "*", **options: Any) -> socketio.AsyncServer:
    sio = socketio.AsyncServer(cors_allowed_origins=origins, **{"ping_interval": PING_INTERVAL, **options})
    sio.register_namespace(Rooms("/room"))
    add_life(sio)
    add_events(sio)
    add_hall(sio)
    return sio


def build_quick() -> socketio.AsyncServer:
    """The one of ``/quick.io/``."""
    return build(origins=[ORIGIN], ping_interval=0.3, ping_timeout=0.2)


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.method} by another application: {(await request.body()).decode()}")


other = Starlette(routes=[Route("/page", page, methods=["GET", "POST"])])
sio = build()
app = socketio.ASGIApp(
    sio,
    socketio.ASGIApp(
        build(serializer="msgpack"),
        socketio.ASGIApp(build_quick(), other, socketio_path="quick.io"),
        socketio_path="msgpack.io",
    ),
    static_files=STATIC_FILES,
)
