"""``AsyncServer``: the asyncio server of the public API (python-api.md 1.3 to 1.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from roomcast.core.api import ServerSurface, answer_of, chosen_target
from roomcast.core.contract import Callback
from roomcast.drivers.asyncio.bus import Bus
from roomcast.drivers.asyncio.engine_server import EngineFacade
from roomcast.drivers.asyncio.frameworks import attach, serve
from roomcast.drivers.asyncio.manager import AsyncManager
from roomcast.drivers.asyncio.namespace import AsyncNamespace
from roomcast.drivers.asyncio.runtime import Runtime
from roomcast.exposition.health import Readiness
from roomcast.joining import BrokerOptions, join, read_surroundings
from roomcast.metrics_port import DEFAULT_PORT
from roomcast_brokers.contracts import AsyncBroker
from roomcast_brokers.registry import create

if TYPE_CHECKING:
    from roomcast.drivers.asyncio.metrics_listener import MetricsListener

OWN_EMIT = AsyncManager.emit
# How long (seconds) shutdown waits for handlers that still run.
HANDLER_PATIENCE = 5.0


def make_broker(wanted: BrokerOptions) -> AsyncBroker:
    """A broker that is not open yet."""
    return create(wanted.url, distribution="roomcast", **wanted.options)


class AsyncServer(ServerSurface):
    """A Socket.IO server for asyncio. All methods must be called in the thread of its event loop.

    ``logger`` is False (errors only), True (INFO) or a logger; ``serializer`` is ``"default"`` or ``"msgpack"``;
    ``json`` any object with ``dumps`` and ``loads``. With ``async_handlers=False`` the handlers of one client run one
    after another, and ``call`` is forbidden. Every field of :class:`roomcast.settings.Settings` and the Engine.IO
    options that users know are keywords too; unknown ones warn.

    With ``broker`` (a URL) the server is a node of the cluster of that name (``cluster``, by default ``socketio``),
    whose messages are signed if there are ``keys``; a ``client_manager`` with a broker, as ``AsyncRedisManager``, does
    the same.
    """

    namespace_class = AsyncNamespace
    manager_class = AsyncManager

    def __init__(
        self, client_manager: AsyncManager | None = None, logger: bool | Any = False, json: Any = None,
        async_handlers: bool = True, namespaces: list[str] | str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        serializer = options.pop("serializer", "default")
        always_connect = options.pop("always_connect", False)
        engineio_logger = options.pop("engineio_logger", None)
        async_mode = options.pop("async_mode", None)
        options, broker, random_tag = read_surroundings(self, client_manager, options)
        super().__init__(logger, serializer, json, async_handlers, always_connect, namespaces, options)
        self.runtime = Runtime(self.node.engine, self.counters, self.logger, self.node)
        self.runtime.in_order = not async_handlers
        self.eio = EngineFacade(self.runtime, engineio_logger, async_mode)
        self.manager: AsyncManager = self._take_manager(client_manager)
        self.manager_initialized = False
        self.bus = None if broker is None else Bus(self.node, *join(broker, random_tag, make_broker))
        self.runtime.bus = self.bus
        self.runtime.on_awake = lambda: self.start_background_task(self.start)
        self._view_cluster()

    @property
    def async_mode(self) -> str:
        """How it is served: ``"asgi"``, ``"aiohttp"``, ``"tornado"`` or ``"sanic"``."""
        return self.eio.async_mode

    def mounted(self, async_mode: str) -> None:
        """Told by what serves it."""
        self.eio.mounted(async_mode)

    async def start(self) -> None:
        self.node.engine.accepting = True
        self.runtime.on_awake = None
        self.runtime.bind()
        if self.bus is not None and not self.bus.is_open:
            await self.bus.open(self.runtime)
        if not self.manager_initialized:
            self.manager_initialized = True
            self.manager.initialize()

    # --- emitting -----------------------------------------------------------------------------------------------------

    async def emit(
        self, event: str, data: Any = None, to: Any = None, room: Any = None, skip_sid: Any = None,
        namespace: str | None = None, callback: Callback = None, ignore_queue: bool = False, volatile: bool = False,
    ) -> None:  # fmt: skip
        manager, target = self.manager, room if to is None else to
        if getattr(manager.emit, "__func__", None) is OWN_EMIT:  # saves a coroutine, 1 µs of the 4 of an emit
            manager.emit_now(event, data, namespace or "/", target, skip_sid, callback, ignore_queue, volatile)
            return
        await manager.emit(
            event,
            data,
            namespace=namespace or "/",
            room=target,
            skip_sid=skip_sid,
            callback=callback,
            ignore_queue=ignore_queue,
            volatile=volatile,
        )

    async def send(
        self, data: Any, to: Any = None, room: Any = None, skip_sid: Any = None, namespace: str | None = None,
        callback: Callback = None, ignore_queue: bool = False,
    ) -> None:  # fmt: skip
        await self.emit("message", data, to, room, skip_sid, namespace, callback, ignore_queue)

    async def call(
        self, event: str, data: Any = None, to: Any = None, sid: Any = None, namespace: str | None = None,
        timeout: float | None = 60, ignore_queue: bool = False,
    ) -> Any:  # fmt: skip
        answer: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()
        self.runtime.look_at_clock()
        target = chosen_target(to, sid)
        question, work = self._ask(event, data, answer, target, namespace, timeout, ignore_queue)
        self.runtime.do(work)
        try:
            return answer_of(await answer)
        finally:
            question.withdraw()

    # --- rooms and sessions -------------------------------------------------------------------------------------------

    async def enter_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        await self.manager.enter_room(sid, namespace or "/", room)

    async def leave_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        await self.manager.leave_room(sid, namespace or "/", room)

    async def close_room(self, room: Any, namespace: str | None = None) -> None:
        await self.manager.close_room(room, namespace or "/")

    async def get_session(self, sid: str, namespace: str | None = None) -> Any:
        return self.live_session(sid, namespace)

    async def save_session(self, sid: str, session: Any, namespace: str | None = None) -> None:
        self.store_session(sid, session, namespace)

    def session(self, sid: str, namespace: str | None = None) -> SessionContext:
        return SessionContext(self, sid, namespace)

    async def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False, close: bool = False
    ) -> None:
        self.runtime.look_at_clock()
        running = self.runtime.do(self._disconnect(sid, namespace, ignore_queue, close))
        if running is not None and running.task is not asyncio.current_task():
            await asyncio.wait({running.task})

    # --- the rest -----------------------------------------------------------------------------------------------------

    def attach(self, app: Any, socketio_path: str = "socket.io") -> None:
        """Serve it from an aiohttp or Sanic application: at ``/<socketio_path>/``, started and stopped with it.

        Raises SettingsError (a ValueError) for an application of any other kind, naming what serves that.
        """
        attach(self, app, socketio_path)

    async def handle_request(self, *args: Any) -> Any:
        return await serve(self, *args)

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(target(*args, **kwargs))
        self.runtime.tasks.add(task)
        task.add_done_callback(self.runtime.tasks.discard)
        return task

    async def sleep(self, seconds: float = 0) -> None:
        await asyncio.sleep(seconds)

    async def serve_metrics(self, port: int | None = None, host: str = "127.0.0.1") -> MetricsListener:
        # Who does not serve metrics needs no HTTP server in the process.
        from roomcast.drivers.asyncio.metrics_listener import serve_metrics

        wanted = DEFAULT_PORT if port is None else port
        return await serve_metrics(wanted, host, counters=self.counters, readiness=self.readiness)

    def readiness(self) -> Readiness:
        return self.runtime.readiness(self.runtime.loop is not None, not self.node.engine.accepting)

    async def shutdown(self) -> None:
        if self.runtime.loop is not None:
            await self.runtime.drain(self.settings.drain_seconds)
            await self.runtime.close(HANDLER_PATIENCE)


class SessionContext:
    """Gives the session of a client and saves it."""

    def __init__(self, server: AsyncServer, sid: str, namespace: str | None) -> None:
        self._server = server
        self._sid = sid
        self._namespace = namespace
        self._session: Any = None

    async def __aenter__(self) -> Any:
        self._session = await self._server.get_session(self._sid, self._namespace)
        return self._session

    async def __aexit__(self, *_: object) -> None:
        await self._server.save_session(self._sid, self._session, self._namespace)
