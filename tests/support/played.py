"""A node that is played without any I/O: a driver that does work at once, a clock moved by hand, clients as objects.

Nothing waits. A handler that is to end later returns :data:`LATER`; the test ends it with :meth:`Driver.finish`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from roomcast.core.handlers import HandlerTable
from roomcast.core.link import WebSocketLink
from roomcast.core.node import Node
from roomcast.core.work import CallConnect, CallDisconnect, CallHandler, CloseLink, PauseReading, SettleAck, Several
from roomcast.engineio.cors import OriginPolicy
from roomcast.engineio.engine import Engine
from roomcast.engineio.request import Request
from roomcast.engineio.response import Response
from roomcast.engineio.session import Session
from roomcast.engineio.sid import SidSource
from roomcast.settings import Settings
from roomcast.socketio.codec import Codec, CodecLimits
from roomcast.socketio.serializers import make_codec
from roomcast.websocket.frames import BINARY, CLOSE, TEXT, FrameReader, split_frames
from tests.support.masked import masked_frame
from tests.support.sinks import RecordingSink, packets

LATER: Any = object()
"""What a handler returns that ends later."""

TAG = "node"
START = 1_000.0


class Closing(msgspec.Struct, frozen=True):
    """How a WebSocket was closed by the server."""

    code: int | None
    reason: str


class Driver:
    """Does work at once and in order. ``running`` are the calls of handlers that end later, ``settled`` the answers."""

    def __init__(self, engine: Engine, node: Node | None = None) -> None:
        self.engine = engine
        self.node = node
        self.now = START
        self.running: list[CallConnect | CallDisconnect | CallHandler] = []
        self.settled: list[SettleAck] = []
        self.pauses: list[float] = []
        self.woken = 0
        self.deadlines: list[float] = []
        engine.now = START
        engine.on_wake = self._wake
        engine.on_deadline = self.deadlines.append

    def _wake(self) -> None:
        self.woken += 1

    def do(self, work: Any) -> None:
        """Do a piece of work, or nothing for None."""
        match work:
            case None:
                pass
            case Several():
                for each in work.works:
                    self.do(each)
            case CallHandler() | CallConnect() | CallDisconnect():
                try:
                    result, error = work.call.fn(*work.args), None
                except Exception as raised:
                    result, error = None, raised
                if result is LATER:
                    self.running.append(work)
                else:
                    self._ended(work, result, error)
            case SettleAck():
                self.settled.append(work)
            case PauseReading():
                self.pauses.append(work.seconds)
            case CloseLink():
                work.link.owner.end(work.code, work.reason, work.tail)
            case _:
                raise AssertionError(f"no driver would know what to do: {work!r}")

    def finish(self, kind: type[Any], result: Any = None, error: BaseException | None = None) -> None:
        """End the oldest handler of that kind that runs; there must be one."""
        work = next(work for work in self.running if isinstance(work, kind))
        self.running.remove(work)
        self._ended(work, result, error)

    def _ended(self, work: Any, result: Any, error: BaseException | None) -> None:
        assert self.node is not None
        if isinstance(work, CallConnect):
            self.do(self.node.connect_done(work.socket, result, error))
        elif isinstance(work, CallDisconnect):
            self.node.disconnect_done(work.socket)
        elif work.ack_id is not None and error is None:
            self.node.event_done(work.socket, work.ack_id, result)

    def flush(self) -> None:
        """What a driver does at the end of a turn."""
        self.engine.now = self.now
        self.engine.flusher.flush()
        for work in self.engine.take_slow():
            self.do(work)

    def advance(self, seconds: float) -> None:
        """Let time pass, and do what has come due."""
        self.now += seconds
        for work in self.engine.tick(self.now):
            self.do(work)


class Peer:
    """A client over a WebSocket. ``closing`` is how the server has closed it; ``tail`` what it wrote at that moment."""

    def __init__(self, driver: Driver, request: Request, waiting: int = 0) -> None:
        self.driver = driver
        self.sink = RecordingSink(waiting)
        settings = driver.engine.settings
        reader = FrameReader(settings.max_payload, settings.max_fragments)
        self.link = WebSocketLink(driver.engine, self, self.sink, reader)
        self.request = request
        self.closing: Closing | None = None

    def end(self, code: int | None, reason: str, tail: bytes) -> None:
        """The driver's part of closing."""
        self.sink.write(tail)
        self.closing = Closing(code, reason)
        self.link.done()

    @property
    def session(self) -> Session:
        session = self.link.session
        assert session is not None
        return session

    def opens(self) -> None:
        """Open a session by this connection."""
        engine = self.driver.engine
        self.link.session = engine.open(self.request, "websocket", self.sink, self.link, self.driver.now)

    def probes(self, session: Session) -> None:
        """Come as a candidate for a session."""
        self.link.session = session
        self.driver.do(self.driver.engine.probe(session, self.link, self.driver.now))

    def sends(self, *messages: str | bytes) -> None:
        """Packets arrive, in one piece."""
        frames = [
            masked_frame(TEXT, message.encode()) if isinstance(message, str) else masked_frame(BINARY, message)
            for message in messages
        ]
        self.feeds(b"".join(frames))

    def feeds(self, data: bytes) -> None:
        """Bytes arrive."""
        for work in self.link.feed(data, self.driver.now):
            self.driver.do(work)

    def leaves(self) -> None:
        """It begins the closing handshake."""
        self.feeds(masked_frame(CLOSE))

    def vanishes(self) -> None:
        """The connection is lost."""
        self.driver.do(self.link.lost())

    def received(self) -> list[str | bytes]:
        """What was written to it since the last call, the current turn included."""
        self.driver.flush()
        return packets(self.sink.taken())

    def frames(self) -> list[tuple[int, bytes]]:
        """The same with control frames, as (opcode, payload)."""
        self.driver.flush()
        return split_frames(self.sink.taken())


class Poller:
    """A client that polls. ``answers`` are the responses to its GETs."""

    def __init__(self, driver: Driver, request: Request) -> None:
        self.driver = driver
        self.request = request
        self.handshake = driver.engine.open_polling(request, driver.now)
        self.sid = msgspec.json.decode(self.handshake.body[1:])["sid"]
        self.answers: list[Response] = []

    @property
    def session(self) -> Session:
        return self.driver.engine.sessions[self.sid]

    @property
    def known(self) -> bool:
        """Whether the server still knows its sid."""
        return self.sid in self.driver.engine.sessions

    def polls(self) -> None:
        """A GET arrives."""
        self.driver.do(self.driver.engine.poll(self.session, self.request, self.answers.append))

    def posts(self, *texts: str) -> Response:
        """A POST arrives with these packets."""
        engine, session = self.driver.engine, self.session
        refusal, work = engine.post_begins(session, self.request)
        self.driver.do(work)
        if refusal is not None:
            return refusal
        steps = engine.post(session, self.request, "\x1e".join(texts).encode(), self.driver.now)
        while True:
            try:
                self.driver.do(next(steps))
            except StopIteration as end:
                response: Response = end.value
                return response

    def received(self) -> list[str]:
        """The packets in the answers since the last call, the current turn included."""
        self.driver.flush()
        answers = self.answers.copy()
        self.answers.clear()  # the list itself is what a GET that is held will be answered into
        return [packet for answer in answers for packet in answer.body.decode().split("\x1e") if answer.body]

    def reads(self) -> list[str]:
        """Poll until the server has no more to say for now: the packets. The last GET is taken back unless answered."""
        got = self.received()
        while self.known:
            if not self.session.polling or not self.session.polling.waiting:
                self.polls()
            more = self.received()
            if not more:
                break
            got += more
        return got


def make_request(
    query: bytes = b"EIO=4&transport=polling",
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    client: tuple[str, int] | None = None,
) -> Request:
    """A request to the usual path."""
    return Request.from_pairs(method, "/socket.io/", query, [(b"host", b"example.org"), *headers], client=client)


@cache
def codec_for(serializer: str, limits: CodecLimits) -> Codec:
    """Codecs hold no state, and making one costs as much as a hundred clients."""
    return make_codec(serializer, limits)


class Stage:
    """A node with its driver, and clients as they come."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        namespaces: Any = None,
        serializer: str = "default",
        always_connect: bool = False,
        tag: str = TAG,
    ) -> None:
        self.settings = settings or Settings()
        self.table = HandlerTable(namespaces)
        codec = codec_for(serializer, CodecLimits.from_settings(self.settings))
        self.node = Node(self.settings, OriginPolicy(None), codec, self.table, tag=tag, always_connect=always_connect)
        self.driver = Driver(self.node.engine, self.node)

    def on(self, event: str, handler: Callable[..., Any], namespace: str = "/") -> None:
        """Register a handler."""
        self.table.on(event, handler, namespace)

    def peer(self, *, waiting: int = 0) -> Peer:
        """A client whose session has begun over a WebSocket."""
        peer = Peer(self.driver, make_request(b"EIO=4&transport=websocket"), waiting)
        peer.opens()
        return peer

    def poller(self) -> Poller:
        """A client whose session has begun by polling."""
        return Poller(self.driver, make_request())

    def joins(self, namespace: str = "/") -> tuple[Peer, str]:
        """A client that is connected to a namespace, and its sid there."""
        peer = self.peer()
        peer.sends("40" if namespace == "/" else f"40{namespace},")
        packet = str(peer.received()[-1])
        sid: str = msgspec.json.decode(packet[packet.index("{") :])["sid"]
        return peer, sid

    def asks(self, sid: str) -> None:
        """The application asks a client in the main namespace for an acknowledgement, on behalf of ``"waiter"``."""
        _, work = self.node.ask("question", None, "waiter", sid, "/", None)
        self.driver.do(work)

    def left(self) -> dict[str, int]:
        """What the node's tables still hold when the turn is over."""
        self.driver.flush()
        return {name: number for name, number in self.node.census().items() if number}


class QuietApplication:
    """Stands on bare Engine.IO: keeps what arrives, and echoes nothing."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.ends: list[str] = []
        self.work: Any = None

    def receive_text(self, payload: bytes, /) -> Any:
        self.messages.append(payload)
        return self.work

    def receive_binary(self, payload: bytes, /) -> Any:
        self.messages.append(payload)
        return self.work

    def closed(self, reason: str, /) -> Any:
        self.ends.append(reason)


class EngineCounts:
    """The counts of an engine alone; labels are kept as they come."""

    def __init__(self) -> None:
        self.packets_in = self.packets_out = self.bytes_in = self.bytes_out = 0
        self.ping_timeouts = self.slow_consumers = self.upgrades = self.upgrades_failed = 0
        self.sessions = LabelList()
        self.refused = LabelList()
        self.parse_errors = LabelList()


class LabelList(list[str]):
    """Labels in the order of counting."""

    def count(self, label: str, amount: int = 1, /) -> None:  # type: ignore[override]  # a counter here, not a list's count
        self.extend([label] * amount)


class BareStage:
    """An engine without Socket.IO, its driver and clients. ``applications`` are by session id."""

    def __init__(
        self, settings: Settings | None = None, *, cookie: Any = None, policy: OriginPolicy | None = None
    ) -> None:
        self.counts = EngineCounts()
        self.applications: dict[str, QuietApplication] = {}
        self.engine = Engine(
            settings or Settings(),
            policy or OriginPolicy(None),
            SidSource(TAG),
            self._application,
            split_frames,
            self.counts,
            cookie,
        )
        self.driver = Driver(self.engine)

    def _application(self, session: Session, now: float) -> QuietApplication:
        application = self.applications[session.sid] = QuietApplication()
        return application

    def peer(self, *, waiting: int = 0) -> Peer:
        """A client whose session has begun over a WebSocket."""
        peer = self.visitor(waiting=waiting)
        peer.opens()
        return peer

    def visitor(self, *, waiting: int = 0) -> Peer:
        """A WebSocket without a session."""
        return Peer(self.driver, make_request(b"EIO=4&transport=websocket"), waiting)

    def poller(self, *headers: tuple[bytes, bytes]) -> Poller:
        """A client whose session has begun by polling."""
        return Poller(self.driver, make_request(b"EIO=4&transport=polling", *headers))
