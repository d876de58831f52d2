"""The task that keeps the engine's appointments."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.drivers.blocking.clock import STALL
from roomcast.drivers.blocking.runtime import Runtime
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks


@pytest.fixture
def server(tasks: PlayedTasks) -> PlayedServer:
    started = PlayedServer(tasks, ping_interval=10, ping_timeout=5)
    started.sio.start()
    return started


def appointments(runtime: Runtime, *after: float) -> list[float]:
    """Make these, so many seconds from now; what is returned gets the time at which each is kept."""
    kept: list[float] = []
    began = runtime.time()
    with runtime.turn:
        for seconds in after:
            runtime.engine.deadlines.add(began + seconds, lambda now: kept.append(round(now - began, 3)))
    return kept


def test_each_is_kept_in_time_whichever_was_made_first(server: PlayedServer) -> None:
    kept = appointments(server.runtime, 5.0, 0.2, 0.1, 3.0)
    server.tasks.advance(6.0)
    assert kept == [0.1, 0.2, 3.0, 5.0]


def test_one_that_is_made_by_another_is_kept_too(server: PlayedServer) -> None:
    runtime = server.runtime
    kept: list[float] = []

    def first(now: float) -> None:
        runtime.engine.deadlines.add(now + 1.0, kept.append)

    with runtime.turn:
        runtime.engine.deadlines.add(runtime.time() + 1.0, first)
    server.tasks.advance(1.5)
    assert not kept
    server.tasks.advance(1.0)
    assert len(kept) == 1


def test_while_nothing_is_due_it_sleeps(server: PlayedServer) -> None:
    (clock,) = server.tasks.alive
    server.tasks.others()
    assert clock.due is None


def test_what_an_appointment_asks_for_is_done(server: PlayedServer) -> None:
    reasons: list[str] = []
    server.sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    client = server.joined()
    server.tasks.advance(10.5)
    assert "2" in client.received()
    server.tasks.advance(5.5)
    assert reasons == ["ping timeout"]
    assert server.sio.counters.ping_timeouts == 1


def test_who_could_not_be_read_because_the_process_stood_still_is_not_blamed(server: PlayedServer) -> None:
    client = server.joined()
    server.tasks.advance(10.5)
    server.tasks.now += 60  # a pong lies unread
    client.sends("3")
    server.tasks.advance(STALL)
    assert len(server.sio.eio.sockets) == 1
    assert server.sio.counters.loop_lag_max >= 50


def test_a_fault_in_one_does_not_stop_the_others(server: PlayedServer, caplog: pytest.LogCaptureFixture) -> None:
    def fails(now: float) -> Any:
        raise ZeroDivisionError

    with server.runtime.turn:
        server.runtime.engine.deadlines.add(server.runtime.time() + 1.0, fails)
    kept = appointments(server.runtime, 1.0, 2.0)
    server.tasks.advance(3.0)
    assert len(kept) == 2
    assert "what was due has failed" in caplog.text


def test_its_end(server: PlayedServer) -> None:
    kept = appointments(server.runtime, 1.0)
    server.ends()
    assert len(kept) == 1  # a stop keeps them all
    assert not server.tasks.alive
