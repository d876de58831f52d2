"""The environ that handlers see: WSGI shaped, of the handshake of the physical connection, with the true addresses."""

from __future__ import annotations

from typing import Any

import pytest

import roomcast
from tests.support.api_client import PollingClient
from tests.support.inprocess import Node, Way

differs = pytest.mark.differs
HEADERS = {
    "User-Agent": "test/1",
    "X-Custom-Header": "value",
    "Cookie": "a=1; b=2",
    "Authorization": "Bearer x",
    "Accept-Language": "de",
}


async def environ_of(way: Way, **options: Any) -> tuple[dict[str, Any], str]:
    """What a connect handler gets from a client that was opened like this, and the base URL of its server."""
    sio = roomcast.AsyncServer()
    seen: list[dict[str, Any]] = []
    sio.on("connect", lambda sid, environ, auth: seen.append(environ))
    async with Node(sio, way) as node:
        client = await node.connect(**options)
        assert sio.get_environ(client.sid) == seen[0]
        assert sio.environ[client.engine_sid] == seen[0]
        return dict(seen[0]), node.base


async def test_headers_and_request_line(way: Way) -> None:
    environ, _ = await environ_of(way, headers=HEADERS, query={"token": "a b&c", "n": "1"})
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["PATH_INFO"] == "/socket.io/"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["QUERY_STRING"].split("&")[2:] == ["token=a+b%26c", "n=1"]
    assert environ["HTTP_USER_AGENT"] == "test/1"
    assert environ["HTTP_X_CUSTOM_HEADER"] == "value"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_AUTHORIZATION"] == "Bearer x"
    assert environ["HTTP_ACCEPT_LANGUAGE"] == "de"
    assert "HTTP_HOST" in environ
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["wsgi.url_scheme"] in {"http", "ws"}


async def test_the_asgi_objects_are_there(flavour: Way) -> None:
    environ, _ = await environ_of(flavour)
    assert environ["asgi.scope"]["path"] == "/socket.io/"
    assert environ["asgi.scope"]["type"] == "websocket"


@differs
async def test_the_addresses_are_true(way: Way) -> None:
    environ, base = await environ_of(way)
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert int(environ["REMOTE_PORT"]) > 1023
    assert environ["SERVER_PORT"] == base.rsplit(":", 1)[1]
    assert environ["SERVER_NAME"] == "127.0.0.1"
    assert environ["wsgi.url_scheme"] == "http"


async def test_the_forwarded_protocol_counts_as_the_scheme(way: Way) -> None:
    environ, _ = await environ_of(way, headers={"X-Forwarded-Proto": "https"})
    assert environ["wsgi.url_scheme"] == "https"


async def test_repeated_headers_are_joined(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[dict[str, Any]] = []
    sio.on("connect", lambda sid, environ, auth: seen.append(environ))
    async with Node(sio, flavour) as node:
        client = await PollingClient.open(node.base, headers=[("X-Many", "1"), ("X-Many", "2")])  # type: ignore[arg-type]
        node.keep(client)
        await client.connect()
        assert seen[0]["HTTP_X_MANY"].replace(" ", "") == "1,2"


async def test_it_is_a_dict_that_the_application_may_write_to(way: Way) -> None:
    sio = roomcast.AsyncServer()

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        assert isinstance(environ, dict)
        environ["my.user"] = "ann"

    async with Node(sio, way) as node:
        client = await node.connect(headers=HEADERS)
        environ = sio.get_environ(client.sid)
        assert environ is not None
        assert environ["my.user"] == "ann"
        assert environ.get("my.user") == "ann"
        assert environ.get("nothing") is None
        assert environ.get("nothing", 5) == 5
        assert "HTTP_USER_AGENT" in environ
        assert "HTTP_NOTHING" not in environ
        with pytest.raises(KeyError):
            environ["HTTP_NOTHING"]
        copy = {**environ}
        assert copy["my.user"] == "ann"
        assert copy["HTTP_USER_AGENT"] == "test/1"
        assert len(copy) == len(environ) == len(list(environ))
        assert set(copy) == set(environ.keys())


async def test_it_is_that_of_the_handshake_whatever_comes_later(flavour: Way) -> None:
    sio = roomcast.AsyncServer(namespaces=["/", "/chat"])
    async with Node(sio, flavour) as node:
        client = await node.polling(headers={"X-Name": "first"})
        await client.connect()
        main = client.sid
        client.http.headers["X-Name"] = "second"
        chat = await client.connect("/chat")
        websocket = await client.upgrade()
        node.keep(websocket)
        for environ in (sio.get_environ(main), sio.get_environ(chat, namespace="/chat")):
            assert environ is not None
            assert environ["HTTP_X_NAME"] == "first"
            assert "transport=polling" in environ["QUERY_STRING"]


@pytest.mark.parametrize("sid", ["unknown", "x" * 20])
async def test_an_unknown_sid_has_none(flavour: Way, sid: str) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect()
        assert sio.get_environ(sid) is None
        assert sio.get_environ(client.sid, namespace="/nowhere") is None
        assert sio.get_environ(client.engine_sid) is None


async def test_content_headers_have_their_cgi_names(flavour: Way) -> None:
    environ, _ = await environ_of(flavour, transport="polling", headers={"Content-Type": "text/x-test"})
    assert environ["CONTENT_TYPE"] == "text/x-test"
    assert "HTTP_CONTENT_TYPE" not in environ


async def test_the_transport(way: Way) -> None:
    sio = roomcast.AsyncServer(namespaces=["/chat"])
    async with Node(sio, way) as node:
        client = await node.connect("/chat")
        assert sio.transport(client.sid, namespace="/chat") == way.transport
        for sid, namespace in (("x" * 20, "/"), (client.sid, "/"), (client.sid, "/nowhere")):
            with pytest.raises(KeyError):
                sio.transport(sid, namespace=namespace)
