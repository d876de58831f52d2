"""Strict JSON: what the fast decoder leaves over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.errors import PacketError
from roomcast.socketio.json_reader import StrictReader, nests_deeper, scrub, without_strings


def accept(value: Any) -> None:
    """The check that has nothing to say."""


def read(data: bytes, depth: int = 64, digits: int = 32, loads: Any = None) -> Any:
    return StrictReader(depth, digits, loads).read(data, accept)


def kind_of(data: bytes, **options: Any) -> str:
    with pytest.raises(PacketError) as caught:
        read(data, **options)
    return caught.value.kind


READERS = [None, json.loads]
either = pytest.mark.parametrize("loads", READERS, ids=["msgspec", "json"])


@either
@pytest.mark.parametrize("text", [b'{"a":[1,-2.5,"x",null,true]}', b"[]", b'"\\u00e9\xc3\xa9"', b"[1] ", b"[-0.0,1e5]"])
def test_json_is_read(text: bytes, loads: Any) -> None:
    assert read(text, loads=loads) == json.loads(text)


BROKEN = [
    *(b"", b"[", b"]", b"[1}", b"[1] x", b"[01]", b"[1.]", b"['a']", b'["a'),
    *(b'["\x01"]', b'["\xff"]', b"\xef\xbb\xbf[]", b"[\xc2\xa01]"),
]


@either
@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_json_is_refused(text: bytes, loads: Any) -> None:
    assert kind_of(text, loads=loads) == "json"


@either
@pytest.mark.parametrize("text", [b"[NaN]", b'{"a":[-Infinity]}', b"[1e999]", b"[Infinity]"])
def test_numbers_are_finite(text: bytes, loads: Any) -> None:
    assert kind_of(text, loads=loads) == "number"


@pytest.mark.parametrize("depth", [1, 2, 3, 64])
def test_the_depth_is_counted_outside_of_strings(depth: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"]":', b"}")):
        text = opening * depth + b'"[[{\\"[[\\\\"' + closing * depth
        if depth > 1:
            assert kind_of(text, depth=depth - 1) == "depth"
        read(text, depth=depth)
    read(b"[" + b",".join([b"[]"] * 200) + b"]", depth=2)


def test_brackets_that_do_not_close_are_no_depth() -> None:
    assert kind_of(b"[]]]" + b"[" * 100, depth=100) == "json"
    assert kind_of(b"[" * 100_000) == "depth"


@pytest.mark.parametrize("digits", [1, 31, 32])
@pytest.mark.parametrize("sign", [b"", b"-"])
def test_integers_may_have_so_many_digits(digits: int, sign: bytes) -> None:
    number = sign + b"9" * digits
    assert read(b"[%b]" % number, digits=digits) == [int(number)]
    assert kind_of(b'{"a":%b9}' % number, digits=digits) == "number"


ONES, ZEROS = b"1" * 40, b"0" * 40


@pytest.mark.parametrize(
    "text",
    [
        b'["%b"]' % ONES,
        b'["\\"%b,"]' % ONES,
        b"[0.%b]" % ONES,
        b"[-0.%b]" % ONES,
        b"[%b.0]" % ONES,
        b"[%be-35]" % ONES,
        b"[%bE1]" % ONES,
        b"[1e-%b1]" % ZEROS,
        b"[1e+%b1]" % ZEROS,
        b"[1E%b1]" % ZEROS,
        b"[1.5e%b]" % ZEROS,
    ],
)
def test_digits_of_anything_else_do_not_count(text: bytes) -> None:
    assert read(text) == json.loads(text)


@either
def test_lone_surrogates_become_replacement_characters(loads: Any) -> None:
    text = b'[{"\\ud800":"a\\uDFFF"},["\\ud83d\\ude00"],"\\\\ud800",1,null]'
    assert read(text, loads=loads) == [{"\ufffd": "a\ufffd"}, ["😀"], "\\ud800", 1, None]


def test_the_check_sees_lone_surrogates() -> None:
    seen: list[Any] = []
    assert StrictReader(64, 32).read(b'["\\ud800"]', seen.append) == ["\ufffd"]
    assert seen == [["\ud800"]]


def test_the_check_may_refuse() -> None:
    def refuse(value: Any) -> None:
        raise PacketError("payload", "no")

    with pytest.raises(PacketError, match="no"):
        StrictReader(64, 32).read(b"[]", refuse)


def test_whatever_the_applications_module_raises_is_the_clients_fault() -> None:
    def loads(text: str) -> Any:
        raise LookupError(text)

    assert kind_of(b"[]", loads=loads) == "json"


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        (b'{"a":["b",1]}', b"{:[,1]}"),
        (b'["\\"[",2]', b"[,2]"),
        (b'["\\\\",[3]]', b"[,[3]]"),
        (b'["\\\\\\"[",4]', b"[,4]"),
        (b'[""]', b"[]"),
    ],
)
def test_strings_are_cut_out(text: bytes, bare: bytes) -> None:
    assert without_strings(text) == bare


def test_nesting_is_measured() -> None:
    assert not nests_deeper(b"", 0)
    assert not nests_deeper(b"[{}],[[]]", 2)
    assert nests_deeper(b"[{},[[]]]", 2)


def test_scrubbing_leaves_what_is_well_formed() -> None:
    value = {"a": ["ä", 1, 2.5, None, True, {"b": []}]}
    assert scrub(value) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_both_ways_of_reading_agree(value: Any) -> None:
    data = json.dumps(value).encode()
    results: list[Any] = []
    for loads in READERS:
        try:
            results.append(read(data, loads=loads))
        except PacketError as error:
            results.append(error.kind)
    assert results[0] == results[1]


@given(
    st.binary()
    | st.text('[]{}",\\:0123456789eE.-+ udDfalstrn\ud800é', max_size=30).map(lambda t: t.encode("utf-8", "replace"))
)
def test_anything_is_read_or_refused(data: bytes) -> None:
    for loads in READERS:
        try:
            read(data, loads=loads)
        except PacketError:
            pass
