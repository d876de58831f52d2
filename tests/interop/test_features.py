"""What users of the public API build with it, against the application of ``interop_app.py``, over every way to run it.

Events, acknowledgements, binary data, namespaces, refusals and reasons are in ``test_python_client.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.interop.served import ORIGIN, SCENARIOS
from tests.support.deployments import STATIC, WEBSOCKET, Deployed
from tests.support.python_client import PythonClient
from tests.support.raw_http import request as http

TRANSPORTS: dict[str, list[str] | None] = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}
HANDSHAKE = "/socket.io/?EIO=4&transport=polling"
HALL = "/hall"
MEMBERS: dict[str, tuple[str, ...]] = {"none": (), "a": ("a",), "b": ("b",), "both": ("a", "b")}

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
"""The clients do not close all of their sockets."""

every_transport = pytest.mark.parametrize("transport", TRANSPORTS)


@contextlib.contextmanager
def in_hall(server: Deployed, transport: str) -> Iterator[PythonClient]:
    with PythonClient("asyncio") as client:
        client.connect(server.url, (HALL,), transports=TRANSPORTS[transport])
        yield client


def call(client: PythonClient, event: str, *args: Any) -> Any:
    return client.do("call", event, args, namespace=HALL)


@every_transport
def test_rooms(interop: Deployed, transport: str) -> None:
    """A union reaches each of its members once; who is skipped is skipped; a room that is closed is empty."""
    with contextlib.ExitStack() as stack:
        members = {name: stack.enter_context(in_hall(interop, transport)) for name in MEMBERS}
        sids = {name: member.do("get_sid", HALL) for name, member in members.items()}
        for name, rooms in MEMBERS.items():
            assert call(members[name], "enter", *rooms) is None
        teller = members["none"]
        call(teller, "tell", ["a", "b"], [], "to the union")
        call(teller, "tell", ["a", "b"], [sids["a"], sids["both"]], "to b alone")
        call(teller, "tell", ["b"], sids["b"], "to one room")
        call(teller, "close", "b")
        call(teller, "tell", ["b"], [], "to nobody")
        call(teller, "tell", list(sids.values()), [], "to each by its own")
        for name, expected in {
            "none": [],
            "a": ["to the union"],
            "b": ["to the union", "to b alone"],
            "both": ["to the union", "to one room"],
        }.items():
            for text in [*expected, "to each by its own"]:
                assert members[name].hear("told", HALL) == (text,)


@every_transport
def test_catch_all(interop: Deployed, transport: str) -> None:
    with in_hall(interop, transport) as client:
        assert call(client, "never heard of") == "never heard of"
        assert call(client, "nor of", 1, b"\x00") == ("nor of", 1, b"\x00")
    with PythonClient("asyncio") as client:
        client.connect(interop.url, ("/observer",), transports=TRANSPORTS[transport])
        assert client.do("call", "where", "am I", namespace="/observer") == ("/observer", "am I")


@every_transport
def test_sessions(interop: Deployed, transport: str) -> None:
    with in_hall(interop, transport) as first, in_hall(interop, transport) as second:
        assert [call(first, "visit") for _ in range(3)] == [1, 2, 3]
        assert call(second, "visit") == 1


@every_transport
def test_a_background_task(interop: Deployed, transport: str) -> None:
    with in_hall(interop, transport) as client:
        call(client, "work", 3)
        assert [client.hear("worked", HALL) for _ in range(3)] == [(0,), (1,), (2,)]


async def test_what_is_announced_is_kept(interop: Deployed) -> None:
    """Where there is no WebSocket none is announced, and who asks for one is told so."""
    opened = await http(interop.url + HANDSHAKE)
    websocket = connect(f"ws{interop.url.removeprefix('http')}/socket.io/?EIO=4&transport=websocket", proxy=None)
    if WEBSOCKET not in interop.way.cannot:
        assert '"upgrades":["websocket"]' in opened.text
        async with websocket as opened_websocket:
            assert str(await opened_websocket.recv()).startswith("0{")
        return
    assert '"upgrades":[]' in opened.text
    with pytest.raises(InvalidStatus) as refused:
        async with websocket:
            pass
    assert refused.value.response.status_code == 501


async def test_static_files(interop: Deployed) -> None:
    if STATIC in interop.way.cannot:
        assert (await http(interop.url + "/scenarios.js")).status == 404
        return
    for path, kind in {
        "/scenarios.js": "application/javascript",
        "/files/scenarios.js": "application/javascript",
    }.items():
        answer = await http(interop.url + path)
        assert (answer.status, answer.body, answer.header("content-type")) == (200, SCENARIOS.read_bytes(), kind)
    notes = await http(interop.url + "/notes")
    assert (notes.status, notes.header("content-type")) == (200, "text/x-notes")
    assert (await http(interop.url + "/scenarios.js", "HEAD")).body == b""
    assert (await http(interop.url + "/files/../served.py")).status == 404


async def test_another_application_beside_it(interop: Deployed) -> None:
    assert (await http(interop.url + "/page")).text == "GET by another application: "
    body = "é" * 10_000
    answer = await http(interop.url + "/page", "POST", body, [("Content-Type", "text/plain")])
    assert answer.text == f"POST by another application: {body}"
    assert (await http(interop.url + "/nowhere")).status == 404


async def test_origins(interop: Deployed) -> None:
    """``/socket.io/`` is for pages of every origin, ``/quick.io/`` for those of one."""
    url = interop.url + HANDSHAKE.replace("socket.io", "quick.io")
    anybody = await http(interop.url + HANDSHAKE, headers=[("Origin", "https://elsewhere.example")])
    assert anybody.header("access-control-allow-origin") in ("*", "https://elsewhere.example")
    friend = await http(url, headers=[("Origin", ORIGIN)])
    assert (friend.status, friend.header("access-control-allow-origin")) == (200, ORIGIN)
    stranger = await http(url, headers=[("Origin", "https://elsewhere.example")])
    assert (stranger.status, stranger.header("access-control-allow-origin")) == (400, None)
    asked = [("Origin", ORIGIN), ("Access-Control-Request-Method", "POST")]
    preflight = await http(url, "OPTIONS", headers=asked)
    assert (preflight.status, preflight.header("access-control-allow-origin")) == (204, ORIGIN)
