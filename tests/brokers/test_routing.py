"""The table of channels: where an operation goes out, and whom it means there."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast_brokers.addressing import Room
from roomcast_brokers.channels import Channels
from roomcast_brokers.errors import RoomTypeError
from roomcast_brokers.routing import Destination, Owner, destinations

CHANNELS = Channels("shop")
SID = "n2abAbcdefghijklmn_-"
ALL, NODE = "shop:all", "shop:node:n2ab"


def room(name: Room) -> str:
    return CHANNELS.room("/chat", name)


def go(to: Any, owner: Owner | None = None) -> tuple[Destination, ...]:
    return destinations(CHANNELS, "/chat", to, None if owner is None else lambda sid: owner)


def test_everybody() -> None:
    assert go(None) == (Destination(ALL, None, ()),)


@pytest.mark.parametrize("empty", [[], (), set(), {}])
def test_nobody(empty: Any) -> None:
    assert go(empty) == ()


@pytest.mark.parametrize("name", ["lobby", "", 7, 0, -1, "a" * 19, "a" * 19 + "é"])
def test_one_room(name: Room) -> None:
    assert go(name) == go([name]) == (Destination(room(name), (name,)),)


@pytest.mark.parametrize("to", [["lobby", 7], ("lobby", 7, "lobby"), {"lobby": 1, 7: 1}])
def test_several_rooms_are_one_message_for_everybody(to: Any) -> None:
    assert go(to) == (Destination(ALL, ("lobby", 7)),)


def test_in_a_list_a_sid_is_a_room_as_well() -> None:
    for owner in (None, *Owner):
        assert go(["lobby", SID], owner) == (Destination(ALL, ("lobby", SID), (SID,)),)


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        (Owner.HERE, ()),
        (Owner.ABSENT, (Destination(room(SID), (SID,)),)),
        (Owner.PEER, (Destination(NODE, (), (SID,), either=True),)),
        (Owner.UNKNOWN, (Destination(NODE, (), (SID,)), Destination(room(SID), (SID,)))),
        (None, (Destination(NODE, (), (SID,)), Destination(room(SID), (SID,)))),
    ],
)
def test_one_name_that_has_the_form_of_a_sid(owner: Owner | None, expected: tuple[Destination, ...]) -> None:
    assert go(SID, owner) == go([SID], owner) == go((SID, SID), owner) == expected


def test_only_names_of_that_form_are_asked_about() -> None:
    asked: list[str] = []

    def owner(sid: str) -> Owner:
        asked.append(sid)
        return Owner.PEER

    for to in ("lobby", 7, None, [], ["lobby", SID], SID):
        destinations(CHANNELS, "/chat", to, owner)
    assert asked == [SID]


def test_shards() -> None:
    sharded = Channels("shop", shards=True)
    (found,) = destinations(sharded, "/chat", "lobby")
    assert found == Destination(f"shop:shard:{int(room('lobby')[-2:], 16)}", ("lobby",))


@pytest.mark.parametrize("to", [True, 1.5, object(), b"bytes", ["lobby", None], [("a", "b")]])
def test_what_cannot_be_a_room_is_the_applications_fault(to: Any) -> None:
    with pytest.raises(RoomTypeError):
        go(to)
