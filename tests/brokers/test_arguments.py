"""What an application emits, before anybody knows to whom it goes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from roomcast_brokers.arguments import RESERVED_EVENTS, JsonWriter, arguments, outgoing_name
from roomcast_brokers.errors import UnencodableError


def test_the_reserved_names_are_those_of_the_reference() -> None:
    assert set(RESERVED_EVENTS) == {
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    }


def test_names_that_clients_take() -> None:
    assert outgoing_name("e") == "e"
    with pytest.raises(ValueError, match="'connect' is a reserved event name"):
        outgoing_name("connect")
    with pytest.raises(TypeError, match="an event's name is a str, not int"):
        outgoing_name(7)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, []),
        ((), []),
        ((None,), [None]),
        ((1, [2]), [1, [2]]),
        ([1, 2], [[1, 2]]),
        (False, [False]),
        ("", [""]),
    ],
)
def test_what_data_means(data: Any, expected: list[Any]) -> None:
    assert arguments(data) == expected


@pytest.mark.parametrize(
    ("args", "body", "attachments"),
    [
        (["e"], b'["e"]', []),
        (["e", {"a": "é"}, [1.5, None, True]], '["e",{"a":"é"},[1.5,null,true]]'.encode(), []),
        (["e", (1, (2,))], b'["e",[1,[2]]]', []),
        (["e", b"x", {"b": (bytearray(b"y"),)}],
         b'["e",{"_placeholder":true,"num":0},{"b":[{"_placeholder":true,"num":1}]}]', [b"x", b"y"]),
        (["e", float("nan")], b'["e",null]', []),
        (["e", "\ud800"], '["e","\ufffd"]'.encode(), []),
        (["e", Decimal("1.5")], b'["e","1.5"]', []),
    ],
)  # fmt: skip
def test_arguments_as_json(args: list[Any], body: bytes, attachments: list[bytes]) -> None:
    assert JsonWriter().encode_args(args) == (body, attachments)


@pytest.mark.parametrize("writer", [JsonWriter(), JsonWriter(json)], ids=["msgspec", "json"])
@pytest.mark.parametrize("value", [object(), {b"k": 0}, 10**5_000], ids=["object", "key", "integer"])
def test_what_has_no_form_on_the_wire_raises_a_type_error(writer: JsonWriter, value: Any) -> None:
    with pytest.raises(UnencodableError) as caught:
        writer.encode_args(["e", value])
    assert isinstance(caught.value, TypeError)


def test_an_application_may_bring_its_own_json() -> None:
    class Tagging:
        @staticmethod
        def dumps(value: Any, *, separators: tuple[str, str]) -> str:
            return json.dumps(value, separators=separators, default=lambda item: {"decimal": str(item)})

    body, attachments = JsonWriter(Tagging()).encode_args(["e", Decimal("1.5"), b"x"])
    assert body == b'["e",{"decimal":"1.5"},{"_placeholder":true,"num":0}]'
    assert attachments == [b"x"]


class OwnError(UnencodableError):
    pass


class OwnTree(JsonWriter):
    __slots__ = ()

    unencodable = OwnError


def test_a_subclass_raises_from_its_own_tree_and_keeps_the_cause() -> None:
    with pytest.raises(OwnError, match="object has no form on the wire") as caught:
        OwnTree().encode_args(["e", object()])
    assert type(caught.value.__cause__) is TypeError
    with pytest.raises(OwnError, match="binary data cannot be a key") as caught:
        OwnTree().encode_args(["e", {b"k": 0}])
    assert isinstance(caught.value.__cause__, UnencodableError)
