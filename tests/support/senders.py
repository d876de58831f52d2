"""A broker that is a list, for emitters: what is sent to it stands in ``messages``, and it fails when it is told to.

``FakeBroker("name").emitter()`` is an emitter of it. Emitters reach it through the registry, as any other back end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Unpack

from roomcast_brokers.codec import EnvelopeCodec, decode_body, new_origin
from roomcast_brokers.contracts import Traits
from roomcast_brokers.errors import SendError
from roomcast_brokers.messages import Body, Envelope, Marks
from roomcast_brokers.registry import BackEnd
from roomcast_emitter import Emitter
from roomcast_emitter.terms import Options
from tests.support.patience import PATIENCE

TABLE: Final[Mapping[str, BackEnd]] = {
    "fake": BackEnd("tests.support.senders:never_made", sender="tests.support.senders:FakeSender")
}

_brokers: dict[str, FakeBroker] = {}


class FakeBroker:
    """What is there is there for all threads. ``up`` False refuses, as nothing listening does."""

    def __init__(self, name: str = "broker", cluster: str = "socketio", traits: Traits | None = None) -> None:
        self.name = name
        self.cluster = cluster
        self.traits = traits or Traits()
        self.up = True
        self.connections = 0
        self.attempts = 0
        self.messages: list[tuple[str, bytes]] = []
        self.cut_after: int | None = None
        """The next send ends after so many messages, with one more that arrived without a receipt."""
        self.raise_next: BaseException | None = None
        self.gate = threading.Event()
        """Cleared, it lets senders wait in the middle of a send."""
        self.gate.set()
        self._seen = threading.Condition()
        self._connection = 0
        self._codec = EnvelopeCodec(new_origin("test"), cluster)
        _brokers[name] = self

    def emitter(self, **options: Unpack[Options]) -> Emitter:
        options["broker_options"] = {"table": TABLE}
        return Emitter(f"fake://{self.name}", self.cluster, **options)

    def cut(self) -> None:
        """Every connection is gone; the broker is not."""
        self._connection += 1

    def envelopes(self, channel: str | None = None) -> list[Envelope]:
        return [self._codec.decode(to, payload) for to, payload in self.messages if channel in (None, to)]

    def bodies(self, channel: str | None = None) -> list[Body]:
        """What was sent, marks aside, each operation once: repeats have the same number."""
        found: dict[tuple[str, bytes, str, int, int], Body] = {}
        for envelope in self.envelopes(channel):
            if envelope.control:
                continue
            for offset, operation in enumerate(envelope.operations):
                origin = envelope.origin
                key = (origin.name, origin.epoch, envelope.channel, envelope.gen, envelope.seq + offset)
                found.setdefault(key, decode_body(operation))
        return list(found.values())

    def events(self) -> list[bytes]:
        """The arguments of every event that was sent."""
        return [body.args for body in self.bodies() if hasattr(body, "args")]

    def marks(self) -> list[Marks]:
        bodies = [decode_body(envelope.operations[0]) for envelope in self.envelopes() if envelope.control]
        return [body for body in bodies if isinstance(body, Marks)]

    def until(self, condition: Callable[[FakeBroker], object]) -> None:
        """Block until ``condition`` holds; it is looked at after everything that is sent or refused."""
        with self._seen:
            assert self._seen.wait_for(lambda: condition(self), PATIENCE), f"in vain; {len(self.messages)} messages"

    def take(self, messages: Sequence[tuple[str, bytes]]) -> None:
        self.attempts += 1
        error, self.raise_next = self.raise_next, None
        cut, self.cut_after = self.cut_after, None
        if not self.up:
            self._note()
            raise SendError("nobody listens")
        self._note()
        assert self.gate.wait(PATIENCE), "the test never opened the gate"
        if error is not None:
            raise error
        if cut is not None:
            self.messages += messages[: cut + 1]
            self._note()
            raise SendError("the connection was cut", accepted=cut)
        self.messages += messages
        self._note()

    def _note(self) -> None:
        with self._seen:
            self._seen.notify_all()


class FakeSender:
    """See :class:`roomcast_brokers.contracts.Sender`."""

    def __init__(self, url: str, **options: Any) -> None:
        self.broker = _brokers[url.removeprefix("fake://")]
        self.connection: int | None = None
        self.closed = self.forgotten = False
        self._alone = threading.Lock()

    @property
    def traits(self) -> Traits:
        return self.broker.traits

    def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        assert self._alone.acquire(blocking=False), "two threads at a time"
        try:
            broker = self.broker
            if self.connection is not None and self.connection != broker._connection:
                self.connection = None
                raise SendError("the connection is gone")
            broker.take(messages)
            if self.connection is None:
                self.connection = broker._connection
                broker.connections += 1
        except BaseException:
            self.connection = None
            raise
        finally:
            self._alone.release()

    def close(self) -> None:
        self.closed = True
        self.connection = None

    def forget(self) -> None:
        self.forgotten = True
        self.connection = None


def never_made(url: str, **options: Any) -> Any:
    raise AssertionError("an emitter subscribes nothing")
