"""``EngineServer``: bare Engine.IO, for who wants messages without Socket.IO; and ``sio.eio``, the same as users
reach for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, overload

from roomcast.core.api import is_verbose, make_logger
from roomcast.core.counters import Counters
from roomcast.core.handlers import Call, make_call
from roomcast.core.options import read_options
from roomcast.core.trace import EngineTrace
from roomcast.core.work import Notify
from roomcast.drivers.asyncio.runtime import Runtime
from roomcast.engineio.engine import Engine
from roomcast.engineio.environ import Environ
from roomcast.engineio.session import Session
from roomcast.engineio.sid import SidSource
from roomcast.environment import with_environment
from roomcast.errors import SettingsError
from roomcast.websocket.frames import binary_frame, split_frames, text_frame

F = TypeVar("F", bound=Callable[..., Any])

EVENTS = ("connect", "message", "disconnect")
ASYNC_MODES = ("asgi",)
SHUTDOWN_PATIENCE = 5.0


class Sockets(Mapping[str, Session]):
    """``eio.sockets``: the open sessions by Engine.IO sid."""

    def __init__(self, engine: Engine) -> None:
        self._sessions = engine.sessions

    def __getitem__(self, sid: str) -> Session:
        return self._sessions[sid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sessions)

    def __len__(self) -> int:
        return len(self._sessions)


class EngineFacade:
    """What applications use of ``sio.eio``. Its sids are those of connections, which are secret; Socket.IO sids are
    others.
    """

    def __init__(self, runtime: Runtime, logger: bool | Any | None, async_mode: str | None) -> None:
        if async_mode is not None and async_mode not in ASYNC_MODES:
            raise SettingsError(f"Invalid async_mode specified: {async_mode!r}; 'asgi' is there")
        self.async_mode = async_mode or ASYNC_MODES[0]
        self.logger = make_logger(False if logger is None else logger, "engineio.server")
        self.async_handlers = False
        self._runtime = runtime
        self.sockets = Sockets(runtime.engine)
        runtime.refusals.logger = self.logger
        if is_verbose(self.logger):
            runtime.engine.set_trace(EngineTrace(self.logger))

    def mounted(self, async_mode: str) -> None:
        """Told by the application that serves it."""
        self.async_mode = async_mode

    def generate_id(self) -> str:
        """A new id that nobody can guess."""
        return self._runtime.engine.sids.new()

    def transport(self, sid: str) -> str:
        """``"polling"`` or ``"websocket"``; KeyError for an unknown session."""
        return self.sockets[sid].transport

    async def disconnect(self, sid: str | None = None) -> None:
        """End a connection, or all of them (None). Unknown sids are fine."""
        engine = self._runtime.engine
        for session in list(engine.sessions.values()) if sid is None else [engine.sessions.get(sid)]:
            if session is not None:
                self._runtime.do(engine.close(session, "server disconnect"))

    def create_event(self, *args: Any, **kwargs: Any) -> asyncio.Event:
        """An event of this async mode."""
        return asyncio.Event(*args, **kwargs)

    def create_queue(self, *args: Any, **kwargs: Any) -> asyncio.Queue[Any]:
        """A queue of this async mode."""
        return asyncio.Queue(*args, **kwargs)

    def get_queue_empty_exception(self) -> type[Exception]:
        """What ``get_nowait`` of that queue raises."""
        return asyncio.QueueEmpty


class BareSession:
    """The application of one session of bare Engine.IO: hands messages to the handler, as they come."""

    __slots__ = ("environ", "server", "session", "store")

    def __init__(self, server: EngineServer, session: Session) -> None:
        self.server = server
        self.session = session
        self.environ = Environ(session.request)
        self.store: dict[str, Any] | None = None

    def receive_text(self, payload: bytes) -> Any:
        """A text message, behind its packet type."""
        try:
            text = payload[1:].decode()
        except UnicodeDecodeError:
            return self.server.engine.close(self.session, "parse error")
        return self._notify("message", text)

    def receive_binary(self, payload: bytes) -> Any:
        """A binary message."""
        return self._notify("message", payload)

    def closed(self, reason: str) -> Any:
        """The session has ended."""
        return self._notify("disconnect", reason)

    def _notify(self, event: str, value: Any) -> Any:
        call = self.server.handlers.get(event)
        return None if call is None else Notify(call.fn, call.fit(self.session.sid, value))


class EngineServer:
    """An Engine.IO server by itself: ``@eio.on("message")`` and ``await eio.send(sid, data)``.

    Handlers: ``connect(sid, environ)`` (returning False ends the session), ``message(sid, data)`` with str or bytes,
    ``disconnect(sid, reason)``; plain or coroutine functions. Options are the Engine.IO ones of :class:`AsyncServer`.
    """

    def __init__(self, logger: bool | Any = False, async_mode: str | None = None, **options: Any) -> None:
        read = read_options(with_environment(options))
        self.settings = read.settings
        self.handlers: dict[str, Call] = {}
        self.counters = Counters()
        self.engine = Engine(
            read.settings, read.policy, SidSource(read.tag), self._open, split_frames, self.counters, read.cookie
        )
        self.logger = make_logger(logger, "engineio.server")
        self.runtime = Runtime(self.engine, self.counters, self.logger)
        self.facade = EngineFacade(self.runtime, logger, async_mode)
        self.sockets = self.facade.sockets

    def _open(self, session: Session, now: float) -> BareSession:
        bare = BareSession(self, session)
        call = self.handlers.get("connect")
        loop = self.runtime.loop
        if call is not None and loop is not None:
            loop.call_soon(self._connect, call, bare)
        return bare

    def _connect(self, call: Call, bare: BareSession) -> None:
        async def connect() -> None:
            result = call.fn(*call.fit(bare.session.sid, bare.environ))
            if (await result if call.asynchronous else result) is False:
                await self.disconnect(bare.session.sid)

        self.runtime.do(Notify(connect, ()))

    @overload
    def on(self, event: str, handler: None = None) -> Callable[[F], F]: ...
    @overload
    def on(self, event: str, handler: F) -> F: ...
    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Register a handler, or return a decorator that does; ValueError for an event that does not exist."""
        if event not in EVENTS:
            raise ValueError(f"{event!r} is no event of Engine.IO; there are {', '.join(EVENTS)}")

        def register(function: F) -> F:
            self.handlers[event] = make_call(function)
            return function

        return register if handler is None else register(handler)

    async def send(self, sid: str, data: str | bytes) -> None:
        """Send a message to a session; an unknown one is fine. Never waits."""
        session = self.engine.sessions.get(sid)
        if session is not None:
            unit = text_frame(b"4" + data.encode()) if isinstance(data, str) else binary_frame(bytes(data))
            session.outbox.put(unit)

    async def disconnect(self, sid: str | None = None) -> None:
        """End a session, or all of them (None)."""
        await self.facade.disconnect(sid)

    def transport(self, sid: str) -> str:
        """``"polling"`` or ``"websocket"``; KeyError for an unknown session."""
        return self.facade.transport(sid)

    async def get_session(self, sid: str) -> dict[str, Any]:
        """The application's data of a session, the same dict each time; KeyError for an unknown one."""
        bare: Any = self.engine.sessions[sid].upper
        if bare.store is None:
            bare.store = {}
        store: dict[str, Any] = bare.store
        return store

    async def save_session(self, sid: str, session: dict[str, Any]) -> None:
        """Replace the application's data of a session; KeyError for an unknown one."""
        bare: Any = self.engine.sessions[sid].upper
        bare.store = session

    def mounted(self, async_mode: str) -> None:
        """Told by the application that serves it."""
        self.facade.mounted(async_mode)

    async def start(self) -> None:
        """Bind to the running loop and take sessions."""
        self.engine.accepting = True
        self.runtime.bind()

    async def shutdown(self) -> None:
        """No new sessions; all are closed; handlers get a moment to end."""
        if self.runtime.loop is not None:
            await self.runtime.drain(self.settings.drain_seconds)
            await self.runtime.close(SHUTDOWN_PATIENCE)
