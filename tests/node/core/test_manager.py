"""What applications read on ``sio.manager``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from roomcast.core.manager import ManagerSurface
from roomcast.core.work import CallConnect
from tests.support.played import LATER, Peer, Stage


class Rooms:
    """The part of a server that a manager asks."""

    def __init__(self, stage: Stage) -> None:
        self.node = stage.node
        self.looking = nullcontext()

    def rooms(self, sid: str, namespace: str) -> list[Any]:
        socket = self.node.hub.find(sid, namespace)
        return [] if socket is None else self.node.hub.rooms_of(socket)


class House:
    """A manager, two clients in ``/`` (the first in a room), and one in ``/chat``."""

    def __init__(self) -> None:
        self.stage = Stage(namespaces=["/", "/chat"])
        self.manager = ManagerSurface()
        self.manager.set_server(Rooms(self.stage))
        self.manager.initialize()
        (self.one, self.sid_one), (self.two, self.sid_two) = self.stage.joins(), self.stage.joins()
        self.three, self.sid_three = self.stage.joins("/chat")
        self.stage.node.enter_room(self.sid_one, "room", "/")

    def eio(self, peer: Peer) -> str:
        return peer.session.sid


@pytest.fixture
def house() -> House:
    return House()


def test_the_rooms_as_programs_read_them(house: House) -> None:
    rooms = house.manager.rooms
    one, two = house.eio(house.one), house.eio(house.two)
    assert (list(rooms), len(rooms)) == (["/", "/chat"], 2)
    assert dict(rooms["/"]["room"]) == {house.sid_one: one}
    assert dict(rooms["/"][None]) == {house.sid_one: one, house.sid_two: two}
    assert dict(rooms["/"][house.sid_two]) == {house.sid_two: two}
    assert list(rooms["/"]) == [None, "room", house.sid_one, house.sid_two]
    assert (len(rooms["/"]), len(rooms["/"][None]), len(rooms["/"]["room"])) == (4, 2, 1)
    assert rooms["/"].get("unknown") is None
    assert rooms.get("/unknown") is None
    for missing in ("unknown", 7):
        with pytest.raises(KeyError):
            rooms["/"][missing]
    assert house.sid_two not in rooms["/"]["room"]


def test_the_rooms_are_read_live(house: House) -> None:
    rooms = house.manager.rooms["/"]
    house.stage.node.enter_room(house.sid_two, "room", "/")
    assert list(rooms["room"]) == [house.sid_one, house.sid_two]
    house.one.vanishes()
    assert list(rooms["room"]) == [house.sid_two]


def test_participants(house: House) -> None:
    one, two = (house.sid_one, house.eio(house.one)), (house.sid_two, house.eio(house.two))
    participants = house.manager.get_participants
    assert list(participants("/", None)) == [one, two]
    assert list(participants("/", "room")) == [one]
    assert list(participants("/", ["room", house.sid_two])) == [one, two]
    assert list(participants("/unknown", None)) == []
    for sid, _ in participants("/", None):  # who iterates may disconnect
        house.stage.driver.do(house.stage.node.disconnect(sid, "/"))
    assert list(participants("/", None)) == []
    assert house.manager.get_namespaces() == ["/chat"]


def test_who_is_who(house: House) -> None:
    manager = house.manager
    assert manager.get_namespaces() == ["/", "/chat"]
    assert manager.get_rooms(house.sid_one, "/") == [house.sid_one, "room"]
    assert manager.get_rooms("unknown", "/") == []
    eio_sid = house.eio(house.one)
    assert manager.sid_from_eio_sid(eio_sid, "/") == house.sid_one
    assert manager.sid_from_eio_sid(eio_sid, "/chat") is None
    assert manager.sid_from_eio_sid("unknown", "/") is None
    assert manager.eio_sid_from_sid(house.sid_one, "/") == eio_sid
    assert manager.eio_sid_from_sid("unknown", "/") is None
    assert manager.is_sid_room("/", house.sid_one)
    assert not manager.is_sid_room("/", "room")
    assert not manager.is_sid_room("/unknown", house.sid_one)


def test_who_is_connecting_is_not_connected(house: House) -> None:
    house.stage.on("connect", lambda sid, environ: LATER)
    peer = house.stage.peer()
    peer.sends("40")
    sid = house.manager.sid_from_eio_sid(house.eio(peer), "/")
    assert sid is not None
    manager = house.manager
    assert (manager.is_connected(sid, "/"), manager.is_pre_connected(sid, "/")) == (False, True)
    house.stage.driver.finish(CallConnect)
    assert (manager.is_connected(sid, "/"), manager.is_pre_connected(sid, "/")) == (True, False)
    for ask in (manager.is_connected, manager.is_pre_connected):
        assert not ask("unknown", "/")


def test_awaited_answers_are_counted(house: House) -> None:
    assert house.manager.callbacks == {}
    for _ in range(2):
        house.stage.node.emit_with_ack("q", None, "waiter", house.sid_one)
    assert house.manager.callbacks == {house.sid_one: {0: None, 1: None}}
    assert len(house.manager.callbacks[house.sid_one]) == 2


def test_every_manager_is_another_host() -> None:
    one, other = ManagerSurface(), ManagerSurface()
    assert one.host_id != other.host_id
    assert len(one.host_id) == 32
    assert (one.name, one.channel) == ("memory", "socketio")


@pytest.mark.parametrize("rooms", [["a"], ("a",), {"a"}, frozenset("a")])
def test_one_room_at_a_time(rooms: Any) -> None:
    assert ManagerSurface._one_room("a") == "a"
    with pytest.raises(ValueError, match="one room"):
        ManagerSurface._one_room(rooms)
