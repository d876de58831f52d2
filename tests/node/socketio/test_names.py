"""Names of events and namespaces: what strangers and applications may choose."""

from __future__ import annotations

import pytest

from roomcast.errors import PacketError
from roomcast.socketio.names import (
    character_fault,
    check_event_name,
    check_namespace,
    event_name_fault,
    namespace_fault,
)
from roomcast_brokers.arguments import RESERVED_EVENTS


@pytest.mark.parametrize(
    "name", ["", "message", "a b", "connection", "größe", "\u00a0", "事件", "😀", "x" * 256, "é" * 128]
)
def test_an_event_may_be_named(name: str) -> None:
    check_event_name(name)
    assert event_name_fault(name) is None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (None, "an event name must be a string, not NoneType"),
        (1, "an event name must be a string, not int"),
        (b"a", "an event name must be a string, not bytes"),
        ({"_placeholder": True}, "an event name must be a string, not dict"),
        ("a\nb", "an event name must not contain control characters"),
        ("a\x00", "an event name must not contain control characters"),
        ("a\x7f", "an event name must not contain control characters"),
        ("a\x9f", "an event name must not contain control characters"),
        ("a\ud800", "an event name must not contain lone surrogates"),
        ("x" * 257, "an event name must not be longer than 256 bytes"),
        ("é" * 129, "an event name must not be longer than 256 bytes"),
        *((name, f"the event name {name!r} is reserved") for name in sorted(RESERVED_EVENTS)),
    ],
)
def test_an_event_may_not_be_named(name: object, fault: str) -> None:
    assert event_name_fault(name) == fault
    with pytest.raises(PacketError, match=fault.replace(".", "\\.")) as caught:
        check_event_name(name)
    assert caught.value.kind == "name"


def test_a_subclass_of_str_is_a_name() -> None:
    class Name(str):
        __slots__ = ()

    check_event_name(Name("message"))


@pytest.mark.parametrize("length", [9, 10])
def test_the_longest_name_is_a_setting(length: int) -> None:
    check_event_name("x" * length, 10)
    check_namespace("/" + "x" * (length - 1), 10)


def test_one_byte_more_than_the_setting_is_too_long() -> None:
    with pytest.raises(PacketError, match="10 bytes"):
        check_event_name("x" * 11, 10)
    with pytest.raises(PacketError, match="10 bytes"):
        check_namespace("/" + "x" * 10, 10)


@pytest.mark.parametrize("name", ["/", "/admin", "/a/b?x=1", "/größe", "/" + "x" * 255])
def test_a_namespace_may_be_named(name: str) -> None:
    check_namespace(name)
    assert namespace_fault(name) is None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (None, "a namespace must be a string, not NoneType"),
        ("", "a namespace must begin with /"),
        ("admin", "a namespace must begin with /"),
        ("/a,b", "a namespace cannot contain a comma: it ends the name on the wire"),
        ("/a\x1e", "a namespace must not contain control characters"),
        ("/\udfff", "a namespace must not contain lone surrogates"),
        ("/" + "x" * 256, "a namespace must not be longer than 256 bytes"),
    ],
)
def test_a_namespace_may_not_be_named(name: object, fault: str) -> None:
    assert namespace_fault(name) == fault
    with pytest.raises(PacketError) as caught:
        check_namespace(name)
    assert caught.value.kind == "namespace"


def test_characters_are_judged_whatever_the_length() -> None:
    assert character_fault("a thing", "x" * 10_000) is None
    assert character_fault("a thing", "é" * 10_000) is None
    assert character_fault("a thing", "\x01") == "a thing must not contain control characters"
