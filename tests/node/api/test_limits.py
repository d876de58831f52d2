"""Sizes, at limit - 1, limit and limit + 1, and what exceeding them answers."""

from __future__ import annotations

import pytest

from tests.support.api_client import Client, PollingClient, WebSocketClient, Wire
from tests.support.inprocess import Node, Way, eventually
from tests.support.limits import AROUND, Watched, survives

pytestmark = pytest.mark.differs


@AROUND
async def test_max_payload_on_websocket(flavour: Way, offset: int) -> None:
    watched = Watched(max_http_buffer_size=1000)
    async with Node(watched.sio, flavour) as node:
        client = await node.connect()
        assert client.handshake["maxPayload"] == 1000
        packet = '42["e","' + "x" * (1000 + offset - len('42["e",""]')) + '"]'
        assert len(packet) == 1000 + offset
        await client.send(packet)
        if offset <= 0:
            assert await survives(client)
            assert len(watched.seen) == 1
        else:
            assert await client.closed() == 1009
            await eventually(lambda: watched.ended)
            assert watched.seen == []


@AROUND
async def test_max_payload_counts_bytes_not_characters(way: Way, offset: int) -> None:
    watched = Watched(max_http_buffer_size=1000)
    async with Node(watched.sio, way) as node:
        client = await node.connect()
        filling = 1000 + offset - len('42["e",""]')
        packet = '42["e","' + "ü" * (filling // 2) + "x" * (filling % 2) + '"]'
        assert len(packet.encode()) == 1000 + offset
        if isinstance(client, PollingClient):
            assert (await client.post(packet)).status_code == (200 if offset <= 0 else 413)
            assert await survives(client)  # a polling session outlives its 413
        else:
            await client.send(packet)
            assert await survives(client) == (offset <= 0)
        assert len(watched.seen) == (offset <= 0)


async def test_max_payload_is_judged_on_the_announced_length(flavour: Way) -> None:
    watched = Watched(max_http_buffer_size=1000)
    async with Node(watched.sio, flavour) as node:
        client = await node.polling()
        wire = await Wire.open(node.base)
        await wire.send(f"POST {client.target} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n".encode())
        assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
        await wire.aclose()


async def test_max_payload_without_an_announced_length(flavour: Way) -> None:
    watched = Watched(max_http_buffer_size=1000)
    async with Node(watched.sio, flavour) as node:
        client = await node.polling()
        wire = await Wire.open(node.base)
        await wire.send(f"POST {client.target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(3):
            await wire.send(b"1f4\r\n" + b"4" * 500 + b"\r\n")
        assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
        await wire.aclose()


@AROUND
async def test_max_decode_packets(flavour: Way, offset: int) -> None:
    watched = Watched(max_decode_packets=20)
    async with Node(watched.sio, flavour) as node:
        client = await node.polling()
        await client.connect()
        response = await client.post("\x1e".join(f'42["e",{number}]' for number in range(20 + offset)))
        if offset <= 0:
            assert response.status_code == 200
            await eventually(lambda: len(watched.seen) == 20 + offset)
            assert await survives(client)
        else:
            assert response.status_code == 400
            await client.closed()
            await eventually(lambda: watched.ended)
            await node.empty()


async def test_a_thousand_packets_in_one_post_are_welcome(flavour: Way) -> None:
    watched = Watched()
    async with Node(watched.sio, flavour) as node:
        client = await node.polling()
        await client.connect()
        assert (await client.post("\x1e".join(f'42["e",{number}]' for number in range(1000)))).status_code == 200
        await eventually(lambda: len(watched.seen) == 1000)
        assert watched.seen == [("e", number) for number in range(1000)]


async def test_content_encodings_are_not_accepted(flavour: Way) -> None:
    async with Node(Watched().sio, flavour) as node:
        client = await node.polling()
        assert (await client.post("40", headers={"Content-Encoding": "gzip"})).status_code == 415
        assert await survives(client)


async def test_time_to_send_a_body(flavour: Way) -> None:
    async with Node(Watched(body_timeout=0.1).sio, flavour) as node:
        client = await node.polling()
        wire = await Wire.open(node.base)
        await wire.send(f"POST {client.target} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n40".encode())
        assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 408 ")
        await wire.aclose()


def fast_only(flavour: Way) -> None:
    if flavour.path != "fast":
        pytest.skip("under plain ASGI frames are the HTTP server's business")


async def fragments(client: Client, pieces: list[str]) -> None:
    assert isinstance(client, WebSocketClient)
    protocol = client.connection.protocol
    protocol.send_text(pieces[0].encode(), fin=len(pieces) == 1)
    for piece in pieces[1:-1]:
        protocol.send_continuation(piece.encode(), fin=False)
    if len(pieces) > 1:
        protocol.send_continuation(pieces[-1].encode(), fin=True)
    for data in protocol.data_to_send():
        client.connection.transport.write(data)


@AROUND
async def test_max_fragments(flavour: Way, offset: int) -> None:
    fast_only(flavour)
    watched = Watched(max_fragments=10)
    async with Node(watched.sio, flavour) as node:
        client = await node.connect()
        await fragments(client, ['42["e"]', *[""] * (10 + offset - 1)])
        if offset <= 0:
            assert await survives(client)
            assert watched.seen == [("e",)]
        else:
            assert await client.closed() == 1008


async def test_time_to_finish_a_message(flavour: Way) -> None:
    fast_only(flavour)
    watched = Watched(message_timeout=0.1)
    async with Node(watched.sio, flavour) as node:
        client = await node.connect()
        assert isinstance(client, WebSocketClient)
        client.connection.protocol.send_text(b'42["e"', fin=False)
        for data in client.connection.protocol.data_to_send():
            client.connection.transport.write(data)
        assert await client.closed() == 1008
        await node.empty()


@AROUND
async def test_the_inflated_size_counts(flavour: Way, offset: int) -> None:
    fast_only(flavour)
    watched = Watched(max_http_buffer_size=2000, websocket_compression=True)
    async with Node(watched.sio, flavour) as node:
        client = await node.websocket(compression="deflate")
        assert client.connection.protocol.extensions
        await client.connect()
        await client.send('42["e","' + "x" * (2000 + offset - len('42["e",""]')) + '"]')
        if offset <= 0:
            assert await survives(client)
        else:
            assert await client.closed() == 1009


async def test_compression_is_off_unless_asked_for(flavour: Way) -> None:
    fast_only(flavour)
    async with Node(Watched().sio, flavour) as node:
        client = await node.websocket(compression="deflate")
        assert client.connection.protocol.extensions == []
