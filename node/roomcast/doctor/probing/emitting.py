"""Events for clients of ours, given to the broker as any worker would, and seen to arrive.

An emit to a sid needs no cooperation: the node that owns the sid delivers it, whatever the application is.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection
from typing import Final

from roomcast.doctor.judging.broker import Arrival
from roomcast.doctor.packets import is_event
from roomcast.doctor.probing.entering import Door, enter
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.links import Link, LinkEndedError, next_message
from roomcast.doctor.probing.observing import Place
from roomcast.doctor.probing.polling import PollingLink
from roomcast.doctor.probing.websocket import WebSocketLink
from roomcast.doctor.timing import ARRIVAL, REACH_BROKER
from roomcast_emitter import AsyncEmitter

EVENT: Final = "roomcast:doctor"
MAX_CLIENTS: Final = 16
"""That are connected at a time, one on each node."""
_ROUNDS: Final = 6
"""So many times as many sessions as nodes are opened to get a client on each."""


async def emit_to_clients(
    client: HttpClient, place: Place, door: Door, wanted: Collection[str], sockets: bool
) -> list[Arrival]:
    """Connect a client on each of the ``wanted`` nodes, as far as the balancer gives us to them, and emit to each."""
    clients = await _clients(client, door, set(wanted), sockets)
    try:
        async with AsyncEmitter(place.url, place.cluster, list(place.keys) or None) as emitter:
            for _, sid in list(clients.values())[:1]:  # connects: what follows is measured without that
                await emitter.emit(EVENT, "", to=sid, namespace=door.namespace)
            emits = (_emit(emitter, link, sid, door.namespace) for link, sid in clients.values())
            return list(await asyncio.gather(*emits))
    finally:
        await asyncio.gather(*(link.close() for link, _ in clients.values()))


async def _clients(
    client: HttpClient, door: Door, wanted: set[str], sockets: bool
) -> dict[str | None, tuple[Link, str]]:
    """One client on each node, with its sid."""
    found: dict[str | None, tuple[Link, str]] = {}
    for _ in range(_ROUNDS * min(MAX_CLIENTS, len(wanted))):
        if len(found) >= MAX_CLIENTS or wanted <= set(found):
            break
        link = await _open(client, sockets)
        if link is None:
            break
        if link.tag in found or link.tag not in wanted:
            await link.close()
            continue
        entry, sid = await enter(link, door)
        if sid is None:
            await link.close()
            if entry.result != "closed":
                break  # the application does not let us in, on any node
            continue
        found[link.tag] = (link, sid)
    return found


async def _open(client: HttpClient, sockets: bool) -> Link | None:
    if sockets:
        return (await WebSocketLink.open(client))[1]
    return (await PollingLink.open(client, cookies=True))[1]


async def _emit(emitter: AsyncEmitter, link: Link, sid: str, namespace: str) -> Arrival:
    token = secrets.token_hex(8)
    clock = asyncio.get_running_loop().time
    begin = clock()
    receipt = await emitter.emit(EVENT, token, to=sid, namespace=namespace)
    outcome = str(await receipt.wait(REACH_BROKER))
    tag = link.tag or "?"
    deadline = clock() + ARRIVAL
    try:
        while (left := deadline - clock()) > 0 and (message := await next_message(link, left)) is not None:
            if is_event(message, EVENT, token):
                return Arrival(tag, outcome, clock() - begin)
    except LinkEndedError:
        pass  # then it did not arrive
    return Arrival(tag, outcome, None)
