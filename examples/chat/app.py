"""A chat on roomcast: rooms, names, who is here, who is typing, and ticks for what has arrived. On one node or many.

Start it from the top of the repository with ``roomcast up examples.chat.app:app --nodes 2 --port 8080``.

A browser says who it is and where it wants to be in the ``auth`` of its connection. The Socket.IO client sends that
again with every reconnection, so whoever returns is back under the old name, in the old room, without a line of code.

Whatever is sent here reaches its receivers on every node. What the nodes must know in common is in the store.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import roomcast
from examples.chat.store import BadInput, Person, Store
from roomcast.exceptions import ConnectionRefusedError as Refuse

# Everything that strangers can make grow has an end; the store has more of these.
MAX_NAME = 24  # characters of a person's or a room's name
MAX_TEXT = 2_000  # characters of one message

LOOK = 2.0  # seconds between two looks at the cluster

HERE = Path(__file__).parent

logger = logging.getLogger("chat")

# All nodes of the cluster open the same file.
store = Store(os.environ.get("CHAT_DATABASE") or f"{HERE}/chat.sqlite3")

# Each client's events are handled one after another: what somebody says stays in order.
sio = roomcast.AsyncServer(async_handlers=False, max_http_buffer_size=32_768)


def line(value: object, what: str) -> str:
    """A name from a client: one line of printable text with single spaces."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not 0 < len(text) <= MAX_NAME or not text.isprintable():
        raise BadInput(f"{what} needs 1 to {MAX_NAME} visible characters.")
    return text


def words(value: object) -> str:
    """The text of a message. Any characters: the page shows text as text, never as HTML."""
    text = value.strip() if isinstance(value, str) else ""
    if not 0 < len(text) <= MAX_TEXT:
        raise BadInput(f"A message needs 1 to {MAX_TEXT} characters.")
    return text


def token(value: object) -> str:
    """An id or a secret that a client made: opaque, short, never shown."""
    if not isinstance(value, str) or not 8 <= len(value) <= 64 or not value.isascii():
        raise BadInput("This page is out of date. Please reload it.")
    return value


def channel(room: str) -> str:
    """The Socket.IO room of a room of ours: nobody can name one that the application uses otherwise."""
    return f"room:{room}"


async def enter(sid: str, name: str, key: str, room: str) -> None:
    """Put somebody into `room`, and out of the room they were in; show them what is going on, and tell the others."""
    session = await sio.get_session(sid)
    person, old = Person(sid, name, key), session.get("room")
    before = store.enter(room, person, sio.cluster.tag)
    session.update(person=person, room=room)
    # From here on everything that is said reaches them, from whichever node; so what was said before can be looked up.
    await sio.enter_room(sid, channel(room))
    await tell_people(room, joined=None if before else name, skip_sid=sid)
    people = store.people(room)
    welcome = {"room": room, "name": name, "version": people.version, "people": people.names}
    await sio.emit("welcome", {**welcome, "messages": store.messages(room), "cluster": cluster()}, to=sid)
    if old:
        await leave(person, old)
    if before:
        await sio.emit("replaced", to=before.sid)
        await sio.disconnect(before.sid)


async def leave(person: Person, room: str) -> None:
    """Take `person` out of `room` and tell the others."""
    await sio.leave_room(person.sid, channel(room))
    if store.leave(room, person):
        await tell_people(room, left=person.name)


async def tell_people(
    room: str, *, joined: str | None = None, left: str | None = None, skip_sid: str | None = None
) -> None:
    """Tell everybody in the room who is there now."""
    people = store.people(room)
    news = {"room": room, "version": people.version, "people": people.names, "joined": joined, "left": left}
    await sio.emit("people", news, room=channel(room), skip_sid=skip_sid)


async def whereabouts(sid: str) -> tuple[Person, str]:
    """Who is behind `sid`, and in which room."""
    session = await sio.get_session(sid)
    return session["person"], session["room"]


@sio.event
async def connect(sid: str, environ: Mapping[str, Any], auth: object) -> None:
    """A browser arrives, for the first time or again, with ``{name, room, key}``."""
    wish = auth if isinstance(auth, dict) else {}
    try:
        name, key = line(wish.get("name"), "Your name"), token(wish.get("key"))
        await enter(sid, name, key, line(wish.get("room"), "The room"))
    except BadInput as problem:
        raise Refuse(str(problem)) from problem


@sio.event
async def join(sid: str, name: object = None) -> dict[str, Any]:
    """Change the room. The answer is empty, or says what is wrong."""
    person, old = await whereabouts(sid)
    try:
        new = line(name, "The room")
        if new != old:
            await enter(sid, person.name, person.key, new)
    except BadInput as problem:
        return {"error": str(problem)}
    return {}


@sio.on("message")
async def say(sid: str, said: object = None) -> dict[str, Any]:
    """Say ``{id, text}`` to the room. The answer holds the server's time: the sender's first tick.

    A browser repeats what was not answered, perhaps on another node. A message with a known id is answered again and
    not said twice.
    """
    person, room = await whereabouts(sid)
    wish = said if isinstance(said, dict) else {}
    try:
        number, text = token(wish.get("id")), words(wish.get("text"))
    except BadInput as problem:
        return {"error": str(problem)}
    at = round(time.time() * 1000)
    message, is_new = store.keep(room, {"id": number, "name": person.name, "text": text, "at": at})
    if is_new:
        await tell(message, person, room)
    return {"at": message["at"]}


async def tell(message: dict[str, Any], sender: Person, room: str) -> None:
    """Send a message to everybody else. The first browser that confirms it earns the sender the second tick."""

    async def delivered(*_: object) -> None:
        if store.delivered(room, message["id"]):
            await sio.emit("delivered", message["id"], to=sender.sid)

    await sio.emit("message", message, room=channel(room), skip_sid=sender.sid, callback=delivered)


@sio.event
async def typing(sid: str, active: object = None) -> None:
    """Somebody types, or has stopped. Worth nothing when late, so it may be dropped on the way to a slow reader."""
    person, room = await whereabouts(sid)
    news = {"name": person.name, "active": active is True}
    await sio.emit("typing", news, room=channel(room), skip_sid=sid, volatile=True)


@sio.event
async def disconnect(sid: str, reason: str) -> None:
    """A browser has gone. `leave` tells the others, unless it is back already."""
    session = await sio.get_session(sid)
    if session:
        await leave(session["person"], session["room"])


# --- the cluster ------------------------------------------------------------------------------------------------------


def cluster() -> dict[str, Any]:
    """What the pages show of it: this node, how many there are, and how many people are online on all of them."""
    return {"node": sio.cluster.tag, "nodes": len(sio.cluster.nodes()), "online": sio.cluster.count()}


class Watch:
    """Looks at the cluster every other second: what has changed is shown, and who was on a node that died goes."""

    def __init__(self) -> None:
        self._missing: set[str] = set()
        self._shown: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Called when the node starts."""
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Called when it has stopped."""
        if self._task is not None:
            self._task.cancel()
        store.close()

    async def look(self) -> None:
        """Tell this node's pages what is new; each node does that for its own."""
        now = cluster()
        if now != self._shown:
            self._shown = now
            await sio.emit("cluster", now, ignore_queue=True)
        missing = store.nodes() - {node.tag for node in sio.cluster.nodes()}
        # Missing twice is gone: somebody may have come whose first heartbeat has not. Without a broker nobody knows.
        gone = missing & self._missing if not sio.readiness().degraded else set()
        self._missing = missing
        await forget(gone)

    async def _run(self) -> None:
        await forget({sio.cluster.tag})  # of a former life of this node, which did not end in order
        while True:
            try:
                await self.look()
            except sqlite3.Error:
                logger.exception("the store cannot be used")
            await asyncio.sleep(LOOK)


async def forget(nodes: set[str]) -> None:
    """Take out the people of nodes that are gone, and tell the others."""
    for room, name in store.forget(nodes) if nodes else ():
        await tell_people(room, left=name)


watch = Watch()

app = roomcast.ASGIApp(
    sio,
    static_files={
        "/": f"{HERE}/public/",
        # Not there before `npm install`: the page then takes the same file from a CDN.
        "/vendor/socket.io.min.js": f"{HERE}/node_modules/socket.io-client/dist/socket.io.min.js",
    },
    on_startup=watch.start,
    on_shutdown=watch.stop,
)
