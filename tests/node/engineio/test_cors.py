"""Which origins may come in, and what every answer tells their browsers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from roomcast.engineio.cors import Allowed, OriginPolicy
from roomcast.engineio.request import Request
from roomcast.errors import SettingsError

HOME = b"https://example.org"
VARY = (b"vary", b"Origin")
CREDENTIALS = (b"access-control-allow-credentials", b"true")


def asking(origin: bytes | None, *headers: tuple[bytes, bytes], scheme: str = "https") -> Request:
    pairs = [(b"host", b"example.org"), *headers]
    if origin is not None:
        pairs.append((b"origin", origin))
    return Request.from_pairs("GET", "/", b"", pairs, scheme=scheme)


class Judge:
    """An application's check as an object; allows what it is told to."""

    def __call__(self, origin: str, environ: Mapping[str, Any]) -> bool:
        return origin == "https://example.org" and environ["HTTP_HOST"] == "example.org"


def by_origin(origin: str) -> bool:
    return origin == "https://example.org"


def by_both(origin: str, environ: Mapping[str, Any]) -> str:
    return origin if origin == f"https://{environ['HTTP_HOST']}" else ""


def by_any(*arguments: Any) -> bool:
    return len(arguments) == 2 and arguments[0] == "https://example.org"


def by_keyword(origin: str, *, strict: bool = False) -> bool:
    return by_origin(origin) and not strict


@pytest.mark.parametrize(
    "allowed",
    [
        None,
        "https://example.org",
        ["http://other", "https://example.org"],
        {"https://example.org"},
        ("https://example.org",),
        by_origin,
        by_both,
        by_any,
        by_keyword,
        Judge(),
        partial(by_both, environ={"HTTP_HOST": "example.org"}),
        {"https://example.org": True}.get,
        frozenset({"https://example.org"}).__contains__,
    ],
)
def test_one_origin_may_come_in_and_others_may_not(allowed: Allowed) -> None:
    policy = OriginPolicy(allowed)
    assert policy.active
    assert policy.allows(asking(HOME))
    assert policy.allows(asking(None))
    for other in (b"https://evil.org", b"https://example.org.evil.org", b"https://example.orgx", b"null", b"", b"\xff"):
        assert not policy.allows(asking(other)), other


@pytest.mark.parametrize("allowed", ["*", ["*"], ["https://example.org", "*"], [], ()])
def test_every_origin_may_come_in(allowed: Allowed) -> None:
    policy = OriginPolicy(allowed)
    assert policy.allows(asking(b"https://evil.org"))
    assert policy.allows(asking(b"null"))
    assert policy.allows(asking(None))


@pytest.mark.parametrize("allowed", [None, "*", [], by_any])
@pytest.mark.parametrize("origin", [b"http://a\x00", b"http://a\x7f", b"\x1fhttp://a", b"a\x0bb"])
def test_an_origin_with_illegal_characters_never_may(allowed: Allowed, origin: bytes) -> None:
    assert not OriginPolicy(allowed).allows(asking(origin))


@pytest.mark.parametrize(
    ("origin", "scheme", "headers", "same"),
    [
        (b"https://example.org", "https", (), True),
        (b"https://EXAMPLE.org", "wss", (), True),
        (b"http://example.org", "https", (), False),
        (b"http://example.org", "ws", (), True),
        (b"https://example.org:8443", "https", (), False),
        (b"https://example.org", "http", ((b"x-forwarded-proto", b"https"),), True),
        (b"http://example.org", "http", ((b"x-forwarded-proto", b"https"),), False),
        (
            b"https://front.org",
            "http",
            ((b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"front.org, b")),
            True,
        ),
        (b"http://front.org", "http", ((b"x-forwarded-host", b"front.org"),), True),
        (b"http://b", "http", ((b"x-forwarded-host", b"front.org, b"),), False),
    ],
)
def test_same_origin(origin: bytes, scheme: str, headers: tuple[tuple[bytes, bytes], ...], same: bool) -> None:
    assert OriginPolicy().allows(asking(origin, *headers, scheme=scheme)) is same


def test_without_host_nothing_is_the_same_origin() -> None:
    assert not OriginPolicy().allows(Request.from_pairs("GET", "/", b"", [(b"origin", b"http://")]))


def test_a_type_error_inside_the_application_is_not_taken_for_a_wrong_signature() -> None:
    calls = []

    def broken(origin: str, environ: Any = None) -> bool:
        calls.append(origin)
        raise TypeError(environ["HTTP_HOST"])

    with pytest.raises(TypeError, match=r"example\.org"):
        OriginPolicy(broken).allows(asking(HOME))
    assert calls == ["https://example.org"]


class Unreadable:
    """A check whose signature nobody can read."""

    __signature__ = 5

    def __call__(self, origin: str) -> bool:
        return by_origin(origin)


def test_without_a_readable_signature_the_origin_is_all_there_is() -> None:
    assert OriginPolicy(Unreadable()).allows(asking(HOME))
    assert not OriginPolicy(Unreadable()).allows(asking(b"http://evil"))


async def forgets_to_be_awaited(origin: str) -> bool:
    return False


class Forgets:
    """A check whose call is a coroutine function."""

    async def __call__(self, origin: str) -> bool:
        return False


@pytest.mark.parametrize("allowed", [forgets_to_be_awaited, Forgets()])
def test_a_coroutine_function_would_allow_everybody_and_is_refused(allowed: Allowed) -> None:
    with pytest.raises(SettingsError, match="plain function"):
        OriginPolicy(allowed)


def test_a_list_of_something_else_is_refused() -> None:
    with pytest.raises(SettingsError, match="not a string"):
        OriginPolicy([1])  # type: ignore[list-item]  # what is tested


def test_an_allowed_origin_is_echoed() -> None:
    echoed = ((b"access-control-allow-origin", HOME), VARY, CREDENTIALS)
    assert OriginPolicy("https://example.org").headers(asking(HOME)) == echoed
    assert OriginPolicy("*").headers(asking(HOME)) == echoed
    assert OriginPolicy("*").headers(asking(HOME), True) == echoed
    assert OriginPolicy(HOME.decode(), credentials=False).headers(asking(HOME)) == echoed[:2]


def test_a_refused_or_absent_origin_is_not_echoed_but_was_looked_at() -> None:
    policy = OriginPolicy("https://example.org")
    assert policy.headers(asking(b"http://evil")) == (VARY, CREDENTIALS)
    assert policy.headers(asking(HOME), False) == (VARY, CREDENTIALS)
    assert policy.headers(asking(None)) == (VARY, CREDENTIALS)
    assert OriginPolicy("*").headers(asking(b"http://a\x00")) == (VARY, CREDENTIALS)


def test_the_wildcard_stands_only_without_credentials() -> None:
    wildcard = ((b"access-control-allow-origin", b"*"),)
    assert OriginPolicy("*", credentials=False).headers(asking(HOME)) == wildcard
    assert OriginPolicy("*", credentials=False).headers(asking(None)) == wildcard


def test_switched_off_it_says_nothing() -> None:
    policy = OriginPolicy([])
    assert not policy.active
    assert policy.headers(asking(HOME)) == ()


def test_what_allows_said_spares_asking_the_application_again() -> None:
    calls = []

    def check(origin: str) -> bool:
        calls.append(origin)
        return True

    policy = OriginPolicy(check)
    request = asking(HOME)
    allowed = policy.allows(request)
    assert policy.headers(request, allowed)[0] == (b"access-control-allow-origin", HOME)
    assert len(calls) == 1


def test_preflight() -> None:
    asked = (b"access-control-request-headers", b"x-token\x00, content-type")
    answer = OriginPolicy("*").preflight(asking(HOME, asked), extra=((b"x", b"y"),))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers[-6:] == (
        VARY,
        CREDENTIALS,
        (b"access-control-allow-methods", b"GET,HEAD,PUT,PATCH,POST,DELETE"),
        (b"access-control-allow-headers", b"x-token, content-type"),
        (b"vary", b"Access-Control-Request-Headers"),
        (b"x", b"y"),
    )
    assert dict(answer.headers)[b"content-length"] == b"0"
    assert dict(answer.headers)[b"access-control-allow-origin"] == HOME
    assert b"access-control-allow-headers" not in dict(OriginPolicy("*").preflight(asking(HOME)).headers)
