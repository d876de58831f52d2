"""What runs a node: the one timer, the flush, application code that goes wrong, and the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

import roomcast
from roomcast.drivers.asyncio import runtime as runtime_module
from roomcast.drivers.asyncio.runtime import DEPARTURES, LAG_PROBE, STALL
from tests.support.api_client import WebSocketClient
from tests.support.counting import CountingLoop, Crowd, run, turns
from tests.support.inprocess import Node, Way, eventually
from tests.support.patience import PATIENCE

A_MOMENT = 0.01
"""Seconds that a handler takes."""

PING = b"\x81\x012"


async def join(sio: roomcast.AsyncServer, number: int = 1) -> Any:
    peers = await Crowd(sio).join(number)
    return peers[0] if number == 1 else peers


async def joined(sio: roomcast.AsyncServer, loop: CountingLoop) -> Any:
    """A client, and a runtime whose timers have been looked at."""
    peer = await join(sio)
    await turns(2)
    return peer


# --- time -------------------------------------------------------------------------------------------------------------


def test_pings_are_sent_when_they_are_due_and_who_does_not_answer_is_ended() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = roomcast.AsyncServer(ping_interval=10, ping_timeout=5)
        reasons: list[str] = []
        sio.on("disconnect", lambda sid, reason: reasons.append(reason))
        peer = await joined(sio, loop)
        for _ in range(102):
            loop.advance(0.1)
            await turns(2)
        assert PING in b"".join(peer.blocks())
        for _ in range(60):
            loop.advance(0.1)
            await turns(2)
        assert reasons == ["ping timeout"]
        assert sio.counters.ping_timeouts == 1

    run(scenario)


def test_who_could_not_be_read_because_the_loop_stood_still_is_not_blamed() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = roomcast.AsyncServer(ping_interval=10, ping_timeout=5)
        peer = await joined(sio, loop)
        loop.advance(10.01)
        await turns(3)
        assert PING in b"".join(peer.blocks())
        loop.advance(60)  # the pong lies unread
        await turns(3)
        assert len(sio.eio.sockets) == 1
        peer.sends("3")
        loop.advance(1)
        await turns(3)
        assert len(sio.eio.sockets) == 1
        assert sio.counters.loop_lag_max >= 60 - 5

    run(scenario)


def test_the_lag_of_the_loop_is_measured_while_nothing_is_due() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = roomcast.AsyncServer()
        sio.runtime.bind()
        loop.advance(LAG_PROBE + 3)
        await turns(2)
        assert sio.counters.loop_lag_max == pytest.approx(3)
        loop.advance(LAG_PROBE)
        await turns(2)
        assert sio.counters.loop_lag_last == pytest.approx(0)
        await sio.shutdown()
        loop.advance(LAG_PROBE + 9)
        await turns(2)
        assert sio.counters.loop_lag_max == pytest.approx(3)

    run(scenario)


def test_an_earlier_appointment_moves_the_timer_a_later_one_does_not() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = roomcast.AsyncServer()
        sio.runtime.bind()
        kept: list[float] = []
        deadlines = sio.node.engine.deadlines
        for seconds in (5.0, 0.2, 0.1, 3.0):
            deadlines.add(loop.time() + seconds, lambda now, seconds=seconds: kept.append(seconds))  # type: ignore[misc]
        for _ in range(60):
            loop.advance(0.1)
            await turns(2)
        assert kept == [0.1, 0.2, 3.0, 5.0]

    run(scenario)


def test_a_turn_without_events_wakes_nobody() -> None:
    async def scenario(loop: CountingLoop) -> None:
        await joined(roomcast.AsyncServer(), loop)
        with loop.counted() as costs:
            await turns(10)
        assert (costs.tasks, costs.timers) == (0, 0)

    run(scenario)


# --- the loop ---------------------------------------------------------------------------------------------------------


def test_one_server_in_one_loop_after_another() -> None:
    sio = roomcast.AsyncServer()
    answers: list[bytes] = []
    sio.on("echo", lambda sid, value: value)

    async def scenario(loop: CountingLoop) -> None:
        await sio.start()
        sio.runtime.bind()
        peer = await join(sio)
        peer.sends('421["echo",5]')
        await turns()
        answers.append(b"".join(peer.blocks()))
        peer.vanishes()
        await turns(2)
        await sio.shutdown()
        await sio.shutdown()

    run(scenario)
    run(scenario)
    assert answers == [b"\x81\x06431[5]"] * 2


async def test_shutdown_before_anything_began() -> None:
    await roomcast.AsyncServer().shutdown()


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_many_who_leave_at_once_are_seen_off_a_few_per_turn() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = roomcast.AsyncServer()
        gone: list[str] = []
        sio.on("disconnect", lambda sid, reason: gone.append(sid))
        everybody = await join(sio, 2 * DEPARTURES + 10)
        for peer in everybody:
            peer.vanishes()
        assert gone == []
        seen = []
        while len(gone) < len(everybody):
            await turns()
            seen.append(len(gone))
        assert max(after - before for before, after in zip([0, *seen], seen, strict=False)) <= DEPARTURES
        assert len(set(gone)) == len(everybody)
        assert not any(sio.census().values())

    run(scenario)


def test_a_stop_sees_off_who_was_still_waiting_for_it() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = roomcast.AsyncServer(drain_seconds=0)
        gone: list[str] = []
        sio.on("disconnect", lambda sid, reason: gone.append(reason))
        for peer in await join(sio, 3 * DEPARTURES):
            peer.vanishes()
        await sio.runtime.close(1)
        assert gone == ["transport close"] * 3 * DEPARTURES

    run(scenario)


# --- application code that goes wrong ---------------------------------------------------------------------------------

WHERE = ("connect", "event", "disconnect", "callback")


async def fail_in(node: Node, where: str, handler: Any) -> None:
    """Call this as a handler of that kind."""
    sio = node.sio
    if where == "callback":
        client = await node.connect()
        await sio.emit("question", callback=handler)
        question = str(await client.receive())
        await client.send(f"43{question[2]}[]")
    else:
        sio.on(where if where != "event" else "e", handler)
        client = await node.open()
        await client.send("40")
        await client.receive()
        if where == "event":
            await client.send('42["e"]', '42["e"]')
        elif where == "disconnect":
            await client.send("41")


@pytest.mark.parametrize("colour", ["plain", "at once", "later"])
@pytest.mark.parametrize("where", WHERE)
async def test_what_a_handler_raises_is_counted_and_written(
    flavour: Way, where: str, colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    def plain(*_: Any) -> None:
        raise LookupError(where)

    async def coroutine(*_: Any) -> None:
        if colour == "later":
            await asyncio.sleep(0)
        plain()

    sio = roomcast.AsyncServer(logger=logging.getLogger("test.runtime"))
    async with Node(sio, flavour) as node:
        await fail_in(node, where, plain if colour == "plain" else coroutine)
        times = 2 if where == "event" else 1
        await eventually(lambda: sio.counters.handler_errors[where] == times)
        assert caplog.text.count("LookupError: ") == times
        assert (await node.connect()).sid if where != "connect" else True


@pytest.mark.parametrize("colour", ["plain", "at once", "later"])
@pytest.mark.parametrize("where", WHERE)
async def test_a_handler_that_ends_cancelled_is_no_error_and_ends_nothing(
    flavour: Way, where: str, colour: str
) -> None:
    def plain(*_: Any) -> None:
        raise asyncio.CancelledError

    async def coroutine(*_: Any) -> None:
        if colour == "later":
            await asyncio.sleep(0)
        plain()

    sio = roomcast.AsyncServer()
    sio.on("echo", lambda sid, value: value)
    async with Node(sio, flavour) as node:
        await fail_in(node, where, plain if colour == "plain" else coroutine)
        other = await node.open()
        await other.send("40")
        await other.receive()
        if where != "connect":
            assert await other.call("echo", 1) == "431[1]"
        assert sum(sio.counters.handler_errors.values()) == 0


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_handlers_get_a_moment_to_end(flavour: Way) -> None:
    sio = roomcast.AsyncServer(drain_seconds=0)
    log: list[str] = []
    running = asyncio.Event()

    @sio.event
    async def work(sid: str) -> None:
        running.set()
        await asyncio.sleep(A_MOMENT)
        log.append("done")

    async with Node(sio, flavour, patient=True) as node:
        client = await node.connect()
        await client.event("work")
        await running.wait()
    assert log == ["done"]


@pytest.mark.parametrize("where", ["event", "background"])
async def test_who_still_runs_after_that_is_cancelled_and_may_clean_up(
    flavour: Way, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("roomcast.drivers.asyncio.server.HANDLER_PATIENCE", 0.05)
    sio = roomcast.AsyncServer(drain_seconds=0, logger=logging.getLogger("test.runtime"))
    log: list[str] = []
    running = asyncio.Event()

    async def stubborn(*_: Any) -> None:
        running.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            for _step in range(20):
                await asyncio.sleep(0)
            log.append("cleaned up")

    sio.on("stubborn", stubborn)
    await sio.start()
    if where == "background":
        sio.start_background_task(stubborn)
    else:
        node = Node(sio, flavour)
        async with node:
            client = await node.connect()
            await client.event("stubborn")
            await running.wait()
    await asyncio.wait_for(running.wait(), 5)
    await sio.shutdown()
    assert log == ["cleaned up"]
    assert "1 handlers were still running at shutdown and were cancelled" in caplog.text
    assert not sio.runtime.tasks


async def test_handlers_are_not_waited_for_once_the_operator_is_in_a_hurry(caplog: pytest.LogCaptureFixture) -> None:
    sio = roomcast.AsyncServer(drain_seconds=0, logger=logging.getLogger("test.runtime"))
    await sio.start()
    sio.start_background_task(asyncio.Event().wait)
    stopping = asyncio.ensure_future(sio.runtime.close(1_000))
    await turns(3)
    assert not stopping.done()
    sio.runtime.hurried = True
    await asyncio.wait_for(stopping, PATIENCE)
    assert "1 handlers were still running at shutdown and were cancelled" in caplog.text


@pytest.mark.parametrize(("transport", "hurried"), [("websocket", False), ("polling", False), ("polling", True)])
async def test_who_has_not_read_all_when_the_time_is_up_is_confessed(
    transport: str, hurried: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runtime_module, "HURRIED_PATIENCE" if hurried else "CLOSING_PATIENCE", 0.05)
    sio = roomcast.AsyncServer(drain_seconds=0)
    async with Node(sio, Way()) as node:
        client = await node.connect(transport=transport)
        await node.connect()
        if isinstance(client, WebSocketClient):
            client.connection.transport.pause_reading()
        await sio.emit("last", "words", to=client.sid)
        sio.runtime.hurried = hurried
        await sio.shutdown()
    assert "of 2 clients that were told to move 1 have not read all" in caplog.text


async def test_a_background_task_may_stop_the_server() -> None:
    sio = roomcast.AsyncServer(drain_seconds=0)
    await sio.start()
    await asyncio.wait_for(sio.start_background_task(sio.shutdown), 5)
    assert sio.runtime.loop is None


def test_constants_are_what_the_comments_say() -> None:
    assert STALL < LAG_PROBE
    assert runtime_module.CLOSING_STEP < runtime_module.CLOSING_PATIENCE


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_deadline_that_has_passed_can_be_followed_by_an_earlier_one(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """uvloop gives a handle without ``when()`` for a time in the past, which broke the next appointment."""

    async def main() -> None:
        runtime = roomcast.AsyncServer().runtime
        runtime.bind()
        for due in (-1.0, -2.0, -3.0):
            runtime.engine.on_deadline(due)
        await asyncio.sleep(0)
        await runtime.close(0)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
