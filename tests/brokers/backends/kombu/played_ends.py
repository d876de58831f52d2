"""Ends of a broker that do what they are told, and the manner that has them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from roomcast_brokers.backends.kombu.ends import Confirmed, Delivered, Event, Setup
from roomcast_brokers.backends.kombu.manners import MANNERS, UNKNOWN, Manner
from roomcast_brokers.batches import Message
from roomcast_brokers.errors import BrokerUnreachableError
from tests.support.services import wait_for

URL = "kombu+memory://"


def lost(why: str = "lost") -> BrokerUnreachableError:
    return BrokerUnreachableError(why)


class PlayedEnd:
    """``log`` has what was done with it. What is put into ``failures`` by the name of a method, that method raises."""

    def __init__(self, world: PlayedWorld) -> None:
        self.world = world
        self.log: list[object] = []
        self.failures: dict[str, BrokerUnreachableError] = {}
        self.closed: bool | None = None
        """With or without a farewell."""
        self._in, self._out = socket.socketpair()
        self._in.setblocking(False)

    @property
    def descriptor(self) -> int | None:
        return self._in.fileno() if self.world.descriptors else None

    def poke(self) -> None:
        """Become readable."""
        self._out.send(b"x")

    def connect(self) -> None:
        self._do("connect")
        if self.world.away is not None:
            raise self.world.away

    def check(self) -> None:
        self._do("check")

    def close(self, *, farewell: bool) -> None:
        self.closed = farewell
        self._in.close()
        self._out.close()

    def _do(self, what: str) -> None:
        self.log.append(what)
        if what in self.failures:
            raise self.failures[what]

    def _drained(self) -> None:
        try:
            self._in.recv(1_000)
        except (BlockingIOError, OSError):
            pass


class PlayedIntake(PlayedEnd):
    """``events`` are what it has to be taken. Confirms by itself if its world does."""

    malformed = 0

    def __init__(self, world: PlayedWorld) -> None:
        super().__init__(world)
        self.events: list[Event] = []
        self.subscribed: dict[str, int] = {}

    def change(self, subscribe: Sequence[tuple[str, int]], unsubscribe: Sequence[str]) -> None:
        self._do("change")
        self.log.append((list(subscribe), list(unsubscribe)))
        for channel in unsubscribe:
            self.subscribed.pop(channel, None)
        self.subscribed.update(subscribe)
        if self.world.confirms:
            self.events += [Confirmed(channel, generation) for channel, generation in subscribe]

    def take(self) -> tuple[list[Event], bool]:
        self._drained()
        if "take" in self.failures:
            raise self.failures["take"]
        events, self.events = self.events[:2], self.events[2:]
        return events, bool(self.events)

    def come(self, *events: Event) -> None:
        self.events += events
        self.poke()

    def fail(self, why: str = "lost") -> None:
        self.failures["take"] = lost(why)
        self.poke()


class PlayedOutlet(PlayedEnd):
    """What it published is in ``published``, and comes to the intakes of its world; accepted if its world accepts."""

    def __init__(self, world: PlayedWorld) -> None:
        super().__init__(world)
        self.published: list[Message] = []
        self.stuck = threading.Event()
        self.stuck.set()
        self._accepted = 0
        self.in_the_way: str | None = None

    def publish(self, messages: Sequence[Message]) -> None:
        self.log.append(len(messages))
        self.stuck.wait()
        self._do("publish")
        self.published += messages
        if self.world.accepts:
            self._accepted += len(messages)
        for intake in self.world.intakes:
            if intake.closed is None:
                intake.come(*(Delivered(channel, payload) for channel, payload in messages))

    def accept(self, count: int) -> None:
        self._accepted += count
        self.poke()

    def accepted(self) -> int:
        self._drained()
        if "accepted" in self.failures:
            raise self.failures["accepted"]
        count, self._accepted = self._accepted, 0
        return count

    def fail(self, why: str = "lost") -> None:
        self.failures["accepted"] = lost(why)
        self.poke()

    def obstruct(self, why: str | None) -> None:
        self.in_the_way = why
        self.poke()

    def obstacle(self) -> str | None:
        return self.in_the_way

    def wait(self, timeout: float) -> None:
        """Nothing comes by itself."""

    def forget(self) -> None:
        self.log.append("forget")


class PlayedWorld:
    """Makes the ends of all brokers on ``URL``, and keeps them."""

    def __init__(self) -> None:
        self.intakes: list[PlayedIntake] = []
        self.outlets: list[PlayedOutlet] = []
        self.confirms = self.accepts = self.descriptors = True
        self.away: BrokerUnreachableError | None = None
        self.prepare: Callable[[PlayedEnd], None] = lambda end: None

    @property
    def intake(self) -> PlayedIntake:
        """The latest."""
        return self.intakes[-1]

    @property
    def outlet(self) -> PlayedOutlet:
        return self.outlets[-1]

    def manner(self) -> Manner:
        return Manner(
            intake=self._new_intake, outlet=self._new_outlet, exchange_type="fanout", traits=UNKNOWN.traits, poll=0.01
        )

    def until_tried(self, times: int) -> None:
        wait_for(lambda: len(self.outlets) >= times, f"{times} attempts")

    def _new_intake(self, _: Setup) -> PlayedIntake:
        self.intakes.append(PlayedIntake(self))
        self.prepare(self.intake)
        return self.intake

    def _new_outlet(self, _: Setup) -> PlayedOutlet:
        self.outlets.append(PlayedOutlet(self))
        self.prepare(self.outlet)
        return self.outlet


@contextmanager
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedWorld]:
    """A world behind kombu's name for its memory."""
    world = PlayedWorld()
    monkeypatch.setitem(MANNERS, "memory", world.manner())
    yield world
    for outlet in world.outlets:
        outlet.stuck.set()
    for end in (*world.intakes, *world.outlets):
        if end.closed is None:
            end.close(farewell=False)
