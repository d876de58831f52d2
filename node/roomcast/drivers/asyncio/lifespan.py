"""The ASGI lifespan: ours, the application's callbacks and the other application's, all of them (python-api.md 1.9)."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

Callback = Callable[[], Any]

logger = logging.getLogger("roomcast.lifespan")


class OtherLifespan:
    """The lifespan of another ASGI application, run beside ours; one that has none is left alone."""

    def __init__(self, app: Any, scope: Any) -> None:
        self._app = app
        self._scope = scope
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._task: asyncio.Task[None] | None = None

    async def tell(self, event: str) -> None:
        """Send ``lifespan.startup`` or ``lifespan.shutdown`` and wait for the answer; RuntimeError when it failed."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._app(self._scope, self._events.get, self._take))
        if self._task.done():
            return
        self._answer = asyncio.get_running_loop().create_future()
        self._events.put_nowait({"type": event})
        await asyncio.wait({self._answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not self._answer.done():
            if not self._task.cancelled() and self._task.exception() is not None:
                logger.debug("the other application does not support the lifespan protocol")
            return
        answer = self._answer.result()
        if answer["type"].endswith(".failed"):
            raise RuntimeError(answer.get("message") or f"the other application failed at {event}")

    async def close(self) -> None:
        """Let go of an application that still waits for events; none will come."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _take(self, message: dict[str, Any]) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)


async def run_lifespan(
    server: Any,
    other_app: Any,
    on_startup: Callback | None,
    on_shutdown: Callback | None,
    scope: Any,
    receive: Any,
    send: Any,
) -> None:
    """Start and stop everything: the server and the callbacks first and last, so that handlers find what they need."""
    other = None if other_app is None else OtherLifespan(other_app, scope)
    try:
        await _live(server, other, on_startup, on_shutdown, receive, send)
    finally:
        if other is not None:
            await other.close()


async def _live(
    server: Any,
    other: OtherLifespan | None,
    on_startup: Callback | None,
    on_shutdown: Callback | None,
    receive: Any,
    send: Any,
) -> None:
    while True:
        event = (await receive())["type"]
        try:
            if event == "lifespan.startup":
                await _tell(other, event)
                await _run(on_startup)
                await server.start()
            else:
                await server.shutdown()
                await _run(on_shutdown)
                await _tell(other, event)
        except Exception as error:  # application code may raise anything; the ASGI server is told
            logger.exception("the application failed at %s", event)
            await send({"type": f"{event}.failed", "message": str(error)})
            return
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


async def _tell(other: OtherLifespan | None, event: str) -> None:
    if other is not None:
        await other.tell(event)


async def _run(callback: Callback | None) -> None:
    if callback is not None:
        result = callback()
        if inspect.isawaitable(result):
            await result
