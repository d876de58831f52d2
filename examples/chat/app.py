"""A chat on roomcast: rooms, names, who is here, who is typing, and ticks for what has arrived.

Start it from the top of the repository with ``roomcast run examples.chat.app:app --port 8080``.

A browser says who it is and where it wants to be in the ``auth`` of its connection. The Socket.IO client sends that
again with every reconnection, so whoever returns is back under the old name, in the old room, without a line of code.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import roomcast
from roomcast.exceptions import ConnectionRefusedError as Refuse

# Everything that strangers can make grow has an end.
MAX_NAME = 24  # characters of a person's or a room's name
MAX_TEXT = 2_000  # characters of one message
MAX_PEOPLE = 100  # in one room: each arrival tells all of them
MAX_MESSAGES = 50  # kept per room for those who arrive later or were away
MAX_ROOMS = 1_000  # rooms that are remembered

HERE = Path(__file__).parent

# Each client's events are handled one after another: what somebody says stays in order.
sio = roomcast.AsyncServer(async_handlers=False, max_http_buffer_size=32_768)
app = roomcast.ASGIApp(
    sio,
    static_files={
        "/": f"{HERE}/public/",
        # Not there before `npm install`: the page then takes the same file from a CDN.
        "/vendor/socket.io.min.js": f"{HERE}/node_modules/socket.io-client/dist/socket.io.min.js",
    },
)


class BadInput(ValueError):
    """What a client asked for cannot be done; the text is for the person in front of it."""


class Person(NamedTuple):
    """Somebody in a room. `key` is a secret of the browser: who has it may take over the name."""

    sid: str
    name: str
    key: str


class Room:
    """The people who are in a room now, by folded name, and its last messages, by id, oldest first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.channel = f"room:{name}"
        self.people: dict[str, Person] = {}
        self.messages: dict[str, dict[str, Any]] = {}

    def names(self) -> list[str]:
        return [person.name for _, person in sorted(self.people.items())]

    def enter(self, person: Person) -> Person | None:
        """Let `person` in. Returns the same browser's older connection when that has not been missed yet."""
        before = self.people.get(person.name.casefold())
        if before and before.key != person.key:
            raise BadInput(f"Somebody in this room is already called {before.name}.")
        if not before and len(self.people) >= MAX_PEOPLE:
            raise BadInput("This room is full.")
        self.people[person.name.casefold()] = person
        return before

    def leave(self, person: Person) -> bool:
        """Let `person` out. False when the name belongs to a newer connection by now."""
        if self.people.get(person.name.casefold()) != person:
            return False
        del self.people[person.name.casefold()]
        return True

    def keep(self, message: dict[str, Any]) -> None:
        self.messages[message["id"]] = message
        while len(self.messages) > MAX_MESSAGES:
            del self.messages[next(iter(self.messages))]


rooms: dict[str, Room] = {}


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


def open_room(name: str) -> Room:
    """The room of that name. A new one takes the place of the oldest empty one when there are too many."""
    if name not in rooms and len(rooms) >= MAX_ROOMS:
        empty = next((room.name for room in rooms.values() if not room.people), None)
        if empty is None:
            raise BadInput("There are too many rooms. Please join one that is open.")
        del rooms[empty]
    return rooms.setdefault(name, Room(name))


async def enter(sid: str, name: str, key: str, room: Room) -> None:
    """Put somebody into `room`, and out of the room they were in; show them what is going on, and tell the others."""
    session = await sio.get_session(sid)
    person, old = Person(sid, name, key), session.get("room")
    before = room.enter(person)
    session.update(person=person, room=room)
    await sio.enter_room(sid, room.channel)
    news = {"people": room.names(), "joined": None if before else name}
    await sio.emit("people", news, room=room.channel, skip_sid=sid)
    welcome = {"room": room.name, "name": name, "people": room.names(), "messages": list(room.messages.values())}
    await sio.emit("welcome", welcome, to=sid)
    if old:
        await leave(person, old)
    if before:
        await sio.emit("replaced", to=before.sid)
        await sio.disconnect(before.sid)


async def leave(person: Person, room: Room) -> None:
    """Take `person` out of `room` and tell the others."""
    await sio.leave_room(person.sid, room.channel)
    if room.leave(person):
        await sio.emit("people", {"people": room.names(), "left": person.name}, room=room.channel)


async def whereabouts(sid: str) -> tuple[Person, Room]:
    """Who is behind `sid`, and where."""
    session = await sio.get_session(sid)
    return session["person"], session["room"]


@sio.event
async def connect(sid: str, environ: Mapping[str, Any], auth: object) -> None:
    """A browser arrives, for the first time or again, with ``{name, room, key}``."""
    wish = auth if isinstance(auth, dict) else {}
    try:
        name, key = line(wish.get("name"), "Your name"), token(wish.get("key"))
        await enter(sid, name, key, open_room(line(wish.get("room"), "The room")))
    except BadInput as problem:
        raise Refuse(str(problem)) from problem


@sio.event
async def join(sid: str, name: object = None) -> dict[str, Any]:
    """Change the room. The answer is empty, or says what is wrong."""
    person, old = await whereabouts(sid)
    try:
        new = open_room(line(name, "The room"))
        if new is not old:
            await enter(sid, person.name, person.key, new)
    except BadInput as problem:
        return {"error": str(problem)}
    return {}


@sio.on("message")
async def say(sid: str, said: object = None) -> dict[str, Any]:
    """Say ``{id, text}`` to the room. The answer holds the server's time: the sender's first tick.

    A browser repeats what was not answered, so a message with a known id is answered again and not said twice.
    """
    person, room = await whereabouts(sid)
    wish = said if isinstance(said, dict) else {}
    try:
        number, text = token(wish.get("id")), words(wish.get("text"))
    except BadInput as problem:
        return {"error": str(problem)}
    if number not in room.messages:
        at = round(time.time() * 1000)
        room.keep({"id": number, "name": person.name, "text": text, "at": at, "delivered": False})
        await tell(room.messages[number], person, room)
    return {"at": room.messages[number]["at"]}


async def tell(message: dict[str, Any], sender: Person, room: Room) -> None:
    """Send a message to everybody else. The first browser that confirms it earns the sender the second tick."""

    async def delivered(*_: object) -> None:
        if not message["delivered"]:
            message["delivered"] = True
            await sio.emit("delivered", message["id"], to=sender.sid)

    await sio.emit("message", message, room=room.channel, skip_sid=sender.sid, callback=delivered)


@sio.event
async def typing(sid: str, active: object = None) -> None:
    """Somebody types, or has stopped. Worth nothing when late, so it may be dropped on the way to a slow reader."""
    person, room = await whereabouts(sid)
    news = {"name": person.name, "active": active is True}
    await sio.emit("typing", news, room=room.channel, skip_sid=sid, volatile=True)


@sio.event
async def disconnect(sid: str, reason: str) -> None:
    """A browser has gone. `leave` tells the others, unless it is back already."""
    session = await sio.get_session(sid)
    if session:
        await leave(session["person"], session["room"])
