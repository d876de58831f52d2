"""One connection's conversation with RabbitMQ, without the connection: bytes in, bytes out, and who is told what.

Everything is sent as soon as it may be, and answered in the order in which it was sent; so there is one queue of what
is expected, with what each answer means. (Only that our consumer is there is answered when its queue comes to it, which
may be later than what was asked after it.) Whatever was not expected, and whatever the server ends (the connection, the
channel, our consumer), raises: then this session is over, and the next one declares everything again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Confirm, Connection, Exchange, Queue
from pamqp.frame import marshal
from pamqp.heartbeat import Heartbeat

from roomcast_brokers.backends.aiopika.frames import CHANNEL, Method, Publications, Reader
from roomcast_brokers.backends.aiopika.greeting import LONGEST_TEXT, Greeting, refusal
from roomcast_brokers.backends.aiopika.location import Location
from roomcast_brokers.backends.aiopika.receipts import Receipts
from roomcast_brokers.backends.aiopika.subscriptions import Subscriptions
from roomcast_brokers.backends.aiopika.topology import CONSUMER, Topology
from roomcast_brokers.errors import BrokerUnreachableError

# The cheapest request that RabbitMQ answers on a channel and that changes nothing: what came before it on the channel
# has been dealt with when the answer is there.
_FENCE: Final = marshal(Channel.Flow(active=True), CHANNEL)
_HEARTBEAT: Final = Heartbeat.marshal()


class Hears(Protocol):
    """Who is told; may call anything of the session in turn."""

    def delivered(self, channel: str, payload: bytes) -> None: ...
    def confirmed(self, channel: str, generation: int) -> None: ...
    def accepted(self, count: int) -> None: ...

    def ready(self) -> None:
        """Everything is declared, and everything that is wanted is confirmed. Again after :meth:`halted`."""

    def halted(self, cause: BrokerUnreachableError) -> None:
        """The server takes no messages for now; those that were not accepted will not be."""


class Session:
    """``subscriptions`` and ``topology`` outlive it. Whoever calls anything here writes what :meth:`take` returns."""

    def __init__(self, location: Location, subscriptions: Subscriptions, topology: Topology, hears: Hears) -> None:
        self.receipts = Receipts()
        self.blocked = False
        self.is_ready = False
        self._subscriptions = subscriptions
        self._topology = topology
        self._hears = hears
        self._greeting = Greeting(location)
        self._reader = Reader(
            subscriptions.names, hears.delivered, self._told, consumer=CONSUMER, exchange=topology.exchange
        )
        self._publications: Publications | None = None
        self._out: list[bytes] = [self._greeting.begin()]
        self._expected: deque[tuple[type[Any], Callable[[Any], None]]] = deque()
        self._queue = False  # it was asked for
        self._consumes = False
        self._declared = False  # all else is there
        self._fenced: int | None = None  # a fence is on its way, and tells of so many messages
        self._acknowledged = 0
        self._over = False

    @property
    def greeted(self) -> bool:
        """Whether the server has let us in."""
        return self._publications is not None

    @property
    def heartbeat(self) -> int:
        """Seconds, as agreed; 0: none."""
        return self._greeting.heartbeat

    def publish(self, channel: str, payload: bytes) -> None:
        """Only after ``ready``."""
        publications = self._publications
        assert publications is not None
        self._out.append(publications.message(channel, payload))
        self.receipts.sent += 1

    def receive(self, data: bytes) -> None:
        """Take what came in. Raises :class:`BrokerUnreachableError` if the connection has to end."""
        self._reader.feed(data)
        if self._topology.durable and self._reader.tag > self._acknowledged:
            self._acknowledge(self._reader.tag)

    def ask(self) -> None:
        """Have the server say something, if it is alive."""
        if self._declared and self._fenced is None:
            self._fence()

    def beat(self) -> None:
        """Have the server know that we are alive."""
        if self.greeted:
            self._out.append(_HEARTBEAT)

    def take(self) -> bytes:
        """What is to be written now."""
        if not self._over:
            if self._subscriptions.changed and self.greeted and not self.blocked:
                self._bind()
                self._look_whether_ready()
            if self._fenced is None and not self._topology.durable and self.receipts.outstanding:
                self._fence()
        out = self._out
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def end(self) -> None:
        """Say goodbye; the server closes the connection when it has dealt with everything before."""
        if self.greeted:
            for frame in self._topology.end() if self._queue else ():
                self._send(frame)
            self._out.append(marshal(Connection.Close(200, "goodbye", 0, 0), 0))
        self.drop()

    def drop(self) -> None:
        """Nobody is told anything more. May be called again, when the next session has begun."""
        if not self._over:
            self._over = True
            self._subscriptions.names.clear()

    # --- what is sent -----------------------------------------------------------------------------------------------

    def _send(self, frame: Frame) -> None:
        self._out.append(marshal(frame, CHANNEL))

    def _request(self, frame: Frame, answered: Callable[[Any], None] | None = None) -> None:
        self._send(frame)
        self._expected.append((_ANSWERS[type(frame)], answered or _nothing))

    def _begin(self) -> None:
        topology = self._topology
        self._publications = Publications(
            topology.exchange, persistent=topology.durable, frame_max=self._greeting.frame_max
        )
        for frame in topology.begin():
            self._request(frame)
        self._subscriptions.begin(bound=topology.claimed)
        self._bind()
        self._request(Channel.Flow(active=True), self._opened)

    def _bind(self) -> None:
        """Bring the bindings in line with what is wanted; have a queue as soon as anything is."""
        bind, unbind = self._subscriptions.take()
        fresh = not self._queue and bool(bind or self._topology.claimed)
        if fresh:
            self._queue = True
            for frame in self._topology.declare():
                self._request(frame)
        if self._queue:
            for channel in unbind:
                self._request(self._topology.unbind(channel), partial(self._unbound, channel))
            for channel, token in bind:
                self._request(self._topology.bind(channel), partial(self._bound, channel, token))
        if fresh:
            *before, consume = self._topology.consume()
            for frame in before:
                self._request(frame)
            self._send(consume)

    def _acknowledge(self, number: int) -> None:
        """Everything up to this one was told, or is not for us."""
        self._acknowledged = number
        self._send(Basic.Ack(number, multiple=True))

    def _fence(self) -> None:
        self._fenced = self.receipts.sent
        self._out.append(_FENCE)
        self._expected.append((Channel.FlowOk, self._passed))

    # --- what is answered -------------------------------------------------------------------------------------------

    def _told(self, _: int, method: Method) -> None:
        if self._over:
            if isinstance(method, Connection.CloseOk):
                raise BrokerUnreachableError("the connection was closed, as we asked")
            return
        if not self.greeted:
            self._out.append(self._greeting.answer(method))
            if self._greeting.done:
                self._begin()
            return
        unasked = _UNASKED.get(type(method))
        if unasked is not None:
            unasked(self, method)
        elif self._expected and isinstance(method, self._expected[0][0]):
            self._expected.popleft()[1](method)
        else:
            raise BrokerUnreachableError(f"the server said {method.name}, which nobody had asked for")

    def _bound(self, channel: str, token: int, _: Queue.BindOk) -> None:
        generation = self._subscriptions.bound(channel, token)
        if generation is not None:
            self._hears.confirmed(channel, generation)
            self._look_whether_ready()

    def _unbound(self, channel: str, _: Queue.UnbindOk) -> None:
        self._subscriptions.unbound(channel)

    def _passed(self, _: Channel.FlowOk) -> None:
        number, self._fenced = self._fenced or 0, None
        count = 0 if self._topology.durable else self.receipts.up_to(number)
        if count:
            self._hears.accepted(count)

    def _opened(self, _: Channel.FlowOk) -> None:
        self._declared = True
        self._look_whether_ready()

    def _look_whether_ready(self) -> None:
        if self.is_ready or self.blocked or self._over or self._subscriptions.awaited:
            return
        if self._declared and self._consumes is self._queue:
            self.is_ready = True
            self._hears.ready()

    # --- what the server says unasked -------------------------------------------------------------------------------

    def _consuming(self, _: Basic.ConsumeOk) -> None:
        self._consumes = True
        self._topology.claimed = self._topology.durable
        self._look_whether_ready()

    def _confirmed(self, method: Basic.Ack) -> None:
        count = self.receipts.confirmed(method.delivery_tag or 0, method.multiple)
        if count:
            self._hears.accepted(count)

    def _blocked(self, method: Connection.Blocked) -> None:
        """The server reads nothing from us until it has memory, or space on its disk; not even what asks it something.

        The connection stays, and with it our queue and what arrives in it. Wishes wait here until it reads again.
        """
        self.blocked = True
        self.is_ready = False
        self.receipts.forget()
        reason = method.reason[:LONGEST_TEXT]
        self._hears.halted(BrokerUnreachableError(f"RabbitMQ takes no messages at present: {reason}"))

    def _unblocked(self, _: Connection.Unblocked) -> None:
        self.blocked = self._declared = False
        self._subscriptions.renew()
        self._bind()
        self._request(Channel.Flow(active=True), self._opened)

    def _nack(self, _: Basic.Nack) -> None:
        raise BrokerUnreachableError("the server could not keep a message")

    def _cancelled(self, _: Basic.Cancel) -> None:
        raise BrokerUnreachableError("the server has ended our consumer: its queue was deleted, or has moved")

    def _channel_closed(self, method: Channel.Close) -> None:
        raise self._topology.refused(method)

    def _closed(self, method: Connection.Close) -> None:
        raise refusal(method.reply_code, method.reply_text)

    def _alive(self, _: Heartbeat) -> None:
        """That something came is noted below."""


def _nothing(_: object) -> None:
    pass


_ANSWERS: Final[dict[type[Any], type[Any]]] = {
    Basic.Qos: Basic.QosOk,
    Channel.Flow: Channel.FlowOk,
    Channel.Open: Channel.OpenOk,
    Confirm.Select: Confirm.SelectOk,
    Exchange.Declare: Exchange.DeclareOk,
    Queue.Bind: Queue.BindOk,
    Queue.Declare: Queue.DeclareOk,
    Queue.Delete: Queue.DeleteOk,
    Queue.Unbind: Queue.UnbindOk,
}

_UNASKED: Final[dict[type[Any], Callable[[Session, Any], None]]] = {
    Basic.Ack: Session._confirmed,
    Basic.Cancel: Session._cancelled,
    Basic.ConsumeOk: Session._consuming,
    Basic.Nack: Session._nack,
    Channel.Close: Session._channel_closed,
    Connection.Blocked: Session._blocked,
    Connection.Close: Session._closed,
    Connection.Unblocked: Session._unblocked,
    Heartbeat: Session._alive,
}
