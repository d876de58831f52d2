"""The application of ``interop_app.py`` for the blocking server: the same events, the same answers, beside Flask.

Handlers of one client run at once, and in threads they answer in any order; at ``/orderly.io/`` one after another.
"""

from __future__ import annotations

import os
from typing import Any

import flask

import roomcast as socketio
from tests.interop.served import ORIGIN, PING_INTERVAL, QUICK, STATIC_FILES


class Rooms(socketio.Namespace):
    """``/room``: members of a room hear each other, not themselves."""

    def on_join(self, sid: str, room: str) -> list[str]:
        self.enter_room(sid, room)
        return [name for name in self.rooms(sid) if name != sid]

    def on_leave(self, sid: str, room: str) -> None:
        self.leave_room(sid, room)

    def on_say(self, sid: str, room: str, text: str) -> str:
        self.emit("said", text, room=room, skip_sid=sid)
        return "said"


def add_life(sio: socketio.Server) -> None:
    """Who may come, and who hears of those that go."""

    @sio.event
    def connect(sid: str, environ: dict[str, Any], auth: dict[str, Any] | None) -> None:
        if auth and "refuse" in auth:
            raise socketio.exceptions.ConnectionRefusedError("not welcome", {"because": auth["refuse"]})
        sio.save_session(sid, {"tag": (auth or {}).get("tag")})
        sio.emit("welcome", {"auth": auth, "pid": os.getpid()}, to=sid)

    @sio.event
    def disconnect(sid: str, reason: str) -> None:
        sio.emit("left", {"tag": sio.get_session(sid)["tag"], "reason": reason}, namespace="/observer")

    @sio.on("connect", namespace="/observer")
    def observe(sid: str, environ: dict[str, Any]) -> None:
        pass


def add_events(sio: socketio.Server) -> None:
    """What comes back: events, acknowledgements, and questions to the client."""

    @sio.event
    def echo(sid: str, *args: Any) -> None:
        sio.emit("echo", args, to=sid)

    @sio.event
    def same(sid: str, *args: Any) -> tuple[Any, ...]:
        return args

    @sio.event
    def types(sid: str, *args: Any) -> list[str]:
        return [type(value).__name__ for value in args]

    @sio.event
    def ask(sid: str, question: Any) -> None:
        sio.emit("answered", {"call": sio.call("question", question, to=sid, timeout=10)}, to=sid)

    @sio.on("ask with callback")
    def ask_with_callback(sid: str, question: Any) -> None:
        def answered(*answer: Any) -> None:
            sio.emit("answered", {"callback": answer}, to=sid)

        sio.emit("question", question, to=sid, callback=answered)

    @sio.event
    def transport(sid: str) -> str:
        return sio.transport(sid)

    @sio.event
    def kick(sid: str) -> None:
        sio.disconnect(sid)

    @sio.event
    def dismiss(sid: str, whom: str, close: bool) -> None:
        for words in ("text", b"bytes"):
            sio.emit("last words", words, to=whom)
        sio.disconnect(whom, close=close)

    @sio.event
    def message(sid: str, text: str) -> None:
        sio.send(text, to=sid)


def add_hall(sio: socketio.Server) -> None:
    """``/hall``: several rooms at once, events without a handler of their own, sessions, work behind the scenes."""

    @sio.event(namespace="/hall")
    def enter(sid: str, *rooms: str) -> None:
        for room in rooms:
            sio.enter_room(sid, room, namespace="/hall")

    @sio.event(namespace="/hall")
    def tell(sid: str, rooms: list[str], skipped: list[str], text: str) -> None:
        sio.emit("told", text, room=rooms, skip_sid=skipped, namespace="/hall")

    @sio.event(namespace="/hall")
    def close(sid: str, room: str) -> None:
        sio.close_room(room, namespace="/hall")

    @sio.event(namespace="/hall")
    def visit(sid: str) -> int:
        with sio.session(sid, namespace="/hall") as session:
            session["visits"] = session.get("visits", 0) + 1
        return int(sio.get_session(sid, namespace="/hall")["visits"])

    @sio.event(namespace="/hall")
    def work(sid: str, steps: int) -> None:
        sio.start_background_task(work_on, sid, steps)

    def work_on(sid: str, steps: int) -> None:
        for step in range(steps):
            sio.sleep(0)
            sio.emit("worked", step, to=sid, namespace="/hall")

    @sio.on("*", namespace="/hall")
    def anything(event: str, sid: str, *args: Any) -> tuple[Any, ...]:
        return event, *args

    @sio.on("where", namespace="*")
    def where(namespace: str, sid: str, *args: Any) -> tuple[Any, ...]:
        return namespace, *args


def build(origins: Any = "*", **options: Any) -> socketio.Server:
    sio = socketio.Server(cors_allowed_origins=origins, **{"ping_interval": PING_INTERVAL, **options})
    sio.register_namespace(Rooms("/room"))
    add_life(sio)
    add_events(sio)
    add_hall(sio)
    return sio


other = flask.Flask(__name__)


@other.route("/page", methods=["GET", "POST"])
def page() -> tuple[str, dict[str, str]]:
    body = flask.request.get_data(as_text=True)
    return f"{flask.request.method} by another application: {body}", {"Content-Type": "text/plain"}


sio = build()
orderly = build(async_handlers=False)
quick = build(origins=[ORIGIN], **QUICK)
app = socketio.WSGIApp(
    sio,
    socketio.WSGIApp(
        build(serializer="msgpack"),
        socketio.WSGIApp(quick, socketio.WSGIApp(orderly, other, socketio_path="orderly.io"), socketio_path="quick.io"),
        socketio_path="msgpack.io",
    ),
    static_files=STATIC_FILES,
)
