"""Which function runs for an event, with which arguments, found out at registration."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import pytest

from roomcast.core.handlers import Call, HandlerTable, is_asynchronous, make_call, positional


def plain(*args: Any) -> None:
    """A handler."""


async def coroutine(sid: str) -> None:
    """A handler."""


class Callable_:
    """An object that is called."""

    async def __call__(self, sid: str) -> None:
        """A handler."""

    def method(self, sid: str) -> None:
        """A handler."""

    async def coroutine_method(self, sid: str) -> None:
        """A handler."""


class Everything:
    """A class namespace, as the table sees it."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    async def trigger_event(self, event: str, *args: Any) -> None:
        """Takes every event."""


class PlainEverything(Everything):
    """The same in the other colour."""

    def trigger_event(self, event: str, *args: Any) -> None:  # type: ignore[override]  # the other colour
        """Takes every event."""


@pytest.mark.parametrize(
    ("fn", "asynchronous"),
    [
        (plain, False),
        (coroutine, True),
        (Callable_(), True),
        (Callable_().method, False),
        (Callable_().coroutine_method, True),
        (functools.partial(coroutine, "a"), True),
        (functools.partial(functools.partial(coroutine)), True),
        (functools.partial(Callable_(), "a"), True),
        (functools.partial(plain), False),
        (print, False),
    ],
)
def test_the_colour_of_a_function(fn: Any, asynchronous: bool) -> None:
    assert is_asynchronous(fn) is asynchronous


def with_keywords(sid: str, reason: str = "", *, more: int = 0) -> None:
    """A handler."""


@pytest.mark.parametrize(
    ("fn", "number"),
    [
        (plain, None),
        (coroutine, 1),
        (with_keywords, 2),
        (functools.partial(with_keywords, "a"), 1),
        (Callable_().method, 1),
        (Callable_(), 1),
        (lambda sid, /, environ: None, 2),
        (lambda: None, 0),
        (dict, None),  # no signature to be read
        (object(), None),
    ],
)
def test_how_many_arguments_a_function_takes(fn: Any, number: int | None) -> None:
    assert positional(fn) == number


@pytest.mark.parametrize(
    ("fn", "prefix", "given", "kept"),
    [
        (lambda sid, environ, auth: None, (), ("s", "e", "a"), ("s", "e", "a")),
        (lambda sid, environ: None, (), ("s", "e", "a"), ("s", "e")),
        (lambda sid: None, (), ("s", "e", "a"), ("s",)),
        (lambda: None, (), ("s", "e"), ("s",)),  # its TypeError is the application's
        (plain, (), ("s", "e", "a"), ("s", "e", "a")),
        (lambda namespace, sid: None, ("/x",), ("s", "reason"), ("/x", "s")),
        (lambda namespace, sid, reason: None, ("/x",), ("s", "reason"), ("/x", "s", "reason")),
    ],
)
def test_arguments_are_cut_to_the_signature(fn: Any, prefix: Any, given: Any, kept: Any) -> None:
    assert make_call(fn, prefix).fit(*given) == kept


# --- precedence -------------------------------------------------------------------------------------------------------

PLACES = (("/x", "e"), ("/x", "*"), ("*", "e"), ("*", "*"), "/x", "*")
PREFIXES: tuple[tuple[str, ...], ...] = ((), ("e",), ("/x",), ("e", "/x"), ("e",), ("e", "/x"))


def register(table: HandlerTable, places: tuple[Any, ...]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for place in places:
        if isinstance(place, str):
            found[place] = Everything(place)
            table.register_namespace(found[place])
        else:
            found[place] = functools.partial(plain)
            table.on(place[1], found[place], place[0])
    return found


@pytest.mark.parametrize("size", range(len(PLACES) + 1))
def test_the_first_that_matches_handles_the_event(size: int) -> None:
    for places in itertools.combinations(PLACES, size):
        table = HandlerTable()
        functions = register(table, places)
        call = table.resolve("/x", "e")
        if not places:
            assert call is None
            continue
        first = places[0]
        expected = functions[first].trigger_event if isinstance(first, str) else functions[first]
        assert call is not None
        assert call.fn == expected
        assert call.prefix == PREFIXES[PLACES.index(first)]


@pytest.mark.parametrize("event", ["connect", "disconnect"])
def test_a_catch_all_handler_is_not_told_of_coming_and_going(event: str) -> None:
    table = HandlerTable()
    register(table, (("/x", "*"), ("*", "*")))
    assert table.resolve("/x", event) is None
    table.on(event, plain, "*")
    assert table.resolve("/x", event) == Call(plain, False, ("/x",))


def test_an_event_called_star_is_one_for_the_catch_all() -> None:
    table = HandlerTable()
    table.on("*", plain, None)
    assert table.resolve("/", "*") == Call(plain, False, ("*",))


def test_a_class_namespace_is_what_it_is_at_the_moment() -> None:
    table = HandlerTable()
    everything = Everything("/x")
    table.register_namespace(everything)
    found = table.resolve("/x", "e")
    assert found is not None
    assert found.asynchronous
    other = PlainEverything("/x")
    everything.trigger_event = other.trigger_event  # type: ignore[method-assign,assignment]  # applications do
    found = table.resolve("/x", "e")
    assert found is not None
    assert not found.asynchronous


def test_the_last_registration_stands() -> None:
    table = HandlerTable()
    table.on("e", plain, "/x")
    table.on("e", coroutine, "/x")
    assert table.handlers == {"/x": {"e": coroutine}}
    found = table.resolve("/x", "e")
    assert found == table.exact("/x")["e"] == Call(coroutine, True, (), 1)


# --- the short way ----------------------------------------------------------------------------------------------------


def test_the_table_of_the_short_way_has_single_events_only() -> None:
    table = HandlerTable()
    live = table.exact("/")
    for event in ("e", "*", "connect", "disconnect", "connect_error", "newListener"):
        table.on(event, plain, "/")
        table.on(event, plain, "*")
    assert list(table.exact("/")) == ["e"]
    assert live is table.exact("/")


def test_names_that_only_clients_use_leave_nothing_behind() -> None:
    table = HandlerTable("*")
    for number in range(100):
        assert table.exact(f"/{number}") == {}
    assert len(table._exact) == 0
    table.on("e", plain, "/7")
    assert list(table.exact("/7")) == ["e"]


# --- namespaces -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("namespaces", "accepted", "named"),
    [
        (None, {"/", "/handled", "/class"}, {"/", "/handled", "/class"}),
        ([], {"/handled", "/class"}, {"/handled", "/class"}),
        (["/listed"], {"/listed", "/handled", "/class"}, {"/listed", "/handled", "/class"}),
        ("*", {"/", "/listed", "/handled", "/class", "/other"}, {"/handled", "/class"}),
    ],
)
def test_which_namespaces_are_there(namespaces: Any, accepted: set[str], named: set[str]) -> None:
    table = HandlerTable(namespaces)
    table.on("e", plain, "/handled")
    table.on("e", plain, "*")
    table.register_namespace(Everything("/class"))
    table.register_namespace(Everything("*"))
    names = {"/", "/listed", "/handled", "/class", "/other", "*"}
    assert {name for name in names if table.accepts(name)} == accepted
    assert {name for name in names - {"*"} if table.named(name)} == named
