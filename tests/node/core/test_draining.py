"""Who is told to move when a node stops, and when: evenly, and nobody in the middle of something while it can wait."""

from __future__ import annotations

from itertools import pairwise

import pytest

from roomcast.core.draining import LEAST_RATE, LOOKS, Drain, busy
from roomcast.core.sockets import Socket
from roomcast.settings import Settings
from roomcast.websocket.frames import TEXT
from tests.support.masked import masked_frame
from tests.support.played import LATER, BareStage, Closing, Peer, Stage, make_request

MOVE = Closing(1012, "server shutting down")
STEP = 0.05


class Stop:
    """A stop of a node, step by step, each at the end of a turn. ``told`` is how many clients were told, after each."""

    def __init__(self, stage: Stage | BareStage, seconds: float) -> None:
        self.driver = stage.driver
        self.plan = Drain(self.driver.engine, seconds, self.driver.now, self._answering)
        self.told = [0]

    def _answering(self) -> list[Socket]:
        return [work.socket for work in self.driver.running]

    def step(self, seconds: float = 0.0, hurried: bool = False) -> int:
        """Let time pass and take one step; how many were told in it."""
        self.driver.now += seconds
        self.driver.flush()
        for work in self.plan.step(self.driver.now, hurried):
            self.driver.do(work)
        self.told.append(self.plan.told)
        return self.told[-1] - self.told[-2]

    def runs(self) -> float:
        """Step until it is over; the seconds that it took."""
        began = self.driver.now
        self.step()
        while not self.plan.over():
            self.step(STEP)
        return self.driver.now - began


# --- the pace ---------------------------------------------------------------------------------------------------------


def test_many_clients_go_evenly_over_the_time() -> None:
    stage = BareStage()
    clients = [stage.peer() for _ in range(1_000)]
    stop = Stop(stage, 5.0)
    assert stop.runs() == pytest.approx(5.0, abs=2 * STEP)
    assert max(after - before for before, after in pairwise(stop.told)) <= 1_000 * STEP / 5.0 + 1
    assert {client.closing for client in clients} == {MOVE}
    assert stop.plan.told == 1_000
    assert stop.plan.polling == 0


def test_few_clients_do_not_take_all_of_the_time() -> None:
    stage = BareStage()
    for _ in range(20):
        stage.peer()
    stop = Stop(stage, 60.0)
    assert stop.step() == 1
    assert stop.runs() == pytest.approx(20 / LEAST_RATE, abs=2 * STEP)


@pytest.mark.parametrize(("seconds", "hurried"), [(0.0, False), (60.0, True)])
def test_without_time_all_go_at_once(seconds: float, hurried: bool) -> None:
    stage = Stage()
    for _ in range(100):
        stage.joins()
    peer, sid = stage.joins()
    stage.asks(sid)
    stop = Stop(stage, seconds)
    assert stop.step(hurried=hurried) == 101
    assert stop.plan.over()
    assert peer.closing == MOVE


def test_who_leaves_by_itself_is_not_told() -> None:
    stage = BareStage()
    clients = [stage.peer() for _ in range(3)]
    stop = Stop(stage, 5.0)
    for client in clients[:2]:
        client.leaves()
    stop.runs()
    assert stop.plan.told == 1


def test_nobody_there_is_over_at_once() -> None:
    assert Stop(BareStage(), 5.0).plan.over()


def test_polling_clients_are_counted() -> None:
    stage = BareStage()
    stage.peer()
    waiting, idle = stage.poller(), stage.poller()
    waiting.polls()
    stop = Stop(stage, 0.0)
    stop.step()
    assert (stop.plan.told, stop.plan.polling) == (3, 2)
    assert waiting.received() == ["6"]
    assert not waiting.known
    assert not idle.known


# --- who waits --------------------------------------------------------------------------------------------------------


def free_and_busy(settings: Settings | None = None) -> tuple[Stage, Peer, Peer, str]:
    """A node with two clients, of which the second one is to be busy with something; and its sid."""
    stage = Stage(settings)
    stage.on("work", lambda sid: LATER)
    (free, _), (other, sid) = stage.joins(), stage.joins()
    return stage, free, other, sid


def waits_until(stage: Stage, free: Peer, other: Peer) -> Stop:
    """A stop that has told the free client, and goes on waiting for the other one."""
    stop = Stop(stage, 10.0)
    stop.step()
    for _ in range(100):
        stop.step(STEP)
    assert free.closing == MOVE
    assert other.closing is None
    assert not stop.plan.over()
    return stop


def test_a_client_that_owes_an_answer_is_waited_for() -> None:
    stage, free, other, sid = free_and_busy()
    stage.asks(sid)
    stop = waits_until(stage, free, other)
    other.sends('430["yes"]')
    stop.step(STEP)
    assert other.closing == MOVE
    assert [settled.args for settled in stage.driver.settled] == [("yes",)]


def test_a_client_whose_handler_runs_gets_its_answer() -> None:
    stage, free, other, _ = free_and_busy()
    other.sends('427["work"]')
    stop = waits_until(stage, free, other)
    stage.driver.finish(type(stage.driver.running[0]), "done")
    assert other.received()[-1] == '437["done"]'
    stop.step(STEP)
    assert other.closing == MOVE


def test_a_client_that_has_not_yet_said_where_it_wants_to_go_is_waited_for() -> None:
    """It would take its end for a refusal, and wait the longer before it tries again."""
    stage = Stage()
    (free, _), other = stage.joins(), stage.peer()
    stop = waits_until(stage, free, other)
    other.sends("40")
    stop.step(STEP)
    assert other.closing == MOVE


def test_a_client_that_is_being_let_in_is_waited_for() -> None:
    stage, free, other, _ = free_and_busy()
    stage.on("connect", lambda sid, environ: LATER, "/slow")
    other.sends("40/slow,")
    stop = waits_until(stage, free, other)
    stage.driver.finish(type(stage.driver.running[0]))
    stage.driver.flush()
    stop.step(STEP)
    assert other.closing == MOVE


def test_a_client_that_sends_a_packet_in_parts_is_waited_for() -> None:
    stage, free, other, _ = free_and_busy(Settings(attachments_timeout=60.0))
    other.sends('451-["bytes",{"_placeholder":true,"num":0}]')
    stop = waits_until(stage, free, other)
    other.sends(b"all")
    stop.step(STEP)
    assert other.closing == MOVE


def test_a_client_that_has_not_taken_all_is_waited_for() -> None:
    stage, free, other, _ = free_and_busy()
    other.sink.waiting = 10
    stop = waits_until(stage, free, other)
    other.sink.waiting = 0
    stop.step(STEP)
    assert other.closing == MOVE


def test_a_polling_client_fetches_what_waits_first() -> None:
    stage = Stage()
    poller = stage.poller()
    poller.posts("40")
    assert busy(poller.session)  # the answer to its CONNECT
    stop = Stop(stage, 10.0)
    stop.step()
    assert stop.plan.told == 0
    assert poller.received() == []
    poller.polls()
    assert poller.received()[0].startswith("40")
    stop.step(STEP)
    assert stop.plan.told == 1
    assert not poller.known


def test_a_client_that_just_moves_to_a_websocket_is_waited_for() -> None:
    stage = BareStage()
    poller = stage.poller()
    candidate = Peer(stage.driver, make_request(b"EIO=4&transport=websocket"))
    candidate.probes(poller.session)
    stop = Stop(stage, 10.0)
    stop.step()
    assert stop.plan.told == 0
    candidate.sends("2probe", "5")
    stage.driver.flush()
    stop.step(STEP)
    assert candidate.closing == MOVE


def test_when_the_time_is_over_nobody_is_waited_for() -> None:
    stage, free, other, sid = free_and_busy()
    stage.asks(sid)
    stop = waits_until(stage, free, other)
    stop.step(10.0)
    assert other.closing == MOVE
    assert stop.plan.over()
    assert type(stage.driver.settled[0].error).__name__ == "DisconnectedError"


def test_a_step_does_not_look_at_all_who_are_waited_for() -> None:
    stage = BareStage()
    clients = [stage.peer(waiting=1) for _ in range(3 * LOOKS)]
    free = stage.peer()
    stop = Stop(stage, 60.0)
    steps = 0
    while free.closing is None:
        stop.step(STEP / 100)
        steps += 1
    assert steps > 2, "the first steps looked at others"
    assert not any(client.closing for client in clients)


def test_an_answer_that_was_given_keeps_nobody_busy() -> None:
    stage, _, other, sid = free_and_busy()
    stage.asks(sid)
    assert busy(other.session)
    stage.driver.flush()
    other.feeds(masked_frame(TEXT, b'430["yes"]'))
    assert not busy(other.session)
