"""The lazy environ: a dict in every respect, and no fuller than its reader needs."""

from __future__ import annotations

import copy
import pickle
import string
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.engineio.environ import Environ, everything
from roomcast.engineio.request import Request

REQUEST = Request.from_pairs(
    "GET",
    "/app/socket.io/",
    b"EIO=4&token=%20x",
    [
        (b"host", b"example.org"),
        (b"user-agent", b"Mozilla/5.0"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"x-many", b"1"),
        (b"x-many", b"2"),
        (b"content-type", b"text/plain"),
        (b"content-length", b"5"),
        (b"x_forwarded_proto", b"https"),
        (b"x-latin", b"\xe9"),
        (b"\xe9", b"name"),
    ],
    scheme="wss",
    client=("192.0.2.1", 4711),
    server=("198.51.100.1", 443),
    root_path="/app",
    extra={"asgi.scope": {"type": "websocket"}},
)

NAMES = st.sampled_from([b"a", b"a-b", b"a_b", b"content-type", b"content-length", b"cookie", b"x.y", b"\xc3\xa9"])
VALUES = st.sampled_from([b"", b"1", b"text", b"\xff", "é".encode()])
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
KEYS = st.one_of(
    st.sampled_from(
        ["HTTP_A", "HTTP_A_B", "HTTP_a", "HTTP_A-B", "HTTP_X.Y", "HTTP_CONTENT_TYPE", "CONTENT_TYPE", "HTTP_"]
    ),
    st.text(string.ascii_uppercase + "_-É", max_size=3).map("HTTP_".__add__),
)


def filled(environ: Environ) -> bool:
    """Whether the dict under the environ holds more than nothing, asked without its own methods."""
    return dict.__len__(environ) > 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("REQUEST_METHOD", "GET"),
        ("SCRIPT_NAME", "/app"),
        ("PATH_INFO", "/socket.io/"),
        ("QUERY_STRING", "EIO=4&token=%20x"),
        ("RAW_URI", "/app/socket.io/?EIO=4&token=%20x"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", "roomcast"),
        ("REMOTE_ADDR", "192.0.2.1"),
        ("REMOTE_PORT", "4711"),
        ("SERVER_NAME", "198.51.100.1"),
        ("SERVER_PORT", "443"),
        ("wsgi.url_scheme", "https"),
        ("wsgi.version", (1, 0)),
        ("wsgi.async", True),
        ("wsgi.multithread", False),
        ("wsgi.multiprocess", False),
        ("wsgi.run_once", False),
        ("wsgi.errors", sys.stderr),
        ("HTTP_HOST", "example.org"),
        ("HTTP_USER_AGENT", "Mozilla/5.0"),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("HTTP_X_MANY", "1,2"),
        ("CONTENT_TYPE", "text/plain"),
        ("CONTENT_LENGTH", "5"),
        ("asgi.scope", {"type": "websocket"}),
    ],
)
def test_one_key_is_read_without_filling(key: str, value: Any) -> None:
    environ = Environ(REQUEST)
    assert environ[key] == value
    assert environ.get(key) == value
    assert key in environ
    assert not filled(environ)
    assert dict(environ)[key] == value


@pytest.mark.parametrize(
    "key",
    ["HTTP_NONE", "HTTP_X_FORWARDED_PROTO", "HTTP_X_LATIN", "HTTP_CONTENT_TYPE", "HTTP_user_agent", "HTTP_X-MANY", "x"],
)
def test_what_is_not_there_is_not_there(key: str) -> None:
    environ = Environ(REQUEST)
    for _ in ("lazy", "filled"):
        with pytest.raises(KeyError, match=key):
            environ[key]
        assert environ.get(key) is None
        assert environ.get(key, 7) == 7
        assert key not in environ
        len(environ)


def test_keys_that_are_no_strings() -> None:
    number: Any = 1
    unhashable: Any = []
    environ = Environ(REQUEST)
    assert number not in environ
    with pytest.raises(TypeError):
        environ.__contains__(unhashable)


@given(HEADERS, KEYS)
def test_one_key_is_what_the_filled_dict_says(headers: list[tuple[bytes, bytes]], key: str) -> None:
    request = Request.from_pairs("GET", "/", b"", headers)
    whole = everything(request)
    for each in (key, *whole):
        lazy = Environ(request)
        assert (each in lazy) is (each in whole)
        assert lazy.get(each, "absent") == whole.get(each, "absent")
        assert not filled(lazy)


def test_a_bare_request() -> None:
    environ = Environ(Request("GET", "/", b""))
    assert environ["REMOTE_ADDR"] == ""
    assert environ["REMOTE_PORT"] == "0"
    assert environ["SERVER_NAME"] == "localhost"
    assert environ["SERVER_PORT"] == "0"
    assert environ["RAW_URI"] == "/"
    assert Environ(Request("GET", "/", b"", server=("/run/node.sock", None)))["SERVER_PORT"] == "0"


def test_the_body_is_not_there_to_read() -> None:
    body = Environ(REQUEST)["wsgi.input"]
    assert (body.read(), body.read(5), body.readline(), body.readlines(), list(body)) == (b"", b"", b"", [], [])


WHOLE: list[Callable[[Environ], Any]] = [
    dict,
    lambda environ: {**environ},
    lambda environ: environ | {},
    lambda environ: {} | environ,
    lambda environ: environ.copy(),
    copy.copy,
    lambda environ: {key: environ[key] for key in environ},
    lambda environ: dict(environ.items()),
    lambda environ: dict(zip(environ.keys(), environ.values(), strict=True)),
    lambda environ: dict(reversed([(key, environ[key]) for key in reversed(environ)])),
]


@pytest.mark.parametrize("read", WHOLE)
def test_every_way_to_read_the_whole_gives_the_whole(read: Callable[[Environ], Any]) -> None:
    assert read(Environ(REQUEST)) == everything(REQUEST)


def test_it_counts_compares_and_prints_like_a_dict() -> None:
    whole = everything(REQUEST)
    assert isinstance(Environ(REQUEST), dict)
    assert len(Environ(REQUEST)) == len(whole)
    assert Environ(REQUEST)
    assert Environ(REQUEST) == whole
    assert whole == Environ(REQUEST)
    assert Environ(REQUEST) == Environ(REQUEST)
    assert Environ(REQUEST) != {}
    assert Environ(Request("GET", "/", b"")) != Environ(REQUEST)
    assert repr(Environ(REQUEST)) == repr(whole)
    with pytest.raises(TypeError):
        hash(Environ(REQUEST))


def test_it_pickles_as_a_plain_dict() -> None:
    environ = Environ(REQUEST)
    environ.pop("wsgi.errors")
    environ["wsgi.input"] = None
    restored = pickle.loads(pickle.dumps(environ))
    assert type(restored) is dict
    assert restored == environ


def test_compact_gives_back_what_reading_took() -> None:
    environ = Environ(REQUEST)
    environ.compact()
    assert len(environ) > 20
    assert filled(environ)
    environ.compact()
    assert not filled(environ)
    assert environ["HTTP_HOST"] == "example.org"
    assert environ == everything(REQUEST)


def test_writing_does_not_fill_and_stays() -> None:
    environ = Environ(REQUEST)
    environ["app.user"] = "u"
    environ["HTTP_HOST"] = "other"
    assert dict.__len__(environ) == 2
    assert "app.user" in environ
    assert (environ["app.user"], environ["HTTP_HOST"], environ["REQUEST_METHOD"]) == ("u", "other", "GET")
    environ.compact()
    assert environ == everything(REQUEST) | {"app.user": "u", "HTTP_HOST": "other"}
    environ.compact()
    assert environ["app.user"] == "u"
    assert environ["HTTP_HOST"] == "other"


def test_writing_after_filling_stays_too() -> None:
    environ = Environ(REQUEST)
    assert len(environ)
    environ["app.user"] = "u"
    environ.compact()
    assert environ == everything(REQUEST) | {"app.user": "u"}


def test_setdefault_update_and_merging_in_place() -> None:
    environ = Environ(REQUEST)
    assert environ.setdefault("REQUEST_METHOD", "PUT") == "GET"
    assert environ.setdefault("a", 1) == 1
    environ.update({"b": 2}, c=3)
    same = environ
    environ |= {"d": 4}
    assert environ is same
    environ.compact()
    assert environ == everything(REQUEST) | {"a": 1, "b": 2, "c": 3, "d": 4}


def test_what_was_deleted_does_not_come_back() -> None:
    environ = Environ(REQUEST)
    del environ["HTTP_COOKIE"]
    assert environ.pop("HTTP_HOST") == "example.org"
    assert environ.pop("HTTP_HOST", "gone") == "gone"
    with pytest.raises(KeyError):
        del environ["HTTP_COOKIE"]
    environ.compact()
    assert "HTTP_COOKIE" not in environ
    assert environ.get("HTTP_HOST") is None
    assert len(environ) == len(everything(REQUEST)) - 2
    while environ:
        environ.popitem()
    environ.compact()
    assert list(environ) == []


def test_clear_leaves_nothing() -> None:
    environ = Environ(REQUEST)
    environ.clear()
    environ.compact()
    assert environ == {}
    assert "HTTP_HOST" not in environ
