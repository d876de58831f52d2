"""A blocking server on played tasks, and its clients: by WSGI requests, and by WebSockets on played sockets."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

import msgspec

from roomcast.drivers.blocking.requests import read_request
from roomcast.drivers.blocking.runtime import Runtime
from roomcast.drivers.blocking.server import Server
from roomcast.drivers.blocking.websocket import WebSocketConnection
from roomcast.drivers.blocking.wsgi import WSGIApp
from roomcast.engineio.admission import Handshake, Refusal
from roomcast.websocket.frames import CLOSE, PING, TEXT, split_frames
from roomcast.websocket.handshake import Accepted, accept
from tests.support.masked import masked_frame
from tests.support.played_tasks import PlayedSocket, PlayedTask, PlayedTasks
from tests.support.wsgi_requests import HANDSHAKE_HEADERS, Answer, environ_of, respond_to

END_OF_HEAD = b"\r\n\r\n"


class TurnedAwayError(Exception):
    """The server takes no sessions now."""


class PlayedServer:
    """``sio`` served by ``app``; ``drain_seconds`` is 0 unless a test says otherwise."""

    def __init__(self, tasks: PlayedTasks, **options: Any) -> None:
        self.tasks = tasks
        self.sio = Server(async_mode=tasks.concurrency, **{"drain_seconds": 0.0, **options})
        self.runtime = self.sio.runtime
        self.app = WSGIApp(self.sio)
        tasks.closing.append(self.sio.shutdown)

    def request(self, method: str = "GET", query: str = "", body: Any = b"", /, **extra: Any) -> Answer:
        """One request whose connection nobody can take."""
        return respond_to(self.app, environ_of(method, query, body, **extra))

    def poller(self) -> PlayedPoller:
        """A client that has opened a session by polling."""
        return PlayedPoller(self)

    def websocket(self, query: str = "", capacity: int = 1_000_000) -> PlayedWebSocket:
        """A client that has opened a WebSocket; ``capacity`` is how many bytes it lets lie unread."""
        return PlayedWebSocket(self, query, capacity)

    def joined(self, namespace: str = "/", capacity: int = 1_000_000) -> PlayedWebSocket:
        """The same, connected to a namespace."""
        client = self.websocket(capacity=capacity)
        client.joins(namespace)
        return client

    def left(self) -> dict[str, int]:
        """What the tables of the server still hold."""
        return {name: number for name, number in self.sio.census().items() if number}

    def ends(self) -> None:
        """Stop it; nothing may be left."""
        self.sio.shutdown()
        self.tasks.others()
        assert not self.left()
        assert not self.tasks.alive, self.tasks.alive


class Played(Protocol):
    """What clients need to know of a server, of whatever kind."""

    @property
    def tasks(self) -> PlayedTasks: ...
    @property
    def runtime(self) -> Runtime: ...
    @property
    def app(self) -> WSGIApp: ...
    def request(self, method: str = "GET", query: str = "", body: Any = b"", /, **extra: Any) -> Answer: ...


class PlayedPoller:
    """A client that polls; a GET that waits is a task of its own, as in a WSGI server with threads."""

    def __init__(self, server: Played) -> None:
        self.server = server
        self.opened = server.request("GET", "EIO=4&transport=polling")
        if self.opened.status == 503:
            raise TurnedAwayError
        assert self.opened.status == 200, self.opened
        self.told = msgspec.json.decode(self.opened.body[1:])
        self.sid: str = self.told["sid"]
        self.query = f"EIO=4&transport=polling&sid={self.sid}"
        self.answers: list[Answer] = []

    def posts(self, *packets: str) -> Answer:
        """Send packets, and wait for the answer."""
        return self.server.request("POST", self.query, "\x1e".join(packets).encode())

    def polls(self) -> PlayedTask:
        """Begin a GET; its answer comes to ``answers``."""
        return self.server.tasks.start(lambda: self.answers.append(self.server.request("GET", self.query)))

    def reads(self) -> list[str]:
        """The packets that a GET answers, when it does."""
        self.polls().join()
        return self.answers.pop().packets

    def joins(self, namespace: str = "/") -> str:
        """Connect to a namespace; the sid there."""
        prefix = "" if namespace == "/" else f"{namespace},"
        assert self.posts(f"40{prefix}").status == 200
        packet = self.reads()[0]
        assert packet.startswith(f"40{prefix}{{"), packet
        sid: str = msgspec.json.decode(packet[packet.index("{") :])["sid"]
        return sid


class PlayedWebSocket:
    """A client over a WebSocket. ``connection`` is the server's side of it."""

    def __init__(self, server: Played, query: str, capacity: int) -> None:
        self.server = server
        self.head = b""
        self.sid = ""
        self.closed_with: bytes | None = None
        """The payload of the server's close frame."""
        self.pings = 0
        ours, self.sock = PlayedSocket.pair(capacity, server.tasks.point)
        self._coming = bytearray()
        self._packets: deque[str | bytes] = deque()
        self.connection = self._upgrade(f"EIO=4&transport=websocket{query}", ours)

    def _upgrade(self, query: str, ours: Any) -> WebSocketConnection:
        """What serve_request does, but for taking the socket from a real server."""
        runtime = self.server.runtime
        runtime.awaken()
        request = read_request(environ_of("GET", query, **HANDSHAKE_HEADERS), upgrade=True)
        with runtime.turn:
            outcome = runtime.engine.admit(request, upgrade=True)
            if isinstance(outcome, Handshake) and runtime.engine.busy(request, runtime.engine.now) is not None:
                raise TurnedAwayError
            assert not isinstance(outcome, Refusal), outcome
            answer = accept(request.method, request.http_version, request.header)
            assert isinstance(answer, Accepted)
            connection = WebSocketConnection(runtime, ours)
            connection.join(request, outcome, answer)
        return connection

    def sends(self, *packets: str) -> None:
        """Text messages arrive, in one piece."""
        self.writes(b"".join(masked_frame(TEXT, packet.encode()) for packet in packets))

    def writes(self, data: bytes) -> None:
        """Bytes arrive, when the server reads them."""
        sent = self.sock.send(data)
        assert sent == len(data)

    def closes(self) -> None:
        """The client's close frame."""
        self.writes(masked_frame(CLOSE))

    def vanishes(self) -> None:
        """The connection is gone."""
        self.sock.close()

    def joins(self, namespace: str = "/") -> str:
        """Connect to a namespace; the sid there."""
        prefix = "" if namespace == "/" else f"{namespace},"
        self.sends(f"40{prefix}")
        while not str(packet := self.receives()).startswith(f"40{prefix}{{"):
            pass
        packet = str(packet)
        self.sid = msgspec.json.decode(packet[packet.index("{") :])["sid"]
        return self.sid

    def receives(self, within: float | None = 60.0) -> str | bytes:
        """The next message, waited for."""
        self._look()
        while not self._packets:
            came = self.server.tasks.pause(lambda: self.sock.readable, within)
            assert came, "nothing came"
            self._look()
        return self._packets.popleft()

    def received(self) -> list[str | bytes]:
        """All messages that have come once everybody has done what can be done now."""
        self.server.tasks.others()
        self._look()
        found = list(self._packets)
        self._packets.clear()
        return found

    def has_ended(self) -> bool:
        """Whether the server has closed the connection, and everything was read."""
        self._look()
        return self.sock.ended and not self.sock.coming

    def is_read(self) -> bool:
        """Whether the server reads what it sends."""
        return self.connection.reading

    def _look(self) -> None:
        while self.sock.coming:
            self._coming += self.sock.recv(65_536)
        if not self.head and END_OF_HEAD in self._coming:
            head, _, rest = bytes(self._coming).partition(END_OF_HEAD)
            self.head, self._coming = head, bytearray(rest)
        for opcode, payload in split_frames(self._whole_frames()):
            if opcode == CLOSE:
                self.closed_with = payload
            elif opcode == PING:
                self.pings += 1
            else:
                self._packets.append(payload.decode() if opcode == TEXT else payload)

    def _whole_frames(self) -> bytes:
        """Take the frames that have come whole."""
        data, at = self._coming, 0
        while len(data) >= at + 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if len(data) < start + size:
                break
            at = start + size
        whole = bytes(data[:at])
        del data[:at]
        return whole
