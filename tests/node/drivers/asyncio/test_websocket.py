"""WebSockets on transports that an HTTP server gave away, here uvicorn: frames, compression, closing, order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import roomcast
from roomcast.core.link import CLOSE_PATIENCE
from tests.support.inprocess import Node, eventually
from tests.support.masked import masked_frame
from tests.support.raw_websocket import CLOSE, FAST, PING, PONG, TEXT, RawSocket, echo_server, handshake, on_every_loop

# --- frames -----------------------------------------------------------------------------------------------------------


@on_every_loop
async def test_a_conversation_byte_by_byte() -> None:
    async with Node(echo_server(), FAST) as node, RawSocket.open(node.base) as raw:
        whole = masked_frame(TEXT, b"40") + masked_frame(PING, b"alive?")
        whole += masked_frame(TEXT, b'421["ec', fin=False) + masked_frame(0, 'ho","grüße"]'.encode())
        for at in range(len(whole)):
            await raw.send(whole[at : at + 1])
            await asyncio.sleep(0)
        assert (await raw.text()).startswith("0{")
        assert (await raw.text()).startswith("40{")
        assert await raw.frame() == (0x80 | PONG, b"alive?")
        assert await raw.text() == '431["grüße"]'


async def test_a_conversation_in_two_pieces_cut_everywhere() -> None:
    whole = masked_frame(TEXT, b"40") + masked_frame(TEXT, b'421["echo",1]') + masked_frame(PING, b"?")
    async with Node(echo_server(), FAST) as node:
        for cut in range(1, len(whole)):
            async with RawSocket.open(node.base) as raw:
                await raw.send(whole[:cut])
                await asyncio.sleep(0)
                await raw.send(whole[cut:])
                frames = [await raw.frame() for _ in range(4)]
                assert frames[2:] == [(0x80 | TEXT, b"431[1]"), (0x80 | PONG, b"?")], cut
        await node.empty()


async def test_a_broken_frame_is_answered_with_its_code() -> None:
    async with Node(echo_server(), FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        await raw.send(masked_frame(TEXT, b"42[]", key=None))
        first, payload = await raw.frame()
        assert (first, int.from_bytes(payload[:2], "big")) == (0x80 | CLOSE, 1002)
        assert await raw.wire.rest() == b""
        await node.empty()


# --- permessage-deflate -----------------------------------------------------------------------------------------------

LONG = "many words again and again " * 400


async def test_compression_with_a_client_that_offers_it() -> None:
    sio = echo_server(websocket_compression=True)
    async with Node(sio, FAST) as node:
        squeezed = await node.connect(transport="websocket", compression="deflate")
        plain = await node.connect(transport="websocket")
        for client in (squeezed, plain):
            await client.event("echo", LONG, id=1)
            assert await client.receive() == f"431{json.dumps([LONG], separators=(',', ':'))}"
        await sio.emit("news", {"text": LONG, "data": bytes(5_000)})
        await sio.emit("short", 1)
        for client in (squeezed, plain):
            assert str(await client.receive()).startswith('451-["news"')
            assert await client.receive() == bytes(5_000)
            assert await client.receive() == '42["short",1]'


async def test_only_long_messages_are_compressed_and_that_shows_on_the_wire() -> None:
    sio = echo_server(websocket_compression=True)
    offer = handshake(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
    async with Node(sio, FAST) as node, RawSocket.open(node.base, offer) as raw:
        assert b"permessage-deflate" in raw.head
        assert b"server_no_context_takeover" in raw.head
        await raw.connected()
        await sio.emit("short", 1)
        first, _ = await raw.frame()
        assert first == 0x80 | TEXT
        await sio.emit("long", LONG)
        first, payload = await raw.frame()
        assert first == 0x80 | 0x40 | TEXT
        assert len(payload) < len(LONG) // 10


async def test_a_message_that_inflates_to_rubbish_ends_the_connection() -> None:
    offer = handshake(Sec_WebSocket_Extensions="permessage-deflate")
    async with Node(echo_server(websocket_compression=True), FAST) as node, RawSocket.open(node.base, offer) as raw:
        await raw.connected()
        await raw.send(masked_frame(TEXT, b"\xff\xff\xff", reserved=0x40))
        first, _ = await raw.frame()
        assert first == 0x80 | CLOSE
        await node.empty()


# --- the closing handshake --------------------------------------------------------------------------------------------


def leavers(sio: roomcast.AsyncServer) -> list[str]:
    """Reasons, as disconnect handlers are told them."""
    reasons: list[str] = []

    @sio.event
    def disconnect(sid: str, reason: str) -> None:
        reasons.append(reason)

    return reasons


@on_every_loop
async def test_a_client_that_closes_is_answered_and_let_go() -> None:
    sio = echo_server()
    reasons = leavers(sio)
    async with Node(sio, FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        await raw.send(masked_frame(CLOSE, b"\x03\xe8bye"))
        first, _ = await raw.frame()
        assert first == 0x80 | CLOSE
        assert await raw.wire.rest() == b""
        await eventually(lambda: reasons == ["transport close"])
        await node.empty()


@on_every_loop
async def test_a_client_that_is_closed_answers_and_is_let_go() -> None:
    sio = echo_server()
    reasons = leavers(sio)
    async with Node(sio, FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        await sio.eio.disconnect()
        assert await raw.frame() == (0x80 | CLOSE, b"")
        await raw.texts('42["echo"]')  # on its way when the close came
        await raw.send(masked_frame(CLOSE))
        assert await raw.wire.reader.read() == b""  # the end of the stream, and no reset
        await eventually(lambda: reasons == ["server disconnect"])
        await node.empty()


@on_every_loop
async def test_a_client_that_never_answers_a_close_is_cut() -> None:
    sio = echo_server()
    async with Node(sio, FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        began = asyncio.get_running_loop().time()
        await sio.eio.disconnect()
        assert await raw.frame() == (0x80 | CLOSE, b"")
        await raw.texts("ignored", "ignored")
        assert await raw.wire.rest() == b""
        waited = asyncio.get_running_loop().time() - began
        assert 0.8 * CLOSE_PATIENCE < waited < 3 * CLOSE_PATIENCE
        await node.empty()


@on_every_loop
async def test_a_client_that_hangs_up_in_the_middle_of_a_frame() -> None:
    sio = echo_server()
    reasons = leavers(sio)
    async with Node(sio, FAST) as node:
        async with RawSocket.open(node.base) as raw:
            await raw.connected()
            await raw.send(masked_frame(TEXT, b'42["echo","half a frame"]')[:12])
        await eventually(lambda: len(reasons) == 1)
        await node.empty()


# --- reading in order -------------------------------------------------------------------------------------------------


@on_every_loop
async def test_nothing_is_read_while_a_handler_is_waited_for() -> None:
    sio = roomcast.AsyncServer(async_handlers=False)
    gate = asyncio.Event()
    order: list[Any] = []

    @sio.event
    async def slow(sid: str, number: int) -> int:
        order.append(number)
        await gate.wait()
        order.append(-number)
        return number

    async with Node(sio, FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        for number in range(1, 4):
            await raw.texts(f'42{number}["slow",{number}]')
        await raw.texts('424["slow",4]', '425["slow",5]')
        await eventually(lambda: order == [1])
        gate.set()
        assert [await raw.text() for _ in range(5)] == [f"43{number}[{number}]" for number in range(1, 6)]
        assert order == [1, -1, 2, -2, 3, -3, 4, -4, 5, -5]


@on_every_loop
async def test_in_order_also_where_no_handler_waits() -> None:
    async with Node(echo_server(async_handlers=False), FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        await raw.texts(*(f'42{number}["echo",{number}]' for number in range(50)))
        assert [await raw.text() for _ in range(50)] == [f"43{number}[{number}]" for number in range(50)]


@on_every_loop
async def test_a_client_that_goes_while_its_handler_is_waited_for() -> None:
    sio = roomcast.AsyncServer(async_handlers=False)
    gate = asyncio.Event()
    seen: list[int] = []

    @sio.event
    async def slow(sid: str, number: int) -> None:
        seen.append(number)
        await gate.wait()

    async with Node(sio, FAST) as node:
        async with RawSocket.open(node.base) as raw:
            await raw.connected()
            await raw.texts('42["slow",1]', '42["slow",2]')
            await eventually(lambda: seen == [1])
            await sio.eio.disconnect()
            first, _ = await raw.frame()
            assert first == 0x80 | CLOSE
        gate.set()
        await node.empty()
        assert seen == [1]


@on_every_loop
async def test_a_client_that_its_own_handler_disconnects_can_answer_the_close() -> None:
    """Reading was paused for the handler; after the close it must go on, or the answer would never be seen."""
    sio = roomcast.AsyncServer(async_handlers=False)

    @sio.event
    async def leave(sid: str) -> None:
        await asyncio.sleep(0)
        await sio.eio.disconnect()

    async with Node(sio, FAST) as node, RawSocket.open(node.base) as raw:
        await raw.connected()
        began = asyncio.get_running_loop().time()
        await raw.texts('42["leave"]')
        assert await raw.frame() == (0x80 | CLOSE, b"")
        await raw.send(masked_frame(CLOSE))
        assert await raw.wire.reader.read() == b""
        assert asyncio.get_running_loop().time() - began < CLOSE_PATIENCE / 2
        await node.empty()
