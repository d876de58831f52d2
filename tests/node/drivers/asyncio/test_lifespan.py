"""Lifespans beside lifespans, by messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from roomcast.drivers.asyncio.lifespan import run_lifespan

STARTUP, SHUTDOWN = "lifespan.startup", "lifespan.shutdown"


class Recorder:
    """A server that can be started and stopped, and the log of everything."""

    def __init__(self, fail: str = "") -> None:
        self.log: list[str] = []
        self._fail = fail

    def note(self, what: str) -> None:
        self.log.append(what)
        if what == self._fail:
            raise LookupError(f"{what} fails")

    async def start(self) -> None:
        self.note("start")

    async def shutdown(self) -> None:
        self.note("shutdown")


async def run(
    recorder: Recorder,
    other: Any = None,
    events: tuple[str, ...] = (STARTUP, SHUTDOWN),
    callbacks: tuple[Callable[[], Any] | None, Callable[[], Any] | None] = (None, None),
) -> list[dict[str, Any]]:
    """What was answered to these events."""
    waiting = list(events)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, str]:
        if not waiting:
            await asyncio.get_running_loop().create_future()
        return {"type": waiting.pop(0)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async with asyncio.timeout(5):
        await run_lifespan(recorder, other, *callbacks, {"type": "lifespan"}, receive, send)
    return sent


def other_application(
    recorder: Recorder, answers: dict[str, dict[str, Any]] | None = None
) -> Callable[..., Coroutine[Any, Any, None]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while True:
            event = (await receive())["type"]
            recorder.log.append(f"other {event}")
            await send((answers or {}).get(event, {"type": f"{event}.complete"}))
            if event == SHUTDOWN:
                await send({"type": "more than was asked"})
                return

    return app


async def test_nothing_but_the_server() -> None:
    recorder = Recorder()
    assert await run(recorder) == [{"type": f"{STARTUP}.complete"}, {"type": f"{SHUTDOWN}.complete"}]
    assert recorder.log == ["start", "shutdown"]


async def test_the_order_of_everything() -> None:
    recorder = Recorder()

    async def on_shutdown() -> None:
        await asyncio.sleep(0)
        recorder.note("on_shutdown")

    await run(recorder, other_application(recorder), callbacks=(lambda: recorder.note("on_startup"), on_shutdown))
    assert recorder.log == [f"other {STARTUP}", "on_startup", "start", "shutdown", "on_shutdown", f"other {SHUTDOWN}"]


@pytest.mark.parametrize(
    ("fail", "event"),
    [("start", STARTUP), ("on_startup", STARTUP), ("shutdown", SHUTDOWN), ("on_shutdown", SHUTDOWN)],
)
async def test_what_fails_is_told_to_the_asgi_server(fail: str, event: str) -> None:
    recorder = Recorder(fail)
    callbacks = (lambda: recorder.note("on_startup"), lambda: recorder.note("on_shutdown"))
    answers = await run(recorder, callbacks=callbacks)
    assert answers[-1] == {"type": f"{event}.failed", "message": f"{fail} fails"}


@pytest.mark.parametrize("message", [{}, {"message": "no database"}])
async def test_another_application_that_fails_to_start(message: dict[str, str]) -> None:
    recorder = Recorder()
    other = other_application(recorder, {STARTUP: {"type": f"{STARTUP}.failed", **message}})
    answers = await run(recorder, other)
    said = message.get("message", f"the other application failed at {STARTUP}")
    assert answers == [{"type": f"{STARTUP}.failed", "message": said}]
    assert "start" not in recorder.log


@pytest.mark.parametrize("ends", ["raises", "returns"])
async def test_another_application_that_knows_no_lifespan(ends: str) -> None:
    recorder = Recorder()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if ends == "raises":
            raise LookupError(scope["type"])

    answers = await run(recorder, app)
    assert [answer["type"] for answer in answers] == [f"{STARTUP}.complete", f"{SHUTDOWN}.complete"]


async def test_another_application_that_dies_between_start_and_stop() -> None:
    recorder = Recorder()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": f"{STARTUP}.complete"})
        await receive()
        raise LookupError("stopping fails")

    answers = await run(recorder, app)
    assert answers[-1] == {"type": f"{SHUTDOWN}.complete"}


async def test_what_nobody_waits_for_is_ignored() -> None:
    recorder = Recorder()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": f"{STARTUP}.complete"})
        await send({"type": f"{STARTUP}.complete"})
        await receive()
        await send({"type": f"{SHUTDOWN}.complete"})

    assert len(await run(recorder, app)) == 2
