"""Clients that leave at the worst moment: nothing may stay of them that looks like a client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import roomcast
from tests.support.inprocess import Node, Way


async def leaves_while_connecting(
    sio: roomcast.AsyncServer, way: Way, begin: Callable[[str], Awaitable[None]] | None = None
) -> None:
    """A client's connection closes while its connect handler runs, which has begun with ``await begin(sid)``.

    Fails if the server keeps anything of it once the handler has ended.
    """
    entered, go = asyncio.Event(), asyncio.Event()

    @sio.event
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        if begin is not None:
            await begin(sid)
        entered.set()
        await go.wait()

    async with Node(sio, way) as node:
        client = await node.open()
        await client.ask_to_connect()
        await entered.wait()
        await client.send("1")
        await client.aclose()
        go.set()
        await node.empty()
        assert list(sio.manager.get_namespaces()) == []
