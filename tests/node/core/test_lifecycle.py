"""The life of a client: every way in and out, and every order in which they can meet."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from roomcast.core.lifecycle import refusal_of
from roomcast.core.work import CallConnect, CallDisconnect, SettleAck
from roomcast.engineio.outbox import STUCK_AFTER
from roomcast.exceptions import ConnectionRefusedError, DisconnectedError
from roomcast.settings import Settings
from tests.support.played import LATER, Closing, Peer, Stage

REJECTED = '44{"message":"Connection rejected by server"}'


@pytest.fixture
def stage() -> Stage:
    return Stage()


class Log:
    """Handlers that note that they were called; those in ``later`` end when the test says so."""

    def __init__(self, stage: Stage, *later: str, namespace: str = "/") -> None:
        self.calls: list[tuple[str, Any]] = []
        self._later = later
        stage.on("connect", self.connect, namespace)
        stage.on("disconnect", self.disconnect, namespace)
        stage.on("x", self.x, namespace)

    def _end(self, name: str, value: Any) -> Any:
        self.calls.append((name, value))
        return LATER if name in self._later else None

    def connect(self, sid: str, environ: Any, auth: Any) -> Any:
        return self._end("connect", auth)

    def disconnect(self, sid: str, reason: str) -> Any:
        return self._end("disconnect", reason)

    def x(self, sid: str, *args: Any) -> Any:
        return self._end("x", args)

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


# --- connecting -------------------------------------------------------------------------------------------------------


def test_a_client_without_handlers_comes_and_goes(stage: Stage) -> None:
    stage.on("x", lambda sid: None)
    peer, sid = stage.joins()
    assert len(sid) == 20
    assert stage.node.counters.connects == 1
    peer.vanishes()
    assert stage.node.counters.disconnects["transport close"] == 1
    assert stage.left() == {}


def test_the_auth_reaches_the_connect_handler(stage: Stage) -> None:
    log = Log(stage)
    for packet in ('40{"key":1}', "40", "40{}"):
        stage.peer().sends(packet)
    assert log.calls == [("connect", {"key": 1}), ("connect", None), ("connect", None)]


@pytest.mark.parametrize(
    ("result", "error", "told"),
    [
        (None, None, None),
        (0, None, None),
        ("", None, None),
        (False, None, {"message": "Connection rejected by server"}),
        (None, ConnectionRefusedError("no", 1), {"message": "no", "data": 1}),
        (None, OSError("secret"), {"message": "Internal server error"}),
        (None, builtins.ConnectionRefusedError(), {"message": "Connection refused by server"}),
    ],
)
def test_what_an_outcome_tells_the_client(result: Any, error: Any, told: Any) -> None:
    assert refusal_of(result, error) == told


def test_connect_goes_out_before_what_the_handler_sent(stage: Stage) -> None:
    def connect(sid: str, environ: Any) -> None:
        stage.node.emit("early", 1, target=sid)
        stage.node.emit("to all", 2)

    stage.on("connect", connect)
    peer = stage.peer()
    peer.sends("40")
    first, *rest = peer.received()
    assert str(first).startswith('40{"sid":')
    assert rest == ['42["early",1]', '42["to all",2]']


def test_events_are_held_until_the_connect_handler_has_ended(stage: Stage) -> None:
    log = Log(stage, "connect")
    peer = stage.peer()
    peer.sends("40", '42["x",1]', '421["x",2]')
    assert log.names() == ["connect"]
    assert stage.node.census()["held"] == 2
    stage.driver.finish(CallConnect)
    assert log.calls[1:] == [("x", (1,)), ("x", (2,))]
    assert [str(packet)[:3] for packet in peer.received()] == ["40{", "431"]
    assert stage.node.census()["held"] == 0


@pytest.mark.parametrize(("extra", "closed"), [(0, False), (1, True)])
def test_no_more_events_are_held_than_may_be(extra: int, closed: bool) -> None:
    stage = Stage(Settings(max_held_packets=3))
    Log(stage, "connect")
    peer = stage.peer()
    peer.sends("40", *['42["x"]'] * (3 + extra))
    assert (peer.closing is not None) is closed
    assert stage.node.counters.parse_errors["event"] == extra


def test_a_refused_client_leaves_nothing_and_may_try_again(stage: Stage) -> None:
    log = Log(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    stage.node.enter_room(next(iter(stage.node.hub.namespaces["/"].sockets)), "room", "/")
    stage.driver.finish(CallConnect, False)
    assert peer.received() == [REJECTED]
    assert set(stage.left()) <= {"sessions", "heartbeats", "deadlines", "unconnected"}
    assert stage.node.counters.refused["connect_handler"] == 1
    peer.sends("40")
    stage.driver.finish(CallConnect)
    assert str(peer.received()[0]).startswith("40{")
    assert log.names() == ["connect", "connect"]


def test_a_refusal_that_has_no_form_is_told_without_its_data(stage: Stage) -> None:
    Log(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    stage.driver.finish(CallConnect, error=ConnectionRefusedError("no", object()))
    assert peer.received() == [REJECTED]


def test_always_connect_answers_first_and_takes_it_back(stage: Stage) -> None:
    stage = Stage(always_connect=True)
    Log(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    assert str(peer.received()[0]).startswith("40{")
    stage.driver.finish(CallConnect, False)
    assert peer.received() == ["41"]
    peer.sends("40")
    peer.received()
    stage.driver.finish(CallConnect)
    assert peer.received() == []


def test_always_connect_without_a_handler_answers_once() -> None:
    stage = Stage(namespaces=["/"], always_connect=True)
    peer = stage.peer()
    peer.sends("40")
    assert [str(packet)[:3] for packet in peer.received()] == ["40{"]


def test_a_binary_codec_sends_its_own_packets() -> None:
    stage = Stage(namespaces=["/"], serializer="msgpack")
    peer = stage.peer()
    peer.sends(b"\x82\xa4type\x00\xa3nsp\xa1/")
    (answer,) = peer.received()
    assert isinstance(answer, bytes)


@pytest.mark.parametrize("during", ["after", "while connecting"])
def test_a_second_connect_closes_the_connection(stage: Stage, during: str) -> None:
    log = Log(stage, *(["connect"] if during == "while connecting" else []))
    peer = stage.peer()
    peer.sends("40", "40")
    assert peer.closing == Closing(None, "")
    assert stage.node.counters.parse_errors["namespace"] == 1
    if during == "while connecting":
        stage.driver.finish(CallConnect)
    assert log.calls[-1] == ("disconnect", "parse error")
    assert stage.left() == {}


@pytest.mark.parametrize("held", [False, True])
def test_a_polling_client_reads_what_came_before_its_fault(stage: Stage, held: bool) -> None:
    Log(stage)
    client = stage.poller()
    if held:
        client.polls()
    client.posts("40", "40")
    first, *rest = client.reads()
    assert first.startswith("40{")
    assert rest == (["1"] if held else ["6", "1"])
    assert stage.left() == {}


@pytest.mark.parametrize("name", ["/nowhere", "/" + "x" * 256])
def test_a_namespace_that_is_not_there(stage: Stage, name: str) -> None:
    Log(stage)
    peer = stage.peer()
    peer.sends(f"40{name},")
    assert peer.received() == [f'44{name},{{"message":"Invalid namespace"}}']
    assert stage.node.counters.refused["namespace"] == 1
    peer.sends("40")
    assert str(peer.received()[-1]).startswith("40{")


@pytest.mark.parametrize(("limit", "told"), [(2, "40"), (1, "44")])
def test_a_connection_may_be_in_so_many_namespaces(limit: int, told: str) -> None:
    stage = Stage(Settings(max_namespaces=limit), namespaces="*")
    peer, _ = stage.joins("/one")
    peer.sends("40/two,")
    assert str(peer.received()[0]).startswith(told + "/two,")


def test_strangers_may_name_so_many_namespaces() -> None:
    stage = Stage(Settings(max_dynamic_namespaces=2), namespaces="*")
    stage.on("x", lambda sid: None, "/named")
    first, _ = stage.joins("/one")
    stage.joins("/two")
    stage.joins("/named")
    stage.joins("/two")
    refused = stage.peer()
    refused.sends("40/three,")
    assert refused.received() == ['44/three,{"message":"Too many namespaces"}']
    first.vanishes()
    refused.sends("40/three,")
    assert str(refused.received()[0]).startswith("40/three,{")


def test_who_never_connects_is_closed() -> None:
    stage = Stage(Settings(connect_timeout=5.0, ping_interval=100.0), namespaces=["/"])
    early, gone = stage.peer(), stage.peer()
    stage.driver.advance(3.0)
    late, connected = stage.peer(), stage.peer()
    gone.vanishes()
    connected.sends("40")
    stage.driver.advance(2.0)
    assert early.closing == Closing(None, "")
    assert len(stage.node.engine.sessions) == 2
    stage.driver.advance(2.9)
    assert len(stage.node.engine.sessions) == 2
    stage.driver.advance(0.2)
    assert late.closing is not None
    assert connected.closing is None
    connected.vanishes()
    assert stage.left() == {}


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_the_server_disconnects_one_namespace(stage: Stage) -> None:
    log = Log(stage)
    peer, sid = stage.joins()
    stage.driver.do(stage.node.disconnect(sid, "/"))
    assert peer.received() == ["41"]
    assert peer.closing is None
    assert log.calls[-1] == ("disconnect", "server disconnect")
    assert stage.node.disconnect(sid, "/") is None
    peer.sends('42["x"]')  # it may have been under way
    assert peer.closing is None


def test_the_server_ends_the_connection(stage: Stage) -> None:
    log, other = Log(stage), Log(stage, namespace="/other")
    peer, sid = stage.joins()
    peer.sends("40/other,")
    peer.received()
    stage.driver.do(stage.node.disconnect(sid, "/", close=True))
    assert peer.received() == ["41", "41/other,"]
    assert peer.closing == Closing(None, "")
    assert log.calls[-1] == other.calls[-1] == ("disconnect", "server disconnect")
    assert stage.left() == {}


def test_a_polling_client_reads_that_it_was_disconnected_although_its_connection_ends(stage: Stage) -> None:
    Log(stage)
    client = stage.poller()
    client.posts("40")
    client.reads()
    sid = next(iter(stage.node.hub.namespaces["/"].sockets))
    assert client.session.polling is not None
    assert client.session.polling.waiting
    stage.driver.do(stage.node.disconnect(sid, "/", close=True))
    assert client.received() == ["41", "1"]
    assert stage.left() == {}


def test_nobody_else_can_be_disconnected(stage: Stage) -> None:
    assert stage.node.disconnect("unknown", "/") is None


def test_disconnecting_while_the_connect_handler_runs_refuses(stage: Stage) -> None:
    log = Log(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    sid = next(iter(stage.node.hub.namespaces["/"].sockets))
    stage.driver.do(stage.node.disconnect(sid, "/"))
    stage.driver.finish(CallConnect)
    assert peer.received() == [REJECTED]
    assert log.names() == ["connect"]


def test_a_client_that_leaves_while_its_connect_handler_runs_has_left() -> None:
    """With always_connect it has been told that it is connected, so it may leave; the application must hear of it."""
    stage = Stage(always_connect=True)
    log = Log(stage, "connect")
    peer = stage.peer()
    peer.sends("40", "41")
    peer.received()
    stage.driver.finish(CallConnect)
    assert log.calls[-1] == ("disconnect", "client disconnect")
    assert peer.received() == []
    peer.sends("40")
    assert log.names() == ["connect", "disconnect", "connect"]


def test_a_client_may_leave_and_come_back_at_once(stage: Stage) -> None:
    log = Log(stage)
    peer = stage.peer()
    peer.sends("40", "41", "40")
    assert log.names() == ["connect", "disconnect", "connect"]
    assert peer.closing is None


def test_while_the_disconnect_handler_runs_the_client_can_still_be_looked_up(stage: Stage) -> None:
    Log(stage, "disconnect")
    peer, sid = stage.joins()
    stage.node.enter_room(sid, "room", "/")
    peer.sends("41")
    socket = stage.node.socket(sid, "/")
    assert stage.node.hub.rooms_of(socket) == [sid, "room"]
    stage.node.emit("x", None, target=[sid, "room"])
    assert peer.received() == []
    stage.driver.finish(CallDisconnect)
    with pytest.raises(KeyError):
        stage.node.socket(sid, "/")


# --- acknowledgements of those who go ---------------------------------------------------------------------------------


def ask(stage: Stage, sid: str) -> None:
    _, work = stage.node.ask("question", None, "waiter", sid, "/")
    stage.driver.do(work)


def settled(stage: Stage) -> list[str]:
    return [type(each.error).__name__ for each in stage.driver.settled]


@pytest.mark.parametrize("handler", [True, False])
def test_what_waits_for_a_client_that_goes_ends(stage: Stage, handler: bool) -> None:
    if handler:
        Log(stage)
    else:
        stage.on("x", lambda sid: None)
    peer, sid = stage.joins()
    ask(stage, sid)
    peer.vanishes()
    (ended,) = stage.driver.settled
    assert isinstance(ended, SettleAck)
    assert ended.waiter == "waiter"
    assert isinstance(ended.error, DisconnectedError)
    assert stage.left() == {}


@pytest.mark.parametrize("alive", [True, False])
def test_what_waits_for_a_client_that_is_refused_ends(stage: Stage, alive: bool) -> None:
    Log(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    ask(stage, next(iter(stage.node.hub.namespaces["/"].sockets)))
    assert settled(stage) == []
    if not alive:
        peer.vanishes()
    stage.driver.finish(CallConnect, False)
    assert settled(stage) == [DisconnectedError.__name__]


def test_a_connect_handler_that_waits_for_its_client_is_told_when_it_has_gone(stage: Stage) -> None:
    Log(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    ask(stage, next(iter(stage.node.hub.namespaces["/"].sockets)))
    peer.vanishes()
    assert settled(stage) == [DisconnectedError.__name__]


# --- every order ------------------------------------------------------------------------------------------------------

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
        self.log = Log(self.stage, "connect", "disconnect")
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
        ask(self.stage, self.sid)
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


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_what_is_held_back_while_connecting_is_bounded() -> None:
    stage = Stage(Settings(max_backlog_packets=10))
    log = Log(stage, "connect")
    peer = stage.peer()
    peer.sends("40")
    stage.driver.flush()
    woken = stage.driver.woken
    for _ in range(1_000):
        stage.node.emit("much", None)
    assert stage.node.census()["outboxes"] <= 10
    assert len(stage.node.engine.slow) == 1
    assert stage.driver.woken - woken <= 12
    stage.driver.flush()
    assert peer.closing == Closing(1013, "slow consumer")
    stage.driver.finish(CallConnect)
    assert log.calls[-1] == ("disconnect", "slow consumer")
    stage.driver.advance(STUCK_AFTER)
    assert stage.left() == {}
