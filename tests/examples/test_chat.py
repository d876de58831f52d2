"""What strangers can send to the chat, and what they can make grow: everything is checked and has an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from examples.chat import app as chat
from examples.chat.app import BadInput, Person, Room

KEY = "a-secret-of-this-browser"


def person(name: str, *, sid: str = "sid", key: str = KEY) -> Person:
    return Person(sid, name, key)


@pytest.fixture(autouse=True)
def no_rooms() -> Iterator[None]:
    chat.rooms.clear()
    yield
    chat.rooms.clear()


@pytest.mark.parametrize(
    "value", [None, 7, b"Ada", ["Ada"], {"name": "Ada"}, "", " \t", "x" * 25, "A\x00b", "\u202eadA"]
)
def test_names_are_one_printable_line(value: object) -> None:
    with pytest.raises(BadInput, match="Your name needs 1 to 24"):
        chat.line(value, "Your name")


def test_spaces_in_names_are_folded() -> None:
    assert chat.line("  Ada \n Lovelace ", "Your name") == "Ada Lovelace"


@pytest.mark.parametrize("value", [None, 7, b"hello", ["hello"], "", " \n", "x" * 2_001])
def test_messages_are_text_of_bounded_length(value: object) -> None:
    with pytest.raises(BadInput, match="1 to 2000 characters"):
        chat.words(value)


def test_messages_keep_their_lines_and_are_no_html() -> None:
    assert chat.words(" <b>1</b>\n2 ") == "<b>1</b>\n2"


@pytest.mark.parametrize("value", [None, 12345678, "short", "x" * 65, "ключ-ключ"])
def test_ids_are_short_and_plain(value: object) -> None:
    with pytest.raises(BadInput):
        chat.token(value)


def test_a_name_is_taken_in_any_spelling_except_for_its_own_browser() -> None:
    room, first = Room("lobby"), person("Ada", sid="1")
    assert room.enter(first) is None
    with pytest.raises(BadInput, match="already called Ada"):
        room.enter(person("ADA", sid="2", key="another-browser"))
    again = person("Ada", sid="3")
    assert room.enter(again) == first
    assert not room.leave(first)  # its place is taken by the newer connection
    assert room.names() == ["Ada"]
    assert room.leave(again)
    assert room.names() == []


def test_a_room_is_full_at_some_point() -> None:
    room = Room("lobby")
    for number in range(chat.MAX_PEOPLE):
        room.enter(person(f"Person {number}"))
    with pytest.raises(BadInput, match="full"):
        room.enter(person("One more"))
    assert room.enter(person("Person 0", sid="back")) is not None  # who returns is no additional person


def test_a_room_keeps_its_last_messages() -> None:
    room = Room("lobby")
    for number in range(chat.MAX_MESSAGES + 2):
        room.keep({"id": str(number)})
    assert list(room.messages) == [str(number) for number in range(2, chat.MAX_MESSAGES + 2)]


@pytest.mark.parametrize(
    ("occupied", "expected"),
    [
        pytest.param(lambda number: number != 3, "3", id="the oldest empty room gives way"),
        pytest.param(lambda number: True, None, id="no room is empty"),
    ],
)
def test_rooms_do_not_grow_without_end(occupied: Callable[[int], bool], expected: str | None) -> None:
    for number in range(chat.MAX_ROOMS):
        room = chat.open_room(str(number))
        if occupied(number):
            room.enter(person("Ada"))
    if expected is None:
        with pytest.raises(BadInput, match="too many rooms"):
            chat.open_room("new")
    else:
        assert chat.open_room("new").name == "new"
        assert expected not in chat.rooms
    assert len(chat.rooms) == chat.MAX_ROOMS
    assert chat.open_room("7") is chat.rooms["7"]  # those that are open can be joined as ever
