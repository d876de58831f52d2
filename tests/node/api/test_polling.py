"""Requests of a polling client as they stand on the wire, and the races between them."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

import roomcast
from tests.support.api_client import PollingClient, SessionClosed, Wire
from tests.support.inprocess import Node, Way, eventually

differs = pytest.mark.differs


@differs
async def test_posts_are_answered_ok(flavour: Way) -> None:
    async with Node(roomcast.AsyncServer(drain_seconds=0), flavour) as node:
        client = await node.polling()
        response = await client.post("40")
        assert (response.status_code, response.text) == (200, "ok")
        assert response.headers["content-type"] == "text/html"
        assert response.headers["cache-control"] == "no-store"


async def test_everything_waiting_goes_in_one_poll(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.polling()
        await client.connect()
        await sio.emit("a", 1)
        await sio.emit("b", b"\x01\x02\x03\x04")
        await sio.emit("c", "u")
        response = await client.poll()
        expected = ['42["a",1]', '451-["b",{"_placeholder":true,"num":0}]', "bAQIDBA==", '42["c","u"]']
        assert response.text.split("\x1e") == expected


async def test_a_poll_waits_for_something_to_say(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.polling()
        await client.connect()
        poll = asyncio.create_task(client.poll())
        await client.post('42["nothing"]')
        assert not poll.done()
        await sio.emit("e")
        assert (await poll).text == '42["e"]'


@differs
async def test_two_polls_at_once_end_the_session(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.polling()
        await client.connect()
        first = asyncio.create_task(client.poll())
        await eventually(lambda: sio.census()["polls"] == 1)
        assert (await client.poll()).status_code == 400
        assert (await first).text == "1"
        assert (await client.poll()).json()["code"] == 1
        await node.empty()


@differs
@pytest.mark.parametrize("body", ["", "abc", "4\x1eabc", "7"])
async def test_a_post_that_is_no_payload_ends_the_session(flavour: Way, body: str) -> None:
    async with Node(roomcast.AsyncServer(), flavour) as node:
        client = await node.polling()
        assert (await client.post(body)).status_code in {200, 400}
        assert await client.closed() is not None
        await node.empty()


@differs
async def test_binary_posts_are_refused(flavour: Way) -> None:
    async with Node(roomcast.AsyncServer(), flavour) as node:
        client = await node.polling()
        response = await client.post(b"40", headers={"Content-Type": "application/octet-stream"})
        assert response.status_code == 400
        with pytest.raises(SessionClosed):
            await client.receive()


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded"]
)
async def test_other_posts_are_text(flavour: Way, content_type: str | None) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []
    sio.on("e", lambda sid, *args: seen.extend(args))
    async with Node(sio, flavour) as node:
        client = await node.polling()
        await client.connect()
        headers = {"Content-Type": content_type} if content_type else {}
        body = '451-["e","ü",{"_placeholder":true,"num":0}]\x1eb' + base64.b64encode(b"\xff").decode()
        assert (await client.post(body.encode(), headers=headers)).status_code == 200
        await client.drain()
        assert seen == ["ü", b"\xff"]


@differs
async def test_the_session_stays_known_to_its_closing_poll(flavour: Way) -> None:
    """Closed by the server while no poll is held: the next ones are told, in order, until the close packet."""
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.polling()
        await client.connect()
        await sio.emit("last", 1)
        await sio.disconnect(client.sid, close=True)
        assert await client.rest() == ['42["last",1]', "41"]
        assert (await client.poll()).status_code == 400


@differs
async def test_a_client_that_says_close_while_it_polls(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.polling()
        assert isinstance(client, PollingClient)
        poll = asyncio.create_task(client.poll())
        await eventually(lambda: sio.census()["polls"] == 1)
        assert (await client.post("1")).status_code == 200
        response = await poll
        assert response.status_code == 200
        assert response.text == "6"
        assert (await client.poll()).status_code == 400


@differs
async def test_a_poll_that_is_given_up_ends_the_session(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.polling()
        wire = await Wire.open(node.base)
        await wire.send(f"GET {client.target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await eventually(lambda: sio.census()["polls"] == 1)
        await wire.aclose()
        await node.empty()
        assert (await client.poll()).status_code == 400
