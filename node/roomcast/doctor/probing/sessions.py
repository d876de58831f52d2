"""Polling sessions by the dozen, with and without cookies: each makes a few requests that change nothing.

They join no namespace, so the application does not hear of them.
"""

from __future__ import annotations

import asyncio
from typing import Final

from roomcast.doctor.answers import Answer, Outcome
from roomcast.doctor.judging.stickiness import PolledSession
from roomcast.doctor.packets import CLOSE, NOOP
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.polling import PollingLink, kept

SESSIONS: Final = 12
"""Half of them keep cookies. Three nodes that get them at random are all met in 98 of 100 times."""
REQUESTS: Final = 4
"""Of each session, the last of which ends it: with two nodes and no stickiness, one session in 16 notices nothing."""
SIDE_BY_SIDE: Final = 4
"""Sessions at a time: a deployment must not take the doctor for an attack."""


async def try_sessions(client: HttpClient, sessions: int = SESSIONS) -> tuple[list[PolledSession], int]:
    """What became of each, and how many got a sid that another had got."""
    gate = asyncio.Semaphore(SIDE_BY_SIDE)
    sids: list[str] = []

    async def one(number: int) -> PolledSession:
        async with gate:
            return await _try_session(client, number % 2 == 0, sids)

    found = await asyncio.gather(*map(one, range(sessions)))
    return list(found), len(sids) - len(set(sids))


async def _try_session(client: HttpClient, cookies: bool, sids: list[str]) -> PolledSession:
    outcome, link = await PollingLink.open(client, cookies=cookies)
    if link is None:
        return PolledSession(outcome, keeps_cookies=cookies)
    sids.append(link.opened.sid)
    outcomes: list[Outcome] = [await link.post(NOOP) for _ in range(REQUESTS - 1)]
    outcomes.append(await link.post(CLOSE))
    got = bool(isinstance(outcome, Answer) and kept(outcome))
    return PolledSession(outcome, link.tag, cookies, got, tuple(outcomes))


async def meet(client: HttpClient, wanted: set[str], handshakes: int) -> tuple[set[str], int]:
    """Open sessions until all ``wanted`` nodes were met, ``handshakes`` at most: who was met, and by how many."""
    met: set[str] = set()
    made = 0
    while made < handshakes and not wanted <= met:
        batch = min(SIDE_BY_SIDE, handshakes - made)
        met.update(filter(None, await asyncio.gather(*(_meet_one(client) for _ in range(batch)))))
        made += batch
    return met, made


async def _meet_one(client: HttpClient) -> str | None:
    _, link = await PollingLink.open(client, cookies=True)
    if link is None:
        return None
    await link.close()
    return link.tag
