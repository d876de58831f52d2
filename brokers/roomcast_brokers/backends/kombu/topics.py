"""Redis: kombu's fanout exchange, which is Redis' publish and subscribe, used without anything that Redis would keep.

What is published goes through kombu. What comes in does not go through kombu's consumers: to bind a queue they write
keys (``_kombu.binding…``) that outlive a killed node, they hear of no queue that is added later, and they tell nobody
when a subscription is in force. Underneath there is redis-py's ``PubSub``, which kombu's channel has as ``subclient``;
it is asked here directly, on the topics to which kombu publishes, and so every answer of Redis' is seen.

A message is JSON with the payload in base64: that is how kombu does it. ``redis://`` does without.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

from kombu.utils.json import loads

from roomcast_brokers.backends.kombu.ends import (
    MOST_TAKEN,
    STALL,
    Confirmed,
    Delivered,
    Event,
    Setup,
    body_of,
)
from roomcast_brokers.backends.kombu.link import Link, translated
from roomcast_brokers.backends.kombu.prompt import PromptOutlet
from roomcast_brokers.errors import BrokerUnreachableError

# Channels of one command. Redis handles a command in one go, during which it serves nobody else.
MOST_CHANNELS: Final = 1_000

# What can be wrong with bytes that are not kombu's JSON.
_MALFORMED: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


class TopicIntake:
    """See :class:`~.ends.Intake`."""

    def __init__(self, setup: Setup) -> None:
        self.malformed = 0
        self._setup = setup
        self._link = Link(setup.connect)
        self._pubsub: Any = None
        self._sock: Any = None
        self._topics = ""  # what all of them begin with
        self._names: dict[bytes, str] = {}  # topic → channel
        self._asked: dict[bytes, deque[int]] = {}  # the generations of subscriptions that are not answered
        self._asked_at = 0.0  # whether Redis is there: the earliest question that may not be answered

    @property
    def descriptor(self) -> int:
        return int(self._sock.fileno())

    def connect(self) -> None:
        with translated():
            self._link.open()
            channel = self._link.channel
            self._pubsub = channel.subclient
            self._topics = f"{channel.keyprefix_fanout}{self._setup.exchange.name}"
            # Nobody publishes there. But a connection that has subscribed nothing is spoken to differently.
            self._pubsub.subscribe(self._topics)
            self._sock = self._pubsub.connection._sock  # by the name by which kombu takes it
            # redis-py would turn every message into text for its log, whether or not anybody reads that.
            parser: Any = getattr(self._pubsub.connection, "_parser", None)
            if hasattr(parser, "set_pubsub_push_handler"):
                parser.set_pubsub_push_handler(lambda answer: answer)

    def change(self, subscribe: Sequence[tuple[str, int]], unsubscribe: Sequence[str]) -> None:
        with translated():
            left = [self._topic(channel) for channel in unsubscribe]
            for topics in _slices([topic for topic in left if self._names.pop(topic.encode(), None)]):
                self._pubsub.unsubscribe(*topics)
            for channel, generation in subscribe:
                name = self._topic(channel).encode()
                self._names[name] = channel
                self._asked.setdefault(name, deque()).append(generation)
            for topics in _slices([self._topic(channel) for channel, _ in subscribe]):
                self._pubsub.subscribe(*topics)

    def take(self) -> tuple[list[Event], bool]:
        events: list[Event] = []
        with translated():
            for _ in range(MOST_TAKEN):
                if not self._pubsub.connection.can_read(timeout=0):
                    return events, False
                # Something is there: no more than STALL may pass until all of it is.
                answer = self._pubsub.parse_response(block=False, timeout=STALL)
                event = None if answer is None else self._understood(answer)
                if event is not None:
                    events.append(event)
        return events, True

    def check(self) -> None:
        now = monotonic()
        if self._pubsub.connection._sock is not self._sock:
            raise BrokerUnreachableError("redis-py has made another connection by itself")
        if not self._pubsub.health_check_response_counter:
            self._asked_at = now
        elif now - self._asked_at > STALL:
            raise BrokerUnreachableError(f"Redis has not answered for {STALL:g} s")
        with translated():
            self._pubsub.check_health()  # asks if nothing has come for a while, and counts what is not answered

    def close(self, *, farewell: bool) -> None:
        self._link.close(farewell=farewell)

    def _topic(self, channel: str) -> str:
        return f"{self._topics}/{channel}"

    def _understood(self, answer: Sequence[Any]) -> Event | None:
        kind, topic = answer[0], answer[1]
        if kind == b"message":
            return self._message(topic, answer[2])
        if kind == b"subscribe":
            asked = self._asked.get(topic)
            if asked is not None:
                generation = asked.popleft()
                if not asked:
                    del self._asked[topic]
                channel = self._names.get(topic)
                return None if channel is None else Confirmed(channel, generation)
        else:  # unsubscribed
            self._pubsub.handle_message(answer)  # it keeps a list
        return None

    def _message(self, topic: bytes, data: bytes) -> Delivered | None:
        channel = self._names.get(topic)
        if channel is None:
            return None
        try:
            message = loads(data)
            if not self._setup.compressed:
                message["headers"] = None
            payload = body_of(self._link.channel.message_to_python(message))
        except _MALFORMED:
            payload = None
        if payload is None:
            self.malformed += 1
            return None
        return Delivered(channel, payload)


class TopicOutlet(PromptOutlet):
    """See :class:`~.ends.Outlet`. Redis answers each PUBLISH; that the exchange is declared it does not hear of."""

    def check(self) -> None:
        with translated(), self._link.channel.conn_or_acquire() as client:
            client.ping()

    def forget(self) -> None:
        self._link.close(farewell=False)  # says nothing, and in a child redis-py closes its own descriptors alone


def _slices(topics: list[str]) -> list[list[str]]:
    return [topics[start : start + MOST_CHANNELS] for start in range(0, len(topics), MOST_CHANNELS)]
