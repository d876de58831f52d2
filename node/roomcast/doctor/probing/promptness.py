"""How long a held poll takes to be answered once there is something to say."""

from __future__ import annotations

import asyncio

from roomcast.doctor.answers import Answer
from roomcast.doctor.judging.entry import Entry
from roomcast.doctor.packets import read_message, read_payload
from roomcast.doctor.probing.entering import Door, enter, read_entry
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.polling import PollingLink
from roomcast.doctor.probing.websocket import WebSocketLink
from roomcast.doctor.timing import REQUEST_SECONDS
from roomcast.socketio.packet import CONNECT, CONNECT_ERROR

# A poll is on its way so long before what it waits for: then it is held, or the reply waits for it. Either is fine.
_HEAD_START = 0.05


async def poll_entry(client: HttpClient, door: Door) -> Entry | None:
    """Join a namespace while a poll is held: None if there is no session, ``silent`` if the poll was not answered."""
    _, link = await PollingLink.open(client, cookies=True)
    if link is None:
        return None
    clock = asyncio.get_running_loop().time
    polling = asyncio.create_task(link.poll(REQUEST_SECONDS + _HEAD_START))
    try:
        await asyncio.wait([polling], timeout=_HEAD_START)
        begin = clock()
        posted = await link.post(door.knock)
        outcome = await polling
    finally:
        polling.cancel()
        await link.close()
    if not (isinstance(posted, Answer) and posted.status == 200):
        return None
    if not isinstance(outcome, Answer):
        return Entry(door.namespace, "silent" if outcome.kind == "silent" else "closed", REQUEST_SECONDS)
    packets = (read_payload(outcome.body) or []) if outcome.status == 200 else []
    for message in map(read_message, packets):
        if message is not None and message.type in (CONNECT, CONNECT_ERROR):
            return read_entry(message, clock() - begin)
    return Entry(door.namespace, "closed")


async def socket_entry(client: HttpClient, door: Door) -> Entry | None:
    """Join a namespace over a WebSocket; None if none can be opened."""
    _, link = await WebSocketLink.open(client)
    if link is None:
        return None
    entry, _ = await enter(link, door)
    await link.close()
    return entry
