"""The cookie of a polling handshake, attribute by attribute."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.engineio.cookies import Option, render
from roomcast.errors import SettingsError

SID = "fabrQzAAq8O6PhOmAAAA"


@pytest.mark.parametrize(
    ("option", "secure", "cookie"),
    [
        (None, True, None),
        ("io", False, "io={sid}; path=/; SameSite=Lax; HttpOnly"),
        ("io", True, "io={sid}; path=/; SameSite=Lax; HttpOnly; Secure"),
        ({}, False, "io={sid}; HttpOnly"),
        ({"name": "n", "path": "/x"}, False, "n={sid}; path=/x; HttpOnly"),
        ({"name": "n", "httponly": False}, False, "n={sid}"),
        ({"name": "n", "HttpOnly": None}, False, "n={sid}"),
        ({"name": "n", "HttpOnly": True}, False, "n={sid}; HttpOnly"),
        ({"name": "n", "secure": True}, False, "n={sid}; secure; HttpOnly"),
        ({"name": "n", "secure": False}, True, "n={sid}; HttpOnly"),
        ({"name": "n", "Max-Age": 60}, False, "n={sid}; Max-Age=60; HttpOnly"),
        ({"name": "n", "Max-Age": 0}, False, "n={sid}; Max-Age=0; HttpOnly"),
        ({"name": "n", "Expires": lambda: "Wed, 21 Oct 2026 07:28:00 GMT"}, False,
         "n={sid}; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly"),
        ({"name": "n", "Partitioned": lambda: True}, False, "n={sid}; Partitioned; HttpOnly"),
        ({"name": "n", "Domain": lambda: None}, False, "n={sid}; HttpOnly"),
    ],
)  # fmt: skip
def test_render(option: Option, secure: bool, cookie: str | None) -> None:
    expected = None if cookie is None else cookie.format(sid=SID).encode()
    assert render(option, SID, secure) == expected


@pytest.mark.parametrize(
    "option",
    [
        "",
        "a b",
        "a;b",
        "a=b",
        "ü",
        {"name": "a\r\n"},
        {"name": None},
        {1: "x"},
        {"path": "/; Secure"},
        {"path": "/\r\nx: y"},
        {"path": "ü"},
        {"path": lambda: "a;b"},
        {"a b": True},
    ],
)
def test_what_would_be_no_cookie_is_refused(option: Any) -> None:
    with pytest.raises(SettingsError, match="cookie option"):
        render(option, SID, False)


def test_the_option_is_left_as_it_was() -> None:
    option = {"name": "n", "path": "/"}
    render(option, SID, True)
    assert option == {"name": "n", "path": "/"}
