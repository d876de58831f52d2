"""Data from applications, made plain."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import uuid
from typing import Any

import msgspec
import pytest

from roomcast_brokers.errors import UnencodableError
from roomcast_brokers.plain import (
    MAX_DEPTH,
    SCALAR,
    JsonArgs,
    Rebuilder,
    array_of,
    nested,
    plain_args,
    well_formed,
)

STRING_KEYS = plain_args("StringKeys", str)


class Word(str):
    __slots__ = ()


class Count(int):
    pass


class Share(float):
    pass


class Blob(bytes):
    pass


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Size(str, enum.Enum):  # noqa: UP042  # as applications wrote it before 3.11
    BIG = "big"


@dataclasses.dataclass
class Picture:
    name: Any
    pixels: Any


class Row(msgspec.Struct):
    cell: Any


def plain(value: Any) -> Any:
    return Rebuilder().args([value])[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (False, False),
        (1, 1),
        (2**70, 2**70),
        (1.5, 1.5),
        (math.nan, None),
        (-math.inf, None),
        ("x", "x"),
        ("\ud800", "\ufffd"),
        ((1, [2, (3,)]), [1, [2, [3]]]),
        ({1}, [1]),
        (frozenset({2}), [2]),
        (Word("x"), "x"),
        (Count(3), 3),
        (Share(0.5), 0.5),
        (Share("inf"), None),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Size.BIG, "big"),
        (datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), "2020-01-01T00:00:00Z"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Picture(Word("x"), Share(1.5)), {"name": "x", "pixels": 1.5}),
        (Row([Picture(Count(1), {"\ud800"})]), {"cell": [{"name": 1, "pixels": ["\ufffd"]}]}),
    ],
)
def test_a_value_has_a_plain_form(value: Any, expected: Any) -> None:
    result = plain(value)
    assert result == expected
    assert type(result) is type(expected)
    msgspec.json.encode(result)


@pytest.mark.parametrize(
    "key", [None, True, False, 0, -1, 2**70, Count(7), 0.0, -0.0, 1e16, 1.5e-7, math.inf, -math.inf, math.nan]
)
def test_a_scalar_key_is_written_as_by_the_standard_library(key: Any) -> None:
    result = plain({key: 0})
    assert list(result) == list(json.loads(json.dumps({key: 0})))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a", "a"),
        (Word("a"), "a"),
        ("\udfff", "\ufffd"),
        (1, "1"),
        (2.5, "2.5"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        (Colour.RED, "red"),
        (Size.BIG, "big"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime.date(2020, 1, 1), "2020-01-01"),
    ],
)
def test_a_key_is_written_as_a_string(key: Any, expected: str) -> None:
    result = plain({key: 0})
    assert result == {expected: 0}
    assert type(next(iter(result))) is str


def test_binary_data_is_collected_depth_first() -> None:
    rebuilder = Rebuilder()
    args = rebuilder.args(
        [b"a", [bytearray(b"b"), {"x": memoryview(b"c-d-")[::2]}], (Blob(b"e"),), Picture(b"f", Blob(b"g"))]
    )

    def place(num: int) -> dict[str, Any]:
        return {"_placeholder": True, "num": num}

    assert args == [
        place(0),
        [place(1), {"x": place(2)}],
        [place(3)],
        {"name": place(4), "pixels": place(5)},
    ]
    assert rebuilder.attachments == [b"a", b"b", b"cd", b"e", b"f", b"g"]
    assert {type(attachment) for attachment in rebuilder.attachments} == {bytes}


def test_the_same_data_twice_is_sent_twice() -> None:
    rebuilder = Rebuilder()
    data = b"x"
    rebuilder.args([data, data])
    assert rebuilder.attachments == [b"x", b"x"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (object(), "object has no form on the wire"),
        (1j, "complex has no form"),
        ([lambda: 0], "function has no form"),
        (Picture(object(), 0), "objects of type object cannot be encoded"),
        ({b"k": 0}, "binary data cannot be a key"),
        ({(1,): 0}, "tuple cannot be a key"),
        ({object(): 0}, "object cannot be a key"),
    ],
)
def test_what_has_no_form_is_named(value: Any, text: str) -> None:
    with pytest.raises(UnencodableError, match=text):
        plain(value)


def test_the_cause_is_chained() -> None:
    with pytest.raises(UnencodableError) as caught:
        plain(object())
    assert isinstance(caught.value.__cause__, TypeError)


def test_cycles_end() -> None:
    ring: list[Any] = []
    ring.append({"x": ring})
    picture = Picture(0, 0)
    picture.pixels = picture
    for value in (ring, picture, [picture]):
        with pytest.raises(UnencodableError, match="contains itself"):
            plain(value)


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH])
def test_depth_has_an_end(levels: int) -> None:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    if levels < MAX_DEPTH:
        assert plain(value) == value
    else:
        with pytest.raises(UnencodableError, match=f"more than {MAX_DEPTH} levels"):
            plain(value)


def test_text_is_made_well_formed() -> None:
    assert well_formed("äöü😀") == "äöü😀"
    assert well_formed("\ud83d\ude00-\udcff") == "\ufffd\ufffd-\ufffd"


def test_a_type_of_so_many_levels() -> None:
    kind = array_of(nested(SCALAR, str, 1))
    assert msgspec.json.decode(b'[1,[2],{"a":null}]', type=kind) == [1, [2], {"a": None}]
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b"[[[]]]", type=kind)
    assert nested(SCALAR, str, 0) is SCALAR
    assert nested(SCALAR, str, 3) is nested(SCALAR, str, 3)


@pytest.mark.parametrize(
    "value", [b"x", bytearray(), memoryview(b""), {"a": [b"x"]}, datetime.date.min, {None: 1}, Row(1)]
)
def test_what_is_not_plain_is_noticed_in_c(value: Any) -> None:
    for kind in (JsonArgs, STRING_KEYS):
        msgspec.convert((["e", [{"a": 1.5}], None],), kind)
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert((["e", value],), kind)


def test_which_keys_are_plain_is_for_the_encoding_to_say() -> None:
    msgspec.convert(([{1: 2}],), JsonArgs)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(([{1: 2}],), STRING_KEYS)
