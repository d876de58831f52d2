"""Names of channels: hashed, bounded, and the same everywhere."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast_brokers import channels as module
from roomcast_brokers.addressing import MAX_ROOM_BYTES, Room
from roomcast_brokers.channels import (
    DEFAULT_CLUSTER,
    MAX_CLUSTER_LENGTH,
    Channels,
    check_cluster,
    is_sid_form,
    room_digest,
    tag_of,
)
from roomcast_brokers.errors import AddressError, RoomTypeError
from tests.support.raw_envelope import room_channel

texts = st.text(st.characters(codec="utf-8"), max_size=20)
rooms = st.one_of(texts, st.integers(-(2**63), 2**64 - 1))


def test_everyone_and_nodes() -> None:
    assert Channels().everyone == "socketio:all"
    assert Channels().cluster == DEFAULT_CLUSTER
    channels = Channels("shop")
    assert (channels.everyone, channels.node("n1-_")) == ("shop:all", "shop:node:n1-_")


@given(texts, texts)
def test_rooms_are_where_an_independent_writer_finds_them(namespace: str, name: str) -> None:
    assert Channels("shop").room(namespace, name) == room_channel(namespace, "str", name)


@given(texts, st.integers(-(2**63), 2**64 - 1))
def test_numbered_rooms_too(namespace: str, number: int) -> None:
    assert Channels("shop").room(namespace, number) == room_channel(namespace, "int", str(number))


@pytest.mark.parametrize(
    ("namespace", "room", "digest"),
    [
        ("/", "lobby", "e2c77ab3b8130a2b7fcf1282299f903e"),
        ("/", 7, "e0600f6ce5d785643892c266e9690855"),
        ("/chat", "größer", "409d673ff5d658b9a482273d346fc64a"),
    ],
)
def test_where_a_room_is_never_changes(namespace: str, room: Room, digest: str) -> None:
    assert room_digest(namespace, room).hex() == digest


@given(texts, rooms, texts, rooms)
def test_different_rooms_have_different_channels(one: str, first: Room, other: str, second: Room) -> None:
    channels = Channels()
    same = (one, type(first), first) == (other, type(second), second)
    assert (channels.room(one, first) == channels.room(other, second)) is same


def test_what_is_put_together_differently_is_different() -> None:
    names: list[tuple[str, Room]] = [
        ("/", "1"),
        ("/", 1),
        ("/a", "b"),
        ("/ab", ""),
        ("", "/ab"),
        ("/str", ""),
        ("/", "str"),
    ]
    assert len({Channels().room(*name) for name in names}) == len(names)


@given(texts, rooms)
def test_shards_are_the_digest_modulo_256(namespace: str, room: Room) -> None:
    number = int.from_bytes(room_digest(namespace, room)) % 256
    channels = Channels("shop", shards=True)
    assert channels.room(namespace, room) == f"shop:shard:{number}"
    assert (channels.everyone, channels.node("abcd")) == ("shop:all", "shop:node:abcd")


def test_rooms_spread_over_the_shards() -> None:
    channels = Channels(shards=True)
    assert len({channels.room("/", number) for number in range(5_000)}) == 256


class Colour(IntEnum):
    RED = 1


@pytest.mark.parametrize("room", [True, 1.0, None, b"bytes", Colour.RED, ("a",)])
def test_what_cannot_be_a_room_has_no_channel(room: Any) -> None:
    channels = Channels()
    channels.room("/", 1)  # equal to some of them
    for _ in range(2):
        with pytest.raises(RoomTypeError):
            channels.room("/", room)


@pytest.mark.parametrize(("namespace", "room"), [("/", "\ud800"), ("/\ud800", "a"), ("/", "a" * (MAX_ROOM_BYTES + 1))])
def test_a_name_that_cannot_travel_has_no_channel(namespace: str, room: str) -> None:
    with pytest.raises(AddressError):
        Channels().room(namespace, room)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_ROOMS", 10)
    channels, fresh = Channels(), Channels()
    for number in [*range(100), *range(100)]:
        assert channels.room("/", number) == fresh.room("/", number)
        assert len(channels._rooms) <= 10


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("n2abAbcdefghijklmn_-", True),
        ("a" * 19, False),
        ("a" * 21, False),
        ("a" * 19 + "\n", False),
        ("a" * 19 + "+", False),
        ("a" * 19 + "é", False),
        ("٣" * 20, False),
        ("", False),
        (12345678901234567890, False),
    ],
)
def test_sids_are_told_by_their_form(name: Room, answer: bool) -> None:
    assert is_sid_form(name) is answer


def test_a_sid_begins_with_the_tag_of_its_node() -> None:
    assert tag_of("n2abAbcdefghijklmn_-") == "n2ab"


@pytest.mark.parametrize("name", ["a", "Shop_1.test-2", "a" * MAX_CLUSTER_LENGTH])
def test_names_of_clusters(name: str) -> None:
    assert check_cluster(name) == name
    assert Channels(name).cluster == name


@pytest.mark.parametrize("name", ["", "a" * (MAX_CLUSTER_LENGTH + 1), "a:b", "a b", "a*", "é", "a\n", "a/b"])
def test_names_that_no_cluster_can_have(name: str) -> None:
    with pytest.raises(AddressError):
        check_cluster(name)
    with pytest.raises(AddressError):
        Channels(name)
