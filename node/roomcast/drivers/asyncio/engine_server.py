"""``EngineServer``: bare Engine.IO, for who wants messages without Socket.IO; and ``sio.eio``, the same as users
reach for it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from roomcast.async_modes import load
from roomcast.core.bare import BareServer, BareSession, EngineView
from roomcast.core.handlers import Call
from roomcast.core.options import read_options
from roomcast.core.work import Notify
from roomcast.drivers.asyncio.frameworks import DEFAULT_MODE, FRAMEWORKS, FRONTS, attach
from roomcast.drivers.asyncio.runtime import Runtime
from roomcast.environment import with_environment
from roomcast.errors import SettingsError

SHUTDOWN_PATIENCE = 5.0


class EngineFacade(EngineView):
    """``sio.eio`` for asyncio."""

    def __init__(self, runtime: Runtime, logger: bool | Any | None, async_mode: str | None) -> None:
        if async_mode is not None:
            load(async_mode, FRAMEWORKS)
        self.async_mode = async_mode or DEFAULT_MODE
        self._wanted = async_mode
        super().__init__(runtime.engine, runtime.refusals, logger)
        self._runtime = runtime

    def mounted(self, async_mode: str) -> None:
        """Told by what serves it, which decides, unless the constructor was told: SettingsError if they contradict."""
        if self._wanted not in (None, async_mode):
            raise SettingsError(
                f"async_mode={self._wanted!r} was asked for, but {async_mode!r} is what serves it: leave async_mode "
                f"out, or {FRONTS[self._wanted]}"
            )
        self.async_mode = async_mode

    async def disconnect(self, sid: str | None = None) -> None:
        self._runtime.run(self._ends(sid))

    def create_event(self, *args: Any, **kwargs: Any) -> asyncio.Event:
        return asyncio.Event(*args, **kwargs)

    def create_queue(self, *args: Any, **kwargs: Any) -> asyncio.Queue[Any]:
        return asyncio.Queue(*args, **kwargs)

    def get_queue_empty_exception(self) -> type[Exception]:
        return asyncio.QueueEmpty


class EngineServer(BareServer):
    """An Engine.IO server by itself: ``@eio.on("message")`` and ``await eio.send(sid, data)``.

    Handlers: ``connect(sid, environ)`` (returning False ends the session), ``message(sid, data)`` with str or bytes,
    ``disconnect(sid, reason)``; plain or coroutine functions. Options are the Engine.IO ones of :class:`AsyncServer`.
    """

    def __init__(self, logger: bool | Any = False, async_mode: str | None = None, **options: Any) -> None:
        super().__init__(logger, read_options(with_environment(options)))
        self.runtime = Runtime(self.engine, self.counters, self.logger)
        self.facade: EngineFacade = EngineFacade(self.runtime, logger, async_mode)

    def _connect(self, call: Call, bare: BareSession) -> None:
        async def connect() -> None:
            result = call.fn(*call.fit(bare.session.sid, bare.environ))
            if (await result if call.asynchronous else result) is False:
                await self.disconnect(bare.session.sid)

        if self.runtime.loop is not None:
            self.runtime.loop.call_soon(self.runtime.do, Notify(connect, ()))

    async def send(self, sid: str, data: str | bytes) -> None:
        self._put(sid, data)

    async def disconnect(self, sid: str | None = None) -> None:
        await self.facade.disconnect(sid)

    async def get_session(self, sid: str) -> dict[str, Any]:
        return self._store(sid)

    async def save_session(self, sid: str, session: dict[str, Any]) -> None:
        self._replace(sid, session)

    def mounted(self, async_mode: str) -> None:
        """Told by what serves it."""
        self.facade.mounted(async_mode)

    def attach(self, app: Any, engineio_path: str = "engine.io") -> None:
        """Serve it from an aiohttp or Sanic application, as ``AsyncServer.attach`` does."""
        attach(self, app, engineio_path)

    async def start(self) -> None:
        self.engine.accepting = True
        self.runtime.bind()

    async def shutdown(self) -> None:
        if self.runtime.loop is not None:
            await self.runtime.drain(self.settings.drain_seconds)
            await self.runtime.close(SHUTDOWN_PATIENCE)
