"""How long a held poll takes to be answered once there is something to say."""

from __future__ import annotations

import asyncio

from roomcast.doctor.answers import Answer, Outcome, Trouble
from roomcast.doctor.judging.entry import Entry
from roomcast.doctor.packets import PING, PONG, read_message, read_payload
from roomcast.doctor.probing.entering import Door, enter, read_entry
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.polling import PollingLink
from roomcast.doctor.probing.websocket import WebSocketLink
from roomcast.doctor.timing import REQUEST_SECONDS
from roomcast.socketio.packet import CONNECT, CONNECT_ERROR

# A poll is on its way so long before what it waits for: then it is held, or the reply waits for it. Either is fine.
_HEAD_START = 0.05
# The reply may come behind pings and what the application tells everybody, but not behind much of it.
_MOST_POLLS = 20


async def poll_entry(client: HttpClient, door: Door) -> Entry | None:
    """Join a namespace while a poll is held: None if there is no session, ``silent`` if no poll was answered with the
    reply in time.
    """
    _, link = await PollingLink.open(client, cookies=True)
    if link is None:
        return None
    polling = asyncio.create_task(link.poll(REQUEST_SECONDS + _HEAD_START))
    try:
        await asyncio.wait([polling], timeout=_HEAD_START)
        return await _knock(link, door, polling)
    finally:
        polling.cancel()
        await link.close()


async def _knock(link: PollingLink, door: Door, polling: asyncio.Task[Outcome]) -> Entry:
    clock = asyncio.get_running_loop().time
    begin = clock()
    posted = await link.post(door.knock)
    if not (isinstance(posted, Answer) and posted.status == 200):
        return Entry(door.namespace, "closed")
    outcome = await polling
    for _ in range(_MOST_POLLS):
        packets = read_payload(outcome.body) if isinstance(outcome, Answer) and outcome.status == 200 else None
        if packets is None:
            break
        for message in map(read_message, packets):
            if message is not None and message.type in (CONNECT, CONNECT_ERROR):
                return read_entry(message, clock() - begin)
        if PING in packets:
            await link.post(PONG)
        outcome = await link.poll(max(_HEAD_START, begin + REQUEST_SECONDS - clock()))
    if isinstance(outcome, Trouble) and outcome.kind == "silent":
        return Entry(door.namespace, "silent", REQUEST_SECONDS)
    return Entry(door.namespace, "closed")


async def socket_entry(client: HttpClient, door: Door) -> Entry | None:
    """Join a namespace over a WebSocket; None if none can be opened."""
    _, link = await WebSocketLink.open(client)
    if link is None:
        return None
    entry, _ = await enter(link, door)
    await link.close()
    return entry
