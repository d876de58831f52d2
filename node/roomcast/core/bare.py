"""What Engine.IO by itself has in both colours: the surface of ``EngineServer``, and of ``sio.eio``.

What their methods do is written here, once; the drivers have them in their colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, overload

from roomcast.core.api import is_verbose, make_logger
from roomcast.core.counters import Counters
from roomcast.core.handlers import Call, make_call
from roomcast.core.options import Options
from roomcast.core.refusals import Refusals
from roomcast.core.trace import EngineTrace
from roomcast.core.work import Notify
from roomcast.engineio.engine import Engine
from roomcast.engineio.environ import Environ
from roomcast.engineio.session import Session
from roomcast.engineio.sid import SidSource
from roomcast.websocket.frames import binary_frame, split_frames, text_frame

F = TypeVar("F", bound=Callable[..., Any])

EVENTS = ("connect", "message", "disconnect")


class Sockets(Mapping[str, Session]):
    """``eio.sockets``: the open sessions by Engine.IO sid."""

    def __init__(self, engine: Engine) -> None:
        self._sessions = engine.sessions

    def __getitem__(self, sid: str) -> Session:
        return self._sessions[sid]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._sessions))  # other tasks may change it meanwhile

    def __len__(self) -> int:
        return len(self._sessions)


class EngineView:
    """What applications use of ``sio.eio``. Its sids are those of connections, which are secret; Socket.IO sids are
    others.
    """

    async_mode: str

    def __init__(self, engine: Engine, refusals: Refusals, logger: bool | Any | None) -> None:
        self.logger = make_logger(False if logger is None else logger, "engineio.server")
        self.async_handlers = False
        self.sockets = Sockets(engine)
        self._engine = engine
        refusals.logger = self.logger
        if is_verbose(self.logger):
            engine.set_trace(EngineTrace(self.logger))

    def generate_id(self) -> str:
        """A new id that nobody can guess."""
        return self._engine.sids.new()

    def transport(self, sid: str) -> str:
        """``"polling"`` or ``"websocket"``; KeyError for an unknown session."""
        return self.sockets[sid].transport

    def disconnect(self, sid: str | None = None) -> Any:
        """End a connection, or all of them (None). Unknown sids are fine."""

    def create_event(self, *args: Any, **kwargs: Any) -> Any:
        """An event of this async mode."""

    def create_queue(self, *args: Any, **kwargs: Any) -> Any:
        """A queue of this async mode."""

    def get_queue_empty_exception(self) -> type[Exception]:
        """What ``get_nowait`` of that queue raises."""
        raise NotImplementedError  # it is the driver's

    def _ends(self, sid: str | None) -> Iterator[Any]:
        """What ends these connections: yields work."""
        for session in list(self._engine.sessions.values()) if sid is None else [self._engine.sessions.get(sid)]:
            if session is not None:
                yield self._engine.close(session, "server disconnect")


class BareSession:
    """The application of one session of bare Engine.IO: hands messages to the handler, as they come."""

    __slots__ = ("environ", "server", "session", "store")

    def __init__(self, server: BareServer, session: Session) -> None:
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
        return None if call is None else Notify(call.fn, call.fit(self.session.sid, value), self)


class BareServer:
    """An Engine.IO server by itself: ``@eio.on("message")`` and ``eio.send(sid, data)``.

    Handlers: ``connect(sid, environ)`` (returning False ends the session), ``message(sid, data)`` with str or bytes,
    ``disconnect(sid, reason)``.
    """

    facade: EngineView

    def __init__(self, logger: bool | Any, options: Options) -> None:
        self.settings = options.settings
        self.handlers: dict[str, Call] = {}
        self.counters = Counters()
        self.logger = make_logger(logger, "engineio.server")
        self.engine = Engine(
            options.settings,
            options.policy,
            SidSource(options.tag),
            self._open,
            split_frames,
            self.counters,
            options.cookie,
        )
        self.sockets = Sockets(self.engine)

    def _open(self, session: Session, now: float) -> BareSession:
        bare = BareSession(self, session)
        call = self.handlers.get("connect")
        if call is not None:
            self._connect(call, bare)
        return bare

    def _connect(self, call: Call, bare: BareSession) -> None:
        """Call the connect handler, before all others of this session; end the session if it returns False."""

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

    def transport(self, sid: str) -> str:
        """``"polling"`` or ``"websocket"``; KeyError for an unknown session."""
        return self.facade.transport(sid)

    def send(self, sid: str, data: str | bytes) -> Any:
        """Send a message to a session; an unknown one is fine. Never waits."""

    def disconnect(self, sid: str | None = None) -> Any:
        """End a session, or all of them (None)."""

    def get_session(self, sid: str) -> Any:
        """The application's data of a session, the same dict each time; KeyError for an unknown one."""

    def save_session(self, sid: str, session: dict[str, Any]) -> Any:
        """Replace the application's data of a session; KeyError for an unknown one."""

    def start(self) -> Any:
        """Take sessions."""

    def shutdown(self) -> Any:
        """No new sessions; all are closed; handlers get a moment to end."""

    def _put(self, sid: str, data: str | bytes) -> None:
        session = self.engine.sessions.get(sid)
        if session is not None:
            unit = text_frame(b"4" + data.encode()) if isinstance(data, str) else binary_frame(bytes(data))
            session.outbox.put(unit)

    def _store(self, sid: str) -> dict[str, Any]:
        bare: Any = self.engine.sessions[sid].upper
        if bare.store is None:
            bare.store = {}
        store: dict[str, Any] = bare.store
        return store

    def _replace(self, sid: str, store: dict[str, Any]) -> None:
        bare: Any = self.engine.sessions[sid].upper
        bare.store = store
