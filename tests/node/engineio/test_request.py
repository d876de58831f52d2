"""A request reads from its raw head what a list of headers would say."""

from __future__ import annotations

import string
import sys
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.engineio.request import MAX_PARAMETERS, Request

NAMES = st.text(string.ascii_lowercase + string.digits + "-_.!", min_size=1, max_size=8).map(str.encode)
# Whatever an HTTP parser lets through: any byte but CR, LF and NUL; spaces at the ends are not part of a value.
VALUES = st.binary(max_size=12).map(lambda value: value.translate(None, b"\r\n\0").strip())
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


def request(*headers: tuple[bytes, bytes], query: bytes = b"", scheme: str = "http") -> Request:
    return Request.from_pairs("GET", "/socket.io/", query, headers, scheme=scheme)


@given(HEADERS)
def test_headers_come_back_as_they_were_given(headers: list[tuple[bytes, bytes]]) -> None:
    assert request(*headers).headers() == headers


@given(HEADERS, NAMES)
def test_one_header_is_what_the_list_says(headers: list[tuple[bytes, bytes]], absent: bytes) -> None:
    made = request(*headers)
    for name in {absent, *(name for name, _ in headers)}:
        values = [value for each, value in headers if each == name]
        assert made.values(name) == values
        assert made.header(name) == (b", ".join(values) if values else None)


def test_a_name_is_not_found_inside_another_or_inside_a_value() -> None:
    made = request((b"x-origin", b"1"), (b"origin-x", b"2"), (b"referer", b"origin: 3"))
    assert made.header(b"origin") is None


def test_names_may_be_in_any_case() -> None:
    assert request((b"Origin", b"http://A")).header(b"origin") == b"http://A"


@pytest.mark.parametrize("evil", [b"a\r\norigin: http://b", b"a\r\n\r\nGET /", b"\r\n"])
def test_a_line_break_in_a_value_forges_no_header(evil: bytes) -> None:
    made = request((b"x", evil), (b"y", b"z"))
    assert made.header(b"origin") is None
    assert [name for name, _ in made.headers()] == [b"x", b"y"]


def test_a_request_without_headers() -> None:
    assert Request("GET", "/", b"").headers() == []
    assert Request("GET", "/", b"").header(b"host") is None


def test_the_head_of_a_connection_is_used_as_it_came() -> None:
    head = b"\r\nhost: a\r\norigin: http://a\r\n"
    made = Request("GET", "/", b"", head)
    assert made.head is head
    assert made.header(b"origin") == b"http://a"


QUERIES = st.lists(st.sampled_from([b"EIO", b"sid", b"=", b"&", b"a", b"%41", b"+", b"%", b"%ff", b"\xff", b"", b"4"]))


@given(QUERIES.map(b"".join))
def test_parameters_are_what_the_standard_library_says(query: bytes) -> None:
    made = request(query=query)
    expected = dict(parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True, errors="replace"))
    assert made.params() == expected
    assert made.param("EIO") == expected.get("EIO")


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (b"", None),
        (b"EIO=4&transport=polling", None),
        (b"sid=a", "a"),
        (b"EIO=4&sid=a&t=b", "a"),
        (b"sid=a&sid=b", "b"),
        (b"sid=a&sid", ""),
        (b"xsid=a&sidx=b", None),
        (b"sid=a%20b+c", "a b c"),
        (b"s%69d=a", "a"),
        (b"sid=a=b", "a=b"),
        (b"sid=\xff", "\ufffd"),
    ],
)
def test_one_parameter(query: bytes, value: str | None) -> None:
    assert request(query=query).param("sid") == value


@pytest.mark.parametrize(("count", "read"), [(-1, True), (0, True), (1, False)])
def test_a_query_of_too_many_parameters_reads_as_empty(count: int, read: bool) -> None:
    query = b"&".join([b"sid=a"] * (MAX_PARAMETERS + count))
    assert request(query=query).params() == ({"sid": "a"} if read else {})


@pytest.mark.parametrize(
    ("scheme", "forwarded", "url_scheme"),
    [
        ("http", None, "http"),
        ("https", None, "https"),
        ("ws", None, "http"),
        ("wss", None, "https"),
        ("http", b"https", "https"),
        ("ws", b"WSS , http", "https"),
        ("https", b"http,https", "http"),
        ("https", b"\xff", "http"),
    ],
)
def test_the_scheme_as_the_client_used_it(scheme: str, forwarded: bytes | None, url_scheme: str) -> None:
    headers = [] if forwarded is None else [(b"x-forwarded-proto", forwarded)]
    made = request(*headers, scheme=scheme)
    assert made.url_scheme == url_scheme
    assert made.secure is (url_scheme == "https")


def test_a_request_is_one_head_and_a_few_slots() -> None:
    made = request((b"user-agent", b"Mozilla"))
    assert not hasattr(made, "__dict__")
    assert sys.getsizeof(made) <= 128
