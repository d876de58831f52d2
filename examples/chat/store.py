"""What the nodes of the chat have to know in common: who is in which room, and what was said there last.

A node of roomcast holds its own clients and nothing else, so this is in a database, as it would be in any application
with more than one process. SQLite, because it needs no server: all nodes are on one machine here. Over several machines
it would be the database that the application has anyway.

Every call takes a fraction of a millisecond, which an event loop can spare. A database at the other end of a network is
one to await.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

# Everything that strangers can make grow has an end.
MAX_PEOPLE = 100  # in one room: each arrival tells all of them
MAX_MESSAGES = 50  # kept per room for those who arrive later or were away
MAX_ROOMS = 1_000  # rooms that are remembered

# Of the tables below. A file of another version is begun anew.
VERSION = 1
TABLES = (
    "CREATE TABLE rooms (name TEXT PRIMARY KEY, version INTEGER NOT NULL DEFAULT 0, used REAL NOT NULL)",
    """CREATE TABLE people (room TEXT, folded TEXT, name TEXT NOT NULL, key TEXT NOT NULL, sid TEXT NOT NULL,
       node TEXT NOT NULL, PRIMARY KEY (room, folded))""",
    """CREATE TABLE messages (number INTEGER PRIMARY KEY, room TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
       text TEXT NOT NULL, at INTEGER NOT NULL, delivered INTEGER NOT NULL DEFAULT 0, UNIQUE (room, id))""",
)


class BadInput(ValueError):
    """What a client asked for cannot be done; the text is for the person in front of it."""


class Person(NamedTuple):
    """Somebody in a room. `key` is a secret of the browser: who has it may take over the name."""

    sid: str
    name: str
    key: str


class People(NamedTuple):
    """Who is in a room. Of two lists, which may overtake each other on their way, the one with the higher version is
    the newer one.
    """

    version: int
    names: list[str]


class Store:
    """``path`` is a file that all nodes open; ``:memory:`` is enough for one."""

    def __init__(self, path: str) -> None:
        self._path = path

    # --- people -------------------------------------------------------------------------------------------------------

    def enter(self, room: str, person: Person, node: str) -> Person | None:
        """Let `person` in. Returns the same browser's older connection when that has not been missed yet."""
        with self._transaction() as database:
            self._open_room(database, room)
            where = (room, person.name.casefold())
            row = database.execute("SELECT sid, name, key FROM people WHERE room = ? AND folded = ?", where).fetchone()
            before = Person(*row) if row else None
            if before and before.key != person.key:
                raise BadInput(f"Somebody in this room is already called {before.name}.")
            count: int = database.execute("SELECT count(*) FROM people WHERE room = ?", (room,)).fetchone()[0]
            if not before and count >= MAX_PEOPLE:
                raise BadInput("This room is full.")
            row = (*where, person.name, person.key, person.sid, node)
            database.execute("INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?, ?, ?)", row)
            _changed(database, room)
        return before

    def leave(self, room: str, person: Person) -> bool:
        """Let `person` out. False when the name belongs to a newer connection by now."""
        with self._transaction() as database:
            where = (room, person.name.casefold(), person.sid)
            gone = database.execute("DELETE FROM people WHERE room = ? AND folded = ? AND sid = ?", where).rowcount == 1
            if gone:
                _changed(database, room)
        return gone

    def people(self, room: str) -> People:
        """Who is there now, in the order of their names."""
        with self._transaction() as database:
            found = database.execute("SELECT version FROM rooms WHERE name = ?", (room,)).fetchone()
            names = database.execute("SELECT name FROM people WHERE room = ? ORDER BY folded", (room,)).fetchall()
        return People(found[0] if found else 0, [name for (name,) in names])

    def nodes(self) -> set[str]:
        """The nodes that have people."""
        return {node for (node,) in self._database.execute("SELECT DISTINCT node FROM people")}

    def forget(self, nodes: Collection[str]) -> list[tuple[str, str]]:
        """Let everybody out who is with one of these nodes, which are gone. Returns their rooms and names."""
        gone: list[tuple[str, str]] = []
        with self._transaction() as database:
            for node in nodes:
                gone += database.execute("SELECT room, name FROM people WHERE node = ?", (node,)).fetchall()
                database.execute("DELETE FROM people WHERE node = ?", (node,))
            for room in {room for room, _ in gone}:
                _changed(database, room)
        return gone

    # --- messages -----------------------------------------------------------------------------------------------------

    def keep(self, room: str, message: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Keep a message, unless one with its id is there. Returns the one that is there now, and whether it is new."""
        with self._transaction() as database:
            row = (room, *(message[key] for key in ("id", "name", "text", "at")))
            cursor = database.execute(
                "INSERT OR IGNORE INTO messages (room, id, name, text, at) VALUES (?, ?, ?, ?, ?)", row
            )
            if cursor.rowcount == 1:
                database.execute(
                    "DELETE FROM messages WHERE room = ? AND number <= "
                    "(SELECT number FROM messages WHERE room = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
                    (room, room, MAX_MESSAGES),
                )
            found = database.execute(f"{_MESSAGES} AND id = ?", (room, message["id"])).fetchone()
        return _message(found), cursor.rowcount == 1

    def messages(self, room: str) -> list[dict[str, Any]]:
        """The last messages, oldest first."""
        return [_message(row) for row in self._database.execute(f"{_MESSAGES} ORDER BY number", (room,))]

    def delivered(self, room: str, number: str) -> bool:
        """Note that somebody has that message. True for the first one."""
        change = "UPDATE messages SET delivered = 1 WHERE room = ? AND id = ? AND NOT delivered"
        return self._database.execute(change, (room, number)).rowcount == 1

    # --- rooms, and the file ------------------------------------------------------------------------------------------

    def _open_room(self, database: sqlite3.Connection, name: str) -> None:
        """The room of that name. A new one takes the place of the oldest empty one when there are too many."""
        known = database.execute("SELECT 1 FROM rooms WHERE name = ?", (name,)).fetchone()
        if not known and database.execute("SELECT count(*) FROM rooms").fetchone()[0] >= MAX_ROOMS:
            empty = database.execute(
                "SELECT name FROM rooms WHERE name NOT IN (SELECT room FROM people) ORDER BY used, name LIMIT 1"
            ).fetchone()
            if empty is None:
                raise BadInput("There are too many rooms. Please join one that is open.")
            database.execute("DELETE FROM rooms WHERE name = ?", empty)
            database.execute("DELETE FROM messages WHERE room = ?", empty)
        database.execute(
            "INSERT INTO rooms (name, used) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET used = excluded.used",
            (name, time.time()),
        )

    @cached_property
    def _database(self) -> sqlite3.Connection:
        """Open from the first use on."""
        database = sqlite3.connect(self._path, timeout=5, isolation_level=None)
        # Not waiting for the disk: what a crash of the whole machine takes away is the chat's last words.
        database.execute("PRAGMA synchronous = OFF")
        with _transaction(database):
            if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    database.execute(f"DROP TABLE {table}")
                for statement in TABLES:
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {VERSION}")
        return database

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _transaction(self._database):
            yield self._database

    def close(self) -> None:
        """Let go of the file. It is opened again when it is needed."""
        database = self.__dict__.pop("_database", None)
        if database is not None:
            database.close()


_MESSAGES = "SELECT id, name, text, at, delivered FROM messages WHERE room = ?"


def _message(row: tuple[str, str, str, int, int]) -> dict[str, Any]:
    number, name, text, at, delivered = row
    return {"id": number, "name": name, "text": text, "at": at, "delivered": bool(delivered)}


def _changed(database: sqlite3.Connection, room: str) -> None:
    database.execute("UPDATE rooms SET version = version + 1 WHERE name = ?", (room,))


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, and one node after another."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
