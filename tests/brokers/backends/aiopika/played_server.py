"""RabbitMQ's side of a conversation, played: it takes what a session writes, keeps it, and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Final, Self

from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel, Confirm, Connection, Exchange, Queue
from pamqp.frame import marshal, unmarshal
from pamqp.header import ContentHeader

from roomcast_brokers.backends.aiopika.frames import CHANNEL, Method
from roomcast_brokers.backends.aiopika.location import parse
from roomcast_brokers.backends.aiopika.session import Session
from roomcast_brokers.backends.aiopika.subscriptions import Subscriptions
from roomcast_brokers.backends.aiopika.topology import CONSUMER, Topology
from roomcast_brokers.errors import BrokerUnreachableError

ANSWERS: Final[dict[type[Any], Frame]] = {
    Connection.StartOk: Connection.Tune(2_047, 131_072, 60),
    Connection.Open: Connection.OpenOk(),
    Connection.Close: Connection.CloseOk(),
    Channel.Open: Channel.OpenOk(),
    Channel.Flow: Channel.FlowOk(True),
    Confirm.Select: Confirm.SelectOk(),
    Exchange.Declare: Exchange.DeclareOk(),
    Queue.Declare: Queue.DeclareOk("q", 0, 0),
    Queue.Delete: Queue.DeleteOk(0),
    Queue.Bind: Queue.BindOk(),
    Queue.Unbind: Queue.UnbindOk(),
    Basic.Qos: Basic.QosOk(),
    Basic.Consume: Basic.ConsumeOk(CONSUMER),
}


def frames(data: bytes) -> Iterator[tuple[int, Method]]:
    """The frames in ``data``."""
    while data:
        size, channel, frame = unmarshal(data)
        yield channel, frame
        data = data[size:]


class Conversation:
    """A session and its server. ``events`` is what the session told, ``heard`` what it wrote, as names of methods."""

    def __init__(self, options: str = "", **wanted: int) -> None:
        self.location = parse(f"amqp://h?{options}")
        self.subscriptions = Subscriptions()
        self.topology = Topology(self.location)
        for channel, generation in wanted.items():
            self.subscriptions.want(channel, generation)
        self.events: list[tuple[Any, ...]] = []
        self.heard: list[Method] = []
        self.unanswered: list[Frame] = []
        self.holding: set[type[Any]] = set()
        """Methods that are not answered before :meth:`let_go`."""
        self.begin()

    def begin(self) -> None:
        """A new connection."""
        self.session = Session(self.location, self.subscriptions, self.topology, self)
        self.greeted = False

    # --- Hears ------------------------------------------------------------------------------------------------------

    def delivered(self, channel: str, payload: bytes) -> None:
        self.events.append(("delivered", channel, payload))

    def confirmed(self, channel: str, generation: int) -> None:
        self.events.append(("confirmed", channel, generation))

    def accepted(self, count: int) -> None:
        self.events.append(("accepted", count))

    def ready(self) -> None:
        self.events.append(("ready",))

    def halted(self, cause: BrokerUnreachableError) -> None:
        self.events.append(("halted", str(cause)))

    # --- the server -------------------------------------------------------------------------------------------------

    def run(self) -> list[str]:
        """Let both talk until neither has anything to say. Returns the names of what the session wrote."""
        names = []
        while data := self.session.take():
            if not self.greeted:
                self.greeted = True
                self.say(Connection.Start(), channel=0)
                continue
            for _, frame in frames(data):
                names.append(frame.name)
                self.heard.append(frame)
                self._answer(frame)
        return names

    def _answer(self, frame: Method) -> None:
        answer = None if getattr(frame, "nowait", False) else ANSWERS.get(type(frame))
        if answer is None:
            return
        if type(frame) in self.holding:
            self.unanswered.append(answer)
        elif isinstance(answer, Connection.CloseOk):
            with contextlib.suppress(BrokerUnreachableError):
                self.say(answer, channel=0)
        else:
            self.say(answer, channel=0 if frame.name.startswith("Connection.") else CHANNEL)

    def say(self, *methods: Method, channel: int = CHANNEL) -> None:
        self.session.receive(b"".join(marshal(method, channel) for method in methods))

    def let_go(self, count: int | None = None) -> None:
        """Answer what was held, all or so many."""
        count = len(self.unanswered) if count is None else count
        now, self.unanswered = self.unanswered[:count], self.unanswered[count:]
        self.say(*now)

    def deliver(self, channel: str, payload: bytes, tag: int = 1) -> None:
        self.say(*self.delivery(channel, payload, tag))

    def delivery(self, channel: str, payload: bytes, tag: int) -> list[Method]:
        deliver = Basic.Deliver(CONSUMER, tag, False, self.topology.exchange, channel)
        return [deliver, ContentHeader(body_size=len(payload)), ContentBody(payload)]

    def taken(self) -> list[tuple[Any, ...]]:
        """What was told since the last time."""
        events, self.events = self.events, []
        return events


class PlayedServer:
    """The same on a socket, for one connection after another. ``heard`` has the names of what was said to it,
    ``something`` is set when there is more.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.something = asyncio.Event()
        self.mute = False
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"amqp://127.0.0.1:{self.port}"

    def say(self, method: Method, channel: int = CHANNEL) -> None:
        """To the latest that has come."""
        self._writers[-1].write(marshal(method, channel))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._tasks.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readexactly(8)
            if not self.mute:
                writer.write(marshal(Connection.Start(), 0))
            while True:
                head = await reader.readexactly(7)
                rest = await reader.readexactly(int.from_bytes(head[3:7]) + 1)
                _, channel, frame = unmarshal(head + rest)
                self.heard.append(frame.name)
                self.something.set()
                answer = ANSWERS.get(type(frame))
                if answer is not None and not self.mute:
                    writer.write(marshal(answer, channel))
