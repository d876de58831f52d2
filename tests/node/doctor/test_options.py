"""What is asked for, and what of it is secret."""

from __future__ import annotations

import pytest

from roomcast.doctor import options
from roomcast.doctor.options import Options
from roomcast.doctor.target import parse_target
from roomcast.errors import SettingsError


def test_auth() -> None:
    assert options.read_auth(None) is None
    assert options.read_auth('{"token": "t", "n": 1}') == {"token": "t", "n": 1}


@pytest.mark.parametrize("text", ["", "token", "[1]", "5"])
def test_what_is_no_auth_is_not_repeated(text: str) -> None:
    with pytest.raises(SettingsError, match="no JSON object") as caught:
        options.read_auth(text)
    assert not text or f"'{text}'" not in str(caught.value)


def test_namespaces() -> None:
    assert options.read_namespace("/chat") == "/chat"
    with pytest.raises(SettingsError, match="--namespace: a namespace must begin with /"):
        options.read_namespace("chat")


def test_origins() -> None:
    assert options.read_origins(["https://App.example.com/", "http://x:8080"]) == (
        "https://app.example.com",
        "http://x:8080",
    )


@pytest.mark.parametrize("origin", ["app.example.com", "https://", "https://x/page", "https://me@x"])
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(SettingsError, match="--origin"):
        options.read_origins([origin])


def test_headers() -> None:
    assert options.read_headers(["X-Key:  abc ", "A: b:c"]) == (("X-Key", "abc"), ("A", "b:c"))


@pytest.mark.parametrize("line", ["X-Key", ": x", "A: b\r\nC: d"])
def test_what_is_no_header(line: str) -> None:
    with pytest.raises(SettingsError, match="--header"):
        options.read_headers([line])


def test_secrets() -> None:
    found = Options(
        target=parse_target("https://bob:hunter2@x"),
        auth={"token": "s3cret", "deep": [{"pin": "1234"}], "flag": "on", "n": 12345},
        headers=(("X-Key", "header-key"), ("X-Flag", "1")),
        broker="redis://user:p%40ss@host:6379/0",
        cluster="socketio",
        keys=("cluster-key", b"bytes-key"),
        wait=60,
    ).secrets
    for secret in (
        "bob",
        "hunter2",
        "s3cret",
        "1234",
        "header-key",
        "p%40ss",
        "p@ss",
        "user:p%40ss",
        "cluster-key",
        "bytes-key",
    ):
        assert secret in found
    assert "on" not in found
    assert "1" not in found
    assert "" not in found


def test_nothing_is_secret_about_what_has_no_secret() -> None:
    assert Options(target=parse_target("http://x"), broker="redis://h", cluster="socketio", wait=60).secrets == ()
    assert Options(target=parse_target("http://x"), broker="redis://me@h", cluster="a", wait=1).secrets == (
        "me",
        "bWU=",
    )
