"""Raw clients: packets are asserted as they stand on the wire, so nothing here interprets more than it must.

Both transports offer the same methods. Text packets are ``str`` with their Engine.IO digit, binary messages are
``bytes``, on WebSocket and on polling alike. Nothing answers a ping unless the test does.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import socket
import struct
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Self
from urllib.parse import urlencode

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed

TIMEOUT = 5.0 * float(os.environ.get("ROOMCAST_TEST_PATIENCE", "1"))
"""Seconds a test waits for what must happen; on a slow machine the variable raises them."""

Packet = str | bytes


class SessionClosed(Exception):
    """The server ended the session; ``code`` is the WebSocket close code, or the HTTP status of the last poll."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"session closed: {code}")
        self.code = code


class Client(ABC):
    """One Engine.IO session; ``sid`` is the Socket.IO sid of the namespace connected last."""

    def __init__(self, base: str, handshake: dict[str, Any]) -> None:
        self.base = base
        self.handshake = handshake
        self.sid = ""
        self._fences = itertools.count()

    @property
    def engine_sid(self) -> str:
        return str(self.handshake["sid"])

    @abstractmethod
    async def send(self, *packets: Packet) -> None:
        """Send whole Engine.IO packets, in order."""

    @abstractmethod
    async def receive(self) -> Packet:
        """The next packet; ``SessionClosed`` when there will be none, ``TimeoutError`` when none comes."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of everything, without ceremony; may be called twice."""

    async def connect(self, namespace: str = "/", auth: Any = None) -> str:
        """Connect to a namespace and return the sid; fails the test if anything else is answered first."""
        await self.ask_to_connect(namespace, auth)
        answer = await self.receive()
        head = "40" if namespace == "/" else f"40{namespace},"
        assert isinstance(answer, str)
        assert answer.startswith(head + "{"), answer
        self.sid = str(json.loads(answer[len(head) :])["sid"])
        return self.sid

    async def ask_to_connect(self, namespace: str = "/", auth: Any = None) -> None:
        prefix = "" if namespace == "/" else f"{namespace},"
        await self.send(f"40{prefix}{'' if auth is None else json.dumps(auth)}")

    async def event(self, *args: Any, namespace: str = "/", id: int | None = None) -> None:
        """Send an event without binary."""
        prefix = "" if namespace == "/" else f"{namespace},"
        await self.send(f"42{prefix}{'' if id is None else id}{json.dumps(args)}")

    async def call(self, *args: Any, namespace: str = "/", id: int = 1) -> Packet:
        """Send an event that asks for an acknowledgement, and return the packet that comes next."""
        await self.event(*args, namespace=namespace, id=id)
        return await self.receive()

    async def until(self, *wanted: str) -> list[Packet]:
        """Read until a text packet begins with one of these; returns what came before it."""
        seen: list[Packet] = []
        while True:
            packet = await self.receive()
            if isinstance(packet, str) and packet.startswith(wanted):
                return seen
            seen.append(packet)

    async def drain(self) -> list[Packet]:
        """Everything that the server has sent so far: asks for a namespace nobody serves and reads up to the answer."""
        name = f"/fence-{next(self._fences)}"
        await self.send(f"40{name},")
        return await self.until(f"44{name},", f"40{name},")

    async def rest(self) -> list[Packet]:
        """Read until the server has ended the session; returns what came before."""
        seen: list[Packet] = []
        with contextlib.suppress(SessionClosed):
            while True:
                seen.append(await self.receive())
        return seen

    async def closed(self) -> int | None:
        """Wait for the server to end the session; the WebSocket close code, or the status of the last poll."""
        try:
            while True:
                await self.receive()
        except SessionClosed as end:
            return end.code


class WebSocketClient(Client):
    """A session on a WebSocket, or the second half of an upgrade (with ``sid=``)."""

    def __init__(self, base: str, connection: ClientConnection, sock: socket.socket, handshake: dict[str, Any]) -> None:
        super().__init__(base, handshake)
        self.connection = connection
        self._socket = sock

    @classmethod
    async def open(
        cls,
        base: str,
        *,
        path: str = "/socket.io/",
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        sid: str | None = None,
        receive_buffer: int | None = None,
        compression: str | None = None,
    ) -> Self:
        """Raises ``websockets.exceptions.InvalidStatus`` when the server refuses."""
        host, port = base.removeprefix("http://").split(":")
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        parameters = {"EIO": "4", "transport": "websocket", **({"sid": sid} if sid else {}), **(query or {})}
        try:
            connection = await connect_websocket(
                f"ws://{host}:{port}{path}?{urlencode(parameters)}",
                sock=sock,
                additional_headers=headers,
                compression=compression,
                ping_interval=None,
                max_size=None,
                max_queue=4,
                proxy=None,
                user_agent_header=None,
                open_timeout=TIMEOUT,
                close_timeout=1,
            )
        except BaseException:
            sock.close()
            raise
        client = cls(base, connection, sock, {"sid": sid})
        if sid is None:
            opening = await client.receive()
            assert isinstance(opening, str)
            assert opening.startswith("0{"), opening
            client.handshake = json.loads(opening[1:])
        return client

    async def send(self, *packets: Packet) -> None:
        for packet in packets:
            await self.connection.send(packet)

    async def receive(self) -> Packet:
        try:
            return await asyncio.wait_for(self.connection.recv(), TIMEOUT)
        except ConnectionClosed as closed:
            raise SessionClosed(closed.rcvd.code if closed.rcvd else None) from closed

    async def close(self, code: int = 1000) -> None:
        """The closing handshake of RFC 6455."""
        await self.connection.close(code)

    async def hang_up(self) -> None:
        """FIN without a close frame."""
        self.connection.transport.close()
        await asyncio.wait_for(self.connection.wait_closed(), TIMEOUT)

    async def reset(self) -> None:
        """RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.aclose()

    async def aclose(self) -> None:
        self.connection.transport.abort()
        await asyncio.wait_for(self.connection.wait_closed(), TIMEOUT)


class PollingClient(Client):
    """A session on long polling; ``poll`` and ``post`` give the HTTP responses as they are."""

    def __init__(self, base: str, http: httpx.AsyncClient, path: str, handshake: dict[str, Any]) -> None:
        super().__init__(base, handshake)
        self.http = http
        self.path = path
        self.opening: httpx.Response
        self._waiting: deque[str] = deque()

    @classmethod
    async def open(
        cls,
        base: str,
        *,
        path: str = "/socket.io/",
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Self:
        """The handshake; a refusal fails the test (ask with :func:`get` to see one)."""
        http = httpx.AsyncClient(base_url=base, headers=headers, timeout=TIMEOUT, trust_env=False, verify=False)
        response = await http.get(path, params={"EIO": "4", "transport": "polling", **(query or {})})
        if response.status_code != 200:
            await http.aclose()
            raise AssertionError(f"handshake answered {response.status_code}: {response.text}")
        opening, *rest = response.text.split("\x1e")
        client = cls(base, http, path, json.loads(opening[1:]))
        client.opening = response
        client._waiting.extend(rest)
        return client

    @property
    def parameters(self) -> dict[str, str]:
        return {"EIO": "4", "transport": "polling", "sid": self.engine_sid}

    @property
    def target(self) -> str:
        """Path and query, for requests on a bare connection."""
        return f"{self.path}?{urlencode(self.parameters)}"

    async def poll(self, **options: Any) -> httpx.Response:
        return await self.http.get(self.path, params=self.parameters, **options)

    async def post(self, body: str | bytes, **options: Any) -> httpx.Response:
        return await self.http.post(self.path, params=self.parameters, content=body, **options)

    async def send(self, *packets: Packet) -> None:
        body = "\x1e".join(p if isinstance(p, str) else "b" + base64.b64encode(p).decode() for p in packets)
        response = await self.post(body)
        assert response.status_code == 200, response.text

    async def receive(self) -> Packet:
        if not self._waiting:
            response = await self.poll()
            if response.status_code != 200:
                raise SessionClosed(response.status_code)
            self._waiting.extend(response.text.split("\x1e"))
        packet = self._waiting.popleft()
        if packet == "1":
            raise SessionClosed(200)
        if packet == "6":
            return await self.receive()
        return base64.b64decode(packet[1:]) if packet.startswith("b") else packet

    async def probe(self) -> WebSocketClient:
        """The WebSocket of an upgrade, probed but not adopted: nothing has left polling yet."""
        candidate = await WebSocketClient.open(self.base, path=self.path, sid=self.engine_sid)
        await candidate.send("2probe")
        answer = await candidate.receive()
        assert answer == "3probe", answer
        return candidate

    async def upgrade(self) -> WebSocketClient:
        """Move to WebSocket; the client that is returned goes on with the same session and namespace."""
        candidate = await self.probe()
        await candidate.send("5")
        candidate.handshake, candidate.sid = self.handshake, self.sid
        return candidate

    async def aclose(self) -> None:
        await self.http.aclose()


async def open_session(base: str, transport: str, **options: Any) -> Client:
    if transport == "polling":
        return await PollingClient.open(base, **options)
    return await WebSocketClient.open(base, **options)


async def get(base: str, path: str = "/socket.io/", **options: Any) -> httpx.Response:
    """One GET on a connection of its own."""
    return await request("GET", base, path, **options)


async def request(method: str, base: str, path: str = "/socket.io/", **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=base, timeout=TIMEOUT, trust_env=False, verify=False) as http:
        return await http.request(method, path, **options)


HANDSHAKE = {"EIO": "4", "transport": "polling"}
"""The query of a polling handshake."""


class Wire:
    """A bare TCP connection, for requests that no HTTP client would send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, base: str) -> Self:
        host, port = base.removeprefix("http://").split(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until(self, end: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(end), TIMEOUT)

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        with contextlib.suppress(ConnectionResetError):
            return await asyncio.wait_for(self.reader.read(), TIMEOUT)
        return b""

    async def aclose(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def arguments(packet: Packet) -> list[Any]:
    """The JSON array of an event or acknowledgement packet."""
    assert isinstance(packet, str)
    assert "[" in packet, packet
    decoded: list[Any] = msgspec.json.decode(packet[packet.index("[") :])
    return decoded
