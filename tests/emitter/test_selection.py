"""Whom something is for: only None is everybody."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast_brokers.errors import AddressError, RoomTypeError
from roomcast_emitter.selection import Selecting, Selection, check_namespace, names, selection

SID = "tagA" + "s" * 16


class Chosen(Selecting["Chosen"]):
    __slots__ = ("_selection",)

    def __init__(self, selection: Selection = Selection()) -> None:  # noqa: B008  # a frozen value
        self._selection = selection

    def _chain(self, selection: Selection) -> Chosen:
        return Chosen(selection)


@pytest.mark.parametrize(
    ("to", "room", "receivers"),
    [
        (None, None, None),
        ("a", None, ("a",)),
        (None, "a", ("a",)),
        ("a", "b", ("a",)),
        (7, None, (7,)),
        ("", None, ("",)),
        (0, None, (0,)),
        ([], None, ()),
        ((), "a", ()),
        (["a", "b", "a", 1, "1"], None, ("a", "b", 1, "1")),
        ({"a": 1}.keys(), None, ("a",)),
        (frozenset({"a"}), None, ("a",)),
    ],
)
def test_what_to_and_room_mean(to: Any, room: Any, receivers: Any) -> None:
    assert selection(to, room, None, "/") == Selection("/", receivers)


@pytest.mark.parametrize(
    ("skip", "sids"), [(None, ()), ("x", ("x",)), (["x", "y"], ("x", "y")), ({"x"}, ("x",)), ((), ())]
)
def test_what_skip_sid_means(skip: Any, sids: tuple[str, ...]) -> None:
    assert selection(None, None, skip, None) == Selection("/", None, (), sids)


@pytest.mark.parametrize("wrong", [b"room", bytearray(b"r"), {"a": 1}, 1.5, True, object(), iter("ab"), [None], [[]]])
def test_what_is_no_room_is_no_broadcast_either(wrong: Any) -> None:
    with pytest.raises(RoomTypeError):
        selection(wrong, None, None, "/")
    with pytest.raises(RoomTypeError):
        names(wrong)


def test_a_room_that_is_too_long() -> None:
    with pytest.raises(AddressError, match="1,024 bytes"):
        selection("x" * 1_025, None, None, "/")


def test_sids_and_namespaces_are_texts() -> None:
    with pytest.raises(TypeError, match="a sid is a str, not int"):
        selection(None, None, 7, "/")
    with pytest.raises(TypeError, match="a namespace is a str, not bytes"):
        selection(None, None, None, b"/")  # type: ignore[arg-type]  # the point of the test
    assert check_namespace(None) == check_namespace("") == check_namespace("/") == "/"


def test_a_chain_changes_nothing_that_was_before() -> None:
    start = Chosen()
    both = start.to("a").to(7)
    assert both.in_namespace("/x")._selection == Selection("/x", ("a", 7))
    assert both._selection == Selection("/", ("a", 7))
    assert start._selection == Selection()


def test_the_links_of_a_chain_come_in_any_order() -> None:
    expected = Selection("/x", ("a", "b"), ("c",), ())
    assert Chosen().to("a", "b").except_("c").in_namespace("/x")._selection == expected
    assert Chosen().in_namespace("/x").except_("c").to("a").to("b", "a")._selection == expected
    assert Chosen().to(["a"], "b").in_namespace("/x").except_({"c"})._selection == expected


def test_an_empty_to_is_nobody() -> None:
    assert Chosen().to()._selection.to == ()
    assert Chosen().to([])._selection.to == ()
    assert Chosen().except_("a")._selection.to is None


def test_an_exception_that_may_be_a_client_is_looked_for_as_both() -> None:
    chosen = Chosen().except_(SID, "room", 7)._selection
    assert chosen.except_rooms == (SID, "room", 7)
    assert chosen.except_sids == (SID,)


def test_none_is_no_link_of_a_chain() -> None:
    for call in (Chosen().to, Chosen().except_):
        with pytest.raises(RoomTypeError):
            call(None)  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(TypeError):
        Chosen().in_namespace(7)  # type: ignore[arg-type]
