"""The ``cookie`` option, and who may come in: ``cors_allowed_origins`` and ``cors_credentials``."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

import roomcast
from tests.support.api_client import HANDSHAKE, get, request
from tests.support.inprocess import Node, Way

differs = pytest.mark.differs


async def opening(options: dict[str, Any], **parameters: Any) -> httpx.Response:
    """The answer to a polling handshake at a server with these options."""
    async with Node(roomcast.AsyncServer(**options), Way()) as node:
        return await get(node.base, params=HANDSHAKE, **parameters)


@pytest.mark.parametrize(
    ("cookie", "parts"),
    [
        (None, None),
        ("io", {"io=SID", "path=/", "samesite=lax"}),
        ({"name": "test", "path": "/x", "SameSite": "None"}, {"test=SID", "path=/x", "samesite=none"}),
        ({"name": "t", "Max-Age": lambda: "60", "Secure": True}, {"t=SID", "max-age=60", "secure"}),
    ],
)
async def test_the_cookie(cookie: Any, parts: set[str] | None) -> None:
    response = await opening({"cookie": cookie})
    if parts is None:
        assert "set-cookie" not in response.headers
        return
    sid = response.text.split('"')[3]
    name, *attributes = response.headers["set-cookie"].split(";")
    given = {name.strip()} | {attribute.strip().lower() for attribute in attributes}
    assert {part.replace("SID", sid) for part in parts} <= given


@differs
@pytest.mark.parametrize(
    ("cookie", "http_only"),
    [("io", True), ({"name": "io"}, True), ({"name": "io", "HttpOnly": False}, False), ({"HttpOnly": True}, True)],
)
async def test_the_cookie_is_http_only_unless_told_otherwise(cookie: Any, http_only: bool) -> None:
    header = (await opening({"cookie": cookie})).headers["set-cookie"].lower()
    assert ("httponly" in header) == http_only


async def test_only_the_polling_handshake_sets_it(flavour: Way) -> None:
    sio = roomcast.AsyncServer(cookie="io")
    async with Node(sio, flavour) as node:
        polling = await node.polling()
        assert "set-cookie" in polling.opening.headers
        response = await polling.post("40")
        assert "set-cookie" not in response.headers
        assert "set-cookie" not in (await polling.poll()).headers
        websocket = await node.websocket()
        assert websocket.connection.response is not None
        assert "set-cookie" not in websocket.connection.response.headers


GOOD, EVIL = "http://good.example", "http://evil.example"


def wants(origin: str) -> bool:
    return origin == GOOD


def wants_both(origin: str, environ: dict[str, Any]) -> bool:
    return origin == GOOD and environ["PATH_INFO"] == "/socket.io/"


def broken(origin: str) -> bool:
    raise TypeError("application")


ORIGINS: list[tuple[Any, dict[str, str], bool]] = [
    (None, {}, True),
    (None, {"Origin": EVIL}, False),
    (None, {"Origin": "null"}, False),
    (None, {"Origin": "HOST"}, True),
    (None, {"Origin": "https://front", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "front"}, True),
    (None, {"Origin": "https://front", "X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "front, back"}, True),
    (None, {"Origin": EVIL, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "front"}, False),
    (GOOD, {"Origin": GOOD}, True),
    (GOOD, {"Origin": EVIL}, False),
    (GOOD, {}, True),
    ([GOOD, "http://b"], {"Origin": "http://b"}, True),
    ([GOOD], {"Origin": GOOD + ".evil"}, False),
    ([GOOD], {"Origin": GOOD + "/"}, False),
    ("*", {"Origin": EVIL}, True),
    ([GOOD, "*"], {"Origin": EVIL}, True),
    ([], {"Origin": EVIL}, True),
    (wants, {"Origin": GOOD}, True),
    (wants, {"Origin": EVIL}, False),
    (wants_both, {"Origin": GOOD}, True),
    (wants_both, {"Origin": EVIL}, False),
    (lambda origin, environ=None: origin == GOOD, {"Origin": GOOD}, True),
]


@pytest.mark.parametrize(
    ("allowed", "headers", "accepted"), ORIGINS, ids=lambda value: getattr(value, "__name__", str(value))
)
async def test_who_may_come_in(way: Way, allowed: Any, headers: dict[str, str], accepted: bool) -> None:
    sio = roomcast.AsyncServer(cors_allowed_origins=allowed)
    async with Node(sio, way) as node:
        headers = {name: value.replace("HOST", node.base) for name, value in headers.items()}
        if way.transport == "websocket":
            if accepted:
                await node.websocket(headers=headers)
            else:
                with pytest.raises(InvalidStatus):
                    await node.websocket(headers=headers)
            return
        response = await get(node.base, params=HANDSHAKE, headers=headers)
        assert response.status_code == (200 if accepted else 400)
        origin = headers.get("Origin")
        shown = response.headers.get("access-control-allow-origin")
        if accepted and origin and allowed != []:
            assert shown in {origin, "*"}
        if not accepted or allowed == []:
            assert shown is None
        if allowed == []:
            assert not any(name.startswith("access-control") for name in response.headers)


@differs
async def test_a_refused_websocket_is_answered_400(flavour: Way) -> None:
    async with Node(roomcast.AsyncServer(), flavour) as node:
        with pytest.raises(InvalidStatus) as refused:
            await node.websocket(headers={"Origin": EVIL})
        assert refused.value.response.status_code == 400


@differs
async def test_a_refused_origin_leaves_no_trace(way: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, way) as node:
        response = await get(node.base, params=HANDSHAKE, headers={"Origin": EVIL})
        assert response.status_code == 400
        assert set(response.json()) == {"code", "message"}
        assert node.left_over() == {}
        assert dict(sio.eio.sockets) == {}


@differs
async def test_a_refused_origin_may_not_use_a_session_either(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.polling()
        await client.connect()
        assert (await client.post('42["e"]', headers={"Origin": EVIL})).status_code == 400
        with pytest.raises(InvalidStatus):
            await node.websocket(sid=client.engine_sid, headers={"Origin": EVIL})
        assert await client.drain() == []


@differs
async def test_a_type_error_inside_the_callable_is_a_refusal_called_once(flavour: Way) -> None:
    sio = roomcast.AsyncServer(cors_allowed_origins=broken)
    async with Node(sio, flavour) as node:
        response = await get(node.base, params=HANDSHAKE, headers={"Origin": GOOD})
        assert response.status_code in {400, 500}
        assert node.left_over() == {}


@pytest.mark.parametrize("credentials", [True, False])
async def test_credentials(credentials: bool) -> None:
    options = {"cors_allowed_origins": GOOD, "cors_credentials": credentials}
    response = await opening(options, headers={"Origin": GOOD})
    assert (response.headers.get("access-control-allow-credentials") == "true") == credentials


@differs
async def test_vary_says_that_the_origin_was_looked_at(flavour: Way) -> None:
    sio = roomcast.AsyncServer(cors_allowed_origins=[GOOD])
    async with Node(sio, flavour) as node:
        for headers in ({}, {"Origin": GOOD}, {"Origin": EVIL}):
            response = await get(node.base, params=HANDSHAKE, headers=headers)
            assert "origin" in response.headers["vary"].lower()


async def test_preflight(flavour: Way) -> None:
    sio = roomcast.AsyncServer(cors_allowed_origins=GOOD)
    async with Node(sio, flavour) as node:
        response = await request(
            "OPTIONS",
            node.base,
            params=HANDSHAKE,
            headers={
                "Origin": GOOD,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "X-One, X-Two",
            },
        )
        assert response.status_code in {200, 204}
        assert response.headers["access-control-allow-origin"] == GOOD
        assert {"GET", "POST"} <= set(response.headers["access-control-allow-methods"].replace(" ", "").split(","))
        assert response.headers["access-control-allow-headers"] == "X-One, X-Two"
        assert len(sio.eio.sockets) == 0
