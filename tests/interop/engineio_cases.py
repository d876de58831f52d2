"""What an Engine.IO v4 server must do, as a client sees it. Each case gets an endpoint, and raises when it is failed.

The numbers are those of the official suite, of which this is our own wording. ``CASES`` need the echo of a bare
Engine.IO server; ``SHARED_CASES`` hold on any path, under Socket.IO too.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.patience import PATIENCE
from tests.support.raw_engine import Endpoint, RawWebSocket

Case = Callable[[Endpoint], Awaitable[None]]

PING_INTERVAL_MS = 300
PING_TIMEOUT_MS = 200
MAX_PAYLOAD = 1_000_000
SILENCE = (PING_INTERVAL_MS + PING_TIMEOUT_MS) / 1000
"""Seconds after which a client that says nothing must be gone."""
SHORTLY = 0.005
"""Seconds between two steps that must reach the server one after the other, on two connections."""
CLOSE_LIMIT = 2.0
HANDSHAKE_KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}

POLLING = {"EIO": "4", "transport": "polling"}
WEBSOCKET = {"EIO": "4", "transport": "websocket"}


def check_handshake(packet: str | bytes, upgrades: list[str]) -> dict[str, Any]:
    assert isinstance(packet, str)
    assert packet[0] == "0"
    handshake: dict[str, Any] = json.loads(packet[1:])
    assert set(handshake) == HANDSHAKE_KEYS
    assert isinstance(handshake["sid"], str)
    assert handshake["upgrades"] == upgrades
    assert handshake["pingInterval"] == PING_INTERVAL_MS
    assert handshake["pingTimeout"] == PING_TIMEOUT_MS
    assert handshake["maxPayload"] == MAX_PAYLOAD
    return handshake


async def open_polling(endpoint: Endpoint) -> dict[str, str]:
    """A new session; gives the query of its further requests."""
    response = await endpoint.get(POLLING)
    assert response.status == 200
    return {**POLLING, "sid": check_handshake(response.text, ["websocket"])["sid"]}


async def open_websocket(endpoint: Endpoint) -> RawWebSocket:
    websocket = await endpoint.open_websocket(WEBSOCKET)
    check_handshake(await websocket.receive(), [])
    return websocket


async def probe(endpoint: Endpoint, polling: dict[str, str]) -> RawWebSocket:
    """A WebSocket for that polling session, probed and not yet adopted."""
    websocket = await endpoint.open_websocket({**WEBSOCKET, "sid": polling["sid"]})
    await websocket.send("2probe")
    assert await websocket.receive() == "3probe"
    return websocket


async def gets_echo(websocket: RawWebSocket) -> None:
    await websocket.send("4hello")
    assert await websocket.receive() == "4hello"


# ------------------------------------------------------------------------------------------------ handshake
async def polling_open(endpoint: Endpoint) -> None:
    response = await endpoint.get(POLLING)
    assert response.status == 200
    check_handshake(response.text, ["websocket"])


async def polling_bad_revision(endpoint: Endpoint) -> None:
    assert (await endpoint.get({"transport": "polling"})).status == 400
    assert (await endpoint.get({"EIO": "abc", "transport": "polling"})).status == 400


async def polling_bad_transport(endpoint: Endpoint) -> None:
    assert (await endpoint.get({"EIO": "4"})).status == 400
    assert (await endpoint.get({"EIO": "4", "transport": "abc"})).status == 400


async def polling_bad_method(endpoint: Endpoint) -> None:
    for method in ("POST", "PUT"):
        exchange = await endpoint.begin(method, POLLING)
        assert (await exchange.response()).status == 400, method


async def websocket_open(endpoint: Endpoint) -> None:
    await open_websocket(endpoint)


async def websocket_bad_revision(endpoint: Endpoint) -> None:
    assert await endpoint.websocket_is_refused({"transport": "websocket"})
    assert await endpoint.websocket_is_refused({"EIO": "abc", "transport": "websocket"})


async def websocket_bad_transport(endpoint: Endpoint) -> None:
    assert await endpoint.websocket_is_refused({"EIO": "4"})
    assert await endpoint.websocket_is_refused({"EIO": "4", "transport": "abc"})


# ------------------------------------------------------------------------------------------------ messages
async def _echoes(endpoint: Endpoint, payload: str) -> None:
    session = await open_polling(endpoint)
    posted = await endpoint.post(session, payload)
    assert (posted.status, posted.text) == (200, "ok")
    polled = await endpoint.get(session)
    assert (polled.status, polled.text) == (200, payload)


async def polling_one_text(endpoint: Endpoint) -> None:
    await _echoes(endpoint, "4hello")


async def polling_several_texts(endpoint: Endpoint) -> None:
    await _echoes(endpoint, "4test1\x1e4test2\x1e4test3")


async def polling_text_and_binary(endpoint: Endpoint) -> None:
    await _echoes(endpoint, "4hello\x1ebAQIDBA==")


async def polling_invalid_packet(endpoint: Endpoint) -> None:
    session = await open_polling(endpoint)
    assert (await endpoint.post(session, "abc")).status in (200, 400)
    assert (await endpoint.get(session)).status == 400


async def polling_duplicate_get(endpoint: Endpoint) -> None:
    session = await open_polling(endpoint)
    first = await endpoint.begin("GET", session)
    await asyncio.sleep(SHORTLY)
    second = await endpoint.begin("GET", session)
    answer = await first.response()
    assert (answer.status, answer.text) == (200, "1")
    assert (await second.response()).status in (400, 500)
    assert (await endpoint.get(session)).status == 400


async def polling_cancelled_get(endpoint: Endpoint) -> None:
    session = await open_polling(endpoint)
    held = await endpoint.begin("GET", session)
    await asyncio.sleep(SHORTLY)
    held.abort()
    await asyncio.sleep(SHORTLY)
    assert (await endpoint.get(session)).status == 400


async def websocket_text(endpoint: Endpoint) -> None:
    await gets_echo(await open_websocket(endpoint))


async def websocket_binary(endpoint: Endpoint) -> None:
    websocket = await open_websocket(endpoint)
    await websocket.send(b"\x01\x02\x03\x04")
    assert await websocket.receive() == b"\x01\x02\x03\x04"


async def websocket_invalid_packet(endpoint: Endpoint) -> None:
    websocket = await open_websocket(endpoint)
    await websocket.send("abc")
    await websocket.closed()


# ------------------------------------------------------------------------------------------------ heartbeat and end
async def polling_heartbeat(endpoint: Endpoint) -> None:
    session = await open_polling(endpoint)
    for _ in range(3):
        polled = await endpoint.get(session)
        assert (polled.status, polled.text) == (200, "2")
        assert (await endpoint.post(session, "3")).status == 200


async def polling_ping_timeout(endpoint: Endpoint) -> None:
    session = await open_polling(endpoint)
    await asyncio.sleep(SILENCE)
    while (polled := await endpoint.get(session)).status != 400:  # a server on a busy machine is late, and pings first
        assert (polled.status, polled.text) == (200, "2")


async def websocket_heartbeat(endpoint: Endpoint) -> None:
    websocket = await open_websocket(endpoint)
    for _ in range(3):
        assert await websocket.receive() == "2"
        await websocket.send("3")


async def websocket_ping_timeout(endpoint: Endpoint) -> None:
    websocket = await open_websocket(endpoint)
    await websocket.closed()


async def polling_close(endpoint: Endpoint) -> None:
    session = await open_polling(endpoint)
    held = await endpoint.begin("GET", session)
    for _ in range(3):  # a server of threads takes requests side by side: when it has refused these, it holds that one
        assert (await endpoint.get({**session, "sid": "nobody"})).status == 400
    closing = await endpoint.begin("POST", session, "1")
    polled = await held.response()
    assert (polled.status, polled.text) == (200, "6")
    assert (await closing.response()).status == 200
    assert (await endpoint.get(session)).status == 400


async def websocket_close(endpoint: Endpoint) -> None:
    websocket = await open_websocket(endpoint)
    await websocket.send("1")
    await websocket.closed(within=min(CLOSE_LIMIT, PATIENCE))


# ------------------------------------------------------------------------------------------------ upgrade
async def upgrade_probe(endpoint: Endpoint) -> RawWebSocket:
    """The GET is sent after the probe and must be let go all the same."""
    session = await open_polling(endpoint)
    websocket = await probe(endpoint, session)
    polled = await endpoint.get(session)
    assert (polled.status, polled.text) == (200, "6")
    await websocket.send("5")
    return websocket


async def upgrade_ends_polling(endpoint: Endpoint) -> RawWebSocket:
    session = await open_polling(endpoint)
    websocket = await probe(endpoint, session)
    await websocket.send("5")
    assert (await endpoint.get(session)).status == 400
    return websocket


async def upgrade_only_once(endpoint: Endpoint) -> RawWebSocket:
    session = await open_polling(endpoint)
    websocket = await probe(endpoint, session)
    await websocket.send("5")
    assert await endpoint.websocket_is_refused({**WEBSOCKET, "sid": session["sid"]})
    return websocket


async def upgrade(endpoint: Endpoint) -> None:
    await gets_echo(await upgrade_probe(endpoint))


async def polling_after_upgrade(endpoint: Endpoint) -> None:
    await gets_echo(await upgrade_ends_polling(endpoint))


async def second_websocket_after_upgrade(endpoint: Endpoint) -> None:
    await gets_echo(await upgrade_only_once(endpoint))


async def probe_alone(endpoint: Endpoint) -> None:
    await upgrade_probe(endpoint)


async def polling_after_upgrade_alone(endpoint: Endpoint) -> None:
    await upgrade_ends_polling(endpoint)


async def second_websocket_alone(endpoint: Endpoint) -> None:
    await upgrade_only_once(endpoint)


_OPENING: list[Case] = [
    polling_open,
    polling_bad_revision,
    polling_bad_transport,
    polling_bad_method,
    websocket_open,
    websocket_bad_revision,
    websocket_bad_transport,
]
_MESSAGES: list[Case] = [
    polling_one_text,
    polling_several_texts,
    polling_text_and_binary,
    polling_invalid_packet,
    polling_duplicate_get,
    polling_cancelled_get,
    websocket_text,
    websocket_binary,
    websocket_invalid_packet,
]
_LIFE: list[Case] = [
    polling_heartbeat,
    polling_ping_timeout,
    websocket_heartbeat,
    websocket_ping_timeout,
    polling_close,
    websocket_close,
]

CASES = [*_OPENING, *_MESSAGES, *_LIFE, upgrade, polling_after_upgrade, second_websocket_after_upgrade]
"""1 to 25."""
SHARED_CASES = [*_OPENING, *_LIFE, probe_alone, polling_after_upgrade_alone, second_websocket_alone]
"""1 to 16 of the Socket.IO suite."""


def name(number: int, case: Case) -> str:
    """How a case is called in reports: ``07-websocket-bad-transport``."""
    return f"{number:02}-" + re.sub("_+", "-", getattr(case, "__name__", "case"))
