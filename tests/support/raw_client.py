"""A Socket.IO v5 client without manners, over either transport. It shares no code with roomcast."""

from __future__ import annotations

import json
from collections import deque
from typing import Any, Self

from tests.support.raw_engine import SEPARATOR, Endpoint, EnginePacket, Query, RawPolling, RawTransport
from tests.support.raw_http import Headers
from tests.support.raw_packet import ACK, CONNECT, DISCONNECT, EVENT, Packet, PacketReader, write_packet


class RawSocketIO:
    """A Socket.IO connection. ``open`` it, ``connect`` to namespaces, ``emit``, ``receive``; close it in the end::

    async with await RawSocketIO.open(server.url, transport="polling") as client:
        await client.connect("/", {"token": "x"})
        await client.emit("echo", 1, b"two", id=7)
        assert await client.receive() == Packet(ACK, id=7, data=[1, b"two"])
    """

    def __init__(self, endpoint: Endpoint, transport: RawTransport, handshake: dict[str, Any]) -> None:
        self.endpoint = endpoint
        self.transport = transport
        self.handshake = handshake
        """The JSON of the Engine.IO handshake: sid, upgrades, pingInterval, pingTimeout, maxPayload."""
        self.sids: dict[str, str] = {}
        """Namespace to Socket.IO sid, once connected."""
        self._reader = PacketReader()
        self._leftover: deque[EnginePacket] = deque()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        transport: str = "websocket",
        path: str = "/socket.io/",
        headers: Headers = (),
        query: Query | None = None,
    ) -> Self:
        """The Engine.IO handshake, with further ``query`` values.

        Raises when refused: ``ConnectionError`` over polling, websockets' ``InvalidStatus`` over WebSocket.
        """
        endpoint = Endpoint(url, path)
        asked = {"EIO": "4", "transport": transport, **(query or {})}
        if transport == "websocket":
            websocket = await endpoint.open_websocket(asked, headers)
            return cls(endpoint, websocket, _read_handshake(await websocket.receive()))
        response = await endpoint.get(asked, headers)
        if response.status != 200:
            raise ConnectionError(f"the handshake was answered {response.status} {response.text!r}")
        handshake = _read_handshake(response.text)
        return cls(endpoint, RawPolling(endpoint, handshake["sid"], headers), handshake)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self, namespace: str = "/", auth: Any = None) -> Packet:
        """Ask for a namespace. Gives the next packet: CONNECT or CONNECT_ERROR, unless the server was rude."""
        await self.send(Packet(CONNECT, namespace=namespace, data=auth))
        reply = await self.receive()
        if reply.type == CONNECT:
            self.sids[reply.namespace] = reply.data["sid"]
        return reply

    async def emit(self, event: str, *args: Any, namespace: str = "/", id: int | None = None) -> None:
        """Send an event; bytes anywhere in lists and dicts become attachments. ``id`` asks for an acknowledgement."""
        await self.send(Packet(EVENT, namespace, [event, *args], id))

    async def ack(self, id: int, *args: Any, namespace: str = "/") -> None:
        await self.send(Packet(ACK, namespace, list(args), id))

    async def disconnect(self, namespace: str = "/") -> None:
        await self.send(Packet(DISCONNECT, namespace))

    async def send(self, packet: Packet) -> None:
        await self.transport.send(*write_packet(packet))

    async def send_raw(self, *packets: EnginePacket) -> None:
        """Engine.IO packets as they are, sense or nonsense."""
        await self.transport.send(*packets)

    async def receive(self) -> Packet:
        """The next Socket.IO packet, with its attachments in place. Answers pings and skips noops.

        Raises ``ConnectionError`` (polling) or websockets' ``ConnectionClosed`` when the server ended the session.
        """
        while True:
            packet = self._leftover.popleft() if self._leftover else await self.transport.receive()
            if packet == "2":
                await self.transport.send("3")
            elif packet == "1":
                raise ConnectionError("the server closed the session")
            elif packet != "6" and (whole := self._reader.feed(packet)):
                return whole

    async def expect(self, packet: Packet) -> None:
        """The next packet is this one."""
        received = await self.receive()
        assert received == packet, f"expected {packet}, received {received}"

    async def expect_event(self, event: str, *args: Any, namespace: str = "/") -> None:
        """The next packet is this event, without a wish for an acknowledgement."""
        await self.expect(Packet(EVENT, namespace, [event, *args]))

    async def upgrade(self) -> None:
        """Move from polling to WebSocket, in the steps of the official client. What a last GET brings is not lost."""
        polling = self.transport
        assert isinstance(polling, RawPolling), "already on WebSocket"
        websocket = await self.endpoint.open_websocket(
            {"EIO": "4", "transport": "websocket", "sid": self.handshake["sid"]}
        )
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        while (packet := await polling.receive()) != "6":
            self._leftover.append(packet)
        await websocket.send("5")
        self.transport = websocket

    async def close(self) -> None:
        """Leave as a client does that has finished. Quiet if the server was first."""
        await self.transport.close()
        await self.endpoint.__aexit__()

    def abort(self) -> None:
        """Vanish."""
        self.transport.abort()


def _read_handshake(packet: EnginePacket) -> dict[str, Any]:
    assert isinstance(packet, str), f"no handshake: {packet!r}"
    assert packet.startswith("0"), f"no handshake: {packet!r}"
    handshake: dict[str, Any] = json.loads(packet[1:].split(SEPARATOR)[0])
    return handshake
