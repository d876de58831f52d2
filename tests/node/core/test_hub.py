"""Rooms: who is in which, found in both directions, at the cost of what is asked for."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from roomcast.core.handlers import HandlerTable
from roomcast.core.hub import Hub
from roomcast.core.sockets import CONNECTED, CONNECTING, DOOMED, LEAVING, Socket
from roomcast.engineio.outbox import Flusher, Outbox
from roomcast.settings import Settings
from tests.support.sinks import Counted, Listener, RecordingSink


class House:
    """A hub, and sockets without connections."""

    def __init__(self, max_rooms: int | None = None) -> None:
        self.hub = Hub(HandlerTable().exact, max_rooms)
        self._flusher = Flusher(Settings(), Counted(), Listener(), Listener(), Listener())
        self.made = 0

    def socket(self, namespace: str = "/", state: int = CONNECTED) -> Socket:
        self.made += 1
        client: Any = None
        outbox = Outbox(self._flusher, RecordingSink(), None)
        socket = Socket(f"sid{self.made}", self.hub.namespace(namespace), client, outbox)
        socket.state = state
        self.hub.add(socket)
        return socket

    def members(self, target: Any = None, skip: Any = None, namespace: str = "/") -> list[str]:
        return [socket.sid for socket in self.hub.namespaces[namespace].members(target, skip)]


@pytest.fixture
def house() -> House:
    return House()


def test_namespaces_come_and_go_with_their_sockets(house: House) -> None:
    one, other = house.socket("/a"), house.socket("/a")
    assert house.hub.namespace("/a") is one.namespace
    assert one.namespace.name == "/a"
    house.hub.forget(one)
    assert list(house.hub.namespaces) == ["/a"]
    house.hub.withdraw(other)
    assert list(house.hub.namespaces) == ["/a"]
    house.hub.forget(other)
    assert house.hub.namespaces == {}


def test_finding_a_socket(house: House) -> None:
    socket = house.socket()
    assert house.hub.find(socket.sid, "/") is socket
    for sid, namespace in ((socket.sid, "/other"), ("unknown", "/"), (None, "/"), (7, "/"), ([], "/")):
        assert house.hub.find(sid, namespace) is None
    house.hub.withdraw(socket)
    assert house.hub.find(socket.sid, "/") is socket
    house.hub.forget(socket)
    assert house.hub.find(socket.sid, "/") is None


TARGETS: list[tuple[Any, Any, list[str]]] = [
    (None, None, ["sid1", "sid2", "sid3"]),
    ("a", None, ["sid1", "sid2"]),
    ("sid3", None, ["sid3"]),
    ("unknown", None, []),
    (7, None, ["sid3"]),
    (8, None, []),
    ([], None, []),
    ("", None, []),
    (["a", "sid2", 7], None, ["sid1", "sid2", "sid3"]),
    (("a", "a"), None, ["sid1", "sid2"]),
    ({"a"}, None, ["sid1", "sid2"]),
    (frozenset({"sid1"}), None, ["sid1"]),
    (None, "sid1", ["sid2", "sid3"]),
    ("a", ["sid1", "sid3"], ["sid2"]),
    ("a", ("sid1",), ["sid2"]),
    ("a", {"sid1", "sid2"}, []),
    ("a", "unknown", ["sid1", "sid2"]),
    ("a", [], ["sid1", "sid2"]),
]


@pytest.mark.parametrize(("target", "skip", "receivers"), TARGETS)
def test_who_a_target_selects(house: House, target: Any, skip: Any, receivers: list[str]) -> None:
    one, two, three = (house.socket() for _ in range(3))
    for socket, room in ((one, "a"), (two, "a"), (three, 7)):
        house.hub.enter(socket, room)
    assert house.members(target, skip) == receivers


def test_entering_and_leaving(house: House) -> None:
    one, two = house.socket(), house.socket(state=CONNECTING)
    for socket in (one, two):
        house.hub.enter(socket, "b")
        house.hub.enter(socket, "a")
        house.hub.enter(socket, "a")
        house.hub.enter(socket, None)
        house.hub.enter(socket, socket.sid)
    assert house.hub.rooms_of(one) == ["sid1", "b", "a"]
    house.hub.leave(one, "a")
    house.hub.leave(one, "a")
    house.hub.leave(one, "unknown")
    assert house.hub.rooms_of(one) == ["sid1", "b"]
    assert house.members("a") == ["sid2"]
    house.hub.leave(two, "a")
    assert list(one.namespace.rooms) == ["b"]
    house.hub.leave(house.socket(), "a")


@pytest.mark.parametrize("state", [DOOMED, LEAVING])
def test_who_goes_enters_nothing(house: House, state: int) -> None:
    socket = house.socket(state=state)
    house.hub.enter(socket, "a")
    assert house.hub.rooms_of(socket) == ["sid1"]
    assert socket.namespace.rooms == {}


def test_the_room_of_a_sid_belongs_to_its_client(house: House) -> None:
    one, two = house.socket(), house.socket()
    for going in (False, True):
        if going:
            house.hub.withdraw(two)
        with pytest.raises(ValueError, match="cannot enter a sid room"):
            house.hub.enter(one, two.sid)
        with pytest.raises(ValueError, match="cannot close a sid room"):
            house.hub.close_room("/", two.sid)
        assert one.namespace.is_sid(two.sid)
    house.hub.forget(two)
    assert not one.namespace.is_sid(two.sid)
    assert not one.namespace.is_sid(7)


@pytest.mark.parametrize(("limit", "refused"), [(3, False), (2, True)])
def test_a_socket_may_be_in_so_many_rooms(limit: int, refused: bool) -> None:
    house = House(max_rooms=limit)
    socket = house.socket()
    house.hub.enter(socket, "a")
    house.hub.enter(socket, "b")
    if refused:
        with pytest.raises(ValueError, match="at most 2 rooms"):
            house.hub.enter(socket, "c")
    else:
        house.hub.enter(socket, "c")
    house.hub.enter(socket, "a")
    house.hub.leave(socket, "a")
    house.hub.enter(socket, "d")
    assert len(house.hub.rooms_of(socket)) == limit + 1


def test_closing_a_room(house: House) -> None:
    one, two = house.socket(), house.socket()
    for socket in (one, two):
        house.hub.enter(socket, "a")
        house.hub.enter(socket, "b")
    house.hub.close_room("/", "a")
    house.hub.close_room("/", "a")
    house.hub.close_room("/unknown", "a")
    assert (house.hub.rooms_of(one), house.hub.rooms_of(two)) == (["sid1", "b"], ["sid2", "b"])
    assert list(one.namespace.rooms) == ["b"]


def test_who_leaves_is_in_no_room_but_still_knows_its_rooms(house: House) -> None:
    one, two = house.socket(), house.socket()
    for socket in (one, two):
        house.hub.enter(socket, "a")
    house.hub.withdraw(one)
    house.hub.withdraw(one)
    assert house.members() == house.members("a") == ["sid2"]
    assert house.members("sid1") == []
    assert house.hub.rooms_of(one) == ["sid1", "a"]
    house.hub.leave(one, "a")
    house.hub.forget(one)
    house.hub.forget(one)
    assert one.rooms is None
    house.hub.forget(two)
    assert house.hub.namespaces == {}


def test_leaving_a_room_that_went_with_its_last_member(house: House) -> None:
    socket = house.socket()
    house.hub.enter(socket, "a")
    house.hub.withdraw(socket)
    house.hub.leave(socket, "a")
    assert house.hub.rooms_of(socket) == ["sid1"]


class Rooms(RuleBasedStateMachine):
    """The hub against a set of pairs."""

    sockets = Bundle("sockets")
    rooms = st.sampled_from(["a", "b", 7, ("a", 1)])

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.inside: set[tuple[str, Hashable]] = set()
        self.here: dict[str, Socket] = {}

    @rule(target=sockets, namespace=st.sampled_from(["/", "/other"]))
    def come(self, namespace: str) -> Socket:
        socket = self.house.socket(namespace)
        self.here[socket.sid] = socket
        return socket

    @rule(socket=sockets, room=rooms)
    def enter(self, socket: Socket, room: Hashable) -> None:
        if socket.sid in self.here:
            self.house.hub.enter(socket, room)
            self.inside.add((socket.sid, room))

    @rule(socket=sockets, room=rooms)
    def leave(self, socket: Socket, room: Hashable) -> None:
        self.house.hub.leave(socket, room)
        self.inside.discard((socket.sid, room))

    @rule(namespace=st.sampled_from(["/", "/other"]), room=rooms)
    def close_room(self, namespace: str, room: Hashable) -> None:
        self.house.hub.close_room(namespace, room)
        there = {sid for sid, socket in self.here.items() if socket.namespace.name == namespace}
        self.inside -= {(sid, room) for sid in there}

    @rule(socket=sockets, forget=st.booleans())
    def go(self, socket: Socket, forget: bool) -> None:
        socket.state = LEAVING
        self.house.hub.withdraw(socket)
        if forget:
            self.house.hub.forget(socket)
        self.here.pop(socket.sid, None)
        self.inside = {pair for pair in self.inside if pair[0] != socket.sid}

    @invariant()
    def both_directions_agree(self) -> None:
        found = {
            (sid, room)
            for namespace in self.house.hub.namespaces.values()
            for room, members in namespace.rooms.items()
            for sid in members
        }
        assert found == self.inside
        assert all(members for each in self.house.hub.namespaces.values() for members in each.rooms.values())
        for sid, socket in self.here.items():
            assert {room for room in self.house.hub.rooms_of(socket) if room != sid} == {
                room for inside, room in self.inside if inside == sid
            }
        assert {sid for each in self.house.hub.namespaces.values() for sid in each.sockets} == set(self.here)


Rooms.TestCase.settings = hypothesis_settings(max_examples=50, stateful_step_count=30)
TestRooms = Rooms.TestCase
