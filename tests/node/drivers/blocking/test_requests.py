"""The request that an environ describes."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.drivers.blocking.requests import decoded, read_request
from roomcast.engineio.environ import Environ
from tests.support.wsgi_requests import HANDSHAKE_HEADERS, environ_of


def test_what_it_says() -> None:
    request = read_request(environ_of("POST", "a=1&b=%20", b"4", CONTENT_TYPE="text/plain", HTTP_X_THING="thing"))
    assert (request.method, request.path, request.query) == ("POST", "/socket.io/", b"a=1&b=%20")
    assert request.client == ("192.0.2.7", 50_000)
    assert request.server == ("127.0.0.1", 8_000)
    assert (request.scheme, request.http_version) == ("http", "1.1")
    headers = {name: request.header(name) for name in (b"host", b"x-thing", b"content-type", b"content-length")}
    assert headers == {
        b"host": b"example.org",
        b"x-thing": b"thing",
        b"content-type": b"text/plain",
        b"content-length": b"1",
    }


@pytest.mark.parametrize(("scheme", "upgraded"), [("http", "ws"), ("https", "wss")])
def test_an_upgrade(scheme: str, upgraded: str) -> None:
    environ = environ_of("GET", "", **HANDSHAKE_HEADERS, **{"wsgi.url_scheme": scheme})
    request = read_request(environ, upgrade=True)
    assert request.scheme == upgraded
    assert request.header(b"sec-websocket-version") == b"13"


def test_a_mount_and_a_path_that_is_not_ascii() -> None:
    request = read_request(environ_of(SCRIPT_NAME="/caf\u00c3\u00a9", PATH_INFO="/\u00c3\u00bc/"))
    assert request.path == "/café/ü/"
    assert request.root_path == "/café"


@pytest.mark.parametrize(
    ("given", "found"), [("/a", "/a"), ("/\u00c3\u00bc", "/ü"), ("/\u00ff", "/\ufffd"), ("/\u20ac", "/?")]
)
def test_paths_are_utf_8_whatever_a_server_makes_of_them(given: str, found: str) -> None:
    assert decoded(given) == found


@pytest.mark.parametrize(
    ("extra", "client"),
    [
        ({"REMOTE_ADDR": None}, None),
        ({"REMOTE_ADDR": ""}, None),
        ({"REMOTE_PORT": None}, ("192.0.2.7", 0)),
        ({"REMOTE_PORT": 7}, ("192.0.2.7", 7)),
    ],
)
def test_addresses_that_are_not_all_there(extra: dict[str, Any], client: Any) -> None:
    assert read_request(environ_of(**extra)).client == client


def test_handlers_see_what_the_server_and_the_application_put_there() -> None:
    environ = environ_of(
        **{"REMOTE_USER": "ann", "app.session": {"cart": 1}, "gunicorn.socket": object(), "eventlet.input": object()}
    )
    seen = Environ(read_request(environ))
    assert seen["REMOTE_USER"] == "ann"
    assert seen["app.session"] == {"cart": 1}
    assert seen["wsgi.multithread"] is True
    assert seen["HTTP_HOST"] == "example.org"
    assert not {"gunicorn.socket", "eventlet.input"} & set(seen)


def test_the_version_that_eventlet_tells_is_its_own_answers() -> None:
    assert read_request(environ_of(SERVER_PROTOCOL="HTTP/1.0")).http_version == "1.0"
    assert read_request(environ_of(SERVER_PROTOCOL="HTTP/1.0", **{"eventlet.input": object()})).http_version == "1.1"


def test_headers_that_no_server_should_let_through() -> None:
    request = read_request(environ_of(HTTP_X_ODD="\u20ac"))
    assert request.header(b"x-odd") == b"?"
