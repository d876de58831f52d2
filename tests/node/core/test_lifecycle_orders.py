"""The life of a client in every order of what can happen to it: tables end empty, handlers are called in pairs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from roomcast.core.work import CallConnect, CallDisconnect
from tests.support.handler_log import HandlerLog
from tests.support.played import Peer, Stage

OUTCOMES: dict[str, tuple[Any, BaseException | None]] = {
    "accepts": (None, None),
    "refuses": (False, None),
    "raises": (None, RuntimeError("secret")),
}
STEPS = ("event", "server_leaves", "client_leaves", "lost", "connect_ends", "disconnect_ends", "enter", "ask")


class Life:
    """One client, and everything that may happen to it; a step does nothing where it cannot happen."""

    def __init__(self, outcome: str, always_connect: bool) -> None:
        self.stage = Stage(always_connect=always_connect)
        self.log = HandlerLog(self.stage, "connect", "disconnect")
        self.outcome = outcome
        self.peer: Peer = self.stage.peer()
        self.peer.sends("40")
        self.sid = next(iter(self.stage.node.hub.namespaces["/"].sockets))
        self.asked = 0
        self.kicked = False  # before the connect handler ended, so that its outcome is a refusal
        self.accepted = False
        self.told: list[str] = []

    def _runs(self, kind: type[Any]) -> bool:
        return any(isinstance(work, kind) for work in self.stage.driver.running)

    def event(self) -> None:
        self.peer.sends('427["x",1]')

    def server_leaves(self) -> None:
        socket = self.stage.node.hub.find(self.sid, "/")
        self.kicked = self._runs(CallConnect) and socket is not None and socket.reason is None
        self.stage.driver.do(self.stage.node.disconnect(self.sid, "/"))

    def client_leaves(self) -> None:
        self.peer.sends("41")

    def lost(self) -> None:
        self.peer.vanishes()

    def connect_ends(self) -> None:
        if self._runs(CallConnect):
            alive = self.peer.link.session is not None
            result, error = OUTCOMES[self.outcome]
            self.accepted = self.outcome == "accepts" and not (self.kicked and alive)
            self.stage.driver.finish(CallConnect, result, error)

    def disconnect_ends(self) -> None:
        if self._runs(CallDisconnect):
            self.stage.driver.finish(CallDisconnect)

    def enter(self) -> None:
        if self.stage.node.hub.find(self.sid, "/") is not None:
            self.stage.node.enter_room(self.sid, "room", "/")

    def ask(self) -> None:
        self.stage.asks(self.sid)
        self.asked += 1

    def play(self, steps: tuple[str, ...]) -> None:
        for step in steps:
            getattr(self, step)()
            self.told += [str(packet)[:2] for packet in self.peer.received()]
            self.stage.driver.flush()
        for step in ("connect_ends", "lost", "disconnect_ends"):
            getattr(self, step)()
        self.stage.driver.flush()
        stage, counters = self.stage, self.stage.node.counters
        assert stage.left() == {}
        assert stage.driver.running == []
        assert len(stage.driver.settled) == self.asked
        names = self.log.names()
        assert names.count("connect") == 1
        assert names.count("disconnect") == int(self.accepted)
        assert counters.connects == sum(counters.disconnects.values()) == int(self.accepted)
        assert names.index("connect") == 0
        assert "x" not in names[names.index("disconnect") :] if self.accepted else "x" not in names
        assert self.told.count("40") <= 1
        if not stage.node.always_connect and "40" in self.told:
            assert self.told[0] == "40"  # nothing overtakes it


@pytest.mark.parametrize("always_connect", [False, True], ids=["", "always_connect"])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_order_ends_with_empty_tables_and_paired_handlers(outcome: str, always_connect: bool) -> None:
    for steps in itertools.chain(itertools.permutations(STEPS, 3), longer_orders()):
        life = Life(outcome, always_connect)
        try:
            life.play(steps)
        except (AssertionError, KeyError) as error:
            raise AssertionError(f"in the order {steps}") from error


def longer_orders() -> Iterator[tuple[str, ...]]:
    """Every 31st order of all the steps: what two or three do to each other is in the short ones already."""
    return itertools.islice(itertools.permutations(STEPS), 0, None, 31)
