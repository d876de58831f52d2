"""What the nodes of the chat know in common. Two stores of one file are two nodes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from examples.chat import store as chat_store
from examples.chat.store import MAX_MESSAGES, MAX_PEOPLE, BadInput, Person, Store

KEY = "a-secret-of-this-browser"


def person(name: str, *, sid: str = "sid", key: str = KEY) -> Person:
    return Person(sid, name, key)


def message(number: str, text: str = "hello", at: int = 1) -> dict[str, Any]:
    return {"id": number, "name": "Ada", "text": text, "at": at}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    stores = Store(str(tmp_path / "chat.sqlite3")), Store(str(tmp_path / "chat.sqlite3"))
    yield stores
    for store in stores:
        store.close()


@pytest.fixture
def store() -> Iterator[Store]:
    found = Store(":memory:")
    yield found
    found.close()


# --- people -----------------------------------------------------------------------------------------------------------


def test_a_name_is_taken_in_any_spelling_and_on_every_node_except_for_its_own_browser(two: tuple[Store, Store]) -> None:
    one, other = two
    first = person("Ada", sid="1")
    assert one.enter("lobby", first, "n001") is None
    with pytest.raises(BadInput, match="already called Ada"):
        other.enter("lobby", person("ADA", sid="2", key="another-browser"), "n002")
    again = person("Ada", sid="3")
    assert other.enter("lobby", again, "n002") == first
    assert not one.leave("lobby", first)  # its place is taken by the newer connection
    assert one.people("lobby").names == ["Ada"]
    assert other.enter("engines", person("Ada", key="another-browser"), "n002") is None  # rooms are apart
    assert other.leave("lobby", again)
    assert one.people("lobby").names == []


def test_a_newer_list_has_a_higher_version(two: tuple[Store, Store]) -> None:
    one, other = two
    versions = [one.people("lobby").version]
    one.enter("lobby", person("Ada", sid="1"), "n001")
    versions.append(other.people("lobby").version)
    other.enter("lobby", person("Grace", sid="2"), "n002")
    versions.append(one.people("lobby").version)
    one.leave("lobby", person("Ada", sid="1"))
    versions.append(one.people("lobby").version)
    other.forget(["n002"])
    versions.append(one.people("lobby").version)
    assert versions == sorted(set(versions))
    assert one.people("lobby") == other.people("lobby")


def test_names_are_in_their_order(store: Store) -> None:
    for name in ("grace", "Ada", "Émilie", "mary"):
        store.enter("lobby", person(name), "n001")
    assert store.people("lobby").names == ["Ada", "grace", "mary", "Émilie"]


def test_a_room_is_full_at_some_point(store: Store) -> None:
    for number in range(MAX_PEOPLE):
        store.enter("lobby", person(f"Person {number}"), "n001")
    version = store.people("lobby").version
    with pytest.raises(BadInput, match="full"):
        store.enter("lobby", person("One more"), "n001")
    assert store.people("lobby").version == version
    assert store.enter("lobby", person("Person 0", sid="back"), "n001") is not None  # who returns is nobody additional


def test_the_people_of_a_node_that_is_gone(two: tuple[Store, Store]) -> None:
    one, other = two
    one.enter("lobby", person("Ada"), "n001")
    other.enter("lobby", person("Grace"), "n002")
    other.enter("engines", person("Mary"), "n002")
    assert one.nodes() == {"n001", "n002"}
    assert sorted(one.forget(["n002", "n003"])) == [("engines", "Mary"), ("lobby", "Grace")]
    assert other.forget(["n002"]) == []
    assert (one.nodes(), one.people("lobby").names, one.people("engines").names) == ({"n001"}, ["Ada"], [])


# --- messages ---------------------------------------------------------------------------------------------------------


def test_a_message_is_kept_once_whichever_node_gets_it_again(two: tuple[Store, Store]) -> None:
    one, other = two
    kept, is_new = one.keep("lobby", message("first", at=7))
    assert (kept, is_new) == ({**message("first", at=7), "delivered": False}, True)
    assert other.keep("lobby", message("first", "something else", 9)) == (kept, False)
    assert other.keep("engines", message("first"))[1] is True
    assert other.messages("lobby") == [kept]


def test_the_first_confirmation_counts(two: tuple[Store, Store]) -> None:
    one, other = two
    one.keep("lobby", message("first"))
    assert [other.delivered("lobby", "first"), one.delivered("lobby", "first")] == [True, False]
    assert one.messages("lobby")[0]["delivered"] is True
    assert not one.delivered("lobby", "unknown")


def test_a_room_keeps_its_last_messages(store: Store) -> None:
    for number in range(MAX_MESSAGES + 2):
        store.keep("lobby", message(str(number)))
        store.keep("engines", message(str(number)))
    expected = [str(number) for number in range(2, MAX_MESSAGES + 2)]
    assert [each["id"] for each in store.messages("lobby")] == expected
    assert [each["id"] for each in store.messages("engines")] == expected


# --- rooms and the file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("occupied", "expected"),
    [
        pytest.param(lambda number: number != 3, "3", id="the oldest empty room gives way"),
        pytest.param(lambda number: True, None, id="no room is empty"),
    ],
)
def test_rooms_do_not_grow_without_end(
    occupied: Callable[[int], bool], expected: str | None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_store, "MAX_ROOMS", 10)
    for number in range(10):
        store.enter(str(number), person("Ada"), "n001")
        store.keep(str(number), message("first"))
        if not occupied(number):
            store.leave(str(number), person("Ada"))
    if expected is None:
        with pytest.raises(BadInput, match="too many rooms"):
            store.enter("new", person("Ada"), "n001")
        assert store.people("new").names == []
    else:
        store.enter("new", person("Ada"), "n001")
        assert (store.people("new").names, store.messages(expected)) == (["Ada"], [])
    store.enter("7", person("Grace"), "n001")  # those that are open can be joined as ever
    assert len(store.messages("7")) == 1


def test_it_outlives_the_nodes(tmp_path: Path) -> None:
    path = str(tmp_path / "chat.sqlite3")
    store = Store(path)
    store.keep("lobby", message("first"))
    store.close()
    store.close()
    assert [each["id"] for each in store.messages("lobby")] == ["first"]  # opened again
    store.close()


def test_a_file_of_another_version_is_begun_anew(tmp_path: Path) -> None:
    path = str(tmp_path / "chat.sqlite3")
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE people (something)")
    database.execute("PRAGMA user_version = 99")
    database.close()
    store = Store(path)
    assert store.enter("lobby", person("Ada"), "n001") is None
    store.close()


def test_nodes_that_begin_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    def begin(number: int) -> None:
        store = Store(str(tmp_path / "chat.sqlite3"))
        for each in range(10):
            store.enter("lobby", person(f"{number}-{each}", key=f"key {number}"), f"n{number:03}")
            store.keep("lobby", message(f"{number}-{each}"))
        store.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(begin, range(4)))
    store = Store(str(tmp_path / "chat.sqlite3"))
    assert (len(store.people("lobby").names), len(store.messages("lobby"))) == (40, 40)
    store.close()
