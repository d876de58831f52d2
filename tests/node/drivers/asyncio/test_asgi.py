"""Which requests of an ASGI server are whose, by messages."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import roomcast
from roomcast.drivers.asyncio.asgi import make_request, own_paths


async def answer(app: Any, path: str, method: str = "GET", kind: str = "http", **scope: Any) -> list[dict[str, Any]]:
    """What the application sends for one request."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    whole = {"type": kind, "path": path, "query_string": b"", "headers": [], **scope}
    if kind == "http":
        whole["method"] = method
    await app(whole, receive, send)
    return sent


@pytest.mark.parametrize(
    ("scope", "paths"),
    [
        ({"path": "/a"}, ("/a",)),
        ({"path": "/a", "root_path": ""}, ("/a",)),
        ({"path": "/mount/a", "root_path": "/mount"}, ("/mount/a", "/a")),
        ({"path": "/mount/a", "root_path": "/mount/"}, ("/mount/a", "/a")),
        ({"path": "/mounted", "root_path": "/mount"}, ("/mounted",)),
        ({"path": "/a", "root_path": "/elsewhere"}, ("/a",)),
    ],
)
def test_the_path_and_what_is_left_of_it_behind_a_mount(scope: dict[str, str], paths: tuple[str, ...]) -> None:
    assert own_paths(scope) == paths


@pytest.mark.parametrize(
    ("socketio_path", "path"),
    [("socket.io", "/socket.io/"), ("/a/b/", "/a/b/"), ("", "/"), ("/", "/"), (None, "/")],
)
def test_the_path_of_the_server(socketio_path: str | None, path: str) -> None:
    assert roomcast.ASGIApp(roomcast.AsyncServer(), socketio_path=socketio_path).path == path


async def test_nobody_is_there() -> None:
    app = roomcast.ASGIApp(roomcast.AsyncServer())
    start, body = await answer(app, "/nowhere")
    assert (start["status"], body["body"]) == (404, b"Not Found")
    assert await answer(app, "/nowhere", kind="websocket") == [{"type": "websocket.close", "code": 1000}]


async def test_static_files_for_get_and_head_only(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>hello")
    app = roomcast.ASGIApp(roomcast.AsyncServer(), static_files={"/page": str(page), "/gone": str(tmp_path / "gone")})
    start, body = await answer(app, "/page")
    headers = dict(start["headers"])
    assert (start["status"], body["body"], headers[b"content-length"]) == (200, b"<p>hello", b"8")
    assert headers[b"x-content-type-options"] == b"nosniff"
    start, body = await answer(app, "/page", "HEAD")
    assert (start["status"], body["body"], dict(start["headers"])[b"content-length"]) == (200, b"", b"8")
    for path, method in (("/page", "POST"), ("/gone", "GET"), ("/other", "GET")):
        assert (await answer(app, path, method))[0]["status"] == 404
    assert (await answer(app, "/mount/page", root_path="/mount"))[0]["status"] == 200


def test_a_scope_with_the_least_that_the_specification_asks_for() -> None:
    scope = {"type": "websocket", "path": "/socket.io/", "query_string": b"a=1", "headers": [(b"host", b"x")]}
    request = make_request(scope, "receive", "send")
    assert (request.method, request.client, request.server, request.scheme) == ("GET", None, None, "http")
    assert request.extra == {"asgi.scope": scope, "asgi.receive": "receive", "asgi.send": "send"}


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_who_is_told_of_no_start_up_starts_with_the_first_request(kind: str) -> None:
    """daphne knows no lifespan, and a mount gets none: the server joins its cluster all the same."""
    sio = roomcast.AsyncServer(broker=f"memory://first-{kind}")
    app = roomcast.ASGIApp(sio)
    await answer(app, "/nowhere")
    assert sio.bus is not None
    assert not sio.bus.is_open
    for _ in range(2):
        await answer(app, "/socket.io/", kind=kind)
    await asyncio.gather(*sio.runtime.tasks)
    assert (sio.bus.is_open, sio.manager_initialized) == (True, True)
    await sio.shutdown()
    await answer(app, "/socket.io/", kind=kind)
    await asyncio.sleep(0)
    assert not sio.bus.is_open  # who was stopped is started by ``start`` alone


async def test_who_was_started_is_not_started_again() -> None:
    sio = roomcast.AsyncServer(broker="memory://started")
    await sio.start()
    await answer(roomcast.ASGIApp(sio), "/socket.io/")
    assert not sio.runtime.tasks
    await sio.shutdown()
