"""The surface of client managers that applications read on ``sio.manager`` (python-api.md 1.10), without waiting."""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from roomcast.core.contract import Managing
from roomcast.core.hub import SEVERAL, Namespace
from roomcast.core.sockets import CONNECTED, CONNECTING, DOOMED, Socket


class RoomsView(Mapping[str, "NamespaceView"]):
    """``manager.rooms``: namespace → room → sid → Engine.IO sid, read live; the room None is everybody."""

    def __init__(self, namespaces: Mapping[str, Namespace]) -> None:
        self._namespaces = namespaces

    def __getitem__(self, name: str) -> NamespaceView:
        return NamespaceView(self._namespaces[name])

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._namespaces))  # other tasks may change it meanwhile, here and below

    def __len__(self) -> int:
        return len(self._namespaces)


class NamespaceView(Mapping[Hashable, "RoomView"]):
    """The rooms of one namespace: None, every room that was entered, and every client's own."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def __getitem__(self, room: Hashable) -> RoomView:
        if room is None:
            return RoomView(self._namespace.sockets)
        if room in self._namespace.rooms:
            return RoomView(self._namespace.rooms[room])
        if isinstance(room, str) and room in self._namespace.sockets:
            return RoomView({room: self._namespace.sockets[room]})
        raise KeyError(room)

    def __iter__(self) -> Iterator[Hashable]:
        yield None
        yield from tuple(self._namespace.rooms)
        yield from tuple(self._namespace.sockets)

    def __len__(self) -> int:
        return 1 + len(self._namespace.rooms) + len(self._namespace.sockets)


class RoomView(Mapping[str, str]):
    """The members of one room: sid → Engine.IO sid."""

    def __init__(self, members: Mapping[str, Socket]) -> None:
        self._members = members

    def __getitem__(self, sid: str) -> str:
        return self._members[sid].client.session.sid

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._members))

    def __len__(self) -> int:
        return len(self._members)


class ManagerSurface(Managing):
    """What managers of both colours answer without waiting. Arguments come in the order sid, namespace, room."""

    name = "memory"
    channel = "socketio"
    # What a manager with a broker brings for the server that it is given to.
    broker_url: str | None = None
    broker_options: Mapping[str, Any] = MappingProxyType({})
    broker_keys: Sequence[str | bytes] | None = None

    def __init__(self) -> None:
        self.server: Any = None
        self.host_id = uuid.uuid4().hex

    def set_server(self, server: Any) -> None:
        """Called by the server that it is given to."""
        self.server = server

    def initialize(self) -> None:
        """Called when the server starts; a manager without a broker has nothing to do."""

    @property
    def rooms(self) -> RoomsView:
        """Namespace → room → sid → Engine.IO sid."""
        return RoomsView(self.server.node.hub.namespaces)

    @property
    def callbacks(self) -> dict[str, dict[int, Any]]:
        """How many acknowledgements are awaited, by sid; the callbacks themselves are not shown."""
        with self.server.looking:
            namespaces = self.server.node.hub.namespaces.values()
            sockets = [socket for namespace in namespaces for socket in namespace.sockets.values()]
            return {socket.sid: dict.fromkeys(range(len(socket.acks))) for socket in sockets if socket.acks}

    def get_namespaces(self) -> list[str]:
        """The namespaces that have clients here."""
        return list(self.server.node.hub.namespaces)

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        """Pairs of sid and Engine.IO sid of a room here, of several (a collection), or of everybody (None)."""
        with self.server.looking:
            found = self.server.node.hub.namespaces.get(namespace)
            members = () if found is None else tuple(found.members(room))
        for socket in members:
            yield socket.sid, socket.client.session.sid

    def get_rooms(self, sid: str, namespace: str) -> list[Any]:
        """The rooms of a client here."""
        rooms: list[Any] = self.server.rooms(sid, namespace)
        return rooms

    def is_connected(self, sid: str, namespace: str) -> bool:
        """Whether that client is here, neither connecting nor leaving."""
        socket = self._find(sid, namespace)
        return socket is not None and socket.state == CONNECTED

    def is_pre_connected(self, sid: str, namespace: str) -> bool:
        """Whether its connect handler is running."""
        socket = self._find(sid, namespace)
        return socket is not None and socket.state in (CONNECTING, DOOMED)

    def is_sid_room(self, namespace: str, room: Any) -> bool:
        """Whether this name is the sid of a client here, which nobody else can enter."""
        found = self.server.node.hub.namespaces.get(namespace)
        return found is not None and found.is_sid(room)

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        """The sid that a connection has in a namespace, or None."""
        session = self.server.node.engine.sessions.get(eio_sid)
        socket = None if session is None else session.upper.find(namespace)
        return None if socket is None else socket.sid

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        """The connection of a client here, or None."""
        socket = self._find(sid, namespace)
        return None if socket is None else socket.client.session.sid

    def _find(self, sid: str, namespace: str) -> Socket | None:
        socket: Socket | None = self.server.node.hub.find(sid, namespace)
        return socket

    @staticmethod
    def _one_room(room: Any) -> Any:
        if isinstance(room, SEVERAL):
            raise ValueError("one room at a time")
        return room
