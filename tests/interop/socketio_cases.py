"""What a Socket.IO v5 server must do, as a client sees it, beside what Engine.IO demands. Texts are compared whole.

The numbers are those of the official suite, of which this is our own wording; ``engineio_cases.py`` has 1 to 16.
"""

from __future__ import annotations

import json

from tests.interop.engineio_cases import SHARED_CASES, Case, open_websocket
from tests.support.raw_engine import Endpoint, RawWebSocket

PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
FIRST, SECOND = b"\x01\x02\x03", b"\x04\x05\x06"


async def next_text(websocket: RawWebSocket) -> str:
    message = await websocket.receive()
    assert isinstance(message, str)
    return message


async def gets_connected(websocket: RawWebSocket, namespace: str = "") -> None:
    """The next message is the server's CONNECT: a sid, and nothing else. ``namespace`` is "/custom," or empty."""
    message = await next_text(websocket)
    prefix = "40" + namespace
    assert message.startswith(prefix + "{"), message
    reply = json.loads(message[len(prefix) :])
    assert set(reply) == {"sid"}
    assert isinstance(reply["sid"], str)


async def gets(websocket: RawWebSocket, *expected: str | bytes) -> None:
    for message in expected:
        assert await websocket.receive() == message


async def open_connected(endpoint: Endpoint) -> RawWebSocket:
    """In the main namespace, its ``auth`` read."""
    websocket = await open_websocket(endpoint)
    await websocket.send("40")
    await gets_connected(websocket)
    await gets(websocket, '42["auth",{}]')
    return websocket


# ------------------------------------------------------------------------------------------------ connect
async def connect_main(endpoint: Endpoint) -> None:
    await open_connected(endpoint)


async def connect_main_with_payload(endpoint: Endpoint) -> None:
    websocket = await open_websocket(endpoint)
    await websocket.send('40{"token":"123"}')
    await gets_connected(websocket)
    await gets(websocket, '42["auth",{"token":"123"}]')


async def connect_custom(endpoint: Endpoint) -> None:
    websocket = await open_websocket(endpoint)
    await websocket.send("40/custom,")
    await gets_connected(websocket, "/custom,")
    await gets(websocket, '42/custom,["auth",{}]')


async def connect_custom_with_payload(endpoint: Endpoint) -> None:
    websocket = await open_websocket(endpoint)
    await websocket.send('40/custom,{"token":"abc"}')
    await gets_connected(websocket, "/custom,")
    await gets(websocket, '42/custom,["auth",{"token":"abc"}]')


async def unknown_namespace(endpoint: Endpoint) -> None:
    websocket = await open_websocket(endpoint)
    await websocket.send("40/random")
    await gets(websocket, '44/random,{"message":"Invalid namespace"}')


async def invalid_connect(endpoint: Endpoint) -> None:
    websocket = await open_websocket(endpoint)
    await websocket.send("4abc")
    await websocket.closed()


async def no_connect(endpoint: Endpoint) -> None:
    websocket = await open_websocket(endpoint)
    await websocket.closed()


# ------------------------------------------------------------------------------------------------ disconnect
async def disconnect_main(endpoint: Endpoint) -> None:
    websocket = await open_connected(endpoint)
    await websocket.send("41")
    await gets(websocket, "2")


async def disconnect_custom(endpoint: Endpoint) -> None:
    websocket = await open_connected(endpoint)
    await gets(websocket, "2")
    await websocket.send("40/custom")
    await gets_connected(websocket, "/custom,")
    await gets(websocket, '42/custom,["auth",{}]')
    await websocket.send("41/custom", '42["message","message to main namespace"]')
    await gets(websocket, '42["message-back","message to main namespace"]')


# ------------------------------------------------------------------------------------------------ messages
async def plain_event(endpoint: Endpoint) -> None:
    websocket = await open_connected(endpoint)
    await websocket.send('42["message",1,"2",{"3":[true]}]')
    await gets(websocket, '42["message-back",1,"2",{"3":[true]}]')


async def binary_event(endpoint: Endpoint) -> None:
    websocket = await open_connected(endpoint)
    await websocket.send(f'452-["message",{PLACEHOLDERS}]', FIRST, SECOND)
    await gets(websocket, f'452-["message-back",{PLACEHOLDERS}]', FIRST, SECOND)


async def plain_acknowledgement(endpoint: Endpoint) -> None:
    websocket = await open_connected(endpoint)
    await websocket.send('42456["message-with-ack",1,"2",{"3":[false]}]')
    await gets(websocket, '43456[1,"2",{"3":[false]}]')


async def binary_acknowledgement(endpoint: Endpoint) -> None:
    websocket = await open_connected(endpoint)
    await websocket.send(f'452-789["message-with-ack",{PLACEHOLDERS}]', FIRST, SECOND)
    await gets(websocket, f"462-789[{PLACEHOLDERS}]", FIRST, SECOND)


async def _closes_on(endpoint: Endpoint, packet: str) -> None:
    websocket = await open_connected(endpoint)
    await websocket.send(packet)
    await websocket.closed()


async def invalid_packet_type(endpoint: Endpoint) -> None:
    await _closes_on(endpoint, "4abc")


async def invalid_event_payload(endpoint: Endpoint) -> None:
    await _closes_on(endpoint, "42{}")


async def invalid_acknowledgement_id(endpoint: Endpoint) -> None:
    await _closes_on(endpoint, '42abc["message-with-ack",1,"2",{"3":[false]}]')


_OWN_CASES: list[Case] = [
    connect_main,
    connect_main_with_payload,
    connect_custom,
    connect_custom_with_payload,
    unknown_namespace,
    invalid_connect,
    no_connect,
    disconnect_main,
    disconnect_custom,
    plain_event,
    binary_event,
    plain_acknowledgement,
    binary_acknowledgement,
    invalid_packet_type,
    invalid_event_payload,
    invalid_acknowledgement_id,
]

CASES = [*SHARED_CASES, *_OWN_CASES]
"""1 to 32."""
