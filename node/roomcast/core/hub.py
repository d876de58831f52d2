"""Who is connected here, and who is in which room here.

Every socket knows its rooms, so leaving and disconnecting cost O(rooms of that client), however many others there are.
The room of a socket's own sid is virtual: it is found in the table of sockets and can be joined by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any

from roomcast.core.handlers import Call
from roomcast.core.sockets import CONNECTED, CONNECTING, Socket

SEVERAL = (list, tuple, set, frozenset)
NO_MEMBERS: dict[str, Socket] = {}


def _nobody_listens(namespace: str, room: Hashable, present: bool) -> None:
    """Without a cluster nobody needs to know which rooms have members here."""



class Namespace:
    """The members and rooms of one namespace.

    ``events`` is the live table of its handlers by event; ``leaving`` are those whose disconnect handler still runs.
    """

    __slots__ = ("events", "leaving", "name", "rooms", "sockets")

    def __init__(self, name: str, events: dict[str, Call]) -> None:
        self.name = name
        self.events = events
        self.sockets: dict[str, Socket] = {}
        self.leaving: dict[str, Socket] = {}
        self.rooms: dict[Hashable, dict[str, Socket]] = {}

    def is_sid(self, room: Any) -> bool:
        """Whether this name is the sid of a client here."""
        return isinstance(room, str) and (room in self.sockets or room in self.leaving)

    def members(self, target: Any, skip: Any = None) -> Collection[Socket]:
        """The receivers of an emit: None = all, one name, or a collection of names (their union, each socket once).

        ``skip`` is one sid or a collection of them. A name is a room or a sid; unknown names have no members.
        """
        found: Collection[Socket]
        if target is None:
            found = self.sockets.values()
        elif isinstance(target, SEVERAL):
            union: dict[str, Socket] = {}
            for name in target:
                union.update(self._room(name))
            found = union.values()
        else:
            found = self._room(target).values()
        if skip is None:
            return found
        skipped = frozenset(skip) if isinstance(skip, SEVERAL) else frozenset((skip,))
        return [socket for socket in found if socket.sid not in skipped]

    def select(
        self,
        rooms: tuple[Hashable, ...] | None,
        sids: tuple[str, ...] = (),
        except_rooms: Iterable[Hashable] = (),
        except_sids: Collection[str] = (),
    ) -> Collection[Socket]:
        """The receivers of an emit from elsewhere, where rooms and sids are told apart (cluster.md 3).

        ``rooms`` None and no ``sids`` is everybody; both empty is nobody.
        """
        found: Collection[Socket]
        if rooms is None and not sids:
            found = self.sockets.values()
        elif not sids and rooms is not None and len(rooms) == 1:
            found = self.rooms.get(rooms[0], NO_MEMBERS).values()
        else:
            union = {sid: self.sockets[sid] for sid in sids if sid in self.sockets}
            for room in rooms or ():
                union.update(self.rooms.get(room, NO_MEMBERS))
            found = union.values()
        if not except_sids and not except_rooms:
            return found
        skipped = set(except_sids)
        for room in except_rooms:
            skipped.update(self.rooms.get(room, NO_MEMBERS))
        return [socket for socket in found if socket.sid not in skipped] if skipped else found

    def _room(self, name: Hashable) -> dict[str, Socket]:
        room = self.rooms.get(name)
        if room is not None:
            return room
        socket = self.sockets.get(name) if isinstance(name, str) else None
        return NO_MEMBERS if socket is None else {socket.sid: socket}


class Hub:
    """All namespaces of one node. ``events_of(namespace)`` gives the table of handlers for a new one.

    ``on_room(namespace, room, present)`` is called when a room gets its first member here, and when the last has gone.
    """

    def __init__(self, events_of: Callable[[str], dict[str, Call]], max_rooms: int | None = None) -> None:
        self.namespaces: dict[str, Namespace] = {}
        self.on_room: Callable[[str, Hashable, bool], None] = _nobody_listens
        self._events_of = events_of
        self._max_rooms = max_rooms

    def namespace(self, name: str) -> Namespace:
        """Return that namespace, made when it is not there yet."""
        found = self.namespaces.get(name)
        if found is None:
            found = self.namespaces[name] = Namespace(name, self._events_of(name))
        return found

    def find(self, sid: Any, namespace: str) -> Socket | None:
        """The socket of that sid in that namespace, until its disconnect handler has ended."""
        found = self.namespaces.get(namespace)
        if found is None or not isinstance(sid, str):
            return None
        return found.sockets.get(sid) or found.leaving.get(sid)

    def add(self, socket: Socket) -> None:
        """A client begins to connect: from now on it can be put into rooms and found by its sid."""
        socket.namespace.sockets[socket.sid] = socket

    def withdraw(self, socket: Socket) -> None:
        """Nobody can emit to it any more; ``socket.rooms`` stays readable until :meth:`forget`."""
        namespace = socket.namespace
        if namespace.sockets.pop(socket.sid, None) is None:
            return
        namespace.leaving[socket.sid] = socket
        for room in socket.rooms or ():
            self._drop(namespace, room, socket)

    def forget(self, socket: Socket) -> None:
        """The end: nothing here knows the socket any more, nor its namespace if it was the last one there."""
        self.withdraw(socket)
        namespace = socket.namespace
        namespace.leaving.pop(socket.sid, None)
        socket.rooms = socket.session = None
        if not namespace.sockets and not namespace.leaving and self.namespaces.get(namespace.name) is namespace:
            del self.namespaces[namespace.name]

    def enter(self, socket: Socket, room: Hashable) -> None:
        """Put a socket into a room. ValueError for the sid of another socket, or one room too many."""
        if room == socket.sid or room is None:
            return
        if socket.namespace.is_sid(room):
            raise ValueError("cannot enter a sid room: it belongs to the client of that sid alone")
        rooms = socket.rooms
        if rooms is None:
            rooms = socket.rooms = {}
        if room in rooms or socket.state not in (CONNECTING, CONNECTED):
            return
        if self._max_rooms is not None and len(rooms) >= self._max_rooms:
            raise ValueError(f"a client may be in at most {self._max_rooms} rooms (max_rooms)")
        rooms[room] = None
        namespace = socket.namespace
        members = namespace.rooms.get(room)
        if members is None:
            members = namespace.rooms[room] = {}
            self.on_room(namespace.name, room, True)
        members[socket.sid] = socket

    def leave(self, socket: Socket, room: Hashable) -> None:
        """Take a socket out of a room; one that it is not in is fine."""
        if socket.rooms is not None and room in socket.rooms:
            del socket.rooms[room]
            self._drop(socket.namespace, room, socket)

    def close_room(self, namespace: str, room: Hashable) -> None:
        """Take everybody out of a room; an unknown one is fine. ValueError for a sid."""
        found = self.namespaces.get(namespace)
        if found is None:
            return
        if found.is_sid(room):
            raise ValueError("cannot close a sid room: disconnect the client instead")
        for socket in tuple(found.rooms.get(room, {}).values()):
            self.leave(socket, room)

    @staticmethod
    def rooms_of(socket: Socket) -> list[Hashable]:
        """Its own sid first, then its rooms in order of joining."""
        return [socket.sid, *(socket.rooms or ())]

    def _drop(self, namespace: Namespace, room: Hashable, socket: Socket) -> None:
        members = namespace.rooms.get(room)
        if members is not None:
            members.pop(socket.sid, None)
            if not members:
                del namespace.rooms[room]
                self.on_room(namespace.name, room, False)
