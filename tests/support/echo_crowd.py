"""Many raw WebSocket clients in a process of their own, who all echo at the same time, and somebody who reads pages.

python -m tests.support.echo_crowd URL CLIENTS SECONDS

Each client sends an event every second, and its next one when the last was acknowledged with the same data. Beside them
so many plain requests are made each second, whether the earlier ones were answered or not. It writes a :class:`Tally`.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec
import uvloop

from tests.support.api_client import TIMEOUT
from tests.support.raw_http import request
from tests.support.raw_websocket import RawSocket

REQUESTS_A_SECOND = 20
COMING_AT_ONCE = 50
PAUSE = 1.0
"""Seconds between two events of a client, so that this process keeps the time for its requests."""
PAYLOAD = "x" * 100
FEW = 5
"""So many errors are written down."""


class Tally(msgspec.Struct):
    """``least`` is how often the client echoed that did so least often; ``errors`` are the first few of ``failed``."""

    clients: int = 0
    echoes: int = 0
    least: int = 0
    requests: int = 0
    failed: int = 0
    errors: list[str] = []

    def fails(self, what: str, error: object) -> None:
        self.failed += 1
        if len(self.errors) < FEW:
            self.errors.append(f"{what}: {error!r}")


class Crowd:
    """``begin`` is set when all have come, ``end`` when they have echoed for long enough."""

    def __init__(self, url: str, clients: int) -> None:
        self.tally = Tally()
        self._url = url
        self._clients = clients
        self._begin = asyncio.Event()
        self._end = asyncio.Event()
        self._coming = asyncio.Semaphore(COMING_AT_ONCE)
        self._times = [0] * clients

    async def run(self, seconds: int) -> Tally:
        async with asyncio.TaskGroup() as group:
            for number in range(self._clients):
                group.create_task(self._client(number))
            await self._begin.wait()
            now = asyncio.get_running_loop().time
            began = now()
            for number in range(seconds * REQUESTS_A_SECOND):
                await asyncio.sleep(began + number / REQUESTS_A_SECOND - now())
                group.create_task(self._request())
            self._end.set()
        self.tally.echoes, self.tally.least = sum(self._times), min(self._times)
        return self.tally

    async def _client(self, number: int) -> None:
        try:
            async with self._coming:
                opened = RawSocket.open(self._url)
                socket = await opened.__aenter__()
            try:
                await self._live(number, await socket.connected())
            finally:
                await opened.__aexit__(None, None, None)
        except Exception as error:  # that it fails is what is counted
            self.tally.fails(f"client {number}", error)
            self._begin.set()

    async def _live(self, number: int, socket: RawSocket) -> None:
        self.tally.clients += 1
        if self.tally.clients == self._clients:
            self._begin.set()
        await self._begin.wait()
        await asyncio.sleep(PAUSE * number / self._clients)
        while not self._end.is_set():
            data = f'["{number} {self._times[number]} {PAYLOAD}"]'
            await socket.texts(f'42{number}{data[:1]}"echo",{data[1:]}')
            while (text := await socket.text()) == "2":
                await socket.texts("3")
            assert text == f"43{number}{data}", text
            self._times[number] += 1
            await asyncio.sleep(PAUSE)

    async def _request(self) -> None:
        try:
            async with asyncio.timeout(4 * TIMEOUT):
                response = await request(f"{self._url}/plain")
            assert (response.status, response.body) == (200, b"plain"), response
            self.tally.requests += 1
        except Exception as error:  # as above
            self.tally.fails("a request", error)


async def main(url: str, clients: str, seconds: str) -> None:
    print(msgspec.json.encode(await Crowd(url, int(clients)).run(int(seconds))).decode())  # noqa: T201


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
