"""Where the deployment is."""

from __future__ import annotations

import pytest

from roomcast.doctor.target import Target, other_paths, parse_target
from roomcast.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "target", "shown"),
    [
        ("https://chat.example.com", Target("https", "chat.example.com", 443), "https://chat.example.com/socket.io/"),
        (
            "wss://chat.example.com:443/",
            Target("https", "chat.example.com", 443),
            "https://chat.example.com/socket.io/",
        ),
        ("http://localhost:8080/ws/socket.io", Target("http", "localhost", 8080, "/ws/socket.io/"), None),
        ("ws://[::1]:8080", Target("http", "::1", 8080), "http://[::1]:8080/socket.io/"),
        ("http://an%40n:p%3Aw@host", Target("http", "host", 80, login=("an@n", "p:w")), "http://host/socket.io/"),
    ],
)
def test_urls(url: str, target: Target, shown: str | None) -> None:
    assert parse_target(url) == target
    if shown is not None:
        assert target.shown == shown


def test_what_follows_from_it() -> None:
    target = Target("https", "chat.example.com", 8443)
    assert (target.authority, target.origin, target.secure) == (
        "chat.example.com:8443",
        "https://chat.example.com:8443",
        True,
    )
    assert not Target("http", "x", 80).secure


def test_the_path_in_an_option_of_its_own() -> None:
    assert parse_target("http://x", "realtime").path == "/realtime/"
    assert parse_target("http://x/", "/").path == "/socket.io/"


@pytest.mark.parametrize(
    ("url", "path", "words"),
    [
        ("chat.example.com", None, "must begin with"),
        ("ftp://chat.example.com", None, "must begin with"),
        ("https://", None, "must begin with"),
        ("http://x:99999", None, "no URL"),
        ("http://a..b", None, "no URL"),
        ("http://x/?EIO=4", None, "query"),
        ("http://x/a", "/b", "say it once"),
        ("http://x", "/a b", "space"),
    ],
)
def test_what_is_none(url: str, path: str | None, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        parse_target(url, path)


def test_other_paths_leave_out_the_one_that_was_asked() -> None:
    assert "/socket.io/" in other_paths("/x/")
    assert "/socket.io/" not in other_paths("/socket.io/")
