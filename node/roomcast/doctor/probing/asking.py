"""Asking as a page of some origin would."""

from __future__ import annotations

import asyncio

from roomcast.doctor.answers import Outcome
from roomcast.doctor.judging.origins import Asked
from roomcast.doctor.judging.websockets import SocketTry
from roomcast.doctor.packets import query
from roomcast.doctor.probing.http import Headers, HttpClient
from roomcast.doctor.probing.polling import POLLING, PollingLink
from roomcast.doctor.probing.websocket import WebSocketLink


async def ask_as(client: HttpClient, origin: str, polling: bool, sockets: bool) -> Asked:
    """What pages of ``origin`` are answered: to polling, where that is served, and to a WebSocket."""
    own = origin == client.target.origin
    headers: Headers = (("Origin", origin),)
    answers = await asyncio.gather(
        _polling(client, headers) if polling else _nothing(),
        _preflight(client, headers) if polling and not own else _nothing(),
        _socket(client, headers) if sockets else _nothing(),
    )
    return Asked(origin, own, *answers)


async def _nothing() -> None:
    """What is not served is not asked."""


async def _polling(client: HttpClient, headers: Headers) -> Outcome:
    outcome, link = await PollingLink.open(client, cookies=True, headers=headers)
    if link is not None:
        await link.close()
    return outcome


async def _preflight(client: HttpClient, headers: Headers) -> Outcome:
    asked = (("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "x-from-a-page"))
    return await client.ask("OPTIONS", query(POLLING), headers=(*headers, *asked))


async def _socket(client: HttpClient, headers: Headers) -> SocketTry:
    attempt, link = await WebSocketLink.open(client, headers)
    if link is not None:
        await link.close()
    return attempt
