"""Long polling, here by ASGI messages: bodies in pieces, connections that go away, bodies that are not taken."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import roomcast
from tests.support.inprocess import eventually

Messages = list[dict[str, Any]]


class Browser:
    """Sends requests to an application; keeps the sid of its session."""

    def __init__(self, sio: roomcast.AsyncServer) -> None:
        self.app = roomcast.ASGIApp(sio)
        self.sid = ""

    async def request(
        self,
        method: str = "GET",
        *messages: dict[str, Any],
        headers: tuple[tuple[bytes, bytes], ...] = (),
        path: str = "/socket.io/",
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        """Status, headers and body of the answer; (0, {}, b"") where there is none."""
        sid = f"&sid={self.sid}" if self.sid else ""
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": f"EIO=4&transport=polling{sid}".encode(),
            "headers": list(headers),
        }
        coming = list(messages)
        sent: Messages = []

        async def receive() -> dict[str, Any]:
            if not coming:
                await asyncio.get_running_loop().create_future()
            return coming.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async with asyncio.timeout(10):
            await self.app(scope, receive, send)
        if not sent:
            return 0, {}, b""
        start, *bodies = sent
        return start["status"], dict(start["headers"]), b"".join(body.get("body", b"") for body in bodies)

    async def post(self, *parts: bytes, **options: Any) -> int:
        messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        messages[-1]["more_body"] = False
        return (await self.request("POST", *messages, **options))[0]

    async def open(self) -> None:
        status, _, body = await self.request()
        assert status == 200
        self.sid = body.split(b'"sid":"')[1].split(b'"')[0].decode()

    async def join(self) -> None:
        await self.open()
        assert await self.post(b"40") == 200
        assert (await self.request())[2].startswith(b"40{")


DISCONNECT = {"type": "http.disconnect"}


async def joined(**options: Any) -> tuple[roomcast.AsyncServer, Browser]:
    sio = roomcast.AsyncServer(drain_seconds=0, **options)
    browser = Browser(sio)
    await browser.join()
    return sio, browser


async def test_a_body_in_many_pieces() -> None:
    sio, browser = await joined()
    sio.on("echo", lambda sid, value: value)
    body = '421["echo","grüße"]'.encode()
    assert await browser.post(*(body[at : at + 1] for at in range(len(body))), b"") == 200
    assert (await browser.request())[2] == '431["grüße"]'.encode()
    await sio.shutdown()


async def test_a_body_that_is_too_long_is_not_read_to_its_end() -> None:
    sio, browser = await joined(max_http_buffer_size=100)
    assert await browser.post(b"x" * 60, b"x" * 60, b"never read") == 413
    assert sio.counters.refused["body_too_large"] == 1
    assert await browser.post(b"3") == 200  # the session lives
    await sio.shutdown()


@pytest.mark.parametrize(
    ("header", "status", "label"),
    [
        ((b"content-length", b"101"), 413, "body_too_large"),
        ((b"content-encoding", b"gzip"), 415, "content_encoding"),
        ((b"content-encoding", b"identity"), 200, ""),
        ((b"content-length", b"nonsense"), 200, ""),
    ],
)
async def test_headers_of_a_body(header: tuple[bytes, bytes], status: int, label: str) -> None:
    sio, browser = await joined(max_http_buffer_size=100)
    assert await browser.post(b"3", headers=(header,)) == status
    assert sum(sio.counters.refused.values()) == (1 if label else 0)
    if label:
        assert sio.counters.refused[label] == 1
    await sio.shutdown()


async def test_a_body_that_never_ends_is_answered_and_ends_the_session() -> None:
    sio, browser = await joined(body_timeout=0.02)
    started = {"type": "http.request", "body": b"4", "more_body": True}
    status, _, _ = await browser.request("POST", started)
    assert status == 408
    assert not sio.eio.sockets
    await sio.shutdown()


async def test_a_body_that_is_cut_off_ends_the_session_without_an_answer() -> None:
    sio, browser = await joined()
    reasons: list[str] = []
    sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    started = {"type": "http.request", "body": b"4", "more_body": True}
    assert await browser.request("POST", started, DISCONNECT) == (0, {}, b"")
    assert reasons == ["transport error"]
    await eventually(lambda: not any(sio.census().values()))
    await sio.shutdown()


async def test_a_server_that_cancels_a_post_ends_the_session() -> None:
    sio, browser = await joined()
    started = {"type": "http.request", "body": b"4", "more_body": True}
    posting = asyncio.ensure_future(browser.request("POST", started))
    (session,) = sio.eio.sockets.values()
    await eventually(lambda: session.polling is not None and session.polling.posting)
    posting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await posting
    await eventually(lambda: not any(sio.census().values()))
    await sio.shutdown()


async def test_a_poll_whose_client_goes_ends_the_session() -> None:
    sio, browser = await joined()
    assert (await browser.request("GET", {"type": "http.request"}, DISCONNECT))[0] == 0
    await eventually(lambda: not any(sio.census().values()))
    await sio.shutdown()


async def test_a_server_that_cancels_a_poll_ends_the_session() -> None:
    sio, browser = await joined()
    polling = asyncio.ensure_future(browser.request())
    await eventually(lambda: sio.census()["polls"] == 1)
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling
    await eventually(lambda: not any(sio.census().values()))
    await sio.shutdown()


async def test_a_poll_is_answered_at_once_where_something_waits_and_else_when_something_comes() -> None:
    sio, browser = await joined()
    await sio.emit("first")
    assert (await browser.request())[2] == b'42["first"]'
    waiting = asyncio.ensure_future(browser.request())
    await eventually(lambda: sio.census()["polls"] == 1)
    await sio.emit("second", b"\x01")
    assert (await waiting)[2] == b'451-["second",{"_placeholder":true,"num":0}]\x1ebAQ=='
    await sio.shutdown()


async def test_others_have_a_turn_during_a_long_body() -> None:
    sio, browser = await joined()
    turns: list[int] = []
    counting = True

    def turn() -> None:
        turns.append(1)
        if counting:
            asyncio.get_running_loop().call_soon(turn)

    def busy(sid: str) -> None:
        until = sio.runtime.time() + 0.002
        while sio.runtime.time() < until:
            pass

    sio.on("busy", busy)
    asyncio.get_running_loop().call_soon(turn)
    assert await browser.post(b"\x1e".join([b'42["busy"]'] * 20)) == 200
    counting = False
    assert len(turns) >= 15
    await sio.shutdown()


async def test_in_order_each_packet_of_a_body_waits_for_the_one_before() -> None:
    sio, browser = await joined(async_handlers=False)
    order: list[int] = []

    @sio.event
    async def slow(sid: str, number: int) -> None:
        order.append(number)
        await asyncio.sleep(0)
        order.append(-number)

    assert await browser.post(b'42["slow",1]\x1e42["slow",2]\x1e42["slow",3]') == 200
    assert order == [1, -1, 2, -2, 3, -3]
    await sio.shutdown()


async def test_head_and_other_methods() -> None:
    sio = roomcast.AsyncServer()
    browser = Browser(sio)
    for method in ("HEAD", "PUT"):
        status, headers, body = await browser.request(method)
        assert status in {200, 400, 405}
        assert (body == b"") is (method == "HEAD")
        assert b"content-length" in headers
    status, headers, body = await browser.request("OPTIONS", headers=((b"origin", b"http://example.org"),))
    assert (status, body) == (200, b"") or status in {204, 400}
    await sio.shutdown()
