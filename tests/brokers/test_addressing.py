from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast_brokers.addressing import MAX_ROOM_BYTES, Room, Target, check_room
from roomcast_brokers.errors import AddressError, RoomTypeError

rooms = st.one_of(st.text(max_size=20), st.integers(min_value=-(2**53), max_value=2**53))


@given(st.lists(rooms, max_size=5))
def test_only_none_means_everyone(to: list[Room]) -> None:
    target = Target.parse(to)
    assert not target.everyone
    assert target.nobody is (to == [])


def test_none_means_everyone() -> None:
    target = Target.parse(None, "/chat", skip_sid="s1")
    assert target == Target(namespace="/chat", everyone=True, except_sids=("s1",))
    assert not target.nobody


@pytest.mark.parametrize("empty", [[], (), set(), iter(())])
def test_an_empty_selection_reaches_nobody(empty: list[Room]) -> None:
    assert Target.parse(empty) == Target()
    assert Target().nobody


@pytest.mark.parametrize("name", ["", "lobby", 0, 7])
def test_one_name_is_one_room_also_when_it_is_falsy(name: Room) -> None:
    assert Target.parse(name).rooms == (name,)


def test_a_room_that_is_named_twice_is_one_room() -> None:
    assert Target.parse(["b", "a", "b"], skip_sid=["x", "x", "y"]) == Target(rooms=("b", "a"), except_sids=("x", "y"))


def test_everyone_but() -> None:
    target = Target.all("/n", except_rooms=["muted"], except_sids=iter(["me"]))
    assert target == Target(namespace="/n", everyone=True, except_rooms=("muted",), except_sids=("me",))


@pytest.mark.parametrize("selection", [{"rooms": ("a",)}, {"sids": ("s",)}])
def test_everyone_and_a_selection_contradict_each_other(selection: dict[str, tuple[str]]) -> None:
    with pytest.raises(AddressError, match="not both"):
        Target(everyone=True, **selection)  # type: ignore[arg-type]  # mypy cannot see the keys


def test_sids_alone_are_somebody() -> None:
    assert not Target(sids=("s",)).nobody


def test_a_target_cannot_be_changed() -> None:
    target = Target.parse("a")
    with pytest.raises(AttributeError):
        target.everyone = True  # type: ignore[misc]  # the point of the test


@given(
    st.builds(
        Target, namespace=st.text(max_size=5), rooms=st.lists(rooms, max_size=3).map(tuple), sids=st.tuples(st.text())
    )
)
def test_a_target_travels(target: Target) -> None:
    encoded = msgspec.msgpack.encode(msgspec.to_builtins(target))
    assert msgspec.msgpack.decode(encoded, type=Target) == target


def test_everyone_is_never_the_default_of_a_decoded_target() -> None:
    assert not msgspec.json.decode(b"{}", type=Target).everyone


@pytest.mark.parametrize("room", ["", "lobby", "é" * (MAX_ROOM_BYTES // 2), 0, -(2**63), 2**64 - 1, "\ud800"])
def test_rooms_that_can_travel(room: Room) -> None:
    assert check_room(room) == room


@pytest.mark.parametrize("size", [MAX_ROOM_BYTES, MAX_ROOM_BYTES + 1])
def test_the_longest_name_of_a_room(size: int) -> None:
    if size <= MAX_ROOM_BYTES:
        assert check_room("x" * size)
    else:
        with pytest.raises(AddressError, match="1,024 bytes"):
            check_room("x" * size)


@pytest.mark.parametrize("room", [-(2**63) - 1, 2**64])
def test_a_number_that_no_message_holds(room: int) -> None:
    with pytest.raises(AddressError, match="64 bits"):
        check_room(room)


@pytest.mark.parametrize("room", [None, 1.0, True, ("a",), b"a"])
def test_rooms_that_cannot(room: object) -> None:
    with pytest.raises(RoomTypeError, match=type(room).__name__):
        check_room(room)
