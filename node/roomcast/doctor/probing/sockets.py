"""WebSockets, from the start and in place of polling, several at once so that they come to several nodes."""

from __future__ import annotations

import asyncio
from typing import Final

from roomcast.doctor.judging.websockets import SocketTry
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.polling import PollingLink
from roomcast.doctor.probing.websocket import WebSocketLink

WEBSOCKETS: Final = 8
UPGRADES: Final = 4


async def try_websockets(client: HttpClient) -> list[SocketTry]:
    """Open some side by side."""
    return list(await asyncio.gather(*(_try_websocket(client) for _ in range(WEBSOCKETS))))


async def _try_websocket(client: HttpClient) -> SocketTry:
    attempt, link = await WebSocketLink.open(client)
    if link is not None:
        await link.close()
    return attempt


async def try_upgrades(client: HttpClient) -> list[SocketTry]:
    """Move some polling sessions, which keep cookies, to WebSockets."""
    return list(await asyncio.gather(*(_try_upgrade(client) for _ in range(UPGRADES))))


async def _try_upgrade(client: HttpClient) -> SocketTry:
    outcome, polling = await PollingLink.open(client, cookies=True)
    if polling is None:
        return SocketTry(outcome, "refused")
    attempt, link = await WebSocketLink.replace(client, polling)
    await (polling if link is None else link).close()
    return attempt
