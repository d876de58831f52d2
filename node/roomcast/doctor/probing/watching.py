"""Idle sessions, watched: quiet until the first ping, then in the namespace until the second.

A session that has joined no namespace hears nothing but pings, so its silence is known; but it is closed after a while.
"""

from __future__ import annotations

import asyncio

from roomcast.doctor.answers import Ending
from roomcast.doctor.judging.waiting import Watch
from roomcast.doctor.packets import PING, PONG, read_message
from roomcast.doctor.probing.entering import Door
from roomcast.doctor.probing.links import Link, LinkEndedError
from roomcast.doctor.timing import MARGIN, UNENTERED_SECONDS
from roomcast.socketio.packet import CONNECT_ERROR


async def watch(link: Link, door: Door, seconds: float) -> Watch:
    """Watch ``link`` for so long, and close it then."""
    watcher = _Watcher(link, door, seconds)
    ending = await watcher.run()
    if ending is None:
        await link.close()
    return watcher.seen(ending)


class _Watcher:
    def __init__(self, link: Link, door: Door, seconds: float) -> None:
        self._link = link
        self._door = door
        self._clock = asyncio.get_running_loop().time
        self._begin = self._last = self._clock()
        self._deadline = self._begin + seconds
        self._longest = 0.0
        self._pings = 0
        self._entering = False

    async def run(self) -> Ending | None:
        """How it ended, if it did."""
        try:
            if self._link.opened.ping_interval + MARGIN > UNENTERED_SECONDS:
                await self._enter()
            while (left := self._deadline - self._clock()) > 0:
                try:
                    packet = await self._link.receive(left)
                except TimeoutError:
                    break
                self._heard()
                if packet == PING:
                    self._pings += 1
                    await self._link.send(PONG)
                    await self._enter()
                elif (message := read_message(packet)) is not None and message.type == CONNECT_ERROR:
                    self._deadline = min(self._deadline, self._begin + UNENTERED_SECONDS)
        except LinkEndedError as error:
            return error.ending
        finally:
            self._longest = max(self._longest, self._clock() - self._last)
        return None

    async def _enter(self) -> None:
        if not self._entering:
            self._entering = True
            await self._link.send(self._door.knock)

    def _heard(self) -> None:
        now = self._clock()
        self._longest = max(self._longest, now - self._last)
        self._last = now

    def seen(self, ending: Ending | None) -> Watch:
        """What there was to see."""
        now = self._clock()
        return Watch(
            ping_interval=self._link.opened.ping_interval,
            ping_timeout=self._link.opened.ping_timeout,
            lived=now - self._begin,
            silence=0.0 if ending is None else now - self._last,
            longest=self._longest,
            pings=self._pings,
            ending=ending,
        )
