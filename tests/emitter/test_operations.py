"""What travels for what an application asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from roomcast_brokers.channels import Channels
from roomcast_brokers.errors import AddressError, RoomTypeError, UnencodableError
from roomcast_brokers.messages import BODIES, CloseRoom, Disconnect, Emit, Join, Leave
from roomcast_emitter.operations import EVENT_PACKET, Operations, Order
from roomcast_emitter.selection import Selection

SID = "tagA" + "s" * 16
CHANNELS = Channels("shop")
OPERATIONS = Operations(CHANNELS)


def body(order: Order) -> Any:
    return msgspec.msgpack.decode(order.body, type=BODIES[order.kind])


def sent(chosen: Selection, data: Any = None, **options: Any) -> list[tuple[str, Emit]]:
    return [(order.channel, body(order)) for order in OPERATIONS.emit("e", data, chosen, **options)]


def test_to_everybody_and_to_one_room() -> None:
    emit = Emit(EVENT_PACKET, "/", "json", b'["e"]')
    assert sent(Selection()) == [("shop:all", emit)]
    room = msgspec.structs.replace(emit, rooms=("lobby",), namespace="/x")
    assert sent(Selection("/x", ("lobby",))) == [(CHANNELS.room("/x", "lobby"), room)]


def test_a_list_goes_to_all_nodes_which_select() -> None:
    ((channel, emit),) = sent(Selection("/", ("a", 7, SID), ("b",), ("c",)))
    assert channel == "shop:all"
    assert (emit.rooms, emit.sids) == (("a", 7, SID), (SID,))
    assert (emit.except_rooms, emit.except_sids) == (("b",), ("c",))


def test_what_may_be_a_client_or_a_room_goes_to_both_and_says_which() -> None:
    (to_client, client), (to_room, room) = sent(Selection("/", (SID,)))
    assert (to_client, client.rooms, client.sids) == ("shop:node:tagA", (), (SID,))
    assert (to_room, room.rooms, room.sids) == (CHANNELS.room("/", SID), (SID,), ())
    assert not client.either
    assert not room.either


def test_nobody_is_nobody_but_mistakes_are_told_all_the_same() -> None:
    assert sent(Selection("/", ())) == []
    with pytest.raises(UnencodableError):
        sent(Selection("/", ()), object())


@pytest.mark.parametrize(
    ("data", "args"),
    [(None, ["e"]), ((), ["e"]), ((None,), ["e", None]), ((1, [2]), ["e", 1, [2]]), ([1, 2], ["e", [1, 2]])],
)
def test_what_data_means(data: Any, args: list[Any]) -> None:
    ((_, emit),) = sent(Selection(), data)
    assert json.loads(emit.args) == args
    assert emit.attachments == ()


def test_binary_data_anywhere_is_attached() -> None:
    ((_, emit),) = sent(Selection(), ({"a": [b"one", (b"two",)]},), volatile=True)
    placeholders = [{"_placeholder": True, "num": 0}, [{"_placeholder": True, "num": 1}]]
    assert json.loads(emit.args) == ["e", {"a": placeholders}]
    assert emit.attachments == (b"one", b"two")
    assert emit.volatile


def test_a_json_of_ones_own() -> None:
    class Shouting:
        @staticmethod
        def dumps(value: Any, *, separators: tuple[str, str]) -> str:
            return json.dumps(value, separators=separators).upper()

    (order,) = Operations(CHANNELS, Shouting()).emit("e", "x", Selection())
    assert body(order).args == b'["E","X"]'


@pytest.mark.parametrize(
    ("event", "chosen", "error"),
    [
        ("disconnect", Selection(), ValueError),
        (7, Selection(), TypeError),
        ("e", Selection("/", (2**70,)), AddressError),
        ("e", Selection("/\ud800"), AddressError),
        ("e", Selection("/", ("\ud800",)), AddressError),
    ],
)
def test_mistakes_are_told_at_the_call(event: Any, chosen: Selection, error: type[Exception]) -> None:
    with pytest.raises(error):
        OPERATIONS.emit(event, None, chosen)


def test_what_is_done_to_a_client_goes_to_its_node() -> None:
    for orders, expected in (
        (OPERATIONS.enter_room(SID, "room", None), Join("/", SID, "room")),
        (OPERATIONS.leave_room(SID, 7, "/x"), Leave("/x", SID, 7)),
        (OPERATIONS.disconnect(SID, None, False), Disconnect("/", SID)),
        (OPERATIONS.disconnect(SID, "/x", True), Disconnect("/x", SID, True)),
    ):
        (order,) = orders
        assert order.channel == "shop:node:tagA"
        assert body(order) == expected


def test_what_is_no_sid_belongs_to_nobody() -> None:
    assert OPERATIONS.enter_room("nobody", "room", None) == ()
    assert OPERATIONS.leave_room("nobody", "room", None) == ()
    assert OPERATIONS.disconnect("nobody", None, False) == ()
    for wrong in (7, None, b"x" * 20):
        with pytest.raises(TypeError, match="a sid is a str"):
            OPERATIONS.disconnect(wrong, None, False)  # type: ignore[arg-type]  # the point of the test


def test_closing_a_room_goes_where_it_has_members() -> None:
    (order,) = OPERATIONS.close_room("room", "/x")
    assert order.channel == CHANNELS.room("/x", "room")
    assert body(order) == CloseRoom("/x", "room")


def test_rooms_are_checked_everywhere() -> None:
    calls: list[Callable[[], object]] = [
        lambda: OPERATIONS.enter_room(SID, 1.5, None),  # type: ignore[arg-type]  # the point of the test
        lambda: OPERATIONS.leave_room(SID, None, None),  # type: ignore[arg-type]
        lambda: OPERATIONS.close_room(["a"], None),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(RoomTypeError):
            call()
