"""``EngineServer`` for threads and greenlets: bare Engine.IO; and ``sio.eio``, the same as users reach for it."""

from __future__ import annotations

import queue
from functools import partial
from typing import Any

from roomcast.core.bare import BareServer, BareSession, EngineView
from roomcast.core.handlers import Call
from roomcast.core.options import read_options
from roomcast.drivers.blocking.calls import attempt
from roomcast.drivers.blocking.concurrency import Concurrency, Event
from roomcast.drivers.blocking.modes import concurrency_of
from roomcast.drivers.blocking.runtime import Runtime, handler_tasks
from roomcast.drivers.blocking.wsgi import Body, StartResponse, serve_request
from roomcast.environment import with_environment

SHUTDOWN_PATIENCE = 5.0


class EngineFacade(EngineView):
    """``sio.eio`` for threads and greenlets. All methods may be called from any of them."""

    def __init__(self, runtime: Runtime, logger: bool | Any | None) -> None:
        super().__init__(runtime.engine, runtime.refusals, logger)
        self._runtime = runtime

    @property
    def async_mode(self) -> str:  # type: ignore[override]  # it never changes here
        """How it is served: ``"threading"``."""
        return self._runtime.concurrency.async_mode

    def disconnect(self, sid: str | None = None) -> None:
        with self._runtime.turn:
            self._runtime.run(self._ends(sid))

    def create_event(self, *args: Any, **kwargs: Any) -> Event:
        return self._runtime.concurrency.make_event(*args, **kwargs)

    def create_queue(self, *args: Any, **kwargs: Any) -> Any:
        return self._runtime.concurrency.queue_class(*args, **kwargs)

    def get_queue_empty_exception(self) -> type[Exception]:
        return queue.Empty  # which those of gevent and eventlet raise, too


class EngineServer(BareServer):
    """An Engine.IO server by itself, for threads and greenlets: ``@eio.on("message")`` and ``eio.send(sid, data)``.

    Handlers: ``connect(sid, environ)`` (returning False ends the session), ``message(sid, data)`` with str or bytes,
    ``disconnect(sid, reason)``; those of one session run one after another. All methods may be called from any task.
    Options are the Engine.IO ones of :class:`Server`.
    """

    def __init__(self, logger: bool | Any = False, async_mode: str | Concurrency | None = None, **options: Any) -> None:
        concurrency = concurrency_of(async_mode)
        handlers = handler_tasks(options, concurrency)
        super().__init__(logger, read_options(with_environment(options)))
        self.runtime = Runtime(self.engine, self.counters, self.logger, concurrency, handlers)
        self.facade: EngineFacade = EngineFacade(self.runtime, logger)

    def _connect(self, call: Call, bare: BareSession) -> None:
        self.runtime.pool.put(partial(self._run_connect, call, bare), bare)

    def _run_connect(self, call: Call, bare: BareSession) -> None:
        result, error = attempt(call.fn, call.fit(bare.session.sid, bare.environ))
        if error is not None:
            self.runtime.failed("callback", error, "the connect handler")
        elif result is False:
            self.disconnect(bare.session.sid)

    def handle_request(self, environ: dict[str, Any], start_response: StartResponse) -> Body:
        """Serve one WSGI request, whatever its path."""
        return serve_request(self.runtime, environ, start_response)

    def send(self, sid: str, data: str | bytes) -> None:
        with self.runtime.turn:
            self._put(sid, data)

    def disconnect(self, sid: str | None = None) -> None:
        self.facade.disconnect(sid)

    def get_session(self, sid: str) -> dict[str, Any]:
        with self.runtime.turn:
            return self._store(sid)

    def save_session(self, sid: str, session: dict[str, Any]) -> None:
        with self.runtime.turn:
            self._replace(sid, session)

    def start(self) -> None:
        self.runtime.start()

    def shutdown(self) -> None:
        self.runtime.stop(self.settings.drain_seconds, SHUTDOWN_PATIENCE)
