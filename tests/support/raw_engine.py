"""Engine.IO v4 clients without manners: every packet by hand, none that the test did not ask for.

``Endpoint``                     requests and WebSockets with any query
``RawPolling``, ``RawWebSocket`` one session (or a candidate for its upgrade), packet by packet

They share no code with roomcast, so that a fault in its codecs cannot hide in both. ``PATIENCE`` bounds every wait.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Protocol, Self
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from tests.support.patience import PATIENCE
from tests.support.raw_http import Exchange, Headers, Response

SEPARATOR = "\x1e"

EnginePacket = str | bytes
"""Text: type digit and data. Bytes: the data of a binary message."""
Query = Mapping[str, str]


class Endpoint:
    """Where a server answers: ``url`` without a path ("http://127.0.0.1:3000"), and the path with both slashes.

    As ``async with`` it ends, in the end, all that was opened through it.
    """

    def __init__(self, url: str, path: str = "/socket.io/") -> None:
        self.url = url
        self.path = path
        self._opened = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    def target(self, scheme: str, query: Query) -> str:
        return f"{scheme}{self.url.removeprefix('http')}{self.path}?{urlencode(query)}"

    async def begin(self, method: str, query: Query, body: bytes | str = b"", headers: Headers = ()) -> Exchange:
        exchange = await Exchange.begin(self.target("http", query), method, body, headers)
        self._opened.callback(exchange.abort)
        return exchange

    async def get(self, query: Query, headers: Headers = ()) -> Response:
        return await (await self.begin("GET", query, headers=headers)).response()

    async def post(self, query: Query, body: bytes | str, headers: Headers = ()) -> Response:
        return await (await self.begin("POST", query, body, headers)).response()

    async def open_websocket(self, query: Query, headers: Headers = ()) -> RawWebSocket:
        """The WebSocket after its 101; raises websockets' ``InvalidStatus`` when refused."""
        async with asyncio.timeout(PATIENCE):
            connection = await connect(
                self.target("ws", query),
                additional_headers=list(headers),
                compression=None,
                ping_interval=None,
                max_size=None,
                proxy=None,
            )
        self._opened.push_async_callback(connection.close)
        return RawWebSocket(connection)

    async def websocket_is_refused(self, query: Query) -> bool:
        """Whether a WebSocket with this query is refused or closed within patience, however that is done."""
        try:
            await (await self.open_websocket(query)).closed()
        except (InvalidHandshake, InvalidMessage, OSError):
            return True
        except TimeoutError:
            return False
        return True


class RawTransport(Protocol):
    """What ``RawSocketIO`` needs of a transport. ``receive`` gives packets one by one, in order."""

    async def send(self, *packets: EnginePacket) -> None: ...
    async def receive(self) -> EnginePacket: ...
    async def close(self) -> None: ...
    def abort(self) -> None: ...


class RawWebSocket:
    """A WebSocket that carries one Engine.IO packet in each message."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, *packets: EnginePacket) -> None:
        for packet in packets:
            await self.connection.send(packet)

    async def receive(self) -> EnginePacket:
        """The next message. Raises ``ConnectionClosed`` at the end, ``TimeoutError`` when nothing comes."""
        async with asyncio.timeout(PATIENCE):
            return await self.connection.recv()

    async def closed(self, within: float = PATIENCE) -> int:
        """The code with which the server closed (1005: none in the frame, 1006: no frame); skips other messages."""
        async with asyncio.timeout(within):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.connection.recv()
        code = self.connection.close_code
        assert code is not None
        return code

    async def close(self) -> None:
        await self.connection.close()

    def abort(self) -> None:
        """End the TCP connection without a close frame."""
        self.connection.transport.abort()


class RawPolling:
    """A long-polling session. One request at a time in each direction, as the protocol demands of clients."""

    def __init__(self, endpoint: Endpoint, sid: str, headers: Headers = ()) -> None:
        self._endpoint = endpoint
        self._headers = tuple(headers)
        self._received: deque[EnginePacket] = deque()
        self._poll: Exchange | None = None
        self.query = {"EIO": "4", "transport": "polling", "sid": sid}

    async def send(self, *packets: EnginePacket) -> None:
        """POST them as one payload. Raises ``ConnectionError`` when that is refused."""
        response = await self._endpoint.post(self.query, join_payload(packets), self._headers)
        if response.status != 200:
            raise ConnectionError(f"POST was answered {response.status} {response.text!r}")

    async def receive(self) -> EnginePacket:
        """The next packet, by as many GETs as it takes. Raises ``ConnectionError`` when one is refused."""
        while not self._received:
            self._poll = await self._endpoint.begin("GET", self.query, headers=self._headers)
            response = await self._poll.response()
            if response.status != 200:
                raise ConnectionError(f"GET was answered {response.status} {response.text!r}")
            self._received.extend(split_payload(response.text))
        return self._received.popleft()

    async def close(self) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self.send("1")

    def abort(self) -> None:
        """Drop the GET that is held, if any."""
        if self._poll is not None:
            self._poll.abort()


def split_payload(text: str) -> list[EnginePacket]:
    return [base64.b64decode(part[1:]) if part.startswith("b") else part for part in text.split(SEPARATOR)]


def join_payload(packets: Iterable[EnginePacket]) -> str:
    return SEPARATOR.join(
        "b" + base64.b64encode(part).decode() if isinstance(part, bytes) else part for part in packets
    )
